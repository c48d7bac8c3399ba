/**
 * What waits to be pushed to a client that it did not ask for: messages, mostly small, of which one that does not read may gather
 * hundreds of thousands. So many buffers would take far more than their bytes: small ones are copied together.
 */
import type { Segment } from "../resp/reply.js";

/** Small messages that become one piece. Each piece is an object of some 100 bytes. */
const MERGED_MESSAGES = 64;
const SMALL_BYTES_MAX = 4096;

export class PushQueue {
  #pieces: Uint8Array[] = [];
  /** The last ones, not copied yet. */
  #small: Uint8Array[] = [];
  #byteLength = 0;

  get byteLength(): number {
    return this.#byteLength;
  }

  /** The bytes must not be changed any more: others may wait to be sent the same. */
  add(bytes: Uint8Array): void {
    this.#byteLength += bytes.length;
    if (bytes.length <= SMALL_BYTES_MAX) {
      if (this.#small.push(bytes) === MERGED_MESSAGES) this.#merge();
    } else {
      this.#merge();
      this.#pieces.push(bytes);
    }
  }

  #merge(): void {
    if (this.#small.length > 0)
      this.#pieces.push(this.#small.length === 1 ? (this.#small[0] as Uint8Array) : Buffer.concat(this.#small));
    this.#small = [];
  }

  /** Hands over what waits, behind the segments there are. */
  take(segments: Segment[]): void {
    if (this.#byteLength === 0) return;
    this.#merge();
    for (const piece of this.#pieces) segments.push(piece);
    this.#pieces = [];
    this.#byteLength = 0;
  }
}
