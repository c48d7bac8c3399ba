/** Which keys were seen before: perhaps, in bounded memory, or for certain, in memory for each. */
import { keyHash } from "../keyspace/hash.js";
import { ByteIndex } from "./byte-index.js";

/** 2^28 bits: 32 MiB, of which the system gives what is touched. */
const BITS = 2 ** 28;
/** Bits a key. */
const PROBES = 5;
const LOW = 2 ** 32;
/** Spreads the 20 upper bits of a hash over all. */
const SPREAD = 0x9e3779b1;

/**
 * In bounded memory (a Bloom filter): "not before" is certain, "perhaps" is wrong once in 10,000 times while there are up to ten million keys,
 * and more often beyond. Whoever is told "perhaps" must find out.
 */
export class SeenKeys {
  readonly #bits = new Uint8Array(BITS / 8);

  /** Notes the key; false when it was not seen before, true when it perhaps was. */
  add(key: string): boolean {
    const hash = keyHash(key);
    let at = hash % BITS;
    // Odd, so that all probes are different bits.
    const step = (Math.imul(hash / LOW, SPREAD) >>> 1) | 1;
    let seen = true;
    for (let probe = 0; probe < PROBES; probe++) {
      at = (at + step) % BITS;
      const byte = at >>> 3;
      const mask = 1 << (at % 8);
      const before = this.#bits[byte] as number;
      if ((before & mask) === 0) seen = false;
      this.#bits[byte] = before | mask;
    }
    return seen;
  }
}

/** For certain: each key takes its bytes and some 50 more. */
export class ExactKeys {
  readonly #keys = new ByteIndex();

  /** Notes the key, and says whether it was seen before. */
  add(key: string): boolean {
    const bytes = Buffer.from(key, "latin1");
    if (this.#keys.find(bytes, 0, bytes.length) !== undefined) return true;
    this.#keys.add(bytes, 0, bytes.length, 0);
    return false;
  }
}
