/**
 * What is in memory of one logical database: its entries, and its counts. The file keeps its rows under `slot`, which FLUSHDB
 * replaces and SWAPDB exchanges, so that neither has to touch a row, or an entry, before it answers.
 */
import { SMALL_MEMBERS_MAX } from "../config.js";
import { AbsentKeys } from "./absent-keys.js";
import { Arena } from "./arena.js";
import { CreatedKeys } from "./created-keys.js";
import { EntryTable } from "./entry-table.js";
import { Expressions } from "./expressions.js";
import type { StoredDatabase } from "./storage.js";

/** Bits of an entry's flags. */
export const FLAG = {
  /** The key is deleted. The entry stays until the deletion is in the file, so that a look-up does not find the old row there. */
  DEAD: 1,
  /** The value has changed in the batch that is being filled. */
  VALUED: 2,
  /** The whole value was replaced in it: single bits need not be logged until it is taken. */
  REWRITTEN: 4,
  /** The row may be in `expressions`, which must be asked before the value changes. */
  LINKED: 8,
} as const;

export class Contents {
  readonly slot: number;
  /** Keys, counted as Redis counts them: expired ones too until somebody meets them. */
  size: number;
  /** Keys with a deadline. */
  volatileSize: number;
  /** The counts differ from what the log last said. */
  changed = false;
  /** Nothing in it means anything any more. */
  dropped = false;
  readonly arena = new Arena();
  /** Keys and tombstones that are in memory. */
  readonly entries: EntryTable;
  /** The keys among them whose row is not in the file yet. */
  readonly created: CreatedKeys;
  /** Keys that were looked for and are not there. */
  readonly absent = new AbsentKeys();
  /** Rows whose values the file has, or will have with the next batches, as expressions of others. */
  readonly expressions: Expressions;

  constructor(
    { slot, keys, volatileKeys }: Pick<StoredDatabase, "slot" | "keys" | "volatileKeys">,
    seed: number,
    expressions = new Expressions(),
  ) {
    this.slot = slot;
    this.expressions = expressions;
    this.size = keys;
    this.volatileSize = volatileKeys;
    this.entries = new EntryTable(this.arena, seed);
    this.created = new CreatedKeys(this.entries);
  }

  /** Counts keys and keys with a deadline that came (positive) or went (negative). */
  count(keys: number, volatileKeys: number): void {
    this.size += keys;
    this.volatileSize += volatileKeys;
    this.changed = true;
  }
}

/** Turns a native value of few members into a small one: nobody needs a whole set of it at present. One that is not made stays so. */
export function demote({ entries }: Contents, number: number): void {
  const bitmap = entries.native(number);
  if (bitmap === undefined || bitmap.unmade !== undefined || entries.cardinality(number) > SMALL_MEMBERS_MAX) return;
  entries.setSmall(number, bitmap.members);
  bitmap.dispose();
}
