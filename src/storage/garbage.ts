/**
 * Rows that no key needs any more. What is little goes at once; much goes in slices, so that deleting a large value or a whole
 * database never holds up a flush. What waits is in the file, so that a crash forgets nothing.
 */
import type { Statement } from "better-sqlite3";
import { GARBAGE_SLICE_ROWS, GARBAGE_SYNC_BYTES_MAX } from "../config.js";
import { ALL_NAMES, type Connection } from "./schema.js";
import { type RowId, rowId, VALUE_ROWS_MAX, type Values } from "./values.js";

export class Garbage {
  readonly #values: Values;
  readonly #deleteKey: Statement<[number], { chunkBytes: number; deltaBytes: number }>;
  readonly #addValue: Statement<[number]>;
  readonly #removeValue: Statement<[number]>;
  readonly #someValue: Statement<[], { id: number }>;
  readonly #deleteSome: readonly Statement<[RowId, RowId, number]>[];
  readonly #addSlot: Statement<[number]>;
  readonly #removeSlot: Statement<[number]>;
  readonly #slots: Statement<[], { slot: number }>;
  readonly #keysOf: Statement<[number, number], { id: number }>;
  /** Slots that are listed for a crash only: while this runs nothing of them is removed, unless they are dropped. */
  readonly #reserved = new Set<number>();
  #mayHaveSome = true;

  constructor(connection: Connection, values: Values) {
    this.#values = values;
    this.#deleteKey = connection.prepare(
      "DELETE FROM keys WHERE id = ? RETURNING chunk_bytes AS chunkBytes, delta_bytes AS deltaBytes",
    );
    this.#addValue = connection.prepare("INSERT OR IGNORE INTO dropped_values (id) VALUES (?)");
    this.#removeValue = connection.prepare("DELETE FROM dropped_values WHERE id = ?");
    this.#someValue = connection.prepare("SELECT id FROM dropped_values LIMIT 1");
    this.#deleteSome = ["chunk", "delta"].map((row) =>
      connection.prepare(
        `DELETE FROM ${row}s WHERE ${row} IN (SELECT ${row} FROM ${row}s WHERE ${row} BETWEEN ? AND ? LIMIT ?)`,
      ),
    );
    this.#addSlot = connection.prepare("INSERT OR IGNORE INTO dropped_slots (slot) VALUES (?)");
    this.#removeSlot = connection.prepare("DELETE FROM dropped_slots WHERE slot = ?");
    this.#slots = connection.prepare("SELECT slot FROM dropped_slots");
    this.#keysOf = connection.prepare(`SELECT id FROM (${ALL_NAMES}) WHERE slot = ? LIMIT ?`);
  }

  /** Deletes a key's row, and its value now or later. Returns the bytes of deltas it had. */
  deleteKey(id: number): number {
    const row = this.#deleteKey.get(id);
    if (row === undefined) return 0;
    if (row.chunkBytes + row.deltaBytes <= GARBAGE_SYNC_BYTES_MAX) {
      this.#values.delete(id);
    } else {
      this.#addValue.run(id);
      this.#mayHaveSome = true;
    }
    return row.deltaBytes;
  }

  /** All keys of a slot are gone; their rows go later. */
  dropSlot(slot: number): void {
    this.#addSlot.run(slot);
    this.#reserved.delete(slot);
    this.#mayHaveSome = true;
  }

  /** Rows come under a slot that is no database's yet, or the row of a value in pieces, no key's yet. A crash makes garbage of them. */
  reserveSlot(slot: number): void {
    this.#addSlot.run(slot);
    this.#reserved.add(slot);
  }

  /**
   * The slot is a database's, or the value in pieces a key's or nobody's. It stays reserved here: should the commit fail, it is listed again
   * until the next attempt.
   */
  keepSlot(slot: number): void {
    if (this.#reserved.has(slot)) this.#removeSlot.run(slot);
  }

  /** Whether `step` has anything to do. */
  get isDue(): boolean {
    return this.#mayHaveSome;
  }

  /** Deletes some rows; called inside a transaction. Returns the bytes of deltas that deleted keys had. */
  step(): number {
    const value = this.#someValue.get();
    const slot = value === undefined ? this.#droppedSlot() : undefined;
    if (value !== undefined) this.#stepValue(value.id);
    else if (slot === undefined) this.#mayHaveSome = false;
    return slot === undefined ? 0 : this.#stepSlot(slot);
  }

  #droppedSlot(): number | undefined {
    for (const { slot } of this.#slots.iterate()) if (!this.#reserved.has(slot)) return slot;
    return undefined;
  }

  /** What was done since the last transaction was undone with it: look again. */
  lookAgain(): void {
    this.#mayHaveSome = true;
  }

  #stepValue(id: number): void {
    const from = rowId(id, 0);
    const to = rowId(id, VALUE_ROWS_MAX - 1);
    const deleted = this.#deleteSome.reduce((sum, some) => sum + some.run(from, to, GARBAGE_SLICE_ROWS).changes, 0);
    if (deleted === 0) this.#removeValue.run(id);
  }

  #stepSlot(slot: number): number {
    const keys = this.#keysOf.all(slot, GARBAGE_SLICE_ROWS);
    if (keys.length === 0) this.#removeSlot.run(slot);
    return keys.reduce((sum, { id }) => sum + this.deleteKey(id), 0);
  }
}
