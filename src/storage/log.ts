/** The file's log: its rows as SQLite gives them, and the words in them. Each row is what one flush has changed. */
import { giveBack, movedTo } from "../passing-buffer.js";
import type { Connection } from "./schema.js";
import { checksum } from "./values.js";

/** Changes to one row of `keys`. `bits` are in the order of their change, each as `offset * 2 + bit`. */
export interface ChangedRow {
  byteLength: number;
  cardinality: number;
  bits: Float64Array;
}

/** In a part's second word, above the id's upper 16 bits. */
const FLAG = { replaced: 1, hasZeros: 2 } as const;
/** Words before a part's offsets: id (2), byte length, cardinality (2), number of bits. */
const HEADER_WORDS = 6;
/** A part of no bits, that tells of a replaced value. */
export const LOG_PART_BYTES_MIN = HEADER_WORDS * Uint32Array.BYTES_PER_ELEMENT;
const WORD_BITS = 32;
const NO_OFFSETS = new Uint32Array(0);

/** The offsets that are 1 and those that are 0 at last, ascending: so Roaring takes them several times as fast. */
export function lastBits(bits: Float64Array): { ones: Uint32Array; zeros: Uint32Array } {
  if (bits.length === 0) return { ones: NO_OFFSETS, zeros: NO_OFFSETS };
  if (!haveZeros(bits)) return { ones: offsetsOf(bits).sort(), zeros: NO_OFFSETS };
  const last = new Map<number, number>();
  for (const packed of bits) last.set(Math.floor(packed / 2), bitOf(packed));
  const offsets = (wanted: number) =>
    Uint32Array.from([...last].filter(([, bit]) => bit === wanted).map(([offset]) => offset)).sort();
  return { ones: offsets(1), zeros: offsets(0) };
}

/** The bit of `offset * 2 + bit`, a number of 33 bits: `%` is a call into the C library for those. */
export function bitOf(packed: number): number {
  return packed - Math.floor(packed / 2) * 2;
}

function haveZeros(bits: Float64Array): boolean {
  for (let i = 0; i < bits.length; i++) if (bitOf(bits[i] as number) === 0) return true;
  return false;
}

/** In a loop: `Uint32Array.from` with a function takes longer than all the rest that a new key of one bit needs here. */
function offsetsOf(bits: Float64Array): Uint32Array {
  const offsets = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) offsets[i] = Math.floor((bits[i] as number) / 2);
  return offsets;
}

/** Words that there is room for at first, and so many are kept from one flush to the next. */
const WORDS_MIN = 1024;
const WORDS_KEPT_MAX = 2 ** 20;

/**
 * The words of one flush, row by row as they come, in memory that is used again for the next: what lives until a flush has ended is copied by
 * the collector, and ten thousand rows of a second's bits were the most of that.
 */
export class LogEncoder {
  #words = new Uint32Array(WORDS_MIN);
  #length = 0;

  /** The words so far: a view, good until something is added. */
  get words(): Uint32Array {
    return this.#words.subarray(0, this.#length);
  }

  /** Begins anew. */
  clear(): void {
    this.#length = 0;
    if (this.#words.length > WORDS_KEPT_MAX) this.rest();
  }

  /** Gives back what a large flush has used. There must be no words that are still needed. */
  rest(): void {
    giveBack(this.#words.buffer);
    this.#words = new Uint32Array(WORDS_MIN);
    this.#length = 0;
  }

  /** A row's value was replaced, so that earlier bits of it mean nothing. */
  replaced(id: number): void {
    this.#reserve(HEADER_WORDS);
    this.#header(id, FLAG.replaced, 0, 0, 0);
  }

  /** Bits of a row have changed. */
  changed(id: number, { byteLength, cardinality, bits }: ChangedRow): void {
    const maskWords = haveZeros(bits) ? Math.ceil(bits.length / WORD_BITS) : 0;
    this.#reserve(HEADER_WORDS + bits.length + maskWords);
    this.#header(id, maskWords > 0 ? FLAG.hasZeros : 0, byteLength, cardinality, bits.length);
    const words = this.#words;
    let at = this.#length;
    for (let i = 0; i < bits.length; i++) words[at++] = Math.floor((bits[i] as number) / 2);
    this.#length = at + maskWords;
    if (maskWords === 0) return;
    words.fill(0, at, at + maskWords);
    for (let i = 0; i < bits.length; i++) {
      const word = at + Math.floor(i / WORD_BITS);
      words[word] = (words[word] as number) | (bitOf(bits[i] as number) << (i % WORD_BITS));
    }
  }

  #header(id: number, flags: number, byteLength: number, cardinality: number, bits: number): void {
    const words = this.#words;
    const at = this.#length;
    // A word takes the lower 32 bits of what it is given.
    words[at] = id;
    // Ids are below 2^47, so that the flags have room above their upper 16 bits.
    words[at + 1] = Math.floor(id / 2 ** 32) | (flags << 16);
    words[at + 2] = byteLength;
    words[at + 3] = cardinality;
    words[at + 4] = Math.floor(cardinality / 2 ** 32);
    words[at + 5] = bits;
    this.#length = at + HEADER_WORDS;
  }

  #reserve(words: number): void {
    const needed = this.#length + words;
    if (needed <= this.#words.length) return;
    this.#words = movedTo(this.#words, new Uint32Array(Math.max(this.#words.length * 2, needed)), this.#length);
  }
}

/**
 * Calls `visit` with each part between two words: its row, its first word, and whether it tells of a replaced value. A start reads some
 * 400,000 of them, most before V8 has compiled anything: an object for each would take it twice as long.
 */
export function eachPart(
  words: Uint32Array,
  start: number,
  end: number,
  visit: (id: number, at: number, isReplaced: boolean) => void,
): void {
  for (let at = start; at < end; ) {
    const high = words[at + 1] as number;
    const flags = high >>> 16;
    const count = words[at + 5] as number;
    visit((words[at] as number) + (high & 0xffff) * 2 ** 32, at, (flags & FLAG.replaced) !== 0);
    at += HEADER_WORDS + count;
    if ((flags & FLAG.hasZeros) !== 0) at += Math.ceil(count / WORD_BITS);
  }
}

/** What a flush says of one row: a look at the words, of which no more is decoded than is asked for. */
export class LogPart {
  readonly #words: Uint32Array;
  readonly #start: number;

  /** `start` is its first word. */
  constructor(words: Uint32Array, start: number) {
    this.#words = words;
    this.#start = start;
  }

  get byteLength(): number {
    return this.#at(2);
  }

  get cardinality(): number {
    return this.#at(3) + this.#at(4) * 2 ** 32;
  }

  /** How many bits it has. */
  get bitCount(): number {
    return this.#at(5);
  }

  /** Writes its bits into `bits`, from `start` on. */
  writeBits(bits: Float64Array, start: number): void {
    const count = this.bitCount;
    const hasZeros = ((this.#at(1) >>> 16) & FLAG.hasZeros) !== 0;
    for (let b = 0; b < count; b++) {
      const mask = hasZeros ? this.#at(HEADER_WORDS + count + Math.floor(b / WORD_BITS)) : -1;
      bits[start + b] = this.#at(HEADER_WORDS + b) * 2 + ((mask >>> (b % WORD_BITS)) & 1);
    }
  }

  #at(index: number): number {
    return this.#words[this.#start + index] as number;
  }
}

/** A row of the log, as it is found: it may be anything. */
export interface LogRow {
  batch: number;
  words: Buffer;
  checksum: number;
}

/** Bytes of all the log's rows. */
export function logSize(connection: Connection): number {
  return connection.prepare<[], number>("SELECT total(length(words)) FROM log").pluck().get() ?? 0;
}

export function logRows(connection: Connection): IterableIterator<LogRow> {
  return connection.prepare<[], LogRow>("SELECT batch, words, checksum FROM log ORDER BY batch").iterate();
}

/** Whether a row of the log is what was written. */
export function isLogRow({ batch, words, checksum: sum }: LogRow): boolean {
  return Buffer.isBuffer(words) && logChecksum(batch, words) === sum;
}

export function logChecksum(batch: number, words: Uint8Array): number {
  return checksum(batch, 0, words);
}
