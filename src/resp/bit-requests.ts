/**
 * GETBIT and SETBIT requests, many at a time: what a pipeline of them is, is read in one loop into flat arrays, without an Argv for
 * each. Only requests as every client writes them are taken: whole, multibulk, with short headers, and with arguments that are right.
 * Whatever is different is left to the request parser, which knows all the rules and has all the words.
 */
import { OFFSET_MAX, RUN_REQUESTS_MAX } from "../config.js";

/** What `bits` has for a GETBIT; for a SETBIT it has the bit. */
export const READ_BIT = 2;

const ZERO = 0x30;
const NINE = 0x39;
const CR = 0x0d;
const LF = 0x0a;
const STAR = 0x2a;
const DOLLAR = 0x24;
const TO_LOWER = 0x20;
const LOWER_B = 0x62;
const LOWER_E = 0x65;
const LOWER_G = 0x67;
const LOWER_I = 0x69;
const LOWER_S = 0x73;
const LOWER_T = 0x74;

/** Bytes of `*3\r\n$6\r\nGETBIT\r\n`, and of the shortest key behind it with the shortest offset. */
const NAME_BYTES = 16;
const REQUEST_BYTES_MIN = NAME_BYTES + 14;
/** Bytes of `$1\r\n1\r\n`. */
const BIT_BYTES = 7;
const CRLF_BYTES = 2;
const MULTI = Buffer.from("*1\r\n$5\r\nMULTI\r\n");
const EXEC = Buffer.from("*1\r\n$4\r\nEXEC\r\n");
/** Digits of OFFSET_MAX. */
const OFFSET_DIGITS_MAX = 10;

/** Requests that were read: where the keys are in the buffer, and what is asked of them. */
export class BitRequests {
  readonly keyStarts = new Int32Array(RUN_REQUESTS_MAX);
  readonly keyEnds = new Int32Array(RUN_REQUESTS_MAX);
  readonly offsets = new Uint32Array(RUN_REQUESTS_MAX);
  /** 0, 1, or READ_BIT. */
  readonly bits = new Uint8Array(RUN_REQUESTS_MAX);
  /** Where each request ends. */
  readonly ends = new Int32Array(RUN_REQUESTS_MAX);
  length = 0;
  /** They stand between MULTI and EXEC, which have been read too: `ends` of the last one is EXEC's. */
  isTransaction = false;

  /**
   * Reads requests from `start` on, up to `end` and at most `max`, until there comes one that is of another kind or not whole; or a
   * transaction of such requests, whole or not at all.
   */
  read(buffer: Uint8Array, start: number, end: number, max: number): void {
    this.length = 0;
    this.isTransaction = isAt(buffer, start, end, MULTI);
    if (this.isTransaction) this.#readTransaction(buffer, start + MULTI.length, end);
    else this.#readRun(buffer, start, end, max);
  }

  #readTransaction(buffer: Uint8Array, start: number, end: number): void {
    const exec = this.#readRun(buffer, start, end, RUN_REQUESTS_MAX);
    if (this.length === 0) return;
    if (isAt(buffer, exec, end, EXEC)) this.ends[this.length - 1] = exec + EXEC.length;
    else this.length = 0;
  }

  /** Returns where the last request that was read ends. */
  #readRun(buffer: Uint8Array, start: number, end: number, max: number): number {
    let at = start;
    while (this.length < max) {
      const next = this.#readOne(buffer, at, end);
      if (next < 0) break;
      at = next;
    }
    return at;
  }

  /** Returns where the request ends, or -1. */
  #readOne(buffer: Uint8Array, at: number, end: number): number {
    if (at + REQUEST_BYTES_MIN > end || buffer[at] !== STAR || !isBitCommand(buffer, at)) return -1;
    const isSet = ((buffer[at + 8] as number) | TO_LOWER) === LOWER_S;
    if ((buffer[at + 1] as number) - ZERO !== (isSet ? 4 : 3)) return -1;
    let length = (buffer[at + NAME_BYTES + 1] as number) - ZERO;
    let keyStart = at + NAME_BYTES + 4;
    if (length < 0 || length > 9) return -1;
    if (buffer[at + NAME_BYTES + 2] !== CR) {
      const digit = (buffer[at + NAME_BYTES + 2] as number) - ZERO;
      if (length === 0 || digit < 0 || digit > 9 || buffer[keyStart - 1] !== CR) return -1;
      length = length * 10 + digit;
      keyStart++;
    }
    const keyEnd = keyStart + length;
    // The offset's header, one digit of it, and its end; with what a SETBIT has more.
    const digitsAt = keyEnd + CRLF_BYTES + 4;
    const tail = isSet ? BIT_BYTES : 0;
    if (length < 1 || length > 99 || digitsAt + 1 + CRLF_BYTES + tail > end) return -1;
    return this.#readOffset(buffer, keyStart, keyEnd, end - tail, isSet);
  }

  #readOffset(buffer: Uint8Array, keyStart: number, keyEnd: number, end: number, isSet: boolean): number {
    let at = keyEnd + CRLF_BYTES;
    if (buffer[at] !== DOLLAR) return -1;
    let digits = (buffer[at + 1] as number) - ZERO;
    at += 4;
    if (digits > 9) return -1;
    if (digits === 1 && buffer[at - 2] === ZERO) {
      digits = OFFSET_DIGITS_MAX;
      at++;
    }
    if (digits < 1 || digits > OFFSET_DIGITS_MAX || buffer[at - 2] !== CR || at + digits + CRLF_BYTES > end) return -1;
    const stop = at + digits;
    let offset = (buffer[at++] as number) - ZERO;
    if (offset < 0 || offset > 9 || (offset === 0 && digits > 1)) return -1;
    while (at < stop) {
      const byte = buffer[at++] as number;
      if (byte < ZERO || byte > NINE) return -1;
      offset = offset * 10 + byte - ZERO;
    }
    if (offset > OFFSET_MAX) return -1;
    at += CRLF_BYTES;
    let bit = READ_BIT;
    if (isSet) {
      bit = (buffer[at + 4] as number) - ZERO;
      const isOneByte = buffer[at] === DOLLAR && buffer[at + 1] === ZERO + 1 && buffer[at + 2] === CR;
      if (!isOneByte || (bit !== 0 && bit !== 1)) return -1;
      at += BIT_BYTES;
    }
    const i = this.length++;
    this.keyStarts[i] = keyStart;
    this.keyEnds[i] = keyEnd;
    this.offsets[i] = offset;
    this.bits[i] = bit;
    this.ends[i] = at;
    return at;
  }
}

/** Whether `request` is what comes at `at`, letters in upper case. */
function isAt(buffer: Uint8Array, at: number, end: number, request: Uint8Array): boolean {
  if (at + request.length > end) return false;
  // From the end on: most of what it is not differs in its length.
  for (let i = request.length - 1; i >= 0; i--) if (buffer[at + i] !== request[i]) return false;
  return true;
}

/** Whether there is `*n\r\n$6\r\nGETBIT\r\n$` at `at`, or the same of SETBIT, in any case. */
function isBitCommand(buffer: Uint8Array, at: number): boolean {
  const first = (buffer[at + 8] as number) | TO_LOWER;
  return (
    buffer[at + 2] === CR &&
    buffer[at + 3] === LF &&
    buffer[at + 4] === DOLLAR &&
    buffer[at + 5] === ZERO + 6 &&
    buffer[at + 6] === CR &&
    (first === LOWER_G || first === LOWER_S) &&
    ((buffer[at + 9] as number) | TO_LOWER) === LOWER_E &&
    ((buffer[at + 10] as number) | TO_LOWER) === LOWER_T &&
    ((buffer[at + 11] as number) | TO_LOWER) === LOWER_B &&
    ((buffer[at + 12] as number) | TO_LOWER) === LOWER_I &&
    ((buffer[at + 13] as number) | TO_LOWER) === LOWER_T &&
    buffer[at + NAME_BYTES] === DOLLAR
  );
}
