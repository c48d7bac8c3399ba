/**
 * The bytes of an RDB stream as they come, chunk by chunk. Each method takes something off the front when all of it is there, and
 * else takes nothing and gives undefined: it is to be asked again after the next chunk. Counts and checks what was taken.
 */
import { Crc64 } from "./crc64.js";
import { KIND_SHIFT, LENGTH, LENGTH_32_BITS, LENGTH_64_BITS, VALUE_MASK } from "./format.js";
import { RdbError } from "./string.js";

const NOTHING = Buffer.alloc(0);

export class RdbInput {
  #chunk: Buffer;
  /** Where in the chunk the next byte is, and up to where it went into the checksum. */
  #at = 0;
  #checked = 0;
  /** Where in the stream the chunk begins. */
  #start = 0;
  readonly #crc = new Crc64();

  constructor(chunk: Buffer = NOTHING) {
    this.#chunk = chunk;
  }

  /** Bytes that were taken so far: where in the stream the next one is. */
  get offset(): number {
    return this.#start + this.#at;
  }

  get buffered(): number {
    return this.#chunk.length - this.#at;
  }

  /** Goes on with `chunk`, which must stay as it is until `release`. What is left of the one before should be small. */
  feed(chunk: Buffer): void {
    this.#goOn(this.buffered === 0 ? chunk : Buffer.concat([this.rest, chunk]));
  }

  /** Keeps no more of the chunk than what is not taken yet, as a copy. */
  release(): void {
    this.#goOn(Buffer.from(this.rest));
  }

  /** What is not taken yet: a view. */
  get rest(): Buffer {
    return this.#chunk.subarray(this.#at);
  }

  /** Takes so many bytes, which must be there. */
  advance(bytes: number): void {
    this.#at += bytes;
  }

  /** A view of the next bytes. For a few: who wants many takes them as they come. */
  bytes(count: number): Buffer | undefined {
    if (this.buffered < count) return undefined;
    this.#at += count;
    return this.#chunk.subarray(this.#at - count, this.#at);
  }

  byte(): number | undefined {
    return this.buffered === 0 ? undefined : this.#chunk[this.#at++];
  }

  /** A length, which is not exact above 2^53; or where a string's encoding stands instead, its number less 256. Throws RdbError. */
  length(): number | undefined {
    const first = this.#chunk[this.#at];
    if (first === undefined) return undefined;
    switch (first >>> KIND_SHIFT) {
      case LENGTH.SIX_BITS:
        this.#at++;
        return first;
      case LENGTH.FOURTEEN_BITS:
        if (this.buffered < 2) return undefined;
        this.#at += 2;
        return ((first & VALUE_MASK) << 8) | (this.#chunk[this.#at - 1] as number);
      case LENGTH.ENCODED:
        this.#at++;
        return (first & VALUE_MASK) - ENCODED;
    }
    if (first === LENGTH_32_BITS) return this.bytes(5)?.readUInt32BE(1);
    if (first !== LENGTH_64_BITS) throw new RdbError(`${first} begins no length`);
    const long = this.bytes(9)?.readBigUInt64BE(1);
    return long === undefined ? undefined : Number(long);
  }

  /** The checksum of all that was taken. */
  digest(): Buffer {
    this.#check();
    return this.#crc.digest();
  }

  #goOn(chunk: Buffer): void {
    this.#check();
    this.#start += this.#at;
    this.#chunk = chunk;
    this.#at = 0;
    this.#checked = 0;
  }

  #check(): void {
    this.#crc.update(this.#chunk.subarray(this.#checked, this.#at));
    this.#checked = this.#at;
  }
}

/** What `length` takes off an encoding's number, which makes it negative. */
export const ENCODED = 256;
