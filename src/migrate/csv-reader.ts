/**
 * Reads CSV (RFC 4180, and lines that end with LF alone) from chunks of bytes. Written here since packages for it make a string of each
 * field, which alone takes longer than all else that an import does with a row. It knows no columns.
 */
import { MIB } from "../config.js";

const COMMA = 0x2c;
const QUOTE = 0x22;
const CR = 0x0d;
const LF = 0x0a;
const BYTE_ORDER_MARK = Buffer.from("\ufeff");

/** A record may be so long, in bytes: what does not end by then is no CSV, but a quote that nobody closed. */
const RECORD_BYTES_MAX = MIB;
const FIELDS_MAX = 1024;

/** The file is no CSV from here on; `message` says why. */
export class CsvError extends Error {}

export class CsvReader {
  /** The record's bytes lie in here; field i is `starts[i]`..`ends[i] - 1`, quotes inside it still doubled. Good until `next` is called again. */
  bytes: Buffer = Buffer.alloc(0);
  readonly starts = new Int32Array(FIELDS_MAX);
  readonly ends = new Int32Array(FIELDS_MAX);
  /** Fields of the record. */
  fields = 0;
  /** Line of the file, from 1 on, where the record begins. */
  line = 0;

  /** Whether a field has doubled quotes. */
  readonly #hasDoubled = new Uint8Array(FIELDS_MAX);
  #at = 0;
  #nextLine = 1;
  #isEnd = false;
  #isBegun = false;

  /** The file goes on with `chunk`, which is kept until its records are read. */
  push(chunk: Buffer): void {
    this.bytes = this.#at < this.bytes.length ? Buffer.concat([this.bytes.subarray(this.#at), chunk]) : chunk;
    this.#at = 0;
    if (this.#isBegun || this.bytes.length < BYTE_ORDER_MARK.length) return;
    this.#isBegun = true;
    if (this.bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)) this.#at = BYTE_ORDER_MARK.length;
  }

  /** There are no more bytes: a last line need not end. */
  end(): void {
    this.#isEnd = true;
  }

  /** Goes to the next record that is there whole; false where there is none. Lines without anything are left out. Throws CsvError. */
  next(): boolean {
    do {
      this.line = this.#nextLine;
      if (!this.#record()) return false;
    } while (
      this.fields === 1 &&
      this.starts[0] === this.ends[0] &&
      this.bytes[(this.starts[0] as number) - 1] !== QUOTE
    );
    return true;
  }

  /** Field `i` of the record as latin1. */
  text(i: number): string {
    const raw = this.bytes.toString("latin1", this.starts[i], this.ends[i]);
    return this.#hasDoubled[i] === 1 ? raw.replaceAll('""', '"') : raw;
  }

  #record(): boolean {
    const { bytes, starts, ends } = this;
    const { length } = bytes;
    let at = this.#at;
    if (at >= length || !(this.#isBegun || this.#isEnd)) return false;
    let lines = 1;
    for (let field = 0; ; ) {
      if (field === FIELDS_MAX) throw new CsvError(`more than ${FIELDS_MAX} fields`);
      if (bytes[at] === QUOTE) {
        const end = this.#quoted(at + 1, field);
        if (end < 0) return this.#more("a quote is not closed");
        for (let i = at + 1; i < end; i++) if (bytes[i] === LF) lines++;
        at = end + 1;
      } else {
        starts[field] = at;
        this.#hasDoubled[field] = 0;
        let byte = bytes[at] as number;
        while (at < length && byte !== COMMA && byte !== LF && byte !== CR) {
          if (byte === QUOTE) throw new CsvError("a quote inside a field that does not begin with one");
          byte = bytes[++at] as number;
        }
        ends[field] = at;
      }
      field++;
      if (at >= length) {
        if (!this.#isEnd) return this.#more("");
        return this.#found(field, at, lines);
      }
      const byte = bytes[at++];
      if (byte === COMMA) {
        if (at >= length && !this.#isEnd) return this.#more("");
        continue;
      }
      if (byte === LF) return this.#found(field, at, lines);
      if (byte !== CR) throw new CsvError("something behind a quote that closes a field");
      if (at >= length && !this.#isEnd) return this.#more("");
      if (at < length && bytes[at++] !== LF) throw new CsvError("a carriage return without a line feed");
      return this.#found(field, at, lines);
    }
  }

  #found(fields: number, at: number, lines: number): true {
    this.fields = fields;
    this.#at = at;
    this.#nextLine += lines;
    return true;
  }

  /** The record is not there whole. */
  #more(problem: string): false {
    if (this.#isEnd && problem !== "") throw new CsvError(problem);
    if (this.bytes.length - this.#at > RECORD_BYTES_MAX)
      throw new CsvError(`no end of the record in ${RECORD_BYTES_MAX} bytes`);
    return false;
  }

  /** Reads a field in quotes, whose content begins at `start`, and returns where its closing quote is; -1 where that is not there. */
  #quoted(start: number, field: number): number {
    const { bytes } = this;
    let from = start;
    let doubled: 0 | 1 = 0;
    for (;;) {
      const quote = bytes.indexOf(QUOTE, from);
      if (quote < 0 || (quote + 1 >= bytes.length && !this.#isEnd)) return -1;
      if (bytes[quote + 1] !== QUOTE) {
        this.starts[field] = start;
        this.ends[field] = quote;
        this.#hasDoubled[field] = doubled;
        return quote;
      }
      doubled = 1;
      from = quote + 2;
    }
  }
}
