/**
 * What DUMP gives and RESTORE takes: a value's type, the value in RDB's format, and a footer of RDB's version and a checksum of all that
 * is before the checksum.
 */
import { BULK_BYTES_MAX } from "../config.js";
import { CRC64_BYTES, Crc64 } from "./crc64.js";
import { ENCODING, INTEGER_BYTES, TYPE_STRING } from "./format.js";
import { ENCODED, RdbInput } from "./input.js";
import { LZF_RATIO_MAX } from "./lzf.js";
import { LzfDecoder } from "./lzf-decoder.js";
import type { StringBuilder } from "./reader.js";
import { type EncodedString, encodeString, type LongString, RdbError } from "./string.js";

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

/** What it has is used again: RESTORE decodes one string at a time. */
const lzf = new LzfDecoder();

/**
 * What `builder` makes of the string of a payload that is whole. As in Redis, the string may end before the footer or in it. Throws
 * RdbError where it is no string, or one of more than 512 MiB.
 */
export function restored<T>(payload: Buffer, builder: StringBuilder<T>): T {
  const input = new RdbInput(payload);
  const type = input.byte();
  if (type !== TYPE_STRING) throw new RdbError(`type ${type} is no string`);
  try {
    appendString(input, builder);
    return builder.finish();
  } finally {
    builder.dispose();
  }
}

function appendString(input: RdbInput, builder: StringBuilder<unknown>): void {
  const length = there(input.length());
  const encoding = length + ENCODED;
  if (length >= 0) return builder.append(there(input.bytes(length)));
  if (encoding === ENCODING.LZF) return appendCompressed(input, builder);
  const bytes = INTEGER_BYTES[encoding];
  if (bytes === undefined) throw new RdbError(`unknown string encoding ${encoding}`);
  builder.append(Buffer.from(String(there(input.bytes(bytes)).readIntLE(0, bytes))));
}

function appendCompressed(input: RdbInput, builder: StringBuilder<unknown>): void {
  const storedBytes = anyLength(input);
  const byteLength = anyLength(input);
  const stored = there(input.bytes(storedBytes));
  if (byteLength > BULK_BYTES_MAX || byteLength > storedBytes * LZF_RATIO_MAX) {
    throw new RdbError(`${byteLength} bytes are too many`);
  }
  lzf.begin(byteLength, (piece) => builder.append(piece));
  if (lzf.decode(stored) < storedBytes) throw new RdbError("LZF that is cut off");
  lzf.end();
}

/** Redis takes any number for the two lengths of LZF, be it an encoding's. */
function anyLength(input: RdbInput): number {
  const length = there(input.length());
  return length < 0 ? length + ENCODED : length;
}

function there<V>(taken: V | undefined): V {
  if (taken === undefined) throw new RdbError("the string is cut off");
  return taken;
}
