/**
 * The checksum of Redis' RDB format: CRC-64 with Jones' polynomial, bits reflected, begun and ended with 0. Two halves of 32 bits,
 * since arithmetic on BigInt is a hundred times slower.
 */

/** The polynomial ad93d23594c935a9 with its bits in the opposite order. */
const POLYNOMIAL_HIGH = 0x95ac9329;
const POLYNOMIAL_LOW = 0xac4bc9b5;

/** What each value of a byte does to the checksum. */
const HIGH = new Uint32Array(256);
const LOW = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
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

export const CRC64_BYTES = 8;

/** The checksum of bytes that come piece by piece. */
export class Crc64 {
  #high = 0;
  #low = 0;

  update(bytes: Uint8Array): this {
    let high = this.#high;
    let low = this.#low;
    for (let i = 0; i < bytes.length; i++) {
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
