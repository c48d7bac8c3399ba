/**
 * The index of the keys by name, which is in two parts. A key's name is a point anywhere in it, so that each new key would rewrite a
 * page of its own, 4 KiB for some 20 bytes. New ones are gathered in `new_names`, which is small, so that its pages take many of
 * them at a flush; when they are so many that pages of `names` take several too, they go there, in order, a slice at a time.
 */
import type { Statement } from "better-sqlite3";
import { NAMES_SLICE_ROWS, NEW_NAMES_MAX } from "../config.js";
import type { Connection } from "./schema.js";

interface Name {
  slot: number;
  hash: number;
  id: number;
}

interface Slice {
  slot: number;
  hash: number;
  id: number;
  lastSlot: number;
  lastHash: number;
  lastId: number;
}

/** Before all names. */
const FIRST: Name = { slot: -1, hash: 0, id: 0 };

const AFTER = "(slot, hash, id) > (:slot, :hash, :id)";
const SLICE = `${AFTER} AND (slot, hash, id) <= (:lastSlot, :lastHash, :lastId)`;

export class Names {
  readonly #endOfSlice: Statement<[Name & { offset: number }], Name>;
  readonly #copy: Statement<[Slice]>;
  readonly #remove: Statement<[Slice]>;
  readonly #count: Statement<[], number>;
  /** Names in `new_names`, or a few more: some may be gone again. */
  #new: number;
  /** The round under way has brought home those up to this one. */
  #at: Name | undefined;

  constructor(connection: Connection) {
    this.#endOfSlice = connection.prepare(
      `SELECT slot, hash, id FROM new_names WHERE ${AFTER} ORDER BY slot, hash, id LIMIT 1 OFFSET :offset`,
    );
    this.#copy = connection.prepare(
      `INSERT INTO names SELECT slot, hash, id FROM new_names WHERE ${SLICE} ORDER BY slot, hash, id`,
    );
    this.#remove = connection.prepare(`DELETE FROM new_names WHERE ${SLICE}`);
    this.#count = connection.prepare<[], number>("SELECT count(*) FROM new_names").pluck();
    this.#new = this.#count.get() ?? 0;
  }

  /** A flush has added so many. */
  added(names: number): void {
    this.#new += names;
  }

  /** Whether `step` has anything to do. */
  get isDue(): boolean {
    return this.#at !== undefined || this.#new >= NEW_NAMES_MAX;
  }

  /** Whether it has had anything to do for long. */
  get isLate(): boolean {
    return this.#new >= 2 * NEW_NAMES_MAX;
  }

  /** Brings some names home; called inside a transaction. */
  step(): void {
    const from = this.#at ?? FIRST;
    const to = this.#endOfSlice.get({ ...from, offset: NAMES_SLICE_ROWS - 1 });
    const last = to ?? { slot: Number.MAX_SAFE_INTEGER, hash: 0, id: 0 };
    const slice = { ...from, lastSlot: last.slot, lastHash: last.hash, lastId: last.id };
    this.#copy.run(slice);
    this.#remove.run(slice);
    this.#at = to;
    // What came behind the round's back is the next one's.
    if (to === undefined) this.#new = this.#count.get() ?? 0;
  }

  /** What was done since the last transaction was undone with it: begin again. */
  lookAgain(): void {
    this.#at = undefined;
    this.#new = this.#count.get() ?? 0;
  }
}
