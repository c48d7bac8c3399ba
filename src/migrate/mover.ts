/**
 * Joins a source with a target: several items on their way at a time, counts of what was moved and what was not, and each moved key
 * compared with what the target has. It must not know what kind of source or target they are, nor who is told of the progress.
 */
import { MIB } from "../config.js";
import type { ValueFacts } from "../keyspace/storage.js";
import { differenceOf } from "./difference.js";
import { GONE, type Item, type Source, type Target, type TargetFacts } from "./item.js";
import { MoveReport } from "./move-report.js";

/** Items on their way to the target, and bytes of memory that their bitmaps may take, but for one that takes more. */
const PUTS_MAX = 256;
const PUT_BYTES_MAX = 16 * MIB;

/** Moved keys that wait to be compared. Those of a file have mostly left memory by then, and are read from it. */
const UNVERIFIED_MAX = 10_000;
/** How many are compared at a time. */
const VERIFY_AT_ONCE = 256;

/** What is remembered of an item until it is verified. */
interface Expected extends ValueFacts {
  database: number;
  key: string;
  deadline: number;
}

export interface MoveOptions {
  /** Whether every moved key is compared with what the target has. */
  verify: boolean;
  now?: () => number;
}

export class Mover {
  readonly report = new MoveReport();
  readonly #source: Source;
  readonly #target: Target;
  readonly #verify: boolean;
  readonly #now: () => number;
  #puts = 0;
  #putBytes = 0;
  #failure: unknown;
  #wake: (() => void) | undefined;
  #unverified: Expected[] = [];

  constructor(source: Source, target: Target, { verify, now = Date.now }: MoveOptions) {
    this.#source = source;
    this.#target = target;
    this.#verify = verify;
    this.#now = now;
  }

  /** Moves everything. Rejects with MigrateError where that can't be; the report says then what was done until then. */
  async run(): Promise<MoveReport> {
    try {
      for await (const item of this.#source.items((skipped) => this.report.skip(skipped))) {
        if (this.#failure !== undefined) {
          item.bitmap.dispose();
          break;
        }
        this.#begin(item);
        while (this.#isFull) await this.#somethingDone();
        if (this.#unverified.length >= UNVERIFIED_MAX) await this.#verifyAll();
      }
    } finally {
      while (this.#puts > 0) await this.#somethingDone();
    }
    if (this.#failure !== undefined) throw this.#failure;
    await this.#target.finish();
    await this.#verifyAll();
    return this.report;
  }

  get #isFull(): boolean {
    return this.#puts >= PUTS_MAX || (this.#puts > 0 && this.#putBytes > PUT_BYTES_MAX);
  }

  #somethingDone(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #begin(item: Item): void {
    const { database, key, bitmap, deadline } = item;
    if (deadline <= this.#now()) {
      bitmap.dispose();
      return this.report.skip({ database, key, reason: GONE });
    }
    const bytes = bitmap.portableBytes;
    const moved = { database, key, stringBytes: bitmap.byteLength, bitmapBytes: bytes };
    const { cardinality, byteLength } = item.facts ?? bitmap;
    const expected = { database, key, deadline, cardinality, byteLength };
    this.#puts++;
    this.#putBytes += bytes;
    this.#target
      .put(item)
      .then(
        () => {
          this.report.moved(moved);
          if (this.#verify) this.#unverified.push(expected);
        },
        (error: unknown) => {
          this.#failure ??= error;
        },
      )
      .finally(() => {
        this.#puts--;
        this.#putBytes -= bytes;
        this.#wake?.();
        this.#wake = undefined;
      });
  }

  async #verifyAll(): Promise<void> {
    const all = this.#unverified;
    this.#unverified = [];
    for (let at = 0; at < all.length; at += VERIFY_AT_ONCE) {
      await Promise.all(all.slice(at, at + VERIFY_AT_ONCE).map((expected) => this.#verifyOne(expected)));
    }
  }

  async #verifyOne(expected: Expected): Promise<void> {
    const { database, key } = expected;
    const found = await this.#target.facts(database, key);
    if (this.#isSame(expected, found)) return;
    const item = this.#target.isFinal === true ? undefined : await this.#source.again?.(database, key);
    if (item === undefined) return this.#differs(expected, found);
    const { cardinality, byteLength } = item.facts ?? item.bitmap;
    const anew = { database, key, cardinality, byteLength, deadline: item.deadline };
    await this.#target.put(item);
    const foundAnew = await this.#target.facts(database, key);
    if (!this.#isSame(anew, foundAnew)) this.#differs(anew, foundAnew);
  }

  /** Counts a key that is as it should be; one that has expired meanwhile is nowhere, and should not be. */
  #isSame(expected: Expected, found: TargetFacts | undefined): boolean {
    if (found === undefined && expected.deadline <= this.#now()) this.report.expired++;
    else if (found !== undefined && differenceOf(expected, found) === undefined) this.report.verified++;
    else return false;
    return true;
  }

  #differs(expected: Expected, found: TargetFacts | undefined): void {
    const { database, key } = expected;
    const difference = found === undefined ? "it is not in the target" : differenceOf(expected, found);
    this.report.differs({ database, key, difference: difference ?? "" });
  }
}
