/**
 * When holes in the C library's heap should be given back. What the process takes beside what it uses is code, page caches and holes, and
 * only their sum is known. When it grows, what was in use has become holes, or threads and libraries have taken more, which shows when giving
 * back has changed nothing: from then on that is how much is taken.
 */
import { HOLES_BYTES_MIN, TRIM_PAUSE_MS } from "../../config.js";

export class HeapWatch {
  /** The least that was taken beside since the heap was last trimmed, in bytes. */
  #besideMin = Number.POSITIVE_INFINITY;
  #trimmedMs = Number.NEGATIVE_INFINITY;

  /** To be called about once a second with the process' memory, in bytes; says whether to trim the heap now. `nowMs` never goes back. */
  isTrimDue({ used, rss }: { used: number; rss: number }, nowMs: number): boolean {
    const beside = rss - used;
    this.#besideMin = Math.min(this.#besideMin, beside);
    if (beside - this.#besideMin < HOLES_BYTES_MIN || nowMs - this.#trimmedMs < TRIM_PAUSE_MS) return false;
    this.#trimmedMs = nowMs;
    this.#besideMin = Number.POSITIVE_INFINITY;
    return true;
  }
}
