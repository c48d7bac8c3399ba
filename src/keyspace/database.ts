/**
 * One logical database: its keys that are in memory, and its counts. The file keeps its rows under `slot`, which FLUSHDB
 * replaces and SWAPDB exchanges, so that neither has to touch a row before it answers.
 */
import type { Entry } from "./entry.js";

export class Database {
  /** What SELECT calls it, 0..15. */
  readonly number: number;
  slot: number;
  /** Keys, counted as Redis counts them: expired ones too until somebody meets them. */
  size: number;
  /** Keys with a deadline. */
  volatileSize: number;
  /** Slot or counts differ from what the log last said. */
  changed = false;
  /** Entries and tombstones by key. */
  entries = new Map<string, Entry>();
  /** The entries among them whose row is not in the file yet. */
  created = new Map<string, Entry>();

  constructor(number: number, slot: number, size: number, volatileSize: number) {
    this.number = number;
    this.slot = slot;
    this.size = size;
    this.volatileSize = volatileSize;
  }

  /** Counts keys and keys with a deadline that came (positive) or went (negative). */
  count(keys: number, volatileKeys: number): void {
    this.size += keys;
    this.volatileSize += volatileKeys;
    this.changed = true;
  }
}
