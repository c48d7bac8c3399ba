/**
 * What moves in and out. Every way is from a source of items to a target of items: a Redis, an RDB file, a file for analysts, a database.
 * Sources and targets do not know each other; whoever joins them (mover) tells of the progress.
 */
import type { Bitmap } from "../keyspace/bitmap.js";
import type { OpenPieceTaker } from "../keyspace/bitmap-builder.js";
import type { ValueFacts } from "../keyspace/storage.js";

/** A key on its way. Who is given an item owns its bitmap, and must give it on or dispose of it. */
export interface Item {
  /** Number of the logical database. */
  database: number;
  /** As latin1, as everywhere: each character is a byte. */
  key: string;
  bitmap: Bitmap;
  /** Wall-clock milliseconds, or NO_DEADLINE. */
  deadline: number;
  /** What the source says of the value, where it was asked for that apart from the bytes. Else what was read is the measure. */
  facts?: ValueFacts;
}

/** A key that does not move, and why: "a list", for example. */
export interface Skipped {
  database: number;
  key: string;
  reason: string;
}

/** Reasons that are no news of the single key: a summary counts them, and lists no keys. */
export const GONE = "expired, deleted or renamed meanwhile";
export const THERE_ALREADY = "in the target already, the same";

/** What a target says of a key. */
export interface TargetFacts extends ValueFacts {
  /** Wall-clock milliseconds, or NO_DEADLINE; undefined where the target can't tell. */
  deadline?: number;
}

/** Where items come from: in no order, each key at most once. */
export interface Source {
  /** Rejects with MigrateError where what is read is not what it should be, or ends early. `skip` is told of keys that are not strings. */
  items(skip: (skipped: Skipped) => void): AsyncIterable<Item>;
  /** How much of the source is read, 0 to 1; undefined where that is not known. */
  readonly share?: number | undefined;
  /** Reads a key anew, since what arrived is not what it should be: somebody may have changed it. undefined where it is gone. */
  again?(database: number, key: string): Promise<Item | undefined>;
  close(): Promise<void>;
}

/** What a source may ask of where its items go. */
export type There = Pick<Target, "isFinal" | "facts" | "current" | "takePieces">;

/** Where items go. A key that is there already is replaced, its deadline too. */
export interface Target {
  /** Whether a key can be put only once: so it is in a file that is written from front to back. */
  readonly isFinal?: boolean;
  /** Takes an item, which is the target's from now on, and resolves when it may be given the next. Several may be under way. */
  put(item: Item): Promise<void>;
  /**
   * Takes a large value in pieces before its item comes, whose bitmap is the taker's `stored` then. Left out where it must come whole;
   * resolves with undefined where that turns out later.
   */
  takePieces?: OpenPieceTaker;
  /** What is there under a key, read back from where it was put; undefined where nothing is. */
  facts(database: number, key: string): Promise<TargetFacts | undefined>;
  /** The whole key as it is there, for who adds to it; undefined where it is not. Left out where that can't be told. */
  current?(database: number, key: string): Promise<Item | undefined>;
  /** Resolves when everything that was put would survive a crash. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** A move can't begin or go on. `message` is the one line that the operator reads. */
export class MigrateError extends Error {}
