/** What can be read of a value, however it is kept: a native set (Bitmap) or a few members in an array (SmallValue). */

import type { Bitmap } from "./bitmap.js";

export type Bit = 0 | 1;

export interface Value {
  /** Length of the Redis string in bytes, 0..2^29. */
  readonly byteLength: number;
  /** Number of bits that are 1. */
  readonly cardinality: number;
  getBit(offset: number): Bit;
  /** Number of 1 bits in the bit offsets `first`..`last`, both included. */
  countRange(first: number, last: number): number;
  /** The first offset in `first`..`last`, both included, whose bit is `bit`; -1 where there is none. */
  position(bit: Bit, first: number, last: number): number;
  /** Bytes `start`..`start + length - 1` of the string, which must lie inside it. For ranges that fit in memory easily. */
  bytes(start: number, length: number): Buffer;
  /**
   * The same bytes in slices of REPLY_SLICE_BYTES, made when they are asked for. They are those of this moment, and hold memory
   * until the last slice, or `return()`.
   */
  slices(start: number, length: number): Iterator<Buffer>;
  /** The same as a value of its own, which the caller must dispose of. */
  clone(): Bitmap;
}
