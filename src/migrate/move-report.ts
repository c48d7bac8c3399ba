/** What a move has done so far, in numbers that add up: `keys` are those moved, and each is verified, has expired since, or differs. */
import { GONE, type Skipped, THERE_ALREADY } from "./item.js";

/** Keys that are kept by name for the summary: those that were skipped, those that differ, and the largest. */
export const LISTED_MAX = 20;

export interface Totals {
  keys: number;
  /** What the values take as Redis' strings, and in Roaring's portable format. */
  stringBytes: number;
  bitmapBytes: number;
}

export interface MovedKey {
  database: number;
  key: string;
  stringBytes: number;
  bitmapBytes: number;
}

/** A key whose value in the target is not the source's. */
export interface Mismatch {
  database: number;
  key: string;
  /** What is different, in words. */
  difference: string;
}

export class MoveReport implements Totals {
  readonly startedMs = performance.now();
  keys = 0;
  stringBytes = 0;
  bitmapBytes = 0;
  /** Keys that were compared with the target, and are the same there. */
  verified = 0;
  /** Moved keys that had expired when they were to be compared. */
  expired = 0;
  mismatches = 0;
  readonly databases = new Map<number, Totals>();
  /** How many keys were skipped, by reason. */
  readonly skipped = new Map<string, number>();
  readonly listedSkipped: Skipped[] = [];
  readonly listedMismatches: Mismatch[] = [];
  /** The largest as strings, in descending order. */
  readonly largest: MovedKey[] = [];

  skip(skipped: Skipped): void {
    const { reason } = skipped;
    this.skipped.set(reason, (this.skipped.get(reason) ?? 0) + 1);
    if (reason === GONE || reason === THERE_ALREADY) return;
    if (this.listedSkipped.length < LISTED_MAX) this.listedSkipped.push(skipped);
  }

  moved(moved: MovedKey): void {
    const { database } = moved;
    const totals = this.databases.get(database) ?? { keys: 0, stringBytes: 0, bitmapBytes: 0 };
    this.databases.set(database, totals);
    for (const sum of [this, totals]) {
      sum.keys++;
      sum.stringBytes += moved.stringBytes;
      sum.bitmapBytes += moved.bitmapBytes;
    }
    const least = this.largest.at(-1);
    if (least !== undefined && this.largest.length === LISTED_MAX && least.stringBytes >= moved.stringBytes) return;
    const place = this.largest.findIndex(({ stringBytes }) => stringBytes < moved.stringBytes);
    this.largest.splice(place < 0 ? this.largest.length : place, 0, moved);
    this.largest.length = Math.min(this.largest.length, LISTED_MAX);
  }

  differs(mismatch: Mismatch): void {
    this.mismatches++;
    if (this.listedMismatches.length < LISTED_MAX) this.listedMismatches.push(mismatch);
  }
}
