/**
 * Reads Redis' RDB format, versions 1 to 12 (Redis 7.4), as it comes: from a file, or from a master's full synchronisation, where the
 * command stream follows at once. It is given chunks and gives keys. Strings are handed on in pieces while they arrive; keys of other types are named
 * and passed over. Nothing is allocated for a size that is claimed, only for bytes that came. It must not know what the strings are of.
 *
 * Inside, the format is read by generators, which yield undefined where they need the next chunk: so the code reads from top to bottom,
 * and nothing waits where bytes are there.
 */
import { constants } from "node:buffer";
import { BULK_BYTES_MAX, REPLY_SLICE_BYTES } from "../config.js";
import { CRC64_BYTES } from "./crc64.js";
import { CHECKSUM_VERSION_MIN, ENCODING, INTEGER_BYTES, MAGIC, OPCODE, TYPE_STRING, VERSION_DIGITS } from "./format.js";
import { ENCODED, RdbInput } from "./input.js";
import { type Field, LAYOUTS, MODULE_END, MODULE_VALUES, PASSED_OVER, SCORE_WORD_MIN } from "./layouts.js";
import { LZF_RATIO_MAX } from "./lzf.js";
import { LzfDecoder } from "./lzf-decoder.js";
import { RdbError } from "./string.js";

/** The newest version that is read: Redis 7.4's. */
export const RDB_VERSION_MAX = 12;

/** The fields of the head that are kept, and the longest value of one in bytes: the others are of no use, and may be large. */
const AUX_KEPT = ["redis-ver", "ctime", "used-mem", "repl-id", "repl-offset", "repl-stream-db", "aof-base"];
const AUX_BYTES_MAX = 1024;

/** Longest key, in bytes: what a JavaScript string can be, a little less than Redis' 512 MB. */
const TEXT_BYTES_MAX = Math.min(BULK_BYTES_MAX, constants.MAX_STRING_LENGTH);

/** What makes a value of a string that comes in pieces. Pieces are only there for the call. */
export interface StringBuilder<T> {
  append(piece: Uint8Array): void;
  /** Called between chunks: gives away what can be kept elsewhere. Nothing is appended until it resolves. */
  makeRoom?(): Promise<void>;
  /** The value. The builder is not used again. */
  finish(): T;
  /** Gives up. Nothing happens after `finish`. */
  dispose(): void;
}

/** A key that was read, and its value. */
export interface RdbKey<T> {
  database: number;
  /** As latin1. */
  key: string;
  /** Wall-clock milliseconds, Infinity for none. */
  deadline: number;
  /** What it is, with its article: "a string", "a list". */
  type: string;
  /** Undefined where it is no string, or one of more than 512 MiB, or where strings are passed over too. */
  value: T | undefined;
}

type Steps<R> = Generator<undefined, R>;

export class RdbReader<T> {
  readonly #input = new RdbInput();
  readonly #makeBuilder: (() => StringBuilder<T>) | undefined;
  /** Of the last string. */
  #builder: StringBuilder<T> | undefined;
  readonly #steps: Generator<RdbKey<T> | undefined, undefined>;
  /** Made when it is needed: it has a window. */
  #lzf: LzfDecoder | undefined;
  readonly #aux = new Map<string, string>();
  /** A slice that comes in several chunks. */
  #slice: Buffer | undefined;
  #version = 0;
  #isDone = false;
  #hasChecksum = false;
  #functions = 0;

  /** `makeBuilder` is called for each string; without it strings are passed over too. */
  constructor(makeBuilder?: () => StringBuilder<T>) {
    this.#makeBuilder = makeBuilder;
    this.#steps = this.#file();
  }

  /** Goes on with the next bytes. Only after `next` gave undefined, and then the chunk before is the caller's again. */
  feed(chunk: Buffer): void {
    this.#input.feed(chunk);
  }

  /**
   * The next key; undefined when more bytes are needed, or at the end (`isDone`). Throws RdbError, which names the byte, where the stream is
   * not RDB, of a newer version, or does not have the checksum that it says; the reader is of no use then.
   */
  next(): RdbKey<T> | undefined {
    try {
      const { value } = this.#steps.next();
      if (value === undefined) this.#input.release();
      return value;
    } catch (error) {
      if (!(error instanceof RdbError)) throw error;
      throw new RdbError(`at byte ${this.offset}: ${error.message}`, { cause: error });
    }
  }

  /** To be called when no more bytes will come. Throws RdbError when the stream is not at its end. */
  end(): void {
    if (!this.#isDone) throw new RdbError(`at byte ${this.offset + this.#input.buffered}: it is cut off`);
  }

  /** Lets a string that is half read make room. To be awaited after each chunk, where strings may be large; rejects as the builder does. */
  async makeRoom(): Promise<void> {
    await this.#builder?.makeRoom?.();
  }

  /** Lets go of a string that is half read. For whoever stops in the middle. */
  dispose(): void {
    this.#steps.return(undefined);
  }

  /** Whether everything was read, to the checksum. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Bytes that were fed and are not of the RDB: what follows it, once it is done. */
  get rest(): Buffer {
    return this.#input.rest;
  }

  /** How many bytes were read. */
  get offset(): number {
    return this.#input.offset;
  }

  /** Of the format, 1 to 12; 0 until it is known. */
  get version(): number {
    return this.#version;
  }

  /** At the end: whether there was a checksum to compare with. Old versions have none, and `rdbchecksum no` switches it off. */
  get hasChecksum(): boolean {
    return this.#hasChecksum;
  }

  /** What the head says so far of the server and of its replication: `redis-ver`, `repl-id`, `repl-offset`, `repl-stream-db` and others. */
  get aux(): ReadonlyMap<string, string> {
    return this.#aux;
  }

  /** Libraries of functions that were passed over. */
  get functions(): number {
    return this.#functions;
  }

  *#file(): Generator<RdbKey<T> | undefined, undefined> {
    yield* this.#magic();
    let database = 0;
    let deadline = Number.POSITIVE_INFINITY;
    for (;;) {
      const opcode = yield* this.#byte();
      const passedOver = PASSED_OVER.get(opcode);
      if (passedOver !== undefined) {
        if (opcode === OPCODE.FUNCTION2 || opcode === OPCODE.FUNCTION_PRE_GA) this.#functions++;
        yield* this.#skipFields(passedOver);
        continue;
      }
      switch (opcode) {
        case OPCODE.AUX:
          yield* this.#auxField();
          continue;
        case OPCODE.SELECTDB:
          database = yield* this.#length();
          continue;
        case OPCODE.EXPIRETIME:
          deadline = (yield* this.#bytes(4)).readInt32LE() * 1000;
          continue;
        case OPCODE.EXPIRETIME_MS:
          deadline = Number((yield* this.#bytes(8)).readBigInt64LE());
          continue;
        case OPCODE.EOF:
          if (this.#version >= CHECKSUM_VERSION_MIN) yield* this.#checksum();
          this.#isDone = true;
          return undefined;
      }
      yield yield* this.#key(opcode, database, deadline);
      deadline = Number.POSITIVE_INFINITY;
    }
  }

  *#magic(): Steps<void> {
    const head = (yield* this.#bytes(MAGIC.length + VERSION_DIGITS)).toString("latin1");
    const digits = head.slice(MAGIC.length);
    if (!head.startsWith(MAGIC) || !/^\d+$/.test(digits)) throw new RdbError("it is no RDB file of Redis'");
    this.#version = Number(digits);
    if (this.#version >= 1 && this.#version <= RDB_VERSION_MAX) return;
    throw new RdbError(`it is of version ${this.#version}, and only 1 to ${RDB_VERSION_MAX} can be read`);
  }

  *#auxField(): Steps<void> {
    const name = yield* this.#text();
    if (!AUX_KEPT.includes(name)) return yield* this.#skipString();
    const value = yield* this.#text();
    if (value.length <= AUX_BYTES_MAX) this.#aux.set(name, value);
  }

  *#checksum(): Steps<void> {
    const made = this.#input.digest();
    const written = yield* this.#bytes(CRC64_BYTES);
    this.#hasChecksum = written.some((byte) => byte !== 0);
    if (this.#hasChecksum && !written.equals(made)) throw new RdbError("the checksum is not that of what was read");
  }

  *#key(type: number, database: number, deadline: number): Steps<RdbKey<T>> {
    const layout = LAYOUTS.get(type);
    if (type !== TYPE_STRING && layout === undefined) throw new RdbError(`unknown type ${type}`);
    const key = yield* this.#text();
    if (layout === undefined) return { database, key, deadline, ...(yield* this.#value()) };
    yield* this.#skipFields(layout.fields);
    return { database, key, deadline, type: layout.name, value: undefined };
  }

  *#value(): Steps<{ type: string; value: T | undefined }> {
    const head = yield* this.#stringHead();
    const isTooLong = head.byteLength > BULK_BYTES_MAX;
    const builder = isTooLong ? undefined : this.#makeBuilder?.();
    this.#builder = builder;
    const type = isTooLong ? "a string of more than 512 MB" : "a string";
    if (builder !== undefined) return { type, value: yield* this.#string(head, builder) };
    yield* this.#skip(head.storedBytes);
    return { type, value: undefined };
  }

  *#text(): Steps<string> {
    const head = yield* this.#stringHead();
    if (head.byteLength > TEXT_BYTES_MAX) throw new RdbError(`a name of ${head.byteLength} bytes`);
    return yield* this.#string(head, new TextBuilder());
  }

  *#stringHead(): Steps<StringHead> {
    const length = yield* this.#encodedLength();
    if (length >= 0) return { encoding: undefined, storedBytes: length, byteLength: length };
    const encoding = length + ENCODED;
    if (encoding !== ENCODING.LZF) {
      const storedBytes = INTEGER_BYTES[encoding];
      if (storedBytes === undefined) throw new RdbError(`unknown string encoding ${encoding}`);
      return { encoding, storedBytes, byteLength: storedBytes };
    }
    const storedBytes = yield* this.#length();
    const byteLength = yield* this.#length();
    // So that a few bytes can't stand for many: no LZF is so dense.
    if (byteLength > storedBytes * LZF_RATIO_MAX) throw new RdbError(`LZF of ${byteLength} bytes in ${storedBytes}`);
    return { encoding, storedBytes, byteLength };
  }

  *#string<S>({ encoding, storedBytes, byteLength }: StringHead, builder: StringBuilder<S>): Steps<S> {
    try {
      if (encoding === undefined) yield* this.#raw(byteLength, builder);
      else if (encoding === ENCODING.LZF) yield* this.#compressed(storedBytes, byteLength, builder);
      else builder.append(Buffer.from(String((yield* this.#bytes(storedBytes)).readIntLE(0, storedBytes))));
      return builder.finish();
    } finally {
      builder.dispose();
    }
  }

  /** The pieces are whole slices of the string, wherever the chunks end: bitmaps are made of those much faster. */
  *#raw(byteLength: number, builder: StringBuilder<unknown>): Steps<void> {
    const input = this.#input;
    const whole = byteLength <= REPLY_SLICE_BYTES ? input.bytes(byteLength) : undefined;
    if (whole !== undefined) return builder.append(whole);
    this.#slice ??= Buffer.allocUnsafe(REPLY_SLICE_BYTES);
    let filled = 0;
    for (let left = byteLength; left > 0; ) {
      const bytes = input.rest.subarray(0, Math.min(left, REPLY_SLICE_BYTES - filled));
      filled += bytes.length;
      left -= bytes.length;
      const isWhole = filled === REPLY_SLICE_BYTES || left === 0;
      if (bytes.length === filled && isWhole) builder.append(bytes);
      else {
        this.#slice.set(bytes, filled - bytes.length);
        if (isWhole) builder.append(this.#slice.subarray(0, filled));
      }
      if (isWhole) filled = 0;
      input.advance(bytes.length);
      if (input.buffered === 0 && left > 0) yield;
    }
  }

  *#compressed(storedBytes: number, byteLength: number, builder: StringBuilder<unknown>): Steps<void> {
    this.#lzf ??= new LzfDecoder();
    this.#lzf.begin(byteLength, (piece) => builder.append(piece));
    for (let left = storedBytes; left > 0; ) {
      const bytes = this.#input.rest.subarray(0, left);
      const decoded = this.#lzf.decode(bytes);
      this.#input.advance(decoded);
      if (bytes.length === left && decoded < left) throw new RdbError("LZF that is cut off");
      left -= decoded;
      if (left > 0) yield;
    }
    this.#lzf.end();
  }

  *#skipFields(fields: readonly Field[]): Steps<void> {
    for (const field of fields) {
      if (typeof field === "number") yield* this.#skip(field);
      else if (field === "string") yield* this.#skipString();
      else if (field === "length") yield* this.#length();
      else if (field === "score") yield* this.#skipScore();
      else if (field === "module") yield* this.#skipModule();
      else for (let times = yield* this.#length(); times > 0; times--) yield* this.#skipFields(field);
    }
  }

  *#skipString(): Steps<void> {
    yield* this.#skip((yield* this.#stringHead()).storedBytes);
  }

  *#skipScore(): Steps<void> {
    const digits = yield* this.#byte();
    if (digits < SCORE_WORD_MIN) yield* this.#skip(digits);
  }

  *#skipModule(): Steps<void> {
    for (let kind = yield* this.#length(); kind !== MODULE_END; kind = yield* this.#length()) {
      const fields = MODULE_VALUES.get(kind);
      if (fields === undefined) throw new RdbError(`unknown kind ${kind} of a module's value`);
      yield* this.#skipFields(fields);
    }
  }

  *#skip(bytes: number): Steps<void> {
    for (let left = bytes; left > 0; ) {
      const there = Math.min(left, this.#input.buffered);
      this.#input.advance(there);
      left -= there;
      if (left > 0) yield;
    }
  }

  *#length(): Steps<number> {
    const length = yield* this.#encodedLength();
    if (length < 0) throw new RdbError("an encoding where a length should be");
    return length;
  }

  *#encodedLength(): Steps<number> {
    for (;;) {
      const length = this.#input.length();
      if (length !== undefined) return length;
      yield;
    }
  }

  *#byte(): Steps<number> {
    for (;;) {
      const byte = this.#input.byte();
      if (byte !== undefined) return byte;
      yield;
    }
  }

  *#bytes(count: number): Steps<Buffer> {
    for (;;) {
      const bytes = this.#input.bytes(count);
      if (bytes !== undefined) return bytes;
      yield;
    }
  }
}

/** What stands before a string's bytes. */
interface StringHead {
  /** Undefined for bytes as they are. */
  encoding: number | undefined;
  storedBytes: number;
  byteLength: number;
}

/** Keys and such: as latin1. */
class TextBuilder implements StringBuilder<string> {
  #text = "";

  append(piece: Uint8Array): void {
    this.#text += Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString("latin1");
  }

  finish(): string {
    return this.#text;
  }

  dispose(): void {}
}
