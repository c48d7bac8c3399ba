/** Memory behind buffers. V8 frees it on a thread of its own, shortly after the objects that stood for it were collected. */

const POLL_MS = 10;
/** Five seconds of them; a clock may be a test's own. */
const POLLS_MAX = 500;

/** Waits, without a turn of the event loop, until buffers of this process take at most `bytes`; returns what they take. */
export function buffersDownTo(bytes: number): number {
  const sleeping = new Int32Array(new SharedArrayBuffer(4));
  for (let polls = 0; polls < POLLS_MAX && process.memoryUsage().arrayBuffers > bytes; polls++) {
    Atomics.wait(sleeping, 0, 0, POLL_MS);
  }
  return process.memoryUsage().arrayBuffers;
}
