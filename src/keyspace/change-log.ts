/**
 * The change log: every effective change since the last flush, as state and not as request, in a flat buffer of 32-bit words.
 * It is taken in batches; the storage commits a batch whole or not at all. Within a batch a replaced value is written once,
 * as it is when the batch is taken, after everything else: replaying earlier bits under it changes nothing.
 *
 * A record is `kind | detail << 8 | id's upper 16 bits << 16`, the id's lower 32 bits, then what its kind needs.
 */
import type { Bit, Bitmap } from "./bitmap.js";
import type { Database } from "./database.js";
import type { Entry } from "./entry.js";
import type { StoredDatabase } from "./storage.js";

const KIND = { bit: 1, value: 2, create: 3, rekey: 4, delete: 5, deadline: 6, dropSlot: 7, database: 8 } as const;

/** Ids are 48 bits wide: enough for 50,000 new keys a second for 178 years. */
export const ID_MAX = 2 ** 48 - 1;

const WORD_BYTES = 4;
const INITIAL_WORDS = 16 * 1024;

/** A part of history that is committed as one. */
export interface Batch {
  /** 1 for the first, then one more each. */
  readonly number: number;
  readonly words: Uint32Array;
}

/** What reading a batch yields, in order. */
export interface BatchVisitor {
  /** A bit was set or cleared, and the value is now at least long enough to hold it. */
  bit(id: number, offset: number, bit: Bit): void;
  value(id: number, byteLength: number, portable: Uint8Array): void;
  create(id: number, slot: number, key: string): void;
  /** The row got another name, or another database. */
  rekey(id: number, slot: number, key: string): void;
  delete(id: number): void;
  /** `deadline` is NO_DEADLINE or milliseconds. */
  deadline(id: number, deadline: number): void;
  /** All rows of the slot are gone, and the slot will not be used again. */
  dropSlot(slot: number): void;
  database(database: StoredDatabase): void;
}

export class ChangeLog {
  /** Number of the batch that is being filled. */
  number = 1;
  /** Entries and tombstones with a change in this batch, each once. */
  touched: Entry[] = [];
  #rewritten: Entry[] = [];
  #words = new Uint32Array(INITIAL_WORDS);
  #length = 0;
  readonly #float = new Float64Array(1);
  readonly #floatWords = new Uint32Array(this.#float.buffer);

  /** Nothing has changed since the last `take`. */
  get isEmpty(): boolean {
    return this.#length === 0 && this.#rewritten.length === 0;
  }

  /** Bytes of memory that the log's records take. Replaced values are not among them until they are taken. */
  get byteLength(): number {
    return this.#length * WORD_BYTES;
  }

  bit(entry: Entry, offset: number, bit: Bit): void {
    this.#touch(entry);
    if (entry.rewritten) return;
    this.#header(KIND.bit, entry.id, 1, bit);
    this.#words[this.#length++] = offset;
  }

  value(entry: Entry): void {
    this.#touch(entry);
    if (entry.rewritten) return;
    entry.rewritten = true;
    this.#rewritten.push(entry);
  }

  create(entry: Entry): void {
    this.#touch(entry);
    this.#named(KIND.create, entry);
  }

  rekey(entry: Entry): void {
    this.#touch(entry);
    this.#named(KIND.rekey, entry);
  }

  delete(entry: Entry): void {
    this.#touch(entry);
    this.#header(KIND.delete, entry.id, 0);
  }

  /** A name that is free again because its row was given another one: nothing to write, but a tombstone to keep. */
  vacate(tombstone: Entry): void {
    this.#touch(tombstone);
  }

  deadline(entry: Entry): void {
    this.#touch(entry);
    this.#header(KIND.deadline, entry.id, 2);
    this.#float[0] = entry.deadline;
    this.#words[this.#length++] = this.#floatWords[0] as number;
    this.#words[this.#length++] = this.#floatWords[1] as number;
  }

  dropSlot(slot: number): void {
    this.#header(KIND.dropSlot, slot, 0);
  }

  database(database: Database): void {
    this.#header(KIND.database, database.slot, 5);
    this.#words[this.#length++] = database.number;
    this.#pushWide(database.size);
    this.#pushWide(database.volatileSize);
  }

  /** Closes the batch and opens the next. The buffer is the caller's. */
  take(): { batch: Batch; touched: Entry[] } {
    for (const entry of this.#rewritten) {
      entry.rewritten = false;
      if (entry.alive && entry.bitmap !== undefined) this.#value(entry, entry.bitmap);
    }
    const batch = { number: this.number, words: this.#words.slice(0, this.#length) };
    const touched = this.touched;
    this.number++;
    this.touched = [];
    this.#rewritten = [];
    this.#length = 0;
    if (this.#words.length > INITIAL_WORDS) this.#words = new Uint32Array(INITIAL_WORDS);
    return { batch, touched };
  }

  #touch(entry: Entry): void {
    if (entry.batch === this.number) return;
    entry.batch = this.number;
    this.touched.push(entry);
  }

  #value(entry: Entry, bitmap: Bitmap): void {
    const bytes = bitmap.portableBytes;
    const words = wordsFor(bytes);
    this.#header(KIND.value, entry.id, 2 + words);
    this.#words[this.#length++] = bitmap.byteLength;
    this.#words[this.#length++] = bytes;
    bitmap.writePortable(new Uint8Array(this.#words.buffer, this.#length * WORD_BYTES, bytes));
    this.#length += words;
  }

  #named(kind: number, entry: Entry): void {
    const { key } = entry;
    const words = wordsFor(key.length);
    this.#header(kind, entry.id, 2 + words);
    this.#words[this.#length++] = entry.database.slot;
    this.#words[this.#length++] = key.length;
    Buffer.from(this.#words.buffer, this.#length * WORD_BYTES, key.length).write(key, "latin1");
    this.#length += words;
  }

  /** Begins a record and makes room for `words` more. */
  #header(kind: number, id: number, words: number, detail = 0): void {
    if (this.#length + words + 2 > this.#words.length) this.#grow(words + 2);
    this.#words[this.#length++] = kind | (detail << 8) | (Math.floor(id / 2 ** 32) << 16);
    this.#words[this.#length++] = id % 2 ** 32;
  }

  #pushWide(value: number): void {
    this.#words[this.#length++] = Math.floor(value / 2 ** 32);
    this.#words[this.#length++] = value % 2 ** 32;
  }

  #grow(words: number): void {
    const grown = new Uint32Array(Math.max(this.#words.length * 2, this.#length + words));
    grown.set(this.#words.subarray(0, this.#length));
    this.#words = grown;
  }
}

function wordsFor(bytes: number): number {
  return Math.ceil(bytes / WORD_BYTES);
}

/** Reads a batch's records in order. Payloads are views into the batch. */
export function readBatch(batch: Batch, visitor: BatchVisitor): void {
  const { words } = batch;
  const at = (index: number): number => words[index] as number;
  const wide = (index: number): number => at(index) * 2 ** 32 + at(index + 1);
  let i = 0;
  while (i < words.length) {
    const head = at(i);
    const id = (head >>> 16) * 2 ** 32 + at(i + 1);
    i += 2;
    switch (head & 0xff) {
      case KIND.bit:
        visitor.bit(id, at(i), ((head >>> 8) & 1) as Bit);
        i += 1;
        break;
      case KIND.value:
        visitor.value(id, at(i), bytesAt(words, i + 2, at(i + 1)));
        i += 2 + wordsFor(at(i + 1));
        break;
      case KIND.create:
        visitor.create(id, at(i), bytesAt(words, i + 2, at(i + 1)).toString("latin1"));
        i += 2 + wordsFor(at(i + 1));
        break;
      case KIND.rekey:
        visitor.rekey(id, at(i), bytesAt(words, i + 2, at(i + 1)).toString("latin1"));
        i += 2 + wordsFor(at(i + 1));
        break;
      case KIND.delete:
        visitor.delete(id);
        break;
      case KIND.deadline:
        visitor.deadline(id, new Float64Array(words.slice(i, i + 2).buffer)[0] as number);
        i += 2;
        break;
      case KIND.dropSlot:
        visitor.dropSlot(id);
        break;
      case KIND.database:
        visitor.database({ number: at(i), slot: id, keys: wide(i + 1), volatileKeys: wide(i + 3) });
        i += 5;
        break;
      default:
        throw new Error(`change log: record of unknown kind ${head & 0xff} at word ${i - 2}`);
    }
  }
}

function bytesAt(words: Uint32Array, index: number, bytes: number): Buffer {
  return Buffer.from(words.buffer, words.byteOffset + index * WORD_BYTES, bytes);
}
