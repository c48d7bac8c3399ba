/**
 * Replies into bytes, RESP2 and RESP3: pure appends to one scratch buffer that is used again and again. Bulk replies
 * too large to hold are streams: their header is written at once, their bytes are pulled when the client has room for
 * them. One Reply serves all connections in turn, so the protocol is set for each command. Knows no sockets and no
 * commands.
 */

/** What has been written, in order: bytes of the receiver's own, or bytes still to be pulled. */
export type Segment = Uint8Array | { slices: Iterator<Uint8Array> };

/** A point in what has been written; valid until the next `take()`. */
export type Mark = number;

interface Stream {
  /** Bytes of scratch that go before it. */
  position: number;
  slices: Iterator<Uint8Array>;
}

const SCRATCH_BYTES = 64 * 1024;

/** From this length on, copying in native code is cheaper than a loop. */
const NATIVE_COPY_LENGTH_MIN = 32;

/** Most bytes a header line takes: type, 20 digits, CRLF. */
const HEADER_BYTES_MAX = 32;

const ZERO = 0x30;
const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const COLON = 0x3a;
const DOLLAR = 0x24;
const STAR = 0x2a;
const PERCENT = 0x25;
const TILDE = 0x7e;
const GREATER = 0x3e;
const EQUALS = 0x3d;

/** Numbers above this are written through a string; below, int32 arithmetic is right. */
const INT32_MAX = 0x7fffffff;

export class Reply {
  /** The protocol of the client that is being answered (HELLO). */
  protocol: 2 | 3 = 2;

  #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #size = 0;
  #streams: Stream[] = [];

  /** Bytes written since the last `take()`, those of streams not counted. */
  get size(): number {
    return this.#size;
  }

  /** Whether there is a stream among what was written since the last `take()`: more bytes than `size` tells. */
  get hasStream(): boolean {
    return this.#streams.length > 0;
  }

  /** `+OK` */
  ok(): void {
    this.#text("+OK\r\n");
  }

  /** `+QUEUED` */
  queued(): void {
    this.#text("+QUEUED\r\n");
  }

  /** A status. `s` has no line end. */
  simple(s: string): void {
    this.#text("+");
    this.#text(s);
    this.#text("\r\n");
  }

  /**
   * An error. `s` is the message without `-`; line ends in it, which may come from an argument, become spaces as in
   * Redis.
   */
  error(s: string): void {
    this.#text("-");
    const start = this.#size;
    this.#text(s);
    for (let i = start; i < this.#size; i++) {
      const byte = this.#scratch[i];
      if (byte === CR || byte === LF) this.#scratch[i] = SPACE;
    }
    this.#text("\r\n");
  }

  integer(n: number | bigint): void {
    this.#header(COLON, n);
  }

  /** An integer of one digit: a bit, mostly. */
  digit(n: number): void {
    this.#reserve(HEADER_BYTES_MAX);
    const scratch = this.#scratch;
    const at = this.#size;
    scratch[at] = COLON;
    scratch[at + 1] = ZERO + n;
    scratch[at + 2] = CR;
    scratch[at + 3] = LF;
    this.#size = at + 4;
  }

  /** A bulk string; strings are taken as latin1. */
  bulk(v: string | Uint8Array): void {
    this.#header(DOLLAR, v.length);
    if (typeof v === "string") this.#text(v);
    else this.#bytes(v);
    this.#text("\r\n");
  }

  /** The null of a bulk string. */
  nil(): void {
    this.#text(this.protocol === 3 ? "_\r\n" : "$-1\r\n");
  }

  /** The null of an array. */
  nilArray(): void {
    this.#text(this.protocol === 3 ? "_\r\n" : "*-1\r\n");
  }

  /** Begins an array: `n` replies follow. */
  array(n: number): void {
    this.#header(STAR, n);
  }

  /** Begins a map: `pairs` times two replies follow. A flat array in RESP2. */
  map(pairs: number): void {
    if (this.protocol === 3) this.#header(PERCENT, pairs);
    else this.#header(STAR, pairs * 2);
  }

  /** Begins a set: `n` replies follow. An array in RESP2. */
  set(n: number): void {
    this.#header(this.protocol === 3 ? TILDE : STAR, n);
  }

  /** Begins a push message: `n` replies follow. An array in RESP2. */
  push(n: number): void {
    this.#header(this.protocol === 3 ? GREATER : STAR, n);
  }

  /** A double, in the shortest digits that give it back. A bulk string in RESP2. */
  double(x: number): void {
    const text = doubleText(x);
    if (this.protocol === 2) {
      this.bulk(text);
      return;
    }
    this.#text(",");
    this.#text(text);
    this.#text("\r\n");
  }

  /** Text for people, with a format of three letters. A bulk string in RESP2. */
  verbatim(text: string, format = "txt"): void {
    if (this.protocol === 2) {
      this.bulk(text);
      return;
    }
    this.#header(EQUALS, format.length + 1 + text.length);
    this.#text(format);
    this.#text(":");
    this.#text(text);
    this.#text("\r\n");
  }

  /**
   * A bulk string of `byteLength` bytes that are pulled from `slices` when they can be sent. `slices` must give exactly
   * as many.
   */
  stream(byteLength: number, slices: Iterator<Uint8Array>): void {
    this.#header(DOLLAR, byteLength);
    this.#streams.push({ position: this.#size, slices });
    this.#text("\r\n");
  }

  /** Bytes that are encoded already. */
  raw(bytes: Uint8Array): void {
    this.#bytes(bytes);
  }

  /** Where the next reply begins, for `rewind()`. */
  mark(): Mark {
    return this.#size;
  }

  /** Replies that are encoded already, pulled as a stream is. */
  encoded(slices: Iterator<Uint8Array>): void {
    this.#streams.push({ position: this.#size, slices });
  }

  /** Takes back what was written since `mark`; streams are closed unpulled. */
  rewind(mark: Mark): void {
    // A stream stands behind its own header, so one begun after the mark is always past it.
    while (this.#streams.length > 0 && (this.#streams.at(-1) as Stream).position > mark)
      this.#streams.pop()?.slices.return?.();
    this.#size = mark;
  }

  /** Hands over what has been written, behind the segments there are, and begins anew. */
  take(segments: Segment[] = []): Segment[] {
    let from = 0;
    for (const { position, slices } of this.#streams) {
      segments.push(this.#copy(from, position), { slices });
      from = position;
    }
    if (this.#streams.length > 0) this.#streams = [];
    if (this.#size > from) segments.push(this.#copy(from, this.#size));
    this.#size = 0;
    if (this.#scratch.length > SCRATCH_BYTES) this.#scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
    return segments;
  }

  /** All that has been written as one buffer, streams drained. For tests. */
  bytes(): Buffer {
    const parts: Uint8Array[] = [];
    for (const segment of this.take()) {
      if (segment instanceof Uint8Array) parts.push(segment);
      else
        for (let next = segment.slices.next(); next.done !== true; next = segment.slices.next())
          parts.push(next.value.slice());
    }
    return Buffer.concat(parts);
  }

  #copy(from: number, to: number): Buffer {
    const scratch = this.#scratch;
    const copy = Buffer.allocUnsafe(to - from);
    if (copy.length >= NATIVE_COPY_LENGTH_MIN) scratch.copy(copy, 0, from, to);
    else for (let i = 0; i < copy.length; i++) copy[i] = scratch[from + i] as number;
    return copy;
  }

  /** A line of a type byte and an integer. */
  #header(type: number, n: number | bigint): void {
    this.#reserve(HEADER_BYTES_MAX);
    this.#scratch[this.#size++] = type;
    if (typeof n === "number" && n >= 0 && n <= INT32_MAX) this.#digits(n);
    else this.#text(String(n));
    this.#scratch[this.#size++] = CR;
    this.#scratch[this.#size++] = LF;
  }

  /** The digits of an integer of 0 .. 2^31 - 1, last one first. Room for them is there. */
  #digits(n: number): void {
    let digits = 1;
    for (let bound = 10; n >= bound; bound *= 10) digits++;
    this.#size += digits;
    for (let i = this.#size - 1; digits > 0; i--, digits--) {
      const rest = (n / 10) | 0;
      this.#scratch[i] = ZERO + n - rest * 10;
      n = rest;
    }
  }

  /** Characters as latin1. */
  #text(s: string): void {
    const { length } = s;
    this.#reserve(length);
    if (length >= NATIVE_COPY_LENGTH_MIN) {
      this.#scratch.write(s, this.#size, "latin1");
    } else {
      for (let i = 0; i < length; i++) this.#scratch[this.#size + i] = s.charCodeAt(i);
    }
    this.#size += length;
  }

  #bytes(v: Uint8Array): void {
    this.#reserve(v.length);
    this.#scratch.set(v, this.#size);
    this.#size += v.length;
  }

  /** Makes room for `bytes` more. */
  #reserve(bytes: number): void {
    const needed = this.#size + bytes;
    if (needed <= this.#scratch.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#scratch.length * 2));
    this.#scratch.copy(larger, 0, 0, this.#size);
    this.#scratch = larger;
  }
}

/** A double as RESP writes it. */
function doubleText(x: number): string {
  if (Number.isNaN(x)) return "nan";
  if (x === Infinity) return "inf";
  if (x === -Infinity) return "-inf";
  return Object.is(x, -0) ? "-0" : String(x);
}
