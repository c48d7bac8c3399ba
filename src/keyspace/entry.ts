/**
 * One key that is in memory. A deleted key stays as an entry that is not alive (a tombstone) until its deletion is in the
 * file, so that a look-up does not find the old row there.
 */
import type { Bitmap } from "./bitmap.js";
import type { Database } from "./database.js";
import { NO_DEADLINE } from "./storage.js";

/** `batch` of an entry whose state is the file's. */
export const CLEAN = 0;

export class Entry {
  /** Number of the row in the file. It stays when the key is renamed or moved. */
  readonly id: number;
  database: Database;
  key: string;
  /** Wall-clock milliseconds after which the key is gone; NO_DEADLINE for never. */
  deadline: number;
  /** The value; undefined while only the file has it. */
  bitmap: Bitmap | undefined;
  alive = true;
  /** When a command last asked for the key, in wall-clock milliseconds. */
  lastUse: number;
  /** Number of the batch that holds its latest change, or CLEAN. */
  batch = CLEAN;
  /** Number of the batch that brings the row (under this key) into the file, or CLEAN. */
  createdIn = CLEAN;
  /** The whole value was replaced in the batch that is being filled; single bits need not be logged until it is taken. */
  rewritten = false;

  constructor(id: number, database: Database, key: string, deadline: number, bitmap: Bitmap | undefined, now: number) {
    this.id = id;
    this.database = database;
    this.key = key;
    this.deadline = deadline;
    this.bitmap = bitmap;
    this.lastUse = now;
  }

  get volatile(): boolean {
    return this.deadline !== NO_DEADLINE;
  }
}
