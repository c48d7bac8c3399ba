/**
 * The checksum of Redis' RDB format: CRC-64 with Jones' polynomial, bits reflected, begun and ended with 0. Two halves of 32 bits,
 * since arithmetic on BigInt is a hundred times slower.
 */

/** The polynomial ad93d23594c935a9 with its bits in the opposite order. */
const POLYNOMIAL_HIGH = 0x95ac9329;
const POLYNOMIAL_LOW = 0xac4bc9b5;

/** So many bytes are taken at a time: 2.5 times as fast as one by one. */
const STRIDE = 8;
const VALUES = 256;

/** What each value of a byte does to the checksum; and, further on, what it does when so many more bytes, all 0, follow it. */
const HIGH = new Int32Array(VALUES * STRIDE);
const LOW = new Int32Array(VALUES * STRIDE);
for (let byte = 0; byte < VALUES; byte++) {
  let high = 0;
  let low = byte;
  for (let bit = 0; bit < 8; bit++) {
    const isOdd = (low & 1) === 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (!isOdd) continue;
    high ^= POLYNOMIAL_HIGH;
    low ^= POLYNOMIAL_LOW;
  }
  HIGH[byte] = high;
  LOW[byte] = low;
}
for (let i = VALUES; i < VALUES * STRIDE; i++) {
  const high = HIGH[i - VALUES] as number;
  const low = LOW[i - VALUES] as number;
  HIGH[i] = (high >>> 8) ^ (HIGH[low & 0xff] as number);
  LOW[i] = ((low >>> 8) | (high << 24)) ^ (LOW[low & 0xff] as number);
}

export const CRC64_BYTES = 8;

/** The checksum of bytes that come piece by piece. */
export class Crc64 {
  #high = 0;
  #low = 0;

  update(bytes: Uint8Array): this {
    let high = this.#high;
    let low = this.#low;
    let i = 0;
    for (; i + STRIDE <= bytes.length; i += STRIDE) {
      const first = low ^ wordAt(bytes, i);
      const second = high ^ wordAt(bytes, i + 4);
      const at7 = 7 * VALUES + (first & 0xff);
      const at6 = 6 * VALUES + ((first >>> 8) & 0xff);
      const at5 = 5 * VALUES + ((first >>> 16) & 0xff);
      const at4 = 4 * VALUES + (first >>> 24);
      const at3 = 3 * VALUES + (second & 0xff);
      const at2 = 2 * VALUES + ((second >>> 8) & 0xff);
      const at1 = VALUES + ((second >>> 16) & 0xff);
      const at0 = second >>> 24;
      low = xor8(LOW, at7, at6, at5, at4, at3, at2, at1, at0);
      high = xor8(HIGH, at7, at6, at5, at4, at3, at2, at1, at0);
    }
    for (; i < bytes.length; i++) {
      const index = (low ^ (bytes[i] as number)) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ (LOW[index] as number);
      high = (high >>> 8) ^ (HIGH[index] as number);
    }
    this.#high = high;
    this.#low = low;
    return this;
  }

  /** The checksum of what came so far, the least significant byte first, as RDB has it. */
  digest(): Buffer {
    const digest = Buffer.allocUnsafe(CRC64_BYTES);
    digest.writeInt32LE(this.#low | 0, 0);
    digest.writeInt32LE(this.#high | 0, 4);
    return digest;
  }
}

/** Four bytes, the least significant first. */
function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

function xor8(
  t: Int32Array,
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
  f: number,
  g: number,
  h: number,
): number {
  const upper = (t[a] as number) ^ (t[b] as number) ^ (t[c] as number) ^ (t[d] as number);
  return upper ^ (t[e] as number) ^ (t[f] as number) ^ (t[g] as number) ^ (t[h] as number);
}
