@rem On POSIX the scripts of package.json say "exec node ...", so that signals reach node itself. On Windows cmd.exe finds this file.
@%*
