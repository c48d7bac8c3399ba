/**
 * What moves in and out. Every way is from a source of items to a target of items: a Redis, an RDB file, a file for analysts, a database.
 * Sources and targets do not know each other; whoever joins them (mover) tells of the progress.
 */
import type { Bitmap } from "../keyspace/bitmap.js";

/** A key on its way. Who is given an item owns its bitmap, and must give it on or dispose of it. */
export interface Item {
  /** Number of the logical database. */
  database: number;
  /** As latin1, as everywhere: each character is a byte. */
  key: string;
  bitmap: Bitmap;
  /** Wall-clock milliseconds, or NO_DEADLINE. */
  deadline: number;
}

/** A key that does not move, and why: "a list", for example. */
export interface Skipped {
  database: number;
  key: string;
  reason: string;
}

/** What can be compared without reading a value. */
export interface ValueFacts {
  cardinality: number;
  byteLength: number;
}

/** Where items come from: in no order, each key at most once. */
export interface Source {
  /** Rejects with MigrateError where what is read is not what it should be, or ends early. `skip` is told of keys that are not strings. */
  items(skip: (skipped: Skipped) => void): AsyncIterable<Item>;
  close(): Promise<void>;
}

/** Where items go. A key that is there already is replaced, its deadline too. */
export interface Target {
  /** Takes an item, which is the target's from now on, and resolves when it may be given the next. Several may be under way. */
  put(item: Item): Promise<void>;
  /** What is there under a key, read back from where it was put; undefined where nothing is. */
  facts(database: number, key: string): Promise<ValueFacts | undefined>;
  /** Resolves when everything that was put would survive a crash. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** A move can't begin or go on. `message` is the one line that the operator reads. */
export class MigrateError extends Error {}
