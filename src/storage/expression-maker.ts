/** Puts bits in the place of expressions: before something that they are of changes, and in copies, whose readers need to know of chunks only. */
import type { Statement } from "better-sqlite3";
import { DamagedError } from "../errors.js";
import type { Bitmap } from "../keyspace/bitmap.js";
import type { Connection } from "./schema.js";
import { type LateChanges, NO_LATE_CHANGES, type Values } from "./values.js";

export class ExpressionMaker {
  readonly #values: Values;
  readonly #warn: (message: string) => void;
  readonly #setChunkBytes: Statement<[number, number]>;
  readonly #all: Statement<[], { id: number }>;

  constructor(connection: Connection, values: Values, warn: (message: string) => void) {
    this.#values = values;
    this.#warn = warn;
    this.#setChunkBytes = connection.prepare("UPDATE keys SET chunk_bytes = ? WHERE id = ?");
    this.#all = connection.prepare("SELECT id FROM expressions JOIN keys USING (id) JOIN databases USING (slot)");
  }

  /** Makes a row's value, if it is an expression; called inside a transaction. One that can't be made stays damaged, and everything else goes on. */
  make(id: number, late: LateChanges): void {
    let value: Bitmap | undefined;
    try {
      if (!this.#values.isExpression(id)) return;
      value = this.#values.load(id, late);
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      this.#warn(error.message);
      this.#values.lose(id);
    }
    if (value === undefined) return;
    const portable = value.toPortable();
    value.dispose();
    this.#setChunkBytes.run(this.#values.replace(id, portable), id);
  }

  /** Makes all values of keys that are expressions, where the log has no bits; called inside a transaction. */
  makeAll(): void {
    for (const { id } of this.#all.all()) this.make(id, NO_LATE_CHANGES);
  }
}
