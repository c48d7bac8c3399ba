/** One logical database. What it holds is another object, since SWAPDB exchanges that, and FLUSHDB drops it. */
import type { Contents } from "./contents.js";

export class Database {
  /** What SELECT calls it, 0..15. */
  readonly number: number;
  contents: Contents;

  constructor(number: number, contents: Contents) {
    this.number = number;
    this.contents = contents;
  }

  /** Keys, as DBSIZE counts them. */
  get size(): number {
    return this.contents.size;
  }

  /** Keys with a deadline. */
  get volatileSize(): number {
    return this.contents.volatileSize;
  }
}
