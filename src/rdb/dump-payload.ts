/**
 * What DUMP gives and RESTORE takes: a value's type, the value in RDB's format, and a footer of RDB's version and a checksum of all that
 * is before the checksum.
 */
import { CRC64_BYTES, Crc64 } from "./crc64.js";
import { TYPE_STRING } from "./format.js";
import { decodeString, type EncodedString, encodeString, type LongString, RdbError } from "./string.js";

/** The version that Redis 7.0 writes, and the newest whose strings are the same that is read (7.2's). */
const VERSION_WRITTEN = 10;
const VERSION_MAX = 11;
const VERSION_BYTES = 2;
const FOOTER_BYTES = VERSION_BYTES + CRC64_BYTES;

/** The payload of a string, made piece by piece. Its pieces hold memory until the last of them, or `return()`. */
export class DumpPayload implements Iterator<Buffer, void> {
  readonly byteLength: number;
  readonly #string: EncodedString;
  readonly #crc = new Crc64();
  #next: "head" | "slices" | "end" = "head";

  constructor(string: LongString) {
    this.#string = encodeString(string);
    this.byteLength = 1 + this.#string.head.length + this.#string.byteLength + FOOTER_BYTES;
  }

  next(): IteratorResult<Buffer, void> {
    if (this.#next === "end") return { done: true, value: undefined };
    if (this.#next === "head") {
      this.#next = "slices";
      return this.#checked(Buffer.concat([Buffer.of(TYPE_STRING), this.#string.head]));
    }
    const slice = this.#string.slices.next();
    if (slice.done !== true) return this.#checked(slice.value);
    this.#next = "end";
    const version = Buffer.of(VERSION_WRITTEN, 0);
    return { done: false, value: Buffer.concat([version, this.#crc.update(version).digest()]) };
  }

  return(): IteratorReturnResult<void> {
    this.#next = "end";
    this.#string.slices.return?.();
    return { done: true, value: undefined };
  }

  #checked(value: Buffer): IteratorYieldResult<Buffer> {
    this.#crc.update(value);
    return { done: false, value };
  }
}

/** Whether a payload is of a version that can be read, and as it was written. */
export function isWhole(payload: Buffer): boolean {
  if (payload.length < FOOTER_BYTES) return false;
  const end = payload.length - CRC64_BYTES;
  if (payload.readUInt16LE(end - VERSION_BYTES) > VERSION_MAX) return false;
  return new Crc64().update(payload.subarray(0, end)).digest().equals(payload.subarray(end));
}

/**
 * The string of a payload that is whole, which may be a view of it. As in Redis, the string may end before the footer or in it. Throws
 * RdbError where it is no string.
 */
export function restoredString(payload: Buffer): Buffer {
  if (payload[0] !== TYPE_STRING) throw new RdbError(`type ${payload[0]} is no string`);
  return decodeString(payload, 1);
}
