// Values made of random bits, as the strings that SET takes.

/** @typedef {import("./random.mjs").Random} Random */

/**
 * A string in which exactly `members` bits below `range` are 1.
 * @param {Random} random
 * @param {number} members at most half of the range
 * @param {number} range
 */
export function randomBits(random, members, range) {
  const bytes = Buffer.alloc(Math.ceil(range / 8));
  for (let count = 0; count < members; ) if (setBit(bytes, random.below(range))) count++;
  return bytes;
}

/**
 * Sets Redis' bit `offset`, and says whether it was 0.
 * @param {Buffer} bytes
 * @param {number} offset
 */
export function setBit(bytes, offset) {
  const mask = 128 >> (offset & 7);
  const before = /** @type {number} */ (bytes[offset >> 3]);
  bytes[offset >> 3] = before | mask;
  return (before & mask) === 0;
}

/**
 * @param {Buffer} bytes
 * @param {number} offset
 */
export function getBit(bytes, offset) {
  return /** @type {number} */ ((bytes[offset >> 3] ?? 0) >> (7 - (offset & 7))) & 1;
}

/**
 * How many times a part of the full size, at least 1.
 * @param {number} full
 * @param {number} scale
 */
export function scaled(full, scale) {
  return Math.max(1, Math.round(full * scale));
}

/**
 * The same as a power of ten, which is what the bit workloads have ids of.
 * @param {number} full
 * @param {number} scale
 */
export function scaledPowerOfTen(full, scale) {
  return 10 ** Math.max(1, Math.round(Math.log10(full * scale)));
}
