/**
 * What the SDK takes from the world that it runs in, a browser or Node: the only file that touches globals. Each is
 * named here as narrowly as it is used, so that the types need neither DOM nor Node.
 */

export interface Clock {
  /** Milliseconds UTC. Never goes back while the page lives. */
  now(): number;
  /** Runs something later, or as soon as can be if that is past. @returns what calls it off */
  after(ms: number, run: () => void): () => void;
}

/** As `localStorage` has it. */
export interface KeyValueStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** As `navigator.locks` has it. */
export interface Locks {
  request(name: string, options: { ifAvailable: true }, granted: (lock: unknown) => unknown): Promise<unknown>;
}

/** As a browser's `WebSocket` and that of the package `ws` have it. */
export interface Socket {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(): void;
}
export type SocketConstructor = new (url: string) => Socket;

interface Url {
  protocol: string;
  pathname: string;
  readonly href: string;
  readonly searchParams: { set(name: string, value: string): void };
}

interface Globals {
  readonly setTimeout: (run: () => void, ms: number) => unknown;
  readonly clearTimeout: (timer: unknown) => void;
  readonly performance: { readonly timeOrigin: number; now(): number };
  readonly crypto: { getRandomValues<T>(array: T): T };
  readonly TextEncoder: new () => { encode(text: string): { readonly length: number } };
  readonly URL: new (url: string, base?: string) => Url;
  readonly WebSocket?: SocketConstructor;
  readonly document?: { readonly visibilityState: string };
  readonly location?: { readonly href: string };
  readonly localStorage?: KeyValueStorage;
  readonly navigator?: { readonly locks?: Locks };
  addEventListener(type: string, listener: (event: { readonly type: string }) => void): void;
  removeEventListener(type: string, listener: (event: { readonly type: string }) => void): void;
}

const host = globalThis as unknown as Globals;

export const systemClock: Clock = {
  // Unlike Date.now() it does not jump when somebody sets the clock.
  now: () => host.performance.timeOrigin + host.performance.now(),
  after(ms, run) {
    const timer = host.setTimeout(run, ms);
    return () => host.clearTimeout(timer);
  },
};

/** 128 random bits, as letters. */
export function newId(): string {
  return Array.from(host.crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join('-');
}

/**
 * Where a connection goes: `http` becomes `ws`, and the path is `/chat` unless there is one.
 * @throws when it is no address
 */
export function chatUrl(url: string, query: Readonly<Record<string, string>> = {}): string {
  const address = new host.URL(url, host.location?.href);
  address.protocol = address.protocol.replace('http', 'ws');
  if (address.pathname === '/') address.pathname = '/chat';
  for (const name in query) address.searchParams.set(name, query[name] as string);
  return address.href;
}

/** How many bytes a text takes on the wire. */
export function bytesOf(text: string): number {
  return new host.TextEncoder().encode(text).length;
}

/** The socket of the platform; Node 20 has none. */
export function platformSocket(): SocketConstructor {
  if (!host.WebSocket) throw new Error('no WebSocket here: pass one');
  return host.WebSocket;
}

/** What outlives a page, if there is such a thing here and it may be used. */
export function platformStorage(): { storage: KeyValueStorage; locks: Locks | null } | null {
  try {
    // Looking alone may throw, where the user has forbidden it. Node has one too, but not of its own accord.
    const storage = host.document && host.localStorage;
    return storage ? { storage, locks: host.navigator?.locks ?? null } : null;
  } catch {
    return null;
  }
}

/** What a page is told that matters to a connection. A page that was out of sight may have missed the end of its own. */
const news = ['online', 'offline', 'pagehide', 'visibilitychange'] as const;

/** Tells when the network comes and goes, and when the page is left. @returns what ends it */
export function listenToPage(tell: (news: 'online' | 'offline' | 'pagehide') => void): () => void {
  const { document } = host;
  if (!document) return () => undefined;
  const listener = ({ type }: { readonly type: string }): void => {
    if (type !== 'visibilitychange') tell(type as 'online');
    else if (document.visibilityState === 'visible') tell('online');
  };
  for (const type of news) host.addEventListener(type, listener);
  return () => {
    for (const type of news) host.removeEventListener(type, listener);
  };
}
