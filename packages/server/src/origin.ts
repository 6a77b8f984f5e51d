const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * May a page of this origin connect? Browsers always say where a page is from; who sends no `Origin` is no browser.
 * @param allowed exact origins, or `*`; null means the server's own origin, and in demo mode any page on this machine
 */
export function isAllowedOrigin(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[] | null,
  demo: boolean,
): boolean {
  if (origin === undefined) return true;
  if (allowed) return allowed.includes('*') || allowed.includes(origin);
  let url: URL;
  try {
    url = new URL(origin);
  } catch {
    return false;
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return false;
  // Nothing but scheme, host and port: `http://evil@our-host` is no origin.
  if (url.username !== '' || url.password !== '' || url.pathname !== '/' || url.search !== '') return false;
  return url.host === host?.toLowerCase() || (demo && LOOPBACK.has(url.hostname));
}
