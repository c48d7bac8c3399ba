/**
 * The stable hash that orders keys in the file and gives SCAN its cursor.
 * It is part of the file format: changing it needs a schema migration. It is no secret and defends against nothing.
 */

/** Hashes are below 2^52, so that a cursor one past the largest is still an exact JavaScript number. */
export const HASH_MAX = 2 ** 52 - 1;

/** The hash of a key given as a latin1 string, 0..HASH_MAX: two 32-bit FNV-1a style lanes, mixed as MurmurHash3 ends. */
export function keyHash(key: string): number {
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (let i = 0; i < key.length; i++) {
    const byte = key.charCodeAt(i);
    low = Math.imul(low ^ byte, 0x01000193);
    high = Math.imul(high ^ byte, 0x5bd1e995);
  }
  low = mix(low ^ key.length);
  high = mix(high ^ low);
  return (high & 0xfffff) * 2 ** 32 + low;
}

function mix(word: number): number {
  let h = word ^ (word >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
