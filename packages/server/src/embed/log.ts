import { createLog, type Log } from '../log.ts';

/** A logger in the manner of pino: fields first, then the message. */
export interface HostLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** Of pino: what is below it is not even put together. Without it `info` counts. */
  readonly level?: string;
}

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/**
 * A log that ends in the host's own logger, or on stdout. What arrives there has been masked already, and its errors
 * are plain objects without the SQL and its values: no serializer of the host's can bring a secret back.
 * @param level of our settings; undefined follows the host's logger, and without one says warnings only
 */
export function hostLog(logger: HostLogger | false | undefined, level: string | undefined): Log {
  if (logger === false) return createLog('silent');
  if (logger === undefined) {
    // Not by way of pino's own destination: that one listens for the end of the process.
    return createLog(level ?? 'warn', { write: (line) => void process.stdout.write(line) });
  }
  const theirs = logger.level !== undefined && LEVELS.includes(logger.level) ? logger.level : 'info';
  return createLog(level ?? theirs, { write: (line) => pass(line, logger) });
}

function pass(line: string, logger: HostLogger): void {
  const { level, time: _, msg, ...fields } = JSON.parse(line) as { level: string; time: string; msg?: string };
  const method = level === 'fatal' ? 'error' : level === 'trace' ? 'debug' : level;
  logger[method as 'debug' | 'info' | 'warn' | 'error'](fields, msg ?? '');
}
