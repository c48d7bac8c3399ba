/**
 * The numbers of Roaring's portable format, little-endian throughout (https://github.com/RoaringBitmap/RoaringFormatSpec): a cookie and
 * the number of containers, a descriptor for each, an offset for each, their members.
 */

/** Cookie where there are no runs; the number of containers follows in 4 bytes. */
export const COOKIE_NO_RUNS = 12346;
/** Lower 16 bits of the cookie where there are; the upper ones are the containers less one, and a bit each says whether it is runs. */
export const COOKIE_RUNS = 12347;
/** Cookie and number of containers, where there are no runs. */
export const HEADER_BYTES = 8;
/** With runs, the cookie that has the number in it. */
export const HEADER_BYTES_WITH_RUNS = 4;
/** A container's key and its cardinality less one. */
export const DESCRIPTOR_BYTES = 4;
export const OFFSET_BYTES = 4;
/** With runs there are offsets only from this many containers on. */
export const OFFSETS_WITH_RUNS_MIN = 4;
/** A run's first member and how many follow it. */
export const RUN_BYTES = 4;
/** Up to this many members a container is a sorted array of 16-bit words, above it a bitset. */
export const ARRAY_MEMBERS_MAX = 4096;
export const BITSET_BYTES = 8192;

/** Bytes of a container that is not runs. */
export function containerBytes(members: number): number {
  return members <= ARRAY_MEMBERS_MAX ? members * 2 : BITSET_BYTES;
}
