/**
 * The change log: every effective change since the last flush, as state and not as request, in a flat buffer of 32-bit words.
 * It is taken in batches; the storage commits a batch whole or not at all. Within a batch a replaced value is written once,
 * as it is when the batch is taken, after everything else: replaying earlier bits under it changes nothing.
 *
 * A record is `kind | detail << 8 | id's upper 16 bits << 16`, the id's lower 32 bits, then what its kind needs.
 */
import { FLUSH_BYTES, FLUSH_ENTRIES, MIB } from "../config.js";
import { giveBack, passing } from "../passing-buffer.js";
import { type Bitmap, portableBytesMax } from "./bitmap.js";
import { BITOPS, type BitOp, Combination } from "./bitmap-op.js";
import { type Contents, demote, FLAG } from "./contents.js";
import { NO_ENTRY } from "./entry-table.js";
import type { Unmade } from "./expressions.js";
import type { Expression, PieceFacts, StoredDatabase } from "./storage.js";
import type { Bit } from "./value.js";

const KIND = {
  bit: 1,
  value: 2,
  create: 3,
  rekey: 4,
  delete: 5,
  deadline: 6,
  dropSlot: 7,
  database: 8,
  measure: 9,
  reserveSlot: 10,
  piece: 11,
  expression: 12,
  make: 13,
} as const;

/** Ids are 47 bits wide: enough for 50,000 new keys a second for 89 years. */
export const ID_MAX = 2 ** 47 - 1;

const WORD_BYTES = 4;
const INITIAL_WORDS = 16 * 1024;
/** A record of how long a value is, and of its bits. */
const MEASURE_WORDS = 5;
/** What is said of a piece before its bytes. */
const PIECE_WORDS = 5;
/** What a changed bit costs: a header of two words, and its offset. */
export const LOGGED_BIT_BYTES = 3 * WORD_BYTES;
/** What one turn of the event loop adds to a batch that is large already: 50 clients whose pipelines fill a read buffer each. */
const TURN_BYTES_MAX = MIB;
/** A batch of so many bytes is taken as soon as it can be, with what there is to say of its values then: few have more. */
const SHARED_BYTES_MAX = FLUSH_BYTES + TURN_BYTES_MAX + FLUSH_ENTRIES * MEASURE_WORDS * WORD_BYTES;

/** It is whole as soon as so small a part of it is needed. */
const SHARED_STEPS = 8;

type Words = Uint32Array<ArrayBuffer> | Uint32Array<SharedArrayBuffer>;

/**
 * Memory for at least `count` words. That of most batches is shared with the storage's thread, and used again and again: to hand memory over
 * and back makes V8 count it as new each time, and collect all objects of both threads at every flush, which took a tenth of a SETBIT in
 * pipelines. Shared memory can't be given back but by such a collection, so the two that there are stay.
 */
function newWords(count: number): Words {
  const bytes = count * WORD_BYTES;
  return bytes > SHARED_BYTES_MAX ? new Uint32Array(count) : new Uint32Array(new SharedArrayBuffer(bytes));
}

/** A part of history that is committed as one. */
export interface Batch {
  /** 1 for the first, then one more each. */
  readonly number: number;
  readonly words: Uint32Array;
}

/**
 * A batch that is complete but for the bits of native values that were replaced: those are written a few at a time, since some have to be
 * made first, and a batch may hold hundreds of megabytes of them. They are held as they were when the batch was taken.
 */
export class BatchDraft {
  readonly number: number;
  #words: Words;
  #length: number;
  readonly #values: readonly HeldValue[];
  #written = 0;

  constructor(number: number, words: Words, length: number, values: readonly HeldValue[]) {
    this.number = number;
    this.#words = words;
    this.#length = length;
    this.#values = values;
  }

  /** Makes and writes values for about `budgetMs` milliseconds; returns the batch when all are written. */
  write(budgetMs: number): Batch | undefined {
    const endMs = performance.now() + budgetMs;
    while (this.#written < this.#values.length) {
      const value = this.#values[this.#written] as HeldValue;
      if (value.bitmap.unmade !== undefined) {
        const isMade = value.bitmap.makeUntil(endMs);
        // To write it takes another turn, where making it took this one.
        if (!isMade || performance.now() > endMs) return undefined;
      }
      this.#write(value);
      this.#written++;
      if (performance.now() > endMs && this.#written < this.#values.length) return undefined;
    }
    return { number: this.number, words: this.#words.subarray(0, this.#length) };
  }

  #write({ id, bitmap, contents, entry }: HeldValue): void {
    const bytes = bitmap.portableBytes;
    const words = wordsFor(bytes);
    if (this.#length + VALUE_HEADER_WORDS + words > this.#words.length) {
      this.#words = grown(this.#words, this.#length, this.#length + VALUE_HEADER_WORDS + words);
    }
    writeHeader(this.#words, this.#length, KIND.value, id);
    this.#length += HEADER_WORDS;
    this.#words[this.#length++] = bytes;
    bitmap.writePortable(new Uint8Array(this.#words.buffer, this.#length * WORD_BYTES, bytes));
    this.#length += words;
    bitmap.dispose();
    // What was made just now may have few members, for which a native set is large.
    const { entries, dropped } = contents;
    if (!dropped && entries.isUsed(entry) && entries.native(entry) === bitmap) demote(contents, entry);
  }
}

/** A native value as it was when the batch was taken, and the entry it was of. */
interface HeldValue {
  id: number;
  bitmap: Bitmap;
  contents: Contents;
  entry: number;
}

/** What reading a batch yields, in order. */
export interface BatchVisitor {
  /** A bit was set or cleared. */
  bit(id: number, offset: number, bit: Bit): void;
  /** How long the value is at the end of the batch, and how many of its bits are 1. Comes with every change of the value. */
  measure(id: number, byteLength: number, cardinality: number): void;
  /** The set of a value that was replaced, in Roaring's portable format. */
  value(id: number, portable: Uint8Array): void;
  /** The set of a value that was replaced is what an operation makes of other rows, as they are at the end of the batch. */
  expression(id: number, expression: Expression): void;
  /** The row's value, if it is an expression, is to be made as it was before the batch: something that it is made of changes. */
  make(id: number): void;
  create(id: number, slot: number, key: string): void;
  /** The row got another name, or another database. */
  rekey(id: number, slot: number, key: string): void;
  delete(id: number): void;
  /** `deadline` is NO_DEADLINE or milliseconds. */
  deadline(id: number, deadline: number): void;
  /** All rows of the slot are gone, and the slot will not be used again. */
  dropSlot(slot: number): void;
  /** Rows come under a slot that is no database's yet. If none gets it before a crash, they are gone. */
  reserveSlot(slot: number): void;
  database(database: StoredDatabase): void;
  /** A piece of a value that is no key's yet, in Roaring's portable format. Pieces come in their order. */
  piece(id: number, facts: PieceFacts, portable: Uint8Array): void;
}

export class ChangeLog {
  /** Number of the batch that is being filled. */
  number = 1;
  /** Entries whose value has changed in this batch, each once, with what they are in. */
  #valued: number[] = [];
  #valuedIn: Contents[] = [];
  /** Native values that the batch that is being taken has to write. */
  #held: HeldValue[] = [];
  #words: Words = newWords(INITIAL_WORDS);
  /** Memory of a batch that was committed, for the next one. */
  #spare: Words | undefined;
  #length = 0;
  /** Bytes of the values that were replaced in this batch, by row and in all. */
  readonly #replaced = new Map<number, number>();
  #valueBytes = 0;
  readonly #float = new Float64Array(1);
  readonly #floatWords = new Uint32Array(this.#float.buffer);

  /** Nothing has changed since the last `take`. */
  get isEmpty(): boolean {
    return this.#length === 0 && this.#valued.length === 0;
  }

  /** Bytes that the batch will have: its records so far, and the values that were replaced as they were then. */
  get byteLength(): number {
    return this.#length * WORD_BYTES + this.#valueBytes;
  }

  /** The part of it that is values which were replaced. */
  get valueBytes(): number {
    return this.#valueBytes;
  }

  /** Entries whose value has changed in this batch: each costs `take` a little. */
  get valuedEntries(): number {
    return this.#valued.length;
  }

  bit(contents: Contents, entry: number, offset: number, bit: Bit): void {
    const flags = this.#touchValue(contents, entry);
    if ((flags & FLAG.REWRITTEN) !== 0) return;
    this.#header(KIND.bit, contents.entries.id(entry), 1, bit);
    this.#words[this.#length++] = offset;
  }

  value(contents: Contents, entry: number): void {
    const { entries, expressions } = contents;
    const id = entries.id(entry);
    const combined = combinedRows(contents, entry);
    // The same report again: it is what the file has, or gets with this batch.
    if (combined !== undefined && expressions.isSame(id, combined.expression)) {
      expressions.renew(id, combined.result);
      return;
    }
    // What it was does not matter any more.
    if ((entries.flags(entry) & FLAG.LINKED) !== 0) this.#release(contents, entry);
    this.#touchValue(contents, entry);
    const isExpression =
      combined !== undefined && expressions.add(id, combined.expression, combined.bytes, combined.result);
    if (isExpression) for (const each of combined.entries) setFlag(contents, each, FLAG.LINKED);
    this.#countReplaced(
      id,
      isExpression ? 0 : (entries.native(entry)?.portableBytesMax ?? entries.portableBytes(entry)),
    );
    setFlag(contents, entry, FLAG.REWRITTEN);
  }

  #countReplaced(id: number, bytes: number): void {
    this.#valueBytes += bytes - (this.#replaced.get(id) ?? 0);
    this.#replaced.set(id, bytes);
  }

  /**
   * The value of a row changes: what is an expression of it has to be made before. What is in memory, where it would hold the source as it was, is
   * made here for the batch; any other by the writer. The row is no expression itself any more: returns what it was, if it was one.
   */
  #release(contents: Contents, entry: number): Unmade | undefined {
    const { entries, expressions } = contents;
    const id = entries.id(entry);
    entries.setFlags(entry, entries.flags(entry) & ~FLAG.LINKED);
    for (const unmade of expressions.release(id)) {
      const { result } = unmade;
      const known = result?.unmade === undefined ? NO_ENTRY : entries.entryOf(result);
      if (known === NO_ENTRY) {
        this.#make(unmade);
      } else {
        this.#note(contents, known, entries.flags(known));
        this.#countReplaced(unmade.id, (result as Bitmap).portableBytesMax);
        setFlag(contents, known, FLAG.REWRITTEN);
      }
    }
    return expressions.drop(id);
  }

  /** The same of a row that goes on from the value that it had. */
  #releaseAll(contents: Contents, entry: number): void {
    const own = this.#release(contents, entry);
    if (own !== undefined) this.#make(own);
  }

  #make({ id, bytes }: Unmade): void {
    this.#header(KIND.make, id, 0);
    this.#countReplaced(id, bytes);
  }

  create(contents: Contents, entry: number): void {
    this.#touchValue(contents, entry);
    this.#named(KIND.create, contents, entry);
  }

  rekey(contents: Contents, entry: number): void {
    this.#touch(contents, entry);
    this.#named(KIND.rekey, contents, entry);
  }

  /** The row, with what has changed of its value, has another entry now. */
  moveValue(source: Contents, from: number, target: Contents, to: number): void {
    // Expressions are of rows of one database; one of this batch is noted again for the new entry.
    if (source !== target || (source.entries.flags(from) & FLAG.REWRITTEN) !== 0) {
      this.#releaseAll(source, from);
    }
    const flags = source.entries.flags(from);
    setFlag(target, to, flags & FLAG.LINKED);
    if ((flags & FLAG.REWRITTEN) !== 0) this.value(target, to);
    else if ((flags & FLAG.VALUED) !== 0) this.#touchValue(target, to);
    source.entries.setFlags(from, flags & ~(FLAG.VALUED | FLAG.REWRITTEN));
  }

  delete(contents: Contents, entry: number): void {
    this.#touch(contents, entry);
    if ((contents.entries.flags(entry) & FLAG.LINKED) !== 0) this.#release(contents, entry);
    this.#header(KIND.delete, contents.entries.id(entry), 0);
  }

  /** A name that is free again because its row was given another one: nothing to write, but a tombstone to keep. */
  vacate(contents: Contents, tombstone: number): void {
    this.#touch(contents, tombstone);
  }

  deadline(contents: Contents, entry: number): void {
    this.#touch(contents, entry);
    this.#header(KIND.deadline, contents.entries.id(entry), 2);
    this.#float[0] = contents.entries.deadline(entry);
    this.#words[this.#length++] = this.#floatWords[0] as number;
    this.#words[this.#length++] = this.#floatWords[1] as number;
  }

  dropSlot(slot: number): void {
    this.#header(KIND.dropSlot, slot, 0);
  }

  reserveSlot(slot: number): void {
    this.#header(KIND.reserveSlot, slot, 0);
  }

  database({ slot, number, keys, volatileKeys }: StoredDatabase): void {
    this.#header(KIND.database, slot, 5);
    this.#words[this.#length++] = number;
    this.#pushWide(keys);
    this.#pushWide(volatileKeys);
  }

  /** Appends to a value that is no key's yet. */
  piece(id: number, { first, byteLength, cardinality }: PieceFacts, piece: Bitmap): void {
    const bytes = piece.portableBytes;
    const words = wordsFor(bytes);
    this.#header(KIND.piece, id, PIECE_WORDS + words);
    this.#words[this.#length++] = first;
    this.#words[this.#length++] = byteLength;
    this.#pushWide(cardinality);
    this.#words[this.#length++] = bytes;
    piece.writePortable(new Uint8Array(this.#words.buffer, this.#length * WORD_BYTES, bytes));
    this.#length += words;
  }

  /** A value that has become no key's. */
  dropPieces(id: number): void {
    this.#header(KIND.delete, id, 0);
  }

  /** Closes the batch and opens the next. */
  take(): BatchDraft {
    this.#reserve(this.#valued.length * MEASURE_WORDS);
    this.#valued.forEach((entry, i) => {
      const contents = this.#valuedIn[i] as Contents;
      if (!contents.dropped) this.#finish(contents, entry);
    });
    const draft = new BatchDraft(this.number, this.#words, this.#length, this.#held);
    this.number++;
    this.#valued = [];
    this.#valuedIn = [];
    this.#held = [];
    this.#replaced.clear();
    this.#valueBytes = 0;
    this.#length = 0;
    this.#words = this.#spare ?? newWords(INITIAL_WORDS);
    this.#spare = undefined;
    return draft;
  }

  /** Takes back the memory of a batch that is done with. */
  reuse({ buffer }: Uint32Array): void {
    if (buffer instanceof ArrayBuffer) giveBack(buffer);
    else if (buffer.byteLength > (this.#spare?.byteLength ?? 0)) this.#spare = new Uint32Array(buffer);
  }

  #touch(contents: Contents, entry: number): void {
    contents.entries.setBatch(entry, this.number);
  }

  /** Notes that the value has changed, and returns the entry's flags. */
  #touchValue(contents: Contents, entry: number): number {
    const { entries } = contents;
    entries.setBatch(entry, this.number);
    let flags = entries.flags(entry);
    if ((flags & (FLAG.VALUED | FLAG.LINKED)) === FLAG.VALUED) return flags;
    if ((flags & FLAG.LINKED) !== 0) this.#releaseAll(contents, entry);
    flags &= ~FLAG.LINKED;
    return this.#note(contents, entry, flags);
  }

  #note(contents: Contents, entry: number, flags: number): number {
    if ((flags & FLAG.VALUED) !== 0) return flags;
    contents.entries.setBatch(entry, this.number);
    contents.entries.setFlags(entry, flags | FLAG.VALUED);
    this.#valued.push(entry);
    this.#valuedIn.push(contents);
    return flags | FLAG.VALUED;
  }

  /** Writes what the batch has to say of a changed value at its end. */
  #finish(contents: Contents, entry: number): void {
    const { entries } = contents;
    // The number may be nobody's by now, or another entry's, and that one may be here twice.
    if (!entries.isUsed(entry)) return;
    const flags = entries.flags(entry);
    if ((flags & FLAG.VALUED) === 0) return;
    entries.setFlags(entry, flags & ~(FLAG.VALUED | FLAG.REWRITTEN));
    if ((flags & FLAG.DEAD) !== 0) return;
    const id = entries.id(entry);
    this.#header(KIND.measure, id, MEASURE_WORDS - 2);
    this.#words[this.#length++] = entries.byteLength(entry);
    this.#pushWide(entries.cardinality(entry));
    if ((flags & FLAG.REWRITTEN) !== 0) this.#value(contents, entry, id);
  }

  #value(contents: Contents, entry: number, id: number): void {
    const { entries, expressions } = contents;
    const expression = expressions.get(id);
    if (expression !== undefined) {
      this.#expression(id, expression);
      return;
    }
    const bitmap = entries.native(entry);
    if (bitmap !== undefined) {
      this.#held.push({ id, bitmap: bitmap.hold(), contents, entry });
      return;
    }
    const bytes = entries.portableBytes(entry);
    const words = wordsFor(bytes);
    this.#header(KIND.value, id, 1 + words);
    this.#words[this.#length++] = bytes;
    entries.writePortable(entry, new Uint8Array(this.#words.buffer, this.#length * WORD_BYTES, bytes));
    this.#length += words;
  }

  #expression(id: number, { op, sources }: Expression): void {
    this.#header(KIND.expression, id, 1 + 2 * sources.length, BITOPS.indexOf(op));
    this.#words[this.#length++] = sources.length;
    for (const source of sources) this.#pushWide(source);
  }

  #named(kind: number, { entries, slot }: Contents, entry: number): void {
    const key = entries.key(entry);
    const words = wordsFor(key.length);
    this.#header(kind, entries.id(entry), 2 + words);
    this.#words[this.#length++] = slot;
    this.#words[this.#length++] = key.length;
    Buffer.from(this.#words.buffer, this.#length * WORD_BYTES, key.length).write(key, "latin1");
    this.#length += words;
  }

  /** Begins a record and makes room for `words` more. */
  #header(kind: number, id: number, words: number, detail = 0): void {
    this.#reserve(words + HEADER_WORDS);
    writeHeader(this.#words, this.#length, kind, id, detail);
    this.#length += HEADER_WORDS;
  }

  #pushWide(value: number): void {
    this.#words[this.#length++] = Math.floor(value / 2 ** 32);
    this.#words[this.#length++] = value;
  }

  #reserve(words: number): void {
    if (this.#length + words > this.#words.length) this.#words = grown(this.#words, this.#length, this.#length + words);
  }
}

/** What a value is of others, if it is not made and they are values of the same database now. */
interface Combined {
  expression: Expression;
  result: Bitmap;
  /** Its entry, and theirs. */
  entries: readonly number[];
  /** What all of them take at most. */
  bytes: number;
}

function combinedRows({ entries }: Contents, entry: number): Combined | undefined {
  const result = entries.native(entry);
  const combination = result?.unmade;
  if (result === undefined || !(combination instanceof Combination)) return undefined;
  const sources = combination.sources.map((source) => entries.entryOf(source));
  if (sources.includes(NO_ENTRY)) return undefined;
  const all = [entry, ...sources];
  const expression = { op: combination.op, sources: sources.map((source) => entries.id(source)) };
  // By what the entries say: to ask the sets would be to look at all their containers.
  const bytesMax = (each: number) =>
    portableBytesMax({ cardinality: entries.cardinality(each), byteLength: entries.byteLength(each) });
  return { expression, result, entries: all, bytes: all.reduce((sum, each) => sum + bytesMax(each), 0) };
}

function setFlag({ entries }: Contents, entry: number, flag: number): void {
  entries.setFlags(entry, entries.flags(entry) | flag);
}

/** A record's kind and id. */
const HEADER_WORDS = 2;
/** The same and how many bytes follow. */
const VALUE_HEADER_WORDS = HEADER_WORDS + 1;

/** A word takes the lower 32 bits of what it is given: a `%` would take longer than all the rest of a record. */
function writeHeader(words: Uint32Array, at: number, kind: number, id: number, detail = 0): void {
  words[at] = kind | (detail << 8) | (Math.floor(id / 2 ** 32) << 16);
  words[at + 1] = id;
}

/** The first `length` words in memory for at least `needed`. */
function grown(words: Words, length: number, needed: number): Words {
  const larger = newWords(roomFor(needed, words.length));
  larger.set(words.subarray(0, length));
  if (words.buffer instanceof ArrayBuffer) giveBack(words.buffer);
  else passing(words.buffer.byteLength);
  return larger;
}

/** Twice what there was; shared memory is soon as large as it gets, since what it has outgrown waits for a collection of all objects. */
function roomFor(needed: number, before: number): number {
  const room = Math.max(before * 2, needed);
  const shared = SHARED_BYTES_MAX / WORD_BYTES;
  return needed <= shared && room > shared / SHARED_STEPS ? shared : room;
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
      case KIND.measure:
        visitor.measure(id, at(i), wide(i + 1));
        i += 3;
        break;
      case KIND.value:
        visitor.value(id, bytesAt(words, i + 1, at(i)));
        i += 1 + wordsFor(at(i));
        break;
      case KIND.expression: {
        const sources = Array.from({ length: at(i) }, (_, n) => wide(i + 1 + 2 * n));
        visitor.expression(id, { op: BITOPS[(head >>> 8) & 0xff] as BitOp, sources });
        i += 1 + 2 * sources.length;
        break;
      }
      case KIND.make:
        visitor.make(id);
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
      case KIND.reserveSlot:
        visitor.reserveSlot(id);
        break;
      case KIND.database:
        visitor.database({ number: at(i), slot: id, keys: wide(i + 1), volatileKeys: wide(i + 3) });
        i += 5;
        break;
      case KIND.piece: {
        const facts = { first: at(i), byteLength: at(i + 1), cardinality: wide(i + 2) };
        visitor.piece(id, facts, bytesAt(words, i + PIECE_WORDS, at(i + 4)));
        i += PIECE_WORDS + wordsFor(at(i + 4));
        break;
      }
      default:
        throw new Error(`change log: record of unknown kind ${head & 0xff} at word ${i - 2}`);
    }
  }
}

function bytesAt(words: Uint32Array, index: number, bytes: number): Buffer {
  return Buffer.from(words.buffer, words.byteOffset + index * WORD_BYTES, bytes);
}
