/**
 * LZF, the compression of strings in Redis' RDB format. Compressed bytes are pieces of two kinds, told apart by the upper 3 bits of
 * their first byte: 0 is a literal, whose lower 5 bits are its length less one; anything else is a copy of bytes that came before,
 * with the length less two there (7 adds the next byte to it), and in the lower 5 bits and the byte after that the distance less one.
 * So what two strings were compressed to is, put together, what both together may be compressed to.
 */

export const LITERAL_BYTES_MAX = 32;
const COPY_BYTES_MIN = 3;
const SHORT_COPY_BYTES_MAX = 8;
export const COPY_BYTES_MAX = 264;
/** A copy takes up to 3 bytes: nothing is compressed to a smaller part of itself. */
export const LZF_RATIO_MAX = COPY_BYTES_MAX / 3;
export const DISTANCE_MAX = 8192;
export const LENGTH_SHIFT = 5;
export const LOW_MASK = 31;
/** A copy's length that has the next byte added to it. */
export const LONG_COPY = SHORT_COPY_BYTES_MAX - 1;

const HASH_BITS = 13;
/** For a hash of three bytes where they were last, plus one. */
const places = new Int32Array(1 << HASH_BITS);

/** Bytes that `compress` may write for so many. */
export function compressedBytesMax(bytes: number): number {
  return bytes + Math.ceil(bytes / LITERAL_BYTES_MAX);
}

/** Compresses `bytes` into `out`, which has room for `compressedBytesMax`, and returns how many bytes were written. */
export function compress(bytes: Uint8Array, out: Uint8Array): number {
  places.fill(0);
  let size = 0;
  /** Where the bytes begin that are not written yet. */
  let literal = 0;
  let at = 0;
  while (at + COPY_BYTES_MIN <= bytes.length) {
    const hash = hashAt(bytes, at);
    const from = (places[hash] as number) - 1;
    places[hash] = at + 1;
    const length = from < 0 || at - from > DISTANCE_MAX ? 0 : equalBytes(bytes, from, at);
    if (length < COPY_BYTES_MIN) {
      at++;
      continue;
    }
    size = writeLiterals(bytes, literal, at, out, size);
    size = writeCopy(at - from - 1, length - 2, out, size);
    at += length;
    literal = at;
  }
  return writeLiterals(bytes, literal, bytes.length, out, size);
}

function hashAt(bytes: Uint8Array, at: number): number {
  const three = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
  return Math.imul(three, 0x9e3779b1) >>> (32 - HASH_BITS);
}

/** How many bytes from `at` on are those from `from` on, as far as one copy reaches. */
function equalBytes(bytes: Uint8Array, from: number, at: number): number {
  const max = Math.min(bytes.length - at, COPY_BYTES_MAX);
  let length = 0;
  while (length < max && bytes[from + length] === bytes[at + length]) length++;
  return length;
}

function writeLiterals(bytes: Uint8Array, start: number, end: number, out: Uint8Array, to: number): number {
  let size = to;
  for (let at = start; at < end; at += LITERAL_BYTES_MAX) {
    const length = Math.min(end - at, LITERAL_BYTES_MAX);
    out[size++] = length - 1;
    for (let i = 0; i < length; i++) out[size++] = bytes[at + i] as number;
  }
  return size;
}

function writeCopy(distance: number, length: number, out: Uint8Array, to: number): number {
  let size = to;
  out[size++] = (Math.min(length, LONG_COPY) << LENGTH_SHIFT) | (distance >>> 8);
  if (length >= LONG_COPY) out[size++] = length - LONG_COPY;
  out[size++] = distance & 0xff;
  return size;
}
