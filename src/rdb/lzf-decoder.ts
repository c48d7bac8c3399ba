/**
 * Decompresses LZF that comes piece by piece, into pieces of REPLY_SLICE_BYTES, so that neither side of a string of 512 MB is ever held.
 * What a copy may reach back to is kept: 8 KiB.
 */
import { REPLY_SLICE_BYTES } from "../config.js";
import { COPY_BYTES_MAX, DISTANCE_MAX, LENGTH_SHIFT, LITERAL_BYTES_MAX, LONG_COPY, LOW_MASK } from "./lzf.js";
import { RdbError } from "./string.js";

const PIECE_END = DISTANCE_MAX + REPLY_SLICE_BYTES;
/** From this length on one call to fill or copy memory is quicker than a loop. */
const CALL_BYTES_MIN = 32;

export class LzfDecoder {
  /** The window, the piece, and as much as one step may write beyond it. */
  #out = new Uint8Array();
  #size = DISTANCE_MAX;
  /** Bytes that the string still has beyond the buffered ones. */
  #left = 0;
  /** How far back copies may reach: not before the string. */
  #floor = DISTANCE_MAX;
  #onPiece: (piece: Uint8Array) => void = () => {};

  /** Begins with a string of so many bytes. `onPiece` is called with each piece in order, which is only there for the call. */
  begin(byteLength: number, onPiece: (piece: Uint8Array) => void): void {
    const bytes = DISTANCE_MAX + Math.min(byteLength, REPLY_SLICE_BYTES) + COPY_BYTES_MAX;
    if (this.#out.length < bytes) this.#out = new Uint8Array(bytes);
    this.#size = DISTANCE_MAX;
    this.#floor = DISTANCE_MAX;
    this.#left = byteLength;
    this.#onPiece = onPiece;
  }

  /** Decodes what is whole in `bytes`, and returns how many of them that was: all but 32 at most. Throws RdbError for what is no LZF. */
  decode(bytes: Uint8Array): number {
    const out = this.#out;
    let size = this.#size;
    let at = 0;
    for (;;) {
      const control = bytes[at];
      if (control === undefined) break;
      if (control < LITERAL_BYTES_MAX) {
        const end = at + control + 2;
        if (end > bytes.length) break;
        at++;
        while (at < end) out[size++] = bytes[at++] as number;
      } else {
        let length = control >>> LENGTH_SHIFT;
        const isLong = length === LONG_COPY;
        if (at + (isLong ? 3 : 2) > bytes.length) break;
        if (isLong) length += bytes[++at] as number;
        length += 2;
        const distance = ((control & LOW_MASK) << 8) + (bytes[at + 1] as number) + 1;
        at += 2;
        let from = size - distance;
        if (from < this.#floor) throw new RdbError("LZF that copies from before its string");
        const end = size + length;
        if (length >= CALL_BYTES_MIN && distance === 1) out.fill(out[from] as number, size, end);
        else if (length >= CALL_BYTES_MIN && distance >= length) out.copyWithin(size, from, from + length);
        else while (size < end) out[size++] = out[from++] as number;
        size = end;
      }
      if (size - DISTANCE_MAX > this.#left) throw new RdbError("LZF of more than it says");
      if (size >= PIECE_END) size = this.#emit(size);
    }
    this.#size = size;
    return at;
  }

  /** The string is at its end. Throws RdbError where it is not as long as it should be. */
  end(): void {
    const bytes = this.#size - DISTANCE_MAX;
    if (bytes !== this.#left) throw new RdbError("LZF of another length than it says");
    if (bytes > 0) this.#onPiece(this.#out.subarray(DISTANCE_MAX, this.#size));
  }

  #emit(size: number): number {
    this.#left -= REPLY_SLICE_BYTES;
    this.#onPiece(this.#out.subarray(DISTANCE_MAX, PIECE_END));
    this.#out.copyWithin(0, REPLY_SLICE_BYTES, size);
    this.#floor = 0;
    return size - REPLY_SLICE_BYTES;
  }
}
