/**
 * Applies a batch of the change log to the database in one transaction. It first gathers what the batch makes of each row,
 * so that a key which came and went within the batch costs nothing, and a value is read and written once.
 */
import type { Statement } from "better-sqlite3";
import { type Bit, Bitmap } from "../keyspace/bitmap.js";
import { type Batch, type BatchVisitor, readBatch } from "../keyspace/change-log.js";
import { keyHash } from "../keyspace/hash.js";
import { NO_DEADLINE, type StoredDatabase } from "../keyspace/storage.js";
import type { Connection } from "./schema.js";

/** What a batch makes of one row. Absent fields stay as they are. */
interface RowChange {
  isNew: boolean;
  deleted: boolean;
  name?: { slot: number; key: string };
  deadline?: number;
  value?: { byteLength: number; portable: Uint8Array };
  /** Single bits in the order of their change, each as `offset * 2 + bit`: a batch may have millions. */
  bits: number[];
}

const EMPTY_PORTABLE = portableOf(new Bitmap());

export class Applier {
  readonly #connection: Connection;
  readonly #load: Statement<[number], { byteLength: number; portable: Buffer }>;
  readonly #insertKey: Statement<[number, number, number, Buffer, number, number, number | null]>;
  readonly #updateName: Statement<[number, number, Buffer, number]>;
  readonly #updateDeadline: Statement<[number | null, number]>;
  readonly #updateMeasures: Statement<[number, number, number]>;
  readonly #deleteKey: Statement<[number]>;
  readonly #insertBitmap: Statement<[number, Uint8Array]>;
  readonly #updateBitmap: Statement<[Uint8Array, number]>;
  readonly #deleteBitmap: Statement<[number]>;
  readonly #dropBitmaps: Statement<[number]>;
  readonly #dropKeys: Statement<[number]>;
  readonly #deleteDatabase: Statement<[number]>;
  readonly #insertDatabase: Statement<[number, number, number, number]>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#load = connection.prepare(
      "SELECT byte_length AS byteLength, portable FROM keys JOIN bitmaps USING (id) WHERE id = ?",
    );
    this.#insertKey = connection.prepare(
      "INSERT INTO keys (id, slot, hash, key, byte_length, cardinality, deadline) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    this.#updateName = connection.prepare("UPDATE keys SET slot = ?, hash = ?, key = ? WHERE id = ?");
    this.#updateDeadline = connection.prepare("UPDATE keys SET deadline = ? WHERE id = ?");
    this.#updateMeasures = connection.prepare("UPDATE keys SET byte_length = ?, cardinality = ? WHERE id = ?");
    this.#deleteKey = connection.prepare("DELETE FROM keys WHERE id = ?");
    this.#insertBitmap = connection.prepare("INSERT INTO bitmaps (id, portable) VALUES (?, ?)");
    this.#updateBitmap = connection.prepare("UPDATE bitmaps SET portable = ? WHERE id = ?");
    this.#deleteBitmap = connection.prepare("DELETE FROM bitmaps WHERE id = ?");
    this.#dropBitmaps = connection.prepare("DELETE FROM bitmaps WHERE id IN (SELECT id FROM keys WHERE slot = ?)");
    this.#dropKeys = connection.prepare("DELETE FROM keys WHERE slot = ?");
    this.#deleteDatabase = connection.prepare("DELETE FROM databases WHERE number = ?");
    this.#insertDatabase = connection.prepare(
      "INSERT INTO databases (slot, number, keys, volatile_keys) VALUES (?, ?, ?, ?)",
    );
  }

  /** Commits the batch, or throws and leaves the database as it was. */
  apply(batch: Batch): void {
    const changes = new Changes();
    readBatch(batch, changes);
    this.#connection.transaction(() => {
      for (const [id, change] of changes.rows) this.#applyRow(id, change, changes.droppedSlots);
      for (const slot of changes.droppedSlots) {
        this.#dropBitmaps.run(slot);
        this.#dropKeys.run(slot);
      }
      // All of them leave before any comes back: two databases may have exchanged their slots.
      for (const { number } of changes.databases.values()) this.#deleteDatabase.run(number);
      for (const { slot, number, keys, volatileKeys } of changes.databases.values()) {
        this.#insertDatabase.run(slot, number, keys, volatileKeys);
      }
    })();
  }

  #applyRow(id: number, change: RowChange, droppedSlots: ReadonlySet<number>): void {
    const gone = change.deleted || (change.name !== undefined && droppedSlots.has(change.name.slot));
    if (change.isNew) {
      if (!gone) this.#insert(id, change);
      return;
    }
    if (gone) {
      this.#deleteBitmap.run(id);
      this.#deleteKey.run(id);
      return;
    }
    this.#update(id, change);
  }

  #insert(id: number, change: RowChange): void {
    const { name, deadline, value, bits } = change;
    if (name === undefined) throw new Error(`change log: row ${id} is new and has no key`);
    const bitmap = withBits(value ?? { byteLength: 0, portable: EMPTY_PORTABLE }, bits);
    const key = Buffer.from(name.key, "latin1");
    const { byteLength, cardinality } = bitmap;
    this.#insertKey.run(id, name.slot, keyHash(name.key), key, byteLength, cardinality, toColumn(deadline));
    this.#insertBitmap.run(id, portableOf(bitmap));
    bitmap.dispose();
  }

  #update(id: number, change: RowChange): void {
    const { name, deadline, value, bits } = change;
    if (name !== undefined) {
      this.#updateName.run(name.slot, keyHash(name.key), Buffer.from(name.key, "latin1"), id);
    }
    if (deadline !== undefined) this.#updateDeadline.run(toColumn(deadline), id);
    if (value === undefined && bits.length === 0) return;
    const base = value ?? this.#load.get(id);
    // A row whose slot was dropped earlier is gone, and what was still done to it with it.
    if (base === undefined) return;
    const bitmap = withBits(base, bits);
    this.#updateMeasures.run(bitmap.byteLength, bitmap.cardinality, id);
    this.#updateBitmap.run(portableOf(bitmap), id);
    bitmap.dispose();
  }
}

/** Gathers a batch's records by row. */
class Changes implements BatchVisitor {
  readonly rows = new Map<number, RowChange>();
  readonly droppedSlots = new Set<number>();
  readonly databases = new Map<number, StoredDatabase>();

  bit(id: number, offset: number, bit: Bit): void {
    this.#row(id).bits.push(offset * 2 + bit);
  }

  value(id: number, byteLength: number, portable: Uint8Array): void {
    const row = this.#row(id);
    row.value = { byteLength, portable };
    row.bits = [];
  }

  create(id: number, slot: number, key: string): void {
    const row = this.#row(id);
    row.isNew = true;
    row.name = { slot, key };
  }

  rekey(id: number, slot: number, key: string): void {
    this.#row(id).name = { slot, key };
  }

  delete(id: number): void {
    const row = this.#row(id);
    row.deleted = true;
    row.bits = [];
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
      row = { isNew: false, deleted: false, bits: [] };
      this.rows.set(id, row);
    }
    return row;
  }
}

function withBits(base: { byteLength: number; portable: Uint8Array }, bits: RowChange["bits"]): Bitmap {
  const bitmap = Bitmap.fromPortable(base.portable, base.byteLength);
  for (const packed of bits) bitmap.setBit(Math.floor(packed / 2), (packed % 2) as Bit);
  bitmap.optimize();
  return bitmap;
}

function portableOf(bitmap: Bitmap): Uint8Array {
  const portable = new Uint8Array(bitmap.portableBytes);
  bitmap.writePortable(portable);
  return portable;
}

function toColumn(deadline: number | undefined): number | null {
  return deadline === undefined || deadline === NO_DEADLINE ? null : deadline;
}
