/**
 * Bits that are committed and not in the chunks or deltas yet: a flush appends them to the file's `log`, all keys together, which
 * costs a few pages whatever the number of keys. Here they are in memory, by row, and so they are read back after a crash.
 */
import { StartError } from "../errors.js";
import type { Bit } from "../keyspace/value.js";
import { passing } from "../passing-buffer.js";
import type { Connection } from "./schema.js";
import { checksum } from "./values.js";

/** Changes to one row's value. `bits` are in the order of their change, each as `offset * 2 + bit`. */
export interface PendingRow {
  byteLength: number;
  cardinality: number;
  bits: number[];
}

/** In a log record's second word, above the id's upper 16 bits. */
const FLAG = { replaced: 1, hasZeros: 2 } as const;
/** Words before a record's offsets: id (2), byte length, cardinality (2), number of bits. */
const HEADER_WORDS = 6;
const WORD_BITS = 32;
const NO_OFFSETS = new Uint32Array(0);

export class Pending {
  readonly rows = new Map<number, PendingRow>();

  get isEmpty(): boolean {
    return this.rows.size === 0;
  }

  /** Adds later changes of a row. */
  add(id: number, { byteLength, cardinality, bits }: PendingRow): void {
    const row = this.rows.get(id);
    if (row === undefined) {
      this.rows.set(id, { byteLength, cardinality, bits });
      return;
    }
    row.byteLength = byteLength;
    row.cardinality = cardinality;
    for (const bit of bits) row.bits.push(bit);
  }
}

/** The offsets that are 1 and those that are 0 at last, ascending: so Roaring takes them several times as fast. */
export function lastBits(bits: readonly number[]): { ones: Uint32Array; zeros: Uint32Array } {
  if (bits.length === 0) return { ones: NO_OFFSETS, zeros: NO_OFFSETS };
  if (bits.every((packed) => packed % 2 === 1)) return { ones: offsetsOf(bits).sort(), zeros: NO_OFFSETS };
  const last = new Map<number, number>();
  for (const packed of bits) last.set(Math.floor(packed / 2), packed % 2);
  const offsets = (wanted: number) =>
    Uint32Array.from([...last].filter(([, bit]) => bit === wanted).map(([offset]) => offset)).sort();
  return { ones: offsets(1), zeros: offsets(0) };
}

/** In a loop: `Uint32Array.from` with a function takes longer than all the rest that a new key of one bit needs here. */
function offsetsOf(bits: readonly number[]): Uint32Array {
  const offsets = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) offsets[i] = Math.floor((bits[i] as number) / 2);
  return offsets;
}

/** The log's record of one flush: changes by row, and rows whose value was replaced, so that earlier bits mean nothing. */
export function encodeLog(changed: ReadonlyMap<number, PendingRow>, replaced: readonly number[]): Uint32Array {
  let length = replaced.length * HEADER_WORDS;
  for (const { bits } of changed.values()) length += HEADER_WORDS + bits.length + Math.ceil(bits.length / WORD_BITS);
  const words = new Uint32Array(length);
  let at = 0;
  const header = (id: number, flags: number, byteLength: number, cardinality: number, bits: number) => {
    words[at] = id % 2 ** 32;
    // Ids are below 2^47, so that the flags have room above their upper 16 bits.
    words[at + 1] = Math.floor(id / 2 ** 32) | (flags << 16);
    words[at + 2] = byteLength;
    words[at + 3] = cardinality % 2 ** 32;
    words[at + 4] = Math.floor(cardinality / 2 ** 32);
    words[at + 5] = bits;
    at += HEADER_WORDS;
  };
  for (const id of replaced) header(id, FLAG.replaced, 0, 0, 0);
  for (const [id, { byteLength, cardinality, bits }] of changed) {
    const hasZeros = bits.some((packed) => packed % 2 === 0);
    header(id, hasZeros ? FLAG.hasZeros : 0, byteLength, cardinality, bits.length);
    for (const packed of bits) words[at++] = Math.floor(packed / 2);
    if (!hasZeros) continue;
    bits.forEach((packed, i) => {
      const word = at + Math.floor(i / WORD_BITS);
      words[word] = (words[word] as number) | ((packed % 2) << (i % WORD_BITS));
    });
    at += Math.ceil(bits.length / WORD_BITS);
  }
  return words.subarray(0, at);
}

/** One row's part of a log record. Its bits are decoded only when they are asked for: a start after a crash reads many. */
class LogPart {
  /** The log's row that it is in, and where in it. */
  readonly words: Uint32Array;
  readonly start: number;

  constructor(words: Uint32Array, start: number) {
    this.words = words;
    this.start = start;
  }

  get id(): number {
    return this.#at(0) + (this.#at(1) & 0xffff) * 2 ** 32;
  }

  get isReplaced(): boolean {
    return (this.#flags & FLAG.replaced) !== 0;
  }

  /** Where the next part begins. */
  get end(): number {
    return this.start + HEADER_WORDS + this.count + (this.#hasZeros ? Math.ceil(this.count / WORD_BITS) : 0);
  }

  /** Number of bits. */
  get count(): number {
    return this.#at(5);
  }

  get row(): PendingRow {
    const { count } = this;
    // Of its exact size: pushing would make room for 17, and there are many rows of one bit.
    const bits = new Array<number>(count);
    for (let b = 0; b < count; b++) {
      const mask = this.#hasZeros ? this.#at(HEADER_WORDS + count + Math.floor(b / WORD_BITS)) : -1;
      bits[b] = this.#at(HEADER_WORDS + b) * 2 + ((mask >>> (b % WORD_BITS)) & 1);
    }
    return { byteLength: this.#at(2), cardinality: this.#at(3) + this.#at(4) * 2 ** 32, bits };
  }

  get #flags(): number {
    return this.#at(1) >>> 16;
  }

  get #hasZeros(): boolean {
    return (this.#flags & FLAG.hasZeros) !== 0;
  }

  #at(index: number): number {
    return this.words[this.start + index] as number;
  }
}

/** What the file's log holds. Throws StartError where a row of it is not what was written. */
export function readLog(connection: Connection): Pending {
  const pending = new Pending();
  for (const part of readParts(connection)) addPart(part, pending);
  return pending;
}

/** Adds what one row of the log says. */
export function decodeLog(words: Uint8Array, pending: Pending): void {
  for (const part of partsOf(words)) addPart(part, pending);
}

function addPart(part: LogPart, pending: Pending): void {
  if (part.isReplaced) pending.rows.delete(part.id);
  if (part.count > 0) pending.add(part.id, part.row);
}

/**
 * The same for who asks for few rows of it. A start after a crash makes it, and it may tell of some 100,000 keys: they are
 * numbers in arrays, in the order of their ids, and no objects.
 */
export class Leftover {
  /** The log's rows, and each part's place in them, in the order of the log. */
  readonly #words: readonly Uint32Array[];
  readonly #rows: Uint32Array;
  readonly #starts: Uint32Array;
  /** Ids of the parts, ascending, and which parts they are: those of one id in the order of the log. */
  readonly #ids: Float64Array;
  readonly #order: Uint32Array;

  constructor(connection: Connection) {
    const words: Uint32Array[] = [];
    const rows: number[] = [];
    const starts: number[] = [];
    const ids: number[] = [];
    for (const part of readParts(connection)) {
      if (words.at(-1) !== part.words) words.push(part.words);
      rows.push(words.length - 1);
      starts.push(part.start);
      ids.push(part.id);
    }
    this.#words = words;
    this.#rows = Uint32Array.from(rows);
    this.#starts = Uint32Array.from(starts);
    this.#order = Uint32Array.from(ids.keys()).sort((a, b) => (ids[a] as number) - (ids[b] as number) || a - b);
    this.#ids = Float64Array.from(this.#order, (part) => ids[part] as number);
  }

  /** The largest id in it; 0 when it is empty. */
  get lastId(): number {
    return this.#ids.at(-1) ?? 0;
  }

  /** Bytes of the log's rows, and how many keys they tell of. */
  get figures(): { logBytes: number; logRows: number } {
    const logBytes = this.#words.reduce((bytes, { byteLength }) => bytes + byteLength, 0);
    return { logBytes, logRows: this.#ids.filter((id, i) => id !== this.#ids[i - 1]).length };
  }

  /** The bits of a row, in the order of their change. */
  *bits(id: number): Generator<{ offset: number; bit: Bit }, void> {
    for (const part of this.#partsOf(id)) {
      for (const packed of part.row.bits) yield { offset: Math.floor(packed / 2), bit: (packed % 2) as Bit };
    }
  }

  /** What the log says of a row since its value was last replaced. */
  #partsOf(id: number): LogPart[] {
    const parts: LogPart[] = [];
    for (let at = this.#firstOf(id); this.#ids[at] === id; at++) {
      const number = this.#order[at] as number;
      const words = this.#words[this.#rows[number] as number] as Uint32Array;
      const part = new LogPart(words, this.#starts[number] as number);
      if (part.isReplaced) parts.length = 0;
      else parts.push(part);
    }
    return parts;
  }

  #firstOf(id: number): number {
    let first = 0;
    let end = this.#ids.length;
    while (first < end) {
      const middle = (first + end) >>> 1;
      if ((this.#ids[middle] as number) < id) first = middle + 1;
      else end = middle;
    }
    return first;
  }
}

function* readParts(connection: Connection): Generator<LogPart, void> {
  for (const row of logRows(connection)) {
    if (!isLogRow(row)) {
      throw new StartError(`the database file is damaged: log row ${row.batch} is not what was written`);
    }
    yield* partsOf(row.words);
  }
}

/** A row of the log, as it is found: it may be anything. */
export interface LogRow {
  batch: number;
  words: Buffer;
  checksum: number;
}

export function logRows(connection: Connection): IterableIterator<LogRow> {
  return connection.prepare<[], LogRow>("SELECT batch, words, checksum FROM log ORDER BY batch").iterate();
}

/** Whether a row of the log is what was written. */
export function isLogRow({ batch, words, checksum: sum }: LogRow): boolean {
  return Buffer.isBuffer(words) && logChecksum(batch, words) === sum;
}

function* partsOf(words: Uint8Array): Generator<LogPart, void> {
  passing(words.length);
  // A blob may begin anywhere: words need their alignment.
  const aligned = new Uint32Array(words.length / Uint32Array.BYTES_PER_ELEMENT);
  new Uint8Array(aligned.buffer).set(words);
  for (let at = 0; at < aligned.length; ) {
    const part = new LogPart(aligned, at);
    yield part;
    at = part.end;
  }
}

export function logChecksum(batch: number, words: Uint8Array): number {
  return checksum(batch, 0, words);
}
