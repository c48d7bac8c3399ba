/**
 * Commits a batch of the change log: one transaction, so that the file is at every moment a prefix of history. It first gathers
 * what the batch makes of each row: a key which came and went within the batch costs nothing. What keys there are, their
 * names and deadlines, and whole values are written where they belong; single bits of keys that were there before are appended to
 * the log, for the Folder to bring them home.
 */
import type { Statement } from "better-sqlite3";
import { type Batch, type BatchVisitor, readBatch } from "../keyspace/change-log.js";
import { keyHash } from "../keyspace/hash.js";
import { NO_DEADLINE, type StoredDatabase } from "../keyspace/storage.js";
import type { Bit } from "../keyspace/value.js";
import { passingBuffer } from "../passing-buffer.js";
import type { Garbage } from "./garbage.js";
import { type ChangedRow, encodeLog, lastBits, logChecksum } from "./log.js";
import type { Connection } from "./schema.js";
import { portableOf, type Values } from "./values.js";

/**
 * What a batch makes of one row. Absent fields stay as they are. A batch of new keys has one of these for each: it is one object,
 * since the collector copies whatever lives until the end of the flush.
 */
class RowChange {
  /** Its place among the rows of the batch. */
  readonly index: number;
  isNew = false;
  deleted = false;
  /** The row's name, where it is new or was given another. */
  key: string | undefined = undefined;
  slot = 0;
  deadline: number | undefined = undefined;
  portable: Uint8Array | undefined = undefined;
  byteLength = 0;
  cardinality = 0;
  /** Bits of the batch before this one mean nothing to the row. */
  bitsFrom = 0;
  /** How many single bits were changed since, and where they end among those of all rows. */
  bitCount = 0;
  bitsEnd = 0;

  constructor(index: number) {
    this.index = index;
  }
}

/** What a flush leaves to the Folder. */
export interface Flushed {
  /** Rows whose value was replaced or is gone, with the bytes of deltas they had: earlier bits mean nothing any more. */
  replaced: Map<number, number>;
  /** Single bits of rows that were there before. */
  changed: Map<number, ChangedRow>;
  /** The same and the replaced rows, as it was appended to the log; empty when there was nothing of it. */
  logWords: Uint8Array;
  /** Names that were added to the index. */
  named: number;
}

const FLOAT_BYTES = Float64Array.BYTES_PER_ELEMENT;
/** Bits of a batch that there is room for at first, and by how much it grows. */
const FIRST_BITS = 1024;
const GROWTH = 4;
const NO_WORDS = new Uint8Array(0);
const NO_BITS = new Float64Array(0);

export class Flusher {
  readonly #connection: Connection;
  readonly #values: Values;
  readonly #garbage: Garbage;
  readonly #insertKey: Statement<[number, number, number, Buffer, number, number, number | null, number]>;
  readonly #updateName: Statement<[number, number, Buffer, number]>;
  readonly #updateDeadline: Statement<[number | null, number]>;
  readonly #updateValue: Statement<[number, number, number, number]>;
  readonly #deltaBytes: Statement<[number], { bytes: number }>;
  readonly #deleteDatabase: Statement<[number]>;
  readonly #insertDatabase: Statement<[number, number, number, number]>;
  readonly #appendLog: Statement<[number, Uint8Array, number]>;
  #nextLogRow: number;

  constructor(connection: Connection, values: Values, garbage: Garbage) {
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
    this.#nextLogRow = lastLogRow(connection) + 1;
  }

  /** Number of the log's newest row. */
  get lastLogRow(): number {
    return this.#nextLogRow - 1;
  }

  /** Commits the batch, or throws and leaves the database as it was. `isPending` says whether the log has bits of a row. */
  flush(batch: Batch, isPending: (id: number) => boolean): Flushed {
    const changes = new Changes(batch);
    const flushed: Flushed = { replaced: new Map(), changed: new Map(), logWords: NO_WORDS, named: 0 };
    this.#connection
      .transaction(() => {
        // In the order of the ids, which is the order of the rows on the pages.
        for (const id of Float64Array.from(changes.rows.keys()).sort()) {
          this.#flushRow(id, changes.rows.get(id) as RowChange, changes, flushed);
        }
        for (const slot of changes.droppedSlots) this.#garbage.dropSlot(slot);
        // All of them leave before any comes back: two databases may have exchanged their slots.
        for (const { number } of changes.databases.values()) this.#deleteDatabase.run(number);
        for (const { slot, number, keys, volatileKeys } of changes.databases.values()) {
          this.#insertDatabase.run(slot, number, keys, volatileKeys);
        }
        flushed.logWords = this.#append(flushed.changed, [...flushed.replaced.keys()].filter(isPending));
        // Immediate: a transaction that reads first could not wait for somebody else's lock.
      })
      .immediate();
    if (flushed.logWords.length > 0) this.#nextLogRow++;
    return flushed;
  }

  #flushRow(id: number, change: RowChange, changes: Changes, flushed: Flushed): void {
    const gone = change.deleted || (change.key !== undefined && changes.droppedSlots.has(change.slot));
    if (change.isNew) {
      if (gone) return;
      this.#insert(id, change, changes.bitsOf(change));
      flushed.named++;
    } else if (gone) {
      flushed.replaced.set(id, this.#garbage.deleteKey(id));
    } else {
      this.#update(id, change, changes.bitsOf(change), flushed);
    }
  }

  #insert(id: number, change: RowChange, bits: Float64Array): void {
    const { key, slot, deadline, byteLength, cardinality } = change;
    if (key === undefined) throw new Error(`change log: row ${id} is new and has no key`);
    const bytes = this.#values.insert(id, change.portable ?? portableOf(lastBits(bits).ones));
    const name = Buffer.from(key, "latin1");
    this.#insertKey.run(id, slot, keyHash(key), name, byteLength, cardinality, toColumn(deadline), bytes);
  }

  #update(id: number, change: RowChange, bits: Float64Array, flushed: Flushed): void {
    const { key, slot, deadline, portable, byteLength, cardinality } = change;
    if (key !== undefined) {
      this.#updateName.run(slot, keyHash(key), Buffer.from(key, "latin1"), id);
      flushed.named++;
    }
    if (deadline !== undefined) this.#updateDeadline.run(toColumn(deadline), id);
    if (portable !== undefined) {
      // A row whose slot was dropped earlier may be gone, and what was still done to it with it.
      const row = this.#deltaBytes.get(id);
      if (row === undefined) return;
      flushed.replaced.set(id, row.bytes);
      this.#updateValue.run(byteLength, cardinality, this.#values.replace(id, portable), id);
    } else if (bits.length > 0) {
      flushed.changed.set(id, { byteLength, cardinality, bits });
    }
  }

  #append(changed: Flushed["changed"], replaced: readonly number[]): Uint8Array {
    if (changed.size === 0 && replaced.length === 0) return NO_WORDS;
    const words = encodeLog(changed, replaced);
    const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    this.#appendLog.run(this.#nextLogRow, bytes, logChecksum(this.#nextLogRow, bytes));
    return bytes;
  }
}

function lastLogRow(connection: Connection): number {
  return connection.prepare<[], { batch: number | null }>("SELECT max(batch) AS batch FROM log").get()?.batch ?? 0;
}

/**
 * Gathers a batch's records by row. There may be a million bits: they are numbers in flat memory, first in the order of their change and
 * then by row, since an array for each row would keep the collector busy for as long as all the rest takes.
 */
class Changes implements BatchVisitor {
  readonly rows = new Map<number, RowChange>();
  readonly droppedSlots = new Set<number>();
  readonly databases = new Map<number, StoredDatabase>();
  readonly #list: RowChange[] = [];
  /** Single bits in the order of their change, each as `offset * 2 + bit`, and the row of each. */
  #bits = new Float64Array(FIRST_BITS);
  #rowOfBit = new Uint32Array(FIRST_BITS);
  #bitCount = 0;
  /** The same bits by row, and for each row in the order of their change. */
  readonly #bitsByRow: Float64Array;

  constructor(batch: Batch) {
    readBatch(batch, this);
    this.#bitsByRow = float64s(this.#bitCount);
    this.#sort();
  }

  #grow(): void {
    const bits = float64s(this.#bits.length * GROWTH);
    bits.set(this.#bits);
    this.#bits = bits;
    const rows = float64s(bits.length / 2);
    const rowOfBit = new Uint32Array(rows.buffer, rows.byteOffset, bits.length);
    rowOfBit.set(this.#rowOfBit);
    this.#rowOfBit = rowOfBit;
  }

  #sort(): void {
    let end = 0;
    for (const row of this.#list) {
      row.bitsEnd = end;
      end += row.bitCount;
    }
    for (let i = 0; i < this.#bitCount; i++) {
      const row = this.#list[this.#rowOfBit[i] as number] as RowChange;
      if (i >= row.bitsFrom) this.#bitsByRow[row.bitsEnd++] = this.#bits[i] as number;
    }
  }

  /** Single bits of a row in the order of their change, each as `offset * 2 + bit`: a view. */
  bitsOf({ bitCount, bitsEnd }: RowChange): Float64Array {
    return bitCount === 0 ? NO_BITS : this.#bitsByRow.subarray(bitsEnd - bitCount, bitsEnd);
  }

  bit(id: number, offset: number, bit: Bit): void {
    const row = this.#row(id);
    row.bitCount++;
    if (this.#bitCount === this.#bits.length) this.#grow();
    this.#bits[this.#bitCount] = offset * 2 + bit;
    this.#rowOfBit[this.#bitCount++] = row.index;
  }

  #dropBits(row: RowChange): void {
    row.bitCount = 0;
    row.bitsFrom = this.#bitCount;
  }

  measure(id: number, byteLength: number, cardinality: number): void {
    const row = this.#row(id);
    row.byteLength = byteLength;
    row.cardinality = cardinality;
  }

  value(id: number, portable: Uint8Array): void {
    const row = this.#row(id);
    row.portable = portable;
    this.#dropBits(row);
  }

  create(id: number, slot: number, key: string): void {
    this.#row(id).isNew = true;
    this.rekey(id, slot, key);
  }

  rekey(id: number, slot: number, key: string): void {
    const row = this.#row(id);
    row.slot = slot;
    row.key = key;
  }

  delete(id: number): void {
    const row = this.#row(id);
    row.deleted = true;
    this.#dropBits(row);
  }

  deadline(id: number, deadline: number): void {
    this.#row(id).deadline = deadline;
  }

  dropSlot(slot: number): void {
    this.droppedSlots.add(slot);
  }

  database(database: StoredDatabase): void {
    this.databases.set(database.number, database);
  }

  #row(id: number): RowChange {
    let row = this.rows.get(id);
    if (row === undefined) {
      row = new RowChange(this.#list.length);
      this.#list.push(row);
      this.rows.set(id, row);
    }
    return row;
  }
}

/** Memory for so many numbers that is soon out of use. */
function float64s(length: number): Float64Array<ArrayBuffer> {
  const { buffer, byteOffset } = passingBuffer((length + 1) * FLOAT_BYTES);
  return new Float64Array(buffer, Math.ceil(byteOffset / FLOAT_BYTES) * FLOAT_BYTES, length);
}

function toColumn(deadline: number | undefined): number | null {
  return deadline === undefined || deadline === NO_DEADLINE ? null : deadline;
}
