/**
 * What the keyspace asks of a storage. The keyspace declares it and knows no more than this; src/storage implements it.
 * Reads answer at once from what is committed; a write is a whole batch of the change log and takes its time.
 */
import type { Bitmap } from "./bitmap.js";
import type { BitOp } from "./bitmap-op.js";
import type { Batch } from "./change-log.js";

/** The deadline of a key that does not expire. */
export const NO_DEADLINE = Number.POSITIVE_INFINITY;

export interface StoredDatabase {
  number: number;
  slot: number;
  keys: number;
  volatileKeys: number;
}

/** A key's row without its value. `deadline` is NO_DEADLINE or milliseconds. */
export interface StoredKey {
  id: number;
  slot: number;
  hash: number;
  key: string;
  deadline: number;
}

/** What a value is: the result of an operation on the values of other rows, given by their ids. */
export interface Expression {
  op: BitOp;
  sources: readonly number[];
}

/** What can be said of a value without its bits. */
export interface ValueFacts {
  cardinality: number;
  byteLength: number;
}

/** A row whose value is kept as an expression of other rows of the same slot. */
export interface StoredExpression extends Expression {
  id: number;
  slot: number;
  /** What its value and its sources measure. */
  facts: readonly ValueFacts[];
}

/** What a value that comes in pieces measures with one of them, and where that begins. */
export interface PieceFacts extends ValueFacts {
  /** Number of its first container: it has all from there on to those of the next piece. */
  first: number;
}

/** Sizes for INFO, in bytes but for `logRows`. */
export interface StorageFigures {
  fileBytes: number;
  /** The write-ahead log beside the file. */
  walBytes: number;
  /** Changed bits that are not at their values yet, and the keys that they belong to. */
  logBytes: number;
  logRows: number;
  /** Changed bits that are beside their values and not in them. */
  deltaBytes: number;
}

export interface Storage {
  /** All logical databases, as of the opening. */
  readonly databases: readonly StoredDatabase[];
  /** An id above every id in the file, and a slot above every slot, as of the opening. */
  readonly nextId: number;
  readonly nextSlot: number;

  /** All rows that are kept as expressions, as of the opening. */
  readonly expressions: readonly StoredExpression[];

  find(slot: number, key: string): StoredKey | undefined;
  /** The value of a row that `find` or a listing gave. Throws DamagedError when it is not what was written. */
  load(id: number): Bitmap;
  /** What the same value measures, by reading all of it, but no more than a piece at a time where it is large. */
  measure(id: number): ValueFacts;
  /**
   * Keys of a slot in the order of their hash, from `hash` on: `limit` of them, and beyond that those with the same hash
   * as the last. Fewer than `limit` means that there are no more.
   */
  page(slot: number, hash: number, limit: number): StoredKey[];
  /** Up to `limit` keys whose deadline is before `now`, the oldest first, those after `after` in that order. */
  expired(now: number, after: ExpiredCursor, limit: number): StoredKey[];

  /**
   * Commits a batch. Batches are committed in the order of the calls. Resolves after the commit, and only then. Until the
   * storage says that the batch is settled, `load` may give values without the batch's single bits. Gives the batch's memory back
   * where it can.
   */
  write(batch: Batch): Promise<Uint32Array | undefined>;
  readonly figures: StorageFigures;
  /** How far the storage is behind in its own work, as far as is known: batches should be smaller by so much. 1 while it is not. */
  readonly pressure: number;
  /** Whether what is committed would survive a loss of power without `sync`. */
  readonly syncsCommits: boolean;
  /** Resolves when everything that is committed would survive a loss of power. */
  sync(): Promise<void>;
  /** Asks that what is committed be settled soon: memory is short. */
  settleSoon(): void;
}

export interface ExpiredCursor {
  deadline: number;
  id: number;
}
