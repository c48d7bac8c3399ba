/**
 * The arguments of one request, as views into the buffer they arrived in: nothing is copied or decoded before a handler
 * asks. The parser fills one instance again and again, so an Argv is valid until the parser's next `next()`,
 * `feed()` or `keep()`; who keeps it longer takes a `copy()`. Knows no commands and no replies.
 */

const ZERO = 0x30;
const NINE = 0x39;
const MINUS = 0x2d;
const LOWER_A = 0x61;
const LOWER_Z = 0x7a;
const TO_UPPER = 0x20;

/** Most characters of a signed 64-bit integer: `-9223372036854775808`. */
export const INT64_CHARACTERS_MAX = 20;

/** Argument slots that are kept for the next request; more were needed once and are given back. */
const SLOTS_KEPT_MAX = 1024;

/**
 * The strings decoded last and their bytes, by a hash of these: command names and hot keys come again and again, and to
 * compare is less than half the work of decoding. A Map is also given the same string object each time, whose hash it
 * knows already.
 */
const RECENT_STRINGS = 1024;
const RECENT_BYTES_MAX = 64;
const recentStrings: string[] = new Array<string>(RECENT_STRINGS).fill("");
const recentBytes = new Uint8Array(RECENT_STRINGS * RECENT_BYTES_MAX);

const EMPTY = Buffer.alloc(0);

/** Bytes from `start` to before `end`. What the keyspace calls KeyBytes: neither may know the other. */
export interface Place {
  bytes: Buffer;
  start: number;
  end: number;
}

export class Argv {
  #buffer: Buffer = EMPTY;
  #starts: number[] = [];
  #ends: number[] = [];
  #length = 0;
  readonly #place: Place = { bytes: EMPTY, start: 0, end: 0 };

  /** Arguments in memory of their own; strings are taken as latin1. */
  static of(...args: (string | Uint8Array)[]): Argv {
    return Argv.#join(args.map((arg) => (typeof arg === "string" ? Buffer.from(arg, "latin1") : arg)));
  }

  static #join(args: Uint8Array[]): Argv {
    const argv = new Argv();
    argv.begin(Buffer.concat(args));
    let start = 0;
    for (const arg of args) {
      argv.push(start, start + arg.length);
      start += arg.length;
    }
    return argv;
  }

  /** Number of arguments, the command's name included (Redis' argc). */
  get length(): number {
    return this.#length;
  }

  /** Argument `i` as latin1, which keeps every byte. */
  string(i: number): string {
    const start = this.#start(i);
    const end = this.#end(i);
    return end - start > RECENT_BYTES_MAX
      ? this.#buffer.toString("latin1", start, end)
      : decode(this.#buffer, start, end);
  }

  /** Argument `i` as a view: no copy, and valid no longer than this Argv. */
  bytes(i: number): Buffer {
    return this.#buffer.subarray(this.#start(i), this.#end(i));
  }

  /** Argument `i` where it lies, without an object for it: valid until the next call, and no longer than this Argv. */
  place(i: number): Place {
    const place = this.#place;
    place.bytes = this.#buffer;
    place.start = this.#start(i);
    place.end = this.#end(i);
    return place;
  }

  byteLength(i: number): number {
    return this.#end(i) - this.#start(i);
  }

  /** Whether argument `i` is `word` in any case. `word` is upper-case ASCII. */
  is(i: number, word: string): boolean {
    const start = this.#start(i);
    const length = this.#end(i) - start;
    if (length !== word.length) return false;
    for (let j = 0; j < length; j++) {
      let byte = this.#buffer[start + j] as number;
      if (byte >= LOWER_A && byte <= LOWER_Z) byte -= TO_UPPER;
      if (byte !== word.charCodeAt(j)) return false;
    }
    return true;
  }

  /** Whether argument `i` is these bytes. */
  equals(i: number, bytes: Uint8Array): boolean {
    const start = this.#start(i);
    const length = this.#end(i) - start;
    if (length !== bytes.length) return false;
    for (let j = 0; j < length; j++) if (this.#buffer[start + j] !== bytes[j]) return false;
    return true;
  }

  /** A number of 0 .. 255 that tells the names of most commands apart: by their length, their first and their last byte. */
  spelling(i: number): number {
    const start = this.#start(i);
    const end = this.#end(i);
    if (start === end) return 0;
    return ((end - start) * 7 + (this.#buffer[start] as number) * 3 + (this.#buffer[end - 1] as number) * 13) & 0xff;
  }

  /** Argument `i` if it is a canonical decimal integer of at most 2^53 - 1 in magnitude, else NaN. */
  integer(i: number): number {
    return decimal(this.#buffer, this.#start(i), this.#end(i));
  }

  /** Argument `i` if it is a canonical decimal integer of 64 signed bits, else undefined. */
  bigint(i: number): bigint | undefined {
    return this.byteLength(i) > INT64_CHARACTERS_MAX ? undefined : int64(this.string(i));
  }

  /** The arguments from `i` on, over the same memory: valid no longer than this Argv. */
  slice(i: number): Argv {
    const argv = new Argv();
    argv.begin(this.#buffer);
    for (let j = i; j < this.#length; j++) argv.push(this.#start(j), this.#end(j));
    return argv;
  }

  /** The same arguments in memory of their own. */
  copy(): Argv {
    const args: Buffer[] = [];
    for (let i = 0; i < this.#length; i++) args.push(this.bytes(i));
    return Argv.#join(args);
  }

  /** For the parser: forgets all arguments; the next ones lie in `buffer`. */
  begin(buffer: Buffer): void {
    this.#buffer = buffer;
    this.#place.bytes = EMPTY;
    this.#length = 0;
  }

  /** For the parser: adds the argument that lies from `start` to `end` in the buffer. */
  push(start: number, end: number): void {
    const i = this.#length++;
    this.#starts[i] = start;
    this.#ends[i] = end;
  }

  /** For the parser: the bytes of the arguments so far were moved to `buffer`, `shift` bytes nearer to its start. */
  move(buffer: Buffer, shift: number): void {
    this.#buffer = buffer;
    this.#place.bytes = EMPTY;
    if (shift === 0) return;
    for (let i = 0; i < this.#length; i++) {
      this.#starts[i] = (this.#starts[i] as number) - shift;
      this.#ends[i] = (this.#ends[i] as number) - shift;
    }
  }

  /** For the parser: lets go of the buffer, and of the slots a long request needed. */
  release(): void {
    this.begin(EMPTY);
    if (this.#starts.length <= SLOTS_KEPT_MAX) return;
    this.#starts = [];
    this.#ends = [];
  }

  #start(i: number): number {
    // The slots past the end still hold an earlier request's places: reading them would be another request's data.
    if (i < 0 || i >= this.#length) throw new RangeError(`argument ${i} of ${this.#length}`);
    return this.#starts[i] as number;
  }

  #end(i: number): number {
    return this.#ends[i] as number;
  }
}

/** `text` if it is a canonical decimal integer of 64 signed bits (what Redis' string2ll takes), else undefined. */
export function int64(text: string): bigint | undefined {
  if (text.length > INT64_CHARACTERS_MAX || !/^(?:0|-?[1-9][0-9]*)$/.test(text)) return undefined;
  const value = BigInt(text);
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

/**
 * The canonical decimal integer from `start` to `end` of `buffer`: what Redis' string2ll takes (no sign but `-`, no
 * leading zero, no space, no `-0`) as far as a double holds it exactly. NaN for everything else.
 */
export function decimal(buffer: Uint8Array, start: number, end: number): number {
  if (end - start > INT64_CHARACTERS_MAX || start >= end) return NaN;
  let i = start;
  const negative = buffer[i] === MINUS;
  if (negative && ++i === end) return NaN;

  const first = buffer[i++] as number;
  if (first === ZERO) return i === end && !negative ? 0 : NaN;
  if (first < ZERO || first > NINE) return NaN;
  let value = first - ZERO;
  for (; i < end; i++) {
    const byte = buffer[i] as number;
    if (byte < ZERO || byte > NINE) return NaN;
    value = value * 10 + (byte - ZERO);
  }
  if (value > Number.MAX_SAFE_INTEGER) return NaN;
  return negative ? -value : value;
}

/** At most RECENT_BYTES_MAX bytes as latin1. */
function decode(buffer: Buffer, start: number, end: number): string {
  const slot = hash(buffer, start, end) % RECENT_STRINGS;
  const known = recentStrings[slot] as string;
  const slotStart = slot * RECENT_BYTES_MAX;
  if (known.length === end - start && isRecent(slotStart, buffer, start, end)) return known;
  const text = buffer.toString("latin1", start, end);
  recentStrings[slot] = text;
  for (let i = start; i < end; i++) recentBytes[slotStart + i - start] = buffer[i] as number;
  return text;
}

/**
 * A number of 0 .. 2^31 - 1 out of every third byte and the last two: keys of a kind differ in few places, mostly at
 * the end.
 */
function hash(buffer: Uint8Array, start: number, end: number): number {
  let value = end - start;
  for (let i = start; i < end - 2; i += 3) value = Math.imul(value, 31) + (buffer[i] as number);
  for (let i = Math.max(end - 2, start); i < end; i++) value = Math.imul(value, 31) + (buffer[i] as number);
  return value & 0x7fffffff;
}

/** Whether the bytes kept from `slotStart` on are those from `start` to `end` of `buffer`. */
function isRecent(slotStart: number, buffer: Uint8Array, start: number, end: number): boolean {
  for (let i = start, j = slotStart; i < end; i++, j++) if (recentBytes[j] !== buffer[i]) return false;
  return true;
}
