/** Ending by a signal as a program without a listener does, but for a last thing to do. */

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** From now on a signal that ends the process does `last` first. Returns the function that takes this back. */
export function beforeSignalsEnd(last: () => void): () => void {
  const listeners = SIGNALS.map((signal) => {
    const listener = () => {
      restore();
      last();
      // Without a listener the signal does what it does to every program, and whoever waits for this one sees it.
      process.kill(process.pid, signal);
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  const restore = () => {
    for (const { signal, listener } of listeners) process.off(signal, listener);
  };
  return restore;
}
