/** What can be read of a value, however it is kept: a native set (Bitmap) or a few members in an array (SmallValue). */

import type { Bitmap } from "./bitmap.js";

export type Bit = 0 | 1;

/** Number of all bit offsets. */
export const OFFSETS = 2 ** 32;

/** Containers of one kind: how many there are, how many 1 bits are in them, and the bytes of their data. */
export interface ContainerCount {
  containers: number;
  members: number;
  bytes: number;
}

/** A container is a sorted array, a bitset or runs, whichever is smallest; each spans 65,536 offsets. */
export interface ContainerCounts {
  arrays: ContainerCount;
  bitsets: ContainerCount;
  runs: ContainerCount;
}

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
  /** The offset of the 1 bit that has `rank` others below it, 0 <= `rank` < `cardinality`. */
  select(rank: number): number;
  /** The offsets of at most `count` 1 bits, ascending, from the one of this rank on. Good until the next change. */
  page(rank: number, count: number): Uint32Array;
  /** How the 1 bits lie in Roaring's containers. */
  readonly containers: ContainerCounts;
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
