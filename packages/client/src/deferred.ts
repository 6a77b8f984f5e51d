/** A promise and its two ends. Nobody has to wait for it: a rejection that is not heard is no fault. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

export function deferred<T>(): Deferred<T> {
  const ends = {} as { -readonly [K in keyof Deferred<T>]: Deferred<T>[K] };
  ends.promise = new Promise((resolve, reject) => Object.assign(ends, { resolve, reject }));
  ends.promise.catch(() => undefined);
  return ends;
}
