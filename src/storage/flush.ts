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
import type { Garbage } from "./garbage.js";
import { type ChangedRow, encodeLog, lastBits, logChecksum } from "./log.js";
import type { Connection } from "./schema.js";
import { portableOf, type Values } from "./values.js";

/**
 * What a batch makes of one row. Absent fields stay as they are. A batch of new keys has one of these for each: it is one object,
 * since the collector copies whatever lives until the end of the flush.
 */
class RowChange {
  isNew = false;
  deleted = false;
  /** The row's name, where it is new or was given another. */
  key: string | undefined = undefined;
  slot = 0;
  deadline: number | undefined = undefined;
  portable: Uint8Array | undefined = undefined;
  byteLength = 0;
  cardinality = 0;
  /** The first single bit that changed, as `offset * 2 + bit`: most rows have no other. NO_BIT for none. */
  #firstBit = NO_BIT;
  /** The later ones in the order of their change: a batch may have millions. */
  #laterBits: number[] | undefined = undefined;

  addBit(packed: number): void {
    if (this.#firstBit === NO_BIT) this.#firstBit = packed;
    else if (this.#laterBits === undefined) this.#laterBits = [packed];
    else this.#laterBits.push(packed);
  }

  dropBits(): void {
    this.#firstBit = NO_BIT;
    this.#laterBits = undefined;
  }

  /** Single bits in the order of their change, each as `offset * 2 + bit`. */
  get bits(): number[] {
    if (this.#firstBit === NO_BIT) return [];
    return this.#laterBits === undefined ? [this.#firstBit] : [this.#firstBit, ...this.#laterBits];
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

const NO_BIT = -1;
const NO_WORDS = new Uint8Array(0);

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
    const changes = new Changes();
    readBatch(batch, changes);
    const flushed: Flushed = { replaced: new Map(), changed: new Map(), logWords: NO_WORDS, named: 0 };
    this.#connection
      .transaction(() => {
        // In the order of the ids, which is the order of the rows on the pages.
        for (const id of Float64Array.from(changes.rows.keys()).sort()) {
          this.#flushRow(id, changes.rows.get(id) as RowChange, changes.droppedSlots, flushed);
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

  #flushRow(id: number, change: RowChange, droppedSlots: ReadonlySet<number>, flushed: Flushed): void {
    const gone = change.deleted || (change.key !== undefined && droppedSlots.has(change.slot));
    if (change.isNew) {
      if (gone) return;
      this.#insert(id, change);
      flushed.named++;
    } else if (gone) {
      flushed.replaced.set(id, this.#garbage.deleteKey(id));
    } else {
      this.#update(id, change, flushed);
    }
  }

  #insert(id: number, change: RowChange): void {
    const { key, slot, deadline, byteLength, cardinality } = change;
    if (key === undefined) throw new Error(`change log: row ${id} is new and has no key`);
    const bytes = this.#values.insert(id, change.portable ?? portableOf(lastBits(change.bits).ones));
    const name = Buffer.from(key, "latin1");
    this.#insertKey.run(id, slot, keyHash(key), name, byteLength, cardinality, toColumn(deadline), bytes);
  }

  #update(id: number, change: RowChange, flushed: Flushed): void {
    const { key, slot, deadline, portable, byteLength, cardinality, bits } = change;
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

/** Gathers a batch's records by row. */
class Changes implements BatchVisitor {
  readonly rows = new Map<number, RowChange>();
  readonly droppedSlots = new Set<number>();
  readonly databases = new Map<number, StoredDatabase>();

  bit(id: number, offset: number, bit: Bit): void {
    this.#row(id).addBit(offset * 2 + bit);
  }

  measure(id: number, byteLength: number, cardinality: number): void {
    const row = this.#row(id);
    row.byteLength = byteLength;
    row.cardinality = cardinality;
  }

  value(id: number, portable: Uint8Array): void {
    const row = this.#row(id);
    row.portable = portable;
    row.dropBits();
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
    row.dropBits();
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
      row = new RowChange();
      this.rows.set(id, row);
    }
    return row;
  }
}

function toColumn(deadline: number | undefined): number | null {
  return deadline === undefined || deadline === NO_DEADLINE ? null : deadline;
}
