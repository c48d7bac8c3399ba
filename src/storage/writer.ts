/**
 * Everything that writes to the file: flushes first, and between them, a slice at a time, the work that brings the file in
 * order (the log's bits home, deltas into chunks, new names into the index, rows that nobody needs away). One transaction at a
 * time, on one thread.
 */
import {
  FOLD_IDLE_MS,
  FOLD_SLICE_MS,
  LOG_AGE_MS_MAX,
  LOG_BYTES_MAX,
  LOG_BYTES_OLD,
  LOG_ROWS_MAX,
  PRESSURE_MAX,
  PRESSURE_STEPS,
} from "../config.js";
import type { Batch } from "../keyspace/change-log.js";
import type { StorageFigures } from "../keyspace/storage.js";
import { ExpressionMaker } from "./expression-maker.js";
import { Flusher } from "./flush.js";
import { Folder } from "./fold.js";
import { Garbage } from "./garbage.js";
import { Names } from "./names.js";
import { readLog } from "./pending.js";
import type { Connection } from "./schema.js";
import { Values } from "./values.js";

/** What there is still to do. */
export type WriterFigures = Pick<StorageFigures, "logBytes" | "logRows" | "deltaBytes">;

/** The size of the log against that from which on it is late. */
function latenessOf({ logBytes, logRows }: WriterFigures): number {
  return Math.max(logBytes / LOG_BYTES_MAX, logRows / LOG_ROWS_MAX) / 2;
}

/** How much smaller batches should be, and how much larger the share of the work between them: 1..PRESSURE_MAX. */
export function pressureOf(figures: WriterFigures): number {
  const steps = PRESSURE_STEPS * (latenessOf(figures) - 1);
  return Math.min(Math.max(2 ** steps, 1), PRESSURE_MAX);
}

/** `settledBatch` while not even what an earlier run left in the log is settled. */
export const NOTHING_SETTLED = -1;

export class Writer {
  readonly #connection: Connection;
  readonly #values: Values;
  readonly #garbage: Garbage;
  readonly #maker: ExpressionMaker;
  readonly #names: Names;
  readonly #flusher: Flusher;
  readonly #warn: (message: string) => void;
  #folder: Folder;
  /** A slice failed: what is in memory is ahead of the file, and must be read again before anything else is done. */
  #isStale = false;
  /** What the batches up to this one changed is where it belongs: reading finds it without the log. */
  settledBatch = 0;
  /** Number of the last batch that was committed, and of the last when the round under way began. */
  #batch = 0;
  #roundBatch = 0;
  #lastFlushMs = Number.NEGATIVE_INFINITY;
  /** When the last round began: what is in the log since is no older. */
  #roundMs = performance.now();
  #isUrgent: boolean;

  /** Throws StartError where the file's log is damaged. */
  constructor(connection: Connection, warn: (message: string) => void) {
    this.#connection = connection;
    this.#warn = warn;
    this.#values = new Values(connection);
    this.#garbage = new Garbage(connection, this.#values);
    this.#maker = new ExpressionMaker(connection, this.#values, warn);
    this.#names = new Names(connection);
    this.#flusher = new Flusher(connection, this.#values, this.#garbage, this.#maker);
    this.#folder = this.#openFolder();
    // What a crash left in the log is brought home at once.
    this.#isUrgent = this.#folder.pendingRows > 0;
    if (this.#isUrgent) this.settledBatch = NOTHING_SETTLED;
  }

  get figures(): WriterFigures {
    const { logBytesInFile, pendingRows, deltaBytes } = this.#folder;
    return { logBytes: logBytesInFile, logRows: pendingRows, deltaBytes };
  }

  /** Commits a batch, or throws and leaves the file as it was. */
  flush(batch: Batch): void {
    this.#lookAgain();
    const flushed = this.#flusher.flush(batch, this.#folder);
    this.#folder.add(flushed);
    this.#names.added(flushed.named);
    this.#batch = batch.number;
    if (flushed.changedRows > 0) this.#lastFlushMs = performance.now();
    if (this.#folder.pendingRows === 0) this.settledBatch = this.#batch;
  }

  /** Reads again what the file holds, where that must be done. Throws when it can't be read. */
  #lookAgain(): void {
    if (!this.#isStale) return;
    this.#folder = this.#openFolder();
    this.#garbage.lookAgain();
    this.#names.lookAgain();
    this.#isStale = false;
  }

  /** Gives back what flushes have used: there was none for some time. */
  rest(): void {
    this.#flusher.rest();
  }

  /** Brings the log home soon, whatever its size: memory is short. */
  settleSoon(): void {
    this.#isUrgent = true;
  }

  /** Milliseconds until `step` has something to do: 0 for now, undefined for not before the next flush. */
  get dueInMs(): number | undefined {
    const { isRunning, pendingRows, logBytes } = this.#folder;
    if (this.#isStale || isRunning || this.#garbage.isDue || this.#names.isDue) return 0;
    // Its rows may all have been replaced since; a long one leaves all the same.
    if (pendingRows === 0) return logBytes >= LOG_BYTES_MAX ? 0 : undefined;
    if (this.#isUrgent || logBytes >= LOG_BYTES_MAX || pendingRows >= LOG_ROWS_MAX) return 0;
    if (logBytes >= LOG_BYTES_OLD && performance.now() >= this.#roundMs + LOG_AGE_MS_MAX) return 0;
    return Math.max(this.#lastFlushMs + FOLD_IDLE_MS - performance.now(), 0);
  }

  /** Whether the work between flushes is late, so that it must be done even while flushes wait. */
  get isLate(): boolean {
    return this.#isFoldLate || this.#names.isLate;
  }

  get #isFoldLate(): boolean {
    return latenessOf(this.figures) >= 1;
  }

  get pressure(): number {
    return pressureOf(this.figures);
  }

  /** Does FOLD_SLICE_MS of that work in one transaction. Throws when it can't be committed; nothing is lost by it. */
  step(): void {
    this.#lookAgain();
    const end = performance.now() + FOLD_SLICE_MS;
    let settled = this.settledBatch;
    try {
      this.#connection
        .transaction(() => {
          // The slice may begin the next round too, which is not settled by that.
          do if (this.#work()) settled = this.#folder.pendingRows === 0 ? this.#batch : this.#roundBatch;
          while (this.dueInMs === 0 && performance.now() < end);
        })
        .immediate();
    } catch (error) {
      // The file is as before the slice, and the log in it holds all that was not brought home.
      this.#isStale = true;
      try {
        this.#lookAgain();
      } catch {
        // What kept the slice from being written may keep the file from being read: it is read before anything else is done.
      }
      throw error;
    }
    this.settledBatch = Math.max(this.settledBatch, settled);
  }

  /** Brings everything home, so that the tables alone are the whole truth. */
  settle(): void {
    this.#isUrgent = true;
    while (this.#isStale || this.#folder.pendingRows > 0 || this.#folder.logBytesInFile > 0) this.step();
  }

  /** Settles, makes the values of all expressions, folds all deltas and clears all that nobody needs. */
  tidy(): void {
    this.settle();
    this.#connection.transaction(() => this.#maker.makeAll()).immediate();
    this.#folder.foldAll();
    while (this.dueInMs === 0) this.step();
  }

  /** One piece of work; says whether a round has ended with it. */
  #work(): boolean {
    const isFoldFirst = this.#isUrgent || this.#isFoldLate || this.#folder.isRunning;
    if (!isFoldFirst && this.#garbage.isDue) {
      this.#folder.dropped(this.#garbage.step());
      return false;
    }
    if (!isFoldFirst && this.#names.isDue) {
      this.#names.step();
      return false;
    }
    if (!this.#folder.isRunning) {
      this.#isUrgent = false;
      this.#roundBatch = this.#batch;
      this.#roundMs = performance.now();
      this.#folder.begin(this.#flusher.lastLogRow);
    }
    return this.#folder.step();
  }

  #openFolder(): Folder {
    return new Folder(this.#connection, this.#values, readLog(this.#connection), this.#warn);
  }
}
