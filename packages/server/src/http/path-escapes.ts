/**
 * Makes a URL whose path has a malformed escape (`%zz`, `%ff`) routable, by taking each `%` of the path for itself. So
 * it meets the same checks in the same order as any other, and only then is refused; a changed URL is the sign.
 */
export function routable(url: string): string {
  const end = url.search(/[?#]/);
  const path = end < 0 ? url : url.slice(0, end);
  if (!path.includes('%') || decodes(path)) return url;
  return path.replaceAll('%', '%25') + url.slice(path.length);
}

function decodes(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
