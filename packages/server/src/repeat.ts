/**
 * Does `work` again and again, `everyMs` after the last time ended: never twice at once, and a failure only means that
 * the next time has more to do.
 */
export function repeat(
  everyMs: number,
  work: () => Promise<void>,
  onError: (error: unknown) => void,
): { stop(): Promise<void> } {
  let stopped = false;
  let current: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const once = (): void => {
    current = work()
      .catch(onError)
      .then(() => {
        if (!stopped) timer = setTimeout(once, everyMs);
      });
  };
  once();
  return {
    /** Resolves when nothing is under way and nothing will be. */
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await current;
    },
  };
}
