/**
 * Commits a batch of the change log: one transaction, so that the file is at every moment a prefix of history. It first gathers
 * what the batch makes of each row: a key which came and went within the batch costs nothing. What keys there are, their
 * names and deadlines, and whole values are written where they belong; single bits of keys that were there before are appended to
 * the log, for the Folder to bring them home.
 */
import type { Statement } from "better-sqlite3";
import { type Batch, type BatchVisitor, readBatch } from "../keyspace/change-log.js";
import { keyHash } from "../keyspace/hash.js";
import { type Expression, NO_DEADLINE, type PieceFacts, type StoredDatabase } from "../keyspace/storage.js";
import type { Bit } from "../keyspace/value.js";
import { giveBack, movedTo } from "../passing-buffer.js";
import type { ExpressionMaker } from "./expression-maker.js";
import type { Garbage } from "./garbage.js";
import { type ChangedRow, LogEncoder, lastBits, logChecksum } from "./log.js";
import { RowTable } from "./row-table.js";
import type { Connection } from "./schema.js";
import { portableOf, type Values } from "./values.js";

/**
 * What a batch makes of one row beyond its single bits and its size. Absent fields stay as they are. A batch of new keys has one of these
 * for each: it is one object, since the collector copies whatever lives until the end of the flush.
 */
class RowChange {
  isNew = false;
  deleted = false;
  /** The row's name, where it is new or was given another. */
  key: string | undefined = undefined;
  slot = 0;
  deadline: number | undefined = undefined;
  portable: Uint8Array | undefined = undefined;
  expression: Expression | undefined = undefined;
}

/** Of a row of which nothing but bits has changed. */
const BITS_ONLY = new RowChange();

/** What a flush leaves to the Folder. */
export interface Flushed {
  /** Rows whose value was replaced or is gone, with the bytes of deltas they had: earlier bits mean nothing any more. */
  replaced: Map<number, number>;
  /** Rows that were there before of which single bits have changed. */
  changedRows: number;
  /** Those bits and the replaced rows, as they were appended to the log; empty when there was nothing of it. Good until the next flush. */
  logWords: Uint8Array;
  /** Names that were added to the index. */
  named: number;
}

/** What the log has of rows. */
export interface Logged {
  has(id: number): boolean;
  /** In their order. */
  changes(id: number): ChangedRow[];
}

/** Bits and rows of a batch that there is room for at first. A power of two. */
const ROOM_MIN = 1024;
/** Room for more bits than this, which a transaction of any size may need, is given back before the next batch. */
const ROOM_BITS_MAX = 2 ** 20;
const NO_WORDS = new Uint8Array(0);
const NO_BITS = new Float64Array(0);

export class Flusher {
  readonly #connection: Connection;
  readonly #values: Values;
  readonly #garbage: Garbage;
  readonly #maker: ExpressionMaker;
  readonly #insertKey: Statement<[number, number, number, Buffer, number, number, number | null, number]>;
  readonly #updateName: Statement<[number, number, Buffer, number]>;
  readonly #updateDeadline: Statement<[number | null, number]>;
  readonly #updateValue: Statement<[number, number, number, number]>;
  readonly #deltaBytes: Statement<[number], { bytes: number }>;
  readonly #deleteDatabase: Statement<[number]>;
  readonly #insertDatabase: Statement<[number, number, number, number]>;
  readonly #appendLog: Statement<[number, Uint8Array, number]>;
  readonly #appendValue: Statement<[number, number, number, number, number]>;
  readonly #log = new LogEncoder();
  #changes = new Changes();
  #nextLogRow: number;

  constructor(connection: Connection, values: Values, garbage: Garbage, maker: ExpressionMaker) {
    this.#maker = maker;
    this.#connection = connection;
    this.#values = values;
    this.#garbage = garbage;
    this.#insertKey = connection.prepare(
      `INSERT INTO keys (id, slot, hash, key, byte_length, cardinality, deadline, chunk_bytes, delta_bytes)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)`,
    );
    this.#updateName = connection.prepare("UPDATE keys SET slot = ?, hash = ?, key = ? WHERE id = ?");
    this.#updateDeadline = connection.prepare("UPDATE keys SET deadline = ? WHERE id = ?");
    this.#updateValue = connection.prepare(
      "UPDATE keys SET byte_length = ?, cardinality = ?, chunk_bytes = ?, delta_bytes = 0 WHERE id = ?",
    );
    this.#deltaBytes = connection.prepare("SELECT delta_bytes AS bytes FROM keys WHERE id = ?");
    this.#deleteDatabase = connection.prepare("DELETE FROM databases WHERE number = ?");
    this.#insertDatabase = connection.prepare(
      "INSERT INTO databases (slot, number, keys, volatile_keys) VALUES (?, ?, ?, ?)",
    );
    this.#appendLog = connection.prepare("INSERT INTO log (batch, words, checksum) VALUES (?, ?, ?)");
    this.#appendValue = connection.prepare(
      `INSERT INTO keys (id, slot, hash, key, byte_length, cardinality, deadline, chunk_bytes, delta_bytes)
       VALUES (?, ?, 0, x'', ?, ?, NULL, ?, 0)
       ON CONFLICT (id) DO UPDATE SET byte_length = excluded.byte_length, cardinality = excluded.cardinality,
         chunk_bytes = chunk_bytes + excluded.chunk_bytes`,
    );
    this.#nextLogRow = lastLogRow(connection) + 1;
  }

  /** Number of the log's newest row. */
  get lastLogRow(): number {
    return this.#nextLogRow - 1;
  }

  /** Gives back what batches have used. */
  rest(): void {
    this.#changes.dispose();
    this.#changes = new Changes();
    this.#log.rest();
  }

  /** Commits the batch, or throws and leaves the database as it was. */
  flush(batch: Batch, logged: Logged): Flushed {
    const changes = this.#changes;
    changes.read(batch);
    this.#log.clear();
    const flushed: Flushed = { replaced: new Map(), changedRows: 0, logWords: NO_WORDS, named: 0 };
    this.#connection
      .transaction(() => {
        for (const id of changes.unmade)
          if (!changes.isReplaced(id)) this.#maker.make(id, (row) => logged.changes(row));
        for (const piece of changes.pieces) this.#append(...piece);
        // In the order of the ids, which is the order of the rows on the pages.
        for (const id of changes.ids()) this.#flushRow(id, changes.indexOf(id), changes, flushed);
        for (const slot of changes.reservedSlots) this.#garbage.reserveSlot(slot);
        for (const slot of changes.droppedSlots) this.#garbage.dropSlot(slot);
        // All of them leave before any comes back: two databases may have exchanged their slots.
        for (const { number } of changes.databases.values()) this.#deleteDatabase.run(number);
        for (const { slot, number, keys, volatileKeys } of changes.databases.values()) {
          this.#insertDatabase.run(slot, number, keys, volatileKeys);
          this.#garbage.keepSlot(slot);
        }
        for (const id of flushed.replaced.keys()) if (logged.has(id)) this.#log.replaced(id);
        flushed.logWords = this.#appendLogRow();
        // Immediate: a transaction that reads first could not wait for somebody else's lock.
      })
      .immediate();
    if (flushed.logWords.length > 0) this.#nextLogRow++;
    return flushed;
  }

  #flushRow(id: number, index: number, changes: Changes, flushed: Flushed): void {
    const change = changes.of(index);
    const gone = change.deleted || (change.key !== undefined && changes.droppedSlots.has(change.slot));
    const row = {
      byteLength: changes.byteLength(index),
      cardinality: changes.cardinality(index),
      bits: changes.bits(index),
    };
    if (change.isNew) {
      if (gone) return;
      this.#insert(id, change, row);
      flushed.named++;
    } else if (gone) {
      flushed.replaced.set(id, this.#garbage.deleteKey(id));
      this.#garbage.keepSlot(slotOfPieces(id));
    } else {
      this.#update(id, change, row, flushed);
    }
  }

  #insert(
    id: number,
    { key, slot, deadline, portable, expression }: RowChange,
    { byteLength, cardinality, bits }: ChangedRow,
  ): void {
    if (key === undefined) throw new Error(`change log: row ${id} is new and has no key`);
    let bytes = 0;
    if (expression === undefined) bytes = this.#values.insert(id, portable ?? portableOf(lastBits(bits).ones));
    else this.#values.express(id, expression);
    const name = Buffer.from(key, "latin1");
    this.#insertKey.run(id, slot, keyHash(key), name, byteLength, cardinality, toColumn(deadline), bytes);
  }

  #update(id: number, change: RowChange, changed: ChangedRow, flushed: Flushed): void {
    const { key, slot, deadline, portable, expression } = change;
    if (key !== undefined) {
      this.#updateName.run(slot, keyHash(key), Buffer.from(key, "latin1"), id);
      this.#garbage.keepSlot(slotOfPieces(id));
      flushed.named++;
    }
    if (deadline !== undefined) this.#updateDeadline.run(toColumn(deadline), id);
    if (portable !== undefined || expression !== undefined) {
      // A row whose slot was dropped earlier may be gone, and what was still done to it with it.
      const row = this.#deltaBytes.get(id);
      if (row === undefined) return;
      flushed.replaced.set(id, row.bytes);
      let bytes = 0;
      if (portable !== undefined) bytes = this.#values.replace(id, portable);
      else if (expression !== undefined) this.#values.express(id, expression);
      this.#updateValue.run(changed.byteLength, changed.cardinality, bytes, id);
    } else if (changed.bits.length > 0) {
      this.#log.changed(id, changed);
      flushed.changedRows++;
    }
  }

  #append(id: number, { first, byteLength, cardinality }: PieceFacts, portable: Uint8Array): void {
    const slot = slotOfPieces(id);
    this.#garbage.reserveSlot(slot);
    this.#appendValue.run(id, slot, byteLength, cardinality, this.#values.insert(id, portable, first));
  }

  #appendLogRow(): Uint8Array {
    const { words } = this.#log;
    if (words.length === 0) return NO_WORDS;
    const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    this.#appendLog.run(this.#nextLogRow, bytes, logChecksum(this.#nextLogRow, bytes));
    return bytes;
  }
}

/** Where the row of a value in pieces is until it is a key's: a slot of its own, which no database ever gets. */
const slotOfPieces = (id: number): number => -id;

function lastLogRow(connection: Connection): number {
  return connection.prepare<[], { batch: number | null }>("SELECT max(batch) AS batch FROM log").get()?.batch ?? 0;
}

/**
 * Gathers a batch's records by row. There may be a million bits, in ten thousand rows: they are numbers in flat memory, first in the order of
 * their change and then by row, and that memory is used again for the next batch. An object for each row, or memory that is new each time,
 * takes twice as long.
 */
class Changes implements BatchVisitor {
  readonly droppedSlots = new Set<number>();
  readonly reservedSlots = new Set<number>();
  readonly databases = new Map<number, StoredDatabase>();
  readonly pieces: Parameters<BatchVisitor["piece"]>[] = [];
  /** Rows whose values are to be made as they were before, where they are expressions. */
  readonly unmade = new Set<number>();
  /** Rows in the order in which they came; what is told of one is at its index. */
  readonly #rows = new RowTable();
  readonly #of = new Map<number, RowChange>();
  #byteLengths = new Uint32Array(ROOM_MIN);
  #cardinalities = new Float64Array(ROOM_MIN);
  /** How many single bits of each row were changed since its value was replaced or deleted. */
  #bitCounts = new Uint32Array(ROOM_MIN);
  /** Bits of the batch before this one mean nothing to the row. */
  #bitsFrom = new Uint32Array(ROOM_MIN);
  /** Where its bits end among those of all rows. */
  #bitsEnds = new Uint32Array(ROOM_MIN);
  /** Single bits in the order of their change, each as `offset * 2 + bit`, and the row of each. */
  #bits = new Float64Array(ROOM_MIN);
  #rowOfBit = new Uint32Array(ROOM_MIN);
  #bitCount = 0;
  /** The same bits by row, and for each row in the order of their change. */
  #bitsByRow = new Float64Array(ROOM_MIN);

  /** Begins anew, with what `batch` says. What was said of the last one must not be used any more. */
  read(batch: Batch): void {
    this.#rows.clear();
    this.#of.clear();
    this.droppedSlots.clear();
    this.reservedSlots.clear();
    this.databases.clear();
    this.pieces.length = 0;
    this.unmade.clear();
    this.#bitCount = 0;
    if (this.#bits.length > ROOM_BITS_MAX) this.#growBits(ROOM_MIN);
    readBatch(batch, this);
    this.#sort();
  }

  /** Gives its memory back soon. It must not be used again. */
  dispose(): void {
    for (const { buffer } of [this.#bits, this.#rowOfBit, this.#bitsByRow]) giveBack(buffer);
  }

  /** The ids of all rows, ascending. */
  ids(): Float64Array {
    return this.#rows.ids().sort();
  }

  indexOf(id: number): number {
    return this.#rows.indexOf(id);
  }

  of(index: number): RowChange {
    return this.#of.get(index) ?? BITS_ONLY;
  }

  /** Whether nothing is left of what a row's value was before. */
  isReplaced(id: number): boolean {
    const change = this.of(this.#rows.indexOf(id));
    return change.deleted || change.portable !== undefined || change.expression !== undefined;
  }

  byteLength(index: number): number {
    return this.#byteLengths[index] as number;
  }

  cardinality(index: number): number {
    return this.#cardinalities[index] as number;
  }

  /** Single bits of a row in the order of their change, each as `offset * 2 + bit`: a view. */
  bits(index: number): Float64Array {
    const count = this.#bitCounts[index] as number;
    if (count === 0) return NO_BITS;
    const end = this.#bitsEnds[index] as number;
    return this.#bitsByRow.subarray(end - count, end);
  }

  #sort(): void {
    if (this.#bitsByRow.length < this.#bitCount) this.#bitsByRow = new Float64Array(this.#bits.length);
    let end = 0;
    for (let index = 0; index < this.#rows.size; index++) {
      this.#bitsEnds[index] = end;
      end += this.#bitCounts[index] as number;
    }
    for (let i = 0; i < this.#bitCount; i++) {
      const index = this.#rowOfBit[i] as number;
      if (i < (this.#bitsFrom[index] as number)) continue;
      const at = this.#bitsEnds[index] as number;
      this.#bitsByRow[at] = this.#bits[i] as number;
      this.#bitsEnds[index] = at + 1;
    }
  }

  bit(id: number, offset: number, bit: Bit): void {
    const index = this.#row(id);
    this.#bitCounts[index] = (this.#bitCounts[index] as number) + 1;
    if (this.#bitCount === this.#bits.length) this.#growBits(this.#bitCount * 2);
    this.#bits[this.#bitCount] = offset * 2 + bit;
    this.#rowOfBit[this.#bitCount++] = index;
  }

  #growBits(room: number): void {
    this.#bits = movedTo(this.#bits, new Float64Array(room), this.#bitCount);
    this.#rowOfBit = movedTo(this.#rowOfBit, new Uint32Array(room), this.#bitCount);
    giveBack(this.#bitsByRow.buffer);
    this.#bitsByRow = new Float64Array(0);
  }

  #dropBits(index: number): void {
    this.#bitCounts[index] = 0;
    this.#bitsFrom[index] = this.#bitCount;
  }

  measure(id: number, byteLength: number, cardinality: number): void {
    const index = this.#row(id);
    this.#byteLengths[index] = byteLength;
    this.#cardinalities[index] = cardinality;
  }

  value(id: number, portable: Uint8Array): void {
    const index = this.#row(id);
    this.#change(index).portable = portable;
    this.#dropBits(index);
  }

  expression(id: number, expression: Expression): void {
    const index = this.#row(id);
    this.#change(index).expression = expression;
    this.#dropBits(index);
  }

  make(id: number): void {
    this.unmade.add(id);
  }

  create(id: number, slot: number, key: string): void {
    this.#change(this.#row(id)).isNew = true;
    this.rekey(id, slot, key);
  }

  rekey(id: number, slot: number, key: string): void {
    const change = this.#change(this.#row(id));
    change.slot = slot;
    change.key = key;
  }

  delete(id: number): void {
    const index = this.#row(id);
    this.#change(index).deleted = true;
    this.#dropBits(index);
  }

  deadline(id: number, deadline: number): void {
    this.#change(this.#row(id)).deadline = deadline;
  }

  dropSlot(slot: number): void {
    this.droppedSlots.add(slot);
  }

  reserveSlot(slot: number): void {
    this.reservedSlots.add(slot);
  }

  database(database: StoredDatabase): void {
    this.databases.set(database.number, database);
  }

  piece(...piece: Parameters<BatchVisitor["piece"]>): void {
    this.pieces.push(piece);
  }

  #change(index: number): RowChange {
    let change = this.#of.get(index);
    if (change === undefined) {
      change = new RowChange();
      this.#of.set(index, change);
    }
    return change;
  }

  /** The row's index. */
  #row(id: number): number {
    const before = this.#rows.size;
    const index = this.#rows.add(id);
    if (index < before) return index;
    if (index === this.#bitCounts.length) this.#growRows(2 * index);
    this.#byteLengths[index] = 0;
    this.#cardinalities[index] = 0;
    this.#bitCounts[index] = 0;
    this.#bitsFrom[index] = 0;
    return index;
  }

  #growRows(room: number): void {
    this.#byteLengths = movedTo(this.#byteLengths, new Uint32Array(room));
    this.#cardinalities = movedTo(this.#cardinalities, new Float64Array(room));
    this.#bitCounts = movedTo(this.#bitCounts, new Uint32Array(room));
    this.#bitsFrom = movedTo(this.#bitsFrom, new Uint32Array(room));
    this.#bitsEnds = new Uint32Array(room);
  }
}

function toColumn(deadline: number | undefined): number | null {
  return deadline === undefined || deadline === NO_DEADLINE ? null : deadline;
}
