/**
 * Requests out of bytes: multibulk and inline, incremental, by the rules and in the words of Redis 7's networking.c.
 * Requests that lie whole in a chunk are views into it. Only an unfinished request is copied, into a buffer of the
 * parser's own that grows with the bytes that really arrive, never with what a header announces; what was parsed of it
 * stays parsed. Knows no sockets and no commands.
 */
import {
  ARGUMENTS_MAX,
  BULK_BYTES_MAX,
  INLINE_BYTES_MAX,
  UNAUTHENTICATED_ARGUMENTS_MAX,
  UNAUTHENTICATED_BULK_BYTES_MAX,
} from "../config.js";
import { ProtocolError } from "../errors.js";
import { passingBuffer } from "../passing-buffer.js";
import { Argv, decimal } from "./argv.js";
import type { BitRequests } from "./bit-requests.js";
import { splitInline, splitUnquoted } from "./inline.js";

/** What one client may announce and make us hold. The parsers of many clients share one of these, which may change. */
export interface RequestLimits {
  argumentsMax: number;
  bulkBytesMax: number;
  /** Most bytes of an unfinished request. */
  bufferBytesMax: number;
  /** How the error calls what `argumentsMax` or `bulkBytesMax` refuses. */
  readonly refused: "invalid" | "unauthenticated";
}

/** As wide as they can be. A server copies these, and narrows its copy by its options. */
export const AUTHENTICATED_LIMITS: Readonly<RequestLimits> = {
  argumentsMax: ARGUMENTS_MAX,
  bulkBytesMax: BULK_BYTES_MAX,
  bufferBytesMax: Number.POSITIVE_INFINITY,
  refused: "invalid",
};

/** While a password is set and not yet given. */
export const UNAUTHENTICATED_LIMITS: Readonly<RequestLimits> = {
  argumentsMax: UNAUTHENTICATED_ARGUMENTS_MAX,
  bulkBytesMax: UNAUTHENTICATED_BULK_BYTES_MAX,
  bufferBytesMax: Number.POSITIVE_INFINITY,
  refused: "unauthenticated",
};

const CR = 0x0d;
const LF = 0x0a;
const STAR = 0x2a;
const DOLLAR = 0x24;
const ZERO = 0x30;
const NINE = 0x39;
const CRLF_BYTES = 2;

/** Bytes of `$` and two digits with their CRLF. */
const SHORT_HEADER_BYTES = 5;

/** Bulk length while its header has not been read. */
const UNKNOWN = -1;

/**
 * Smallest buffer of the parser's own, so that a request that arrives byte by byte is not moved at each of the first
 * ones.
 */
const OWN_BYTES_MIN = 64;

/** A buffer in which this many times more was written than it holds is changed for a smaller one. */
const OWN_SLACK_FACTOR = 4;

const EMPTY = Buffer.alloc(0);

export class RequestParser {
  /** May be changed between two requests; holds for headers not yet read. */
  limits: Readonly<RequestLimits>;

  /** The chunk, or our own buffer. Bytes from `#start`, the first of the request in work, to `#end` are held. */
  #buffer: Buffer = EMPTY;
  #isOwn = false;
  #start = 0;
  #position = 0;
  #end = 0;
  /** From here on the line at `#position` has not been searched for its end. At most `#position` if nothing has. */
  #searched = 0;

  /** Arguments of the multibulk in work still to come; 0 between requests. */
  #argumentsLeft = 0;
  #bulkBytes = UNKNOWN;
  readonly #argv = new Argv();
  #failure: ProtocolError | undefined;

  constructor(limits: Readonly<RequestLimits> = AUTHENTICATED_LIMITS) {
    this.limits = limits;
  }

  /** Bytes held that no returned request has used. */
  get bufferedBytes(): number {
    return this.#end - this.#start;
  }

  /** Takes the next bytes from the client. `chunk` must stay as it is until `next()` has returned undefined, or `keep()`. */
  feed(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    if (this.bufferedBytes > 0) {
      this.#append(chunk);
      return;
    }
    this.#buffer = chunk;
    this.#isOwn = false;
    this.#start = 0;
    this.#position = 0;
    this.#searched = 0;
    this.#end = chunk.length;
  }

  /** Copies what is held of the last chunk, which is about to change. */
  keep(): void {
    const held = this.#end - this.#start;
    if (held > 0 && !this.#isOwn) this.#move(Math.max(held, OWN_BYTES_MIN));
  }

  /**
   * The next request, or undefined until more bytes are fed. It is valid until the next call of `next()`, `feed()` or `keep()`.
   * Throws ProtocolError if the bytes are no request, from then on at each call: where the next request begins is
   * unknown.
   */
  next(): Argv | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    while (this.#argumentsLeft > 0 || this.#position < this.#end) {
      if (this.#argumentsLeft === 0) {
        this.#start = this.#position;
        if (this.#buffer[this.#position] !== STAR) {
          const argv = this.#readInline();
          if (argv === undefined) break;
          if (argv.length === 0) continue;
          return argv;
        }
        if (!this.#readMultibulkHeader()) break;
        if (this.#argumentsLeft === 0) continue;
      }
      if (!this.#readArguments()) break;
      this.#start = this.#position;
      return this.#argv;
    }
    this.#settle();
    return undefined;
  }

  /**
   * Lets `requests` take up to `max` of the next requests, if they are of its kind and the last one was finished. They are views
   * into `buffer`, and are not read before `skip` says so.
   */
  readBits(requests: BitRequests, max: number): void {
    requests.length = 0;
    if (this.#argumentsLeft === 0 && this.#failure === undefined) {
      requests.read(this.#buffer, this.#position, this.#end, max);
    }
  }

  /** What holds the bytes that have arrived. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** Goes on behind requests that somebody has read by himself: at `position` in `buffer`. */
  skip(position: number): void {
    this.#start = position;
    this.#position = position;
  }

  /**
   * The request of the line at `#position`, without arguments if the line is blank; undefined if the line is
   * unfinished.
   */
  #readInline(): Argv | undefined {
    const lineFeed = this.#find(LF, "too big inline request");
    if (lineFeed < 0) return undefined;
    const end = lineFeed > this.#position && this.#buffer[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed;
    const argv = this.#splitLine(this.#position, end);
    this.#position = lineFeed + 1;
    this.#start = this.#position;
    return argv;
  }

  #splitLine(start: number, end: number): Argv {
    this.#argv.begin(this.#buffer);
    if (splitUnquoted(this.#buffer, start, end, this.#argv)) return this.#argv;
    const args = splitInline(this.#buffer.subarray(start, end));
    return args === undefined ? this.#fail("unbalanced quotes in request") : Argv.of(...args);
  }

  /** Reads `*<count>`. False if the line is unfinished. A count of 0 or less is an empty request. */
  #readMultibulkHeader(): boolean {
    const lineEnd = this.#findHeaderEnd("too big mbulk count string");
    if (lineEnd < 0) return false;
    const count = decimal(this.#buffer, this.#position + 1, lineEnd);
    if (!(count <= ARGUMENTS_MAX)) this.#fail("invalid multibulk length");
    if (count > this.limits.argumentsMax) this.#fail(this.#refused("multibulk length"));
    this.#position = lineEnd + CRLF_BYTES;
    this.#argumentsLeft = Math.max(count, 0);
    this.#argv.begin(this.#buffer);
    // Bytes of an empty request are done with. Those of another are held until its last argument is read.
    if (this.#argumentsLeft === 0) this.#start = this.#position;
    return true;
  }

  /** Reads the arguments still to come. False if the last of them has not arrived. */
  #readArguments(): boolean {
    while (this.#argumentsLeft > 0) {
      if (this.#bulkBytes === UNKNOWN && !this.#readShortBulkHeader() && !this.#readBulkHeader()) return false;
      const start = this.#position;
      const end = start + this.#bulkBytes;
      if (this.#end < end + CRLF_BYTES) return false;
      this.#argv.push(start, end);
      // Redis does not look at the two bytes after a bulk either.
      this.#position = end + CRLF_BYTES;
      this.#bulkBytes = UNKNOWN;
      this.#argumentsLeft--;
    }
    return true;
  }

  /**
   * Reads `$<length>` if it is there whole and has one or two digits, as nearly all have; else leaves it to the general
   * way.
   */
  #readShortBulkHeader(): boolean {
    const buffer = this.#buffer;
    const position = this.#position;
    if (position + SHORT_HEADER_BYTES > this.#end || buffer[position] !== DOLLAR) return false;
    let bytes = (buffer[position + 1] as number) - ZERO;
    if (bytes < 0 || bytes > 9) return false;
    let headerBytes = SHORT_HEADER_BYTES - 1;
    const second = buffer[position + 2] as number;
    if (second !== CR) {
      if (bytes === 0 || second < ZERO || second > NINE || buffer[position + 3] !== CR) return false;
      bytes = bytes * 10 + second - ZERO;
      headerBytes = SHORT_HEADER_BYTES;
    }
    if (bytes > this.limits.bulkBytesMax) return false;
    this.#bulkBytes = bytes;
    this.#position = position + headerBytes;
    return true;
  }

  /** Reads `$<length>`. False if the line is unfinished: only a whole line is judged, as in Redis. */
  #readBulkHeader(): boolean {
    const lineEnd = this.#findHeaderEnd("too big bulk count string");
    if (lineEnd < 0) return false;
    const first = this.#buffer[this.#position] as number;
    if (first !== DOLLAR) this.#fail(`expected '$', got '${String.fromCharCode(first)}'`);
    const bytes = decimal(this.#buffer, this.#position + 1, lineEnd);
    if (!(bytes >= 0 && bytes <= BULK_BYTES_MAX)) this.#fail("invalid bulk length");
    if (bytes > this.limits.bulkBytesMax) this.#fail(this.#refused("bulk length"));
    this.#position = lineEnd + CRLF_BYTES;
    this.#bulkBytes = bytes;
    return true;
  }

  /**
   * Where the CR of the header line at `#position` is, or -1 until the byte after it is there too. Redis takes any byte
   * for it.
   */
  #findHeaderEnd(tooBig: string): number {
    const lineEnd = this.#find(CR, tooBig);
    return lineEnd + CRLF_BYTES <= this.#end ? lineEnd : -1;
  }

  /** Where the first `byte` of the line at `#position` is, or -1. A longer line than Redis surely takes fails. */
  #find(byte: number, tooBig: string): number {
    const stop = Math.min(this.#end, this.#position + INLINE_BYTES_MAX + 1);
    for (let i = Math.max(this.#searched, this.#position); i < stop; i++) {
      if (this.#buffer[i] !== byte) continue;
      this.#searched = i;
      return i;
    }
    this.#searched = stop;
    if (stop - this.#position > INLINE_BYTES_MAX) this.#fail(tooBig);
    return -1;
  }

  /** After all that can be read was read: lets go of the chunk, and of memory a large request needed. */
  #settle(): void {
    const held = this.#end - this.#start;
    if (held === 0) {
      this.#argv.release();
      this.#buffer = EMPTY;
      this.#isOwn = false;
      this.#start = this.#position = this.#end = this.#searched = 0;
      return;
    }
    if (held > this.limits.bufferBytesMax) this.#fail("query buffer limit exceeded");
    const isSlack = this.#end > OWN_BYTES_MIN && this.#end > held * OWN_SLACK_FACTOR;
    if (!this.#isOwn || isSlack) this.#move(Math.max(held * 2, OWN_BYTES_MIN));
  }

  /** Adds `chunk` to what is held, in our own buffer. */
  #append(chunk: Buffer): void {
    const needed = this.#end - this.#start + chunk.length;
    if (!this.#isOwn || this.#buffer.length < needed) this.#move(this.#capacityFor(needed));
    else if (this.#buffer.length < this.#end + chunk.length) this.#shift(this.#buffer);
    chunk.copy(this.#buffer, this.#end);
    this.#end += chunk.length;
  }

  /** How large to make a buffer that must hold `needed` bytes: doubled, or the request's length if that is less. */
  #capacityFor(needed: number): number {
    const doubled = Math.max(this.#buffer.length * 2, OWN_BYTES_MIN);
    const isLast = this.#argumentsLeft === 1 && this.#bulkBytes !== UNKNOWN;
    const whole = this.#position - this.#start + this.#bulkBytes + CRLF_BYTES;
    if (isLast && needed <= whole && whole < doubled) return whole;
    return Math.max(needed, doubled);
  }

  /** Changes to a new buffer of our own. */
  #move(capacityBytes: number): void {
    this.#shift(passingBuffer(capacityBytes));
    this.#isOwn = true;
  }

  /** Puts the request in work at the start of `target`. */
  #shift(target: Buffer): void {
    const shift = this.#start;
    this.#buffer.copy(target, 0, shift, this.#end);
    this.#buffer = target;
    if (this.#argumentsLeft > 0) this.#argv.move(target, shift);
    else this.#argv.begin(EMPTY);
    this.#start = 0;
    this.#position -= shift;
    this.#searched = Math.max(this.#searched - shift, 0);
    this.#end -= shift;
  }

  #refused(what: string): string {
    return `${this.limits.refused} ${what}`;
  }

  /** Breaks off for good and lets go of everything. */
  #fail(message: string): never {
    this.#failure = new ProtocolError(`Protocol error: ${message}`);
    this.#argv.release();
    this.#buffer = EMPTY;
    this.#start = this.#position = this.#end = 0;
    throw this.#failure;
  }
}
