/**
 * Bits that are committed and not in the chunks or deltas yet: a flush appends them to the file's `log`, all keys together, which
 * costs a few pages whatever the number of keys. Here the log is in memory, as the words that are in the file, and each row's part
 * of it is found by the row's id: a start after a crash may find some 100,000 rows in it, which would be as many objects.
 */
import { LOG_ROWS_MAX } from "../config.js";
import { StartError } from "../errors.js";
import { giveBack, movedTo, OWN_MEMORY_BYTES, passing } from "../passing-buffer.js";
import { type ChangedRow, eachPart, isLogRow, LOG_PART_BYTES_MIN, LogPart, logRows, logSize } from "./log.js";
import type { Connection } from "./schema.js";

/**
 * Words are kept in pages of so many, or of as many as one flush's words are: so large that the system gives and takes each of them by
 * itself, which leaves no holes in the heap. What is not written to takes no memory.
 */
const PAGE_WORDS = OWN_MEMORY_BYTES / Uint32Array.BYTES_PER_ELEMENT;
/** Room for parts at first, where no more is known to come, and for rows. Powers of two. */
const PARTS_MIN = 64;
const ROWS_MIN = 64;
/** No more than this part of the table of rows is full. */
const FULL_MAX = 0.5;
/** Knuth's multiplicative hash: 2^32 by the golden ratio. */
const HASH_FACTOR = 0x9e3779b1;
const WORD_BYTES = Uint32Array.BYTES_PER_ELEMENT;
const NO_PART = 2 ** 32 - 1;

export class Pending {
  readonly #pages: Uint32Array[] = [];
  /** Words of all pages before each. */
  readonly #firstWords: number[] = [];
  /** Words in use of the last page. */
  #used = 0;
  /** Each part's first word, as a word of all pages, and the part before it of the same row, in the order of the log. */
  #places: Uint32Array;
  #earlier: Uint32Array;
  #parts = 0;
  /**
   * A hash table of rows: their ids, 0 for none, and the newest part of each, NO_PART where it has no bits any more. A Map would take some
   * 40 bytes a row more; the ids among the parts would be a look elsewhere for each.
   */
  #ids: Float64Array;
  #newest: Uint32Array;
  /** Rows in that table. */
  #known = 0;
  /** Number of rows that have bits in it. */
  rows = 0;
  /** Bytes of the log's rows. */
  logBytes = 0;
  /** The largest id in it; 0 when it is empty. */
  lastId = 0;

  /** With room for a log of so many bytes, as it usually is: growing to it would take time. Room that is not used takes no memory. */
  constructor(logBytes = 0) {
    const parts = Math.max(PARTS_MIN, powerOfTwo(logBytes / LOG_PART_BYTES_MIN));
    const slots = Math.max(ROWS_MIN, Math.min(parts, powerOfTwo(LOG_ROWS_MAX / FULL_MAX)));
    this.#places = new Uint32Array(parts);
    this.#earlier = new Uint32Array(parts);
    this.#ids = new Float64Array(slots);
    this.#newest = new Uint32Array(slots);
  }

  /** Gives its memory back soon. It must not be used again. */
  dispose(): void {
    for (const { buffer } of [...this.#pages, this.#places, this.#earlier, this.#ids, this.#newest]) giveBack(buffer);
  }

  /** Adds a row of the log: what one flush changed later than all that is here. */
  append(words: Uint8Array): void {
    const length = words.length / WORD_BYTES;
    let page = this.#pages.at(-1);
    if (page === undefined || length > page.length - this.#used) {
      this.#firstWords.push(page === undefined ? 0 : (this.#firstWords.at(-1) as number) + page.length);
      page = new Uint32Array(Math.max(length, PAGE_WORDS));
      this.#pages.push(page);
      this.#used = 0;
    }
    // A blob may begin anywhere, and words need their alignment.
    new Uint8Array(page.buffer, this.#used * WORD_BYTES, words.length).set(words);
    const firstWord = this.#firstWords.at(-1) as number;
    eachPart(page, this.#used, this.#used + length, (id, at, isReplaced) => this.#add(id, firstWord + at, isReplaced));
    this.#used += length;
    this.logBytes += words.length;
  }

  #add(id: number, place: number, isReplaced: boolean): void {
    if (id > this.lastId) this.lastId = id;
    if (isReplaced) {
      this.forget(id);
      return;
    }
    const slot = this.#slotFor(id);
    const newest = this.#newest[slot] as number;
    if (this.#parts === this.#earlier.length) {
      this.#places = movedTo(this.#places, new Uint32Array(2 * this.#places.length));
      this.#earlier = movedTo(this.#earlier, new Uint32Array(2 * this.#earlier.length));
    }
    const number = this.#parts++;
    this.#places[number] = place;
    this.#earlier[number] = newest;
    this.#newest[slot] = number;
    if (newest === NO_PART) this.rows++;
  }

  /** The row's slot of the table, which has room for it. */
  #slotFor(id: number): number {
    let slot = this.#slot(id);
    if (this.#ids[slot] === id) return slot;
    if (this.#known + 1 > this.#ids.length * FULL_MAX) {
      this.#growTable();
      slot = this.#slot(id);
    }
    this.#known++;
    this.#ids[slot] = id;
    this.#newest[slot] = NO_PART;
    return slot;
  }

  #growTable(): void {
    const ids = this.#ids;
    const newest = this.#newest;
    this.#ids = new Float64Array(2 * ids.length);
    this.#newest = new Uint32Array(2 * ids.length);
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] as number;
      if (id === 0) continue;
      const slot = this.#slot(id);
      this.#ids[slot] = id;
      this.#newest[slot] = newest[i] as number;
    }
    giveBack(ids.buffer);
    giveBack(newest.buffer);
  }

  /** Where the table has a row, or where it would come. */
  #slot(id: number): number {
    const mask = this.#ids.length - 1;
    let slot = (Math.imul(id, HASH_FACTOR) >>> 7) & mask;
    while (this.#ids[slot] !== 0 && this.#ids[slot] !== id) slot = (slot + 1) & mask;
    return slot;
  }

  /** The newest part of a row that has bits here. */
  #newestOf(id: number): number | undefined {
    const slot = this.#slot(id);
    return this.#ids[slot] === 0 || this.#newest[slot] === NO_PART ? undefined : this.#newest[slot];
  }

  #forget(slot: number): void {
    if (this.#newest[slot] === NO_PART) return;
    this.#newest[slot] = NO_PART;
    this.rows--;
  }

  /** Whether it has bits of a row. */
  has(id: number): boolean {
    return this.#newestOf(id) !== undefined;
  }

  /** What has changed in a row since its value was last replaced. */
  row(id: number): ChangedRow | undefined {
    const newest = this.#newestOf(id);
    if (newest === undefined) return undefined;
    const { byteLength, cardinality } = this.#part(newest);
    const parts: LogPart[] = [];
    for (let number = newest; number !== NO_PART; number = this.#earlier[number] as number) {
      parts.push(this.#part(number));
    }
    // The newest part is the first of them, and its bits come last.
    const bits = new Float64Array(parts.reduce((sum, { bitCount }) => sum + bitCount, 0));
    let at = bits.length;
    for (const part of parts) {
      at -= part.bitCount;
      part.writeBits(bits, at);
    }
    return { byteLength, cardinality, bits };
  }

  /** The same as a list, empty where it has no bits of the row. */
  changes(id: number): ChangedRow[] {
    const row = this.row(id);
    return row === undefined ? [] : [row];
  }

  /** A row's value was replaced: earlier bits mean nothing any more. */
  forget(id: number): void {
    const slot = this.#slot(id);
    if (this.#ids[slot] !== 0) this.#forget(slot);
  }

  /** The ids of all rows that have bits in it, ascending: that is the order of the rows on the file's pages. */
  ids(): Float64Array {
    const ids = new Float64Array(this.rows);
    let at = 0;
    for (let slot = 0; slot < this.#ids.length; slot++) {
      if (this.#ids[slot] !== 0 && this.#newest[slot] !== NO_PART) ids[at++] = this.#ids[slot] as number;
    }
    return ids.sort();
  }

  #part(number: number): LogPart {
    const place = this.#places[number] as number;
    let page = this.#pages.length - 1;
    while (place < (this.#firstWords[page] as number)) page--;
    return new LogPart(this.#pages[page] as Uint32Array, place - (this.#firstWords[page] as number));
  }
}

/** The lowest power of two that is not below `count`. */
function powerOfTwo(count: number): number {
  return 2 ** Math.ceil(Math.log2(count));
}

/** What the file's log holds. Throws StartError where a row of it is not what was written. */
export function readLog(connection: Connection): Pending {
  const pending = new Pending(logSize(connection));
  for (const row of logRows(connection)) {
    if (!isLogRow(row)) {
      throw new StartError(`the database file is damaged: log row ${row.batch} is not what was written`);
    }
    passing(row.words.length);
    pending.append(row.words);
  }
  return pending;
}
