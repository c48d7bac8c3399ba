/**
 * Brings the change log to the storage, in batches: at most FLUSH_INTERVAL_MS after the first change in it, sooner when the batch
 * has grown large, at once when somebody waits for the commit. While the storage can't write, it knows the reason, and commands
 * that write are refused; while it can't keep up, those who write are made to wait.
 */
import { createHistogram } from "node:perf_hooks";
import type { Clock } from "../clock.js";
import {
  COMMIT_AGE_MS_MAX,
  DRAFT_BUDGET_MS,
  FLUSH_BYTES,
  FLUSH_ENTRIES,
  FLUSH_ENTRIES_FIRST,
  FLUSH_INTERVAL_MS,
  FLUSH_VALUE_BYTES,
  GATHER_TURNS_MAX,
  REST_MS,
  UNCOMMITTED_BYTES_PRESSED,
  UNCOMMITTED_ENTRIES_MAX,
} from "../config.js";
import type { Batch, BatchDraft } from "./change-log.js";
import type { Keyspace } from "./keyspace.js";
import type { Storage } from "./storage.js";

const NS_PER_MS = 1e6;

/** Somebody who waits until `keyspace.changes` as of his call are committed. */
interface Waiter {
  changes: number;
  resolve: () => void;
}

/** A batch on its way to being committed. */
interface Flight {
  readonly draft: BatchDraft;
  /** `keyspace.changes` when it was taken. */
  readonly changes: number;
  /** How many values it names. */
  readonly entries: number;
  /** As it was estimated until it is written. */
  bytes: number;
  /** When it was taken, and when the first change in it was noticed. */
  readonly begunMs: number;
  readonly sinceMs: number;
}

export class Saver {
  /** When the last commit was done, in wall-clock milliseconds; the start at first. */
  lastSaveMs: number;
  /** How long the last one took, and the longest since the start, in milliseconds. */
  lastSaveTookMs = 0;
  longestSaveMs = 0;
  commits = 0;
  /** How long handing over a batch, and being told of its commit, keep the event loop, in nanoseconds each time. */
  readonly stalls = createHistogram();
  /** `keyspace.changes` as of the last batch that was committed, and as of the last that would survive a loss of power. */
  savedChanges = 0;
  syncedChanges = 0;
  /** Why the storage can't write at present. Nothing is lost by it: what it holds is tried again and again. */
  failure: string | undefined;
  /** Bytes of uncommitted changes above which those who write wait. */
  bufferBytesMax: number;
  readonly #clock: Clock;
  readonly #keyspace: Keyspace;
  readonly #storage: Storage;
  readonly #failing = new Set<(reason: Error) => void>();
  #waiters: Waiter[] = [];
  #slowed: (() => void)[] = [];
  /** To be called when the storage has settled something. */
  #unsettled: (() => void)[] = [];
  /** Batches that are not committed, and those among them that are not written yet and so not the storage's. */
  readonly #inFlight: Flight[] = [];
  readonly #drafts: Flight[] = [];
  #inFlightBytes = 0;
  #inFlightEntries = 0;
  /** How many values the next batch should have at most. */
  #entriesMax = FLUSH_ENTRIES_FIRST;
  /** When the oldest change that is in no batch yet was noticed. */
  #dirtySinceMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isScheduled = false;
  /** When to give back what commits have used, on the clock of `performance.now()`, if no change comes before. */
  #restMs: number | undefined;
  /** The oldest change that is not committed was too old when that was last looked at. */
  #isLate = false;
  #isSettling = false;
  #isStarted = false;

  constructor(keyspace: Keyspace, storage: Storage, clock: Clock, bufferBytesMax = Number.POSITIVE_INFINITY) {
    this.#clock = clock;
    this.lastSaveMs = clock.now();
    this.#keyspace = keyspace;
    this.#storage = storage;
    this.bufferBytesMax = bufferBytesMax;
  }

  /** Begins to flush by itself. */
  start(): void {
    this.#isStarted = true;
    this.noticeChanges();
    // What was noticed before has no timer yet.
    if (this.#dirtySinceMs !== undefined) this.#setTimer();
  }

  stop(): void {
    this.#isStarted = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  get isSaving(): boolean {
    return this.#inFlight.length > 0;
  }

  /** How long the commit that is under way has taken so far, in milliseconds; 0 when there is none. */
  get savingMs(): number {
    const [flight] = this.#inFlight;
    return flight === undefined ? 0 : performance.now() - flight.begunMs;
  }

  /** Bytes of changes that are not committed. */
  get bufferBytes(): number {
    return this.#inFlightBytes + this.#keyspace.logBytes;
  }

  /** Age of the oldest change that is not committed, in milliseconds; 0 when there is none. */
  get oldestChangeMs(): number {
    const since = this.#inFlight[0]?.sinceMs ?? this.#dirtySinceMs;
    return since === undefined ? 0 : performance.now() - since;
  }

  /**
   * Whether those who write must wait: too much is uncommitted, or it is so for too long, or memory is full of it. While the
   * storage fails they are refused instead.
   */
  get isBehind(): boolean {
    if (this.failure !== undefined) return false;
    if (this.bufferBytes > this.bufferBytesMax || this.#isLate) return true;
    const { pressure } = this.#storage;
    if ((this.#inFlightEntries + this.#keyspace.logEntries) * pressure > UNCOMMITTED_ENTRIES_MAX) return true;
    if (pressure > 1 && this.bufferBytes * pressure > UNCOMMITTED_BYTES_PRESSED) return true;
    return this.#keyspace.residency.isStuck;
  }

  /** To be called after commands have run: sees to it that what they changed is flushed in time. Cheap. */
  noticeChanges(): void {
    this.#lookAtAge();
    if (this.#keyspace.residency.isStuck && !this.#isSettling) this.#settleSoon();
    if (!this.#keyspace.isDirty) {
      this.#noticeSaved();
      if (this.#restMs !== undefined && performance.now() >= this.#restMs && this.#inFlight.length === 0) this.#rest();
      return;
    }
    if (this.#isLarge) this.#schedule();
    if (this.#dirtySinceMs !== undefined) return;
    this.#dirtySinceMs = performance.now();
    if (this.#isStarted) this.#setTimer();
  }

  /** Changes that left nothing to write, such as a BITOP that gives again what is there, are saved when all before them are. */
  #noticeSaved(): void {
    const { changes, isDirty } = this.#keyspace;
    if (isDirty || this.#inFlight.length > 0) return;
    if (this.syncedChanges === this.savedChanges) this.syncedChanges = changes;
    this.savedChanges = changes;
  }

  /** What is in memory only must get to where it can be read from, so that it need not be in memory. */
  #settleSoon(): void {
    this.#isSettling = true;
    setImmediate(() => {
      this.#flush();
      this.#storage.settleSoon();
    });
  }

  /** The storage has settled something. */
  settled(): void {
    this.#isSettling = false;
    for (const resolve of this.#unsettled.splice(0)) resolve();
    this.#resumeSlowedIfCaughtUp();
  }

  /** Whether the next batch is as large as one should be. */
  get #isLarge(): boolean {
    const { pressure } = this.#storage;
    const { logBytes, logValueBytes, logEntries } = this.#keyspace;
    if ((logBytes - logValueBytes) * pressure >= FLUSH_BYTES || logValueBytes * pressure >= FLUSH_VALUE_BYTES)
      return true;
    return logEntries * pressure >= this.#entriesMax;
  }

  #setTimer(): void {
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_INTERVAL_MS);
  }

  /** Resolves when `isBehind` is over, or may be. */
  caughtUp(): Promise<void> {
    return new Promise((resolve) => this.#slowed.push(resolve));
  }

  /** Begins to commit what has changed. */
  saveSoon(): void {
    this.noticeChanges();
    this.#schedule();
  }

  /** As `committed`, or when the storage can't write. */
  committedOrFailed(): Promise<void> {
    if (this.failure !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#failing.delete(done);
        resolve();
      };
      this.#failing.add(done);
      void this.committed().then(done);
    });
  }

  /** Resolves when everything that has changed until now is committed, however long that takes. */
  committed(): Promise<void> {
    this.#noticeSaved();
    const { changes } = this.#keyspace;
    if (this.savedChanges >= changes && !this.#keyspace.isDirty) return Promise.resolve();
    this.saveSoon();
    return new Promise((resolve) => this.#waiters.push({ changes, resolve }));
  }

  /**
   * Resolves when everything that has changed until now is committed and would survive a loss of power. Rejects when the
   * storage can't write; it goes on trying.
   */
  async save(): Promise<void> {
    if (this.failure !== undefined) throw new Error(this.failure);
    let fail: (reason: Error) => void = () => {};
    const failed = new Promise<never>((_resolve, reject) => {
      fail = reject;
    });
    this.#failing.add(fail);
    try {
      await Promise.race([this.synced(), failed]);
    } finally {
      this.#failing.delete(fail);
    }
  }

  /** As `committed`, and then would survive a loss of power. */
  async synced(): Promise<void> {
    await this.committed();
    const { savedChanges } = this;
    await this.#storage.sync();
    this.syncedChanges = Math.max(this.syncedChanges, savedChanges);
  }

  /** As `save`, and then everything that has changed until now can be read from the storage and need not be in memory. */
  async settle(): Promise<void> {
    await this.save();
    const { committedBatch, residency } = this.#keyspace;
    this.#storage.settleSoon();
    while (residency.settledBatch < committedBatch) {
      await new Promise<void>((resolve) => this.#unsettled.push(resolve));
    }
  }

  /** The storage says that a commit failed. */
  failed(reason: string): void {
    this.failure = reason;
    for (const fail of this.#failing) fail(new Error(reason));
    this.#resumeSlowed();
  }

  /** The storage says that a commit succeeded. */
  succeeded(): void {
    this.failure = undefined;
  }

  /** Not now: one batch must hold a transaction whole, and should hold what other clients of this moment write. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#gather(GATHER_TURNS_MAX);
  }

  /** Flushes as soon as a turn of the event loop brought no further change, after `turns` of them, or when the batch is large. */
  #gather(turns: number): void {
    const { changes } = this.#keyspace;
    setImmediate(() => {
      if (turns > 1 && this.#keyspace.changes !== changes && !this.#isLarge) return this.#gather(turns - 1);
      this.#isScheduled = false;
      this.#flush();
    });
  }

  /** Hands what has changed to the storage, unless that has a batch already and there is no hurry. */
  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#keyspace.isDirty) return;
    // Whoever ends the commit under way begins the next.
    if (this.#inFlight.length > 0 && !this.#isLarge) return;
    const { changes, logEntries: entries, logBytes: bytes } = this.#keyspace;
    const begunMs = performance.now();
    const draft = this.#keyspace.takeDraft();
    this.#entriesMax = Math.min(2 * this.#entriesMax, FLUSH_ENTRIES);
    const flight = { draft, changes, entries, bytes, begunMs, sinceMs: this.#dirtySinceMs ?? begunMs };
    this.#dirtySinceMs = undefined;
    this.#inFlight.push(flight);
    this.#inFlightBytes += flight.bytes;
    this.#inFlightEntries += entries;
    this.#drafts.push(flight);
    if (this.#drafts.length === 1) this.#handOver();
    this.#stalledSince(begunMs);
  }

  /** Completes the first draft, a part of it in each turn of the event loop, and gives it to the storage; then the next. */
  #handOver(): void {
    const flight = this.#drafts[0] as Flight;
    const batch = flight.draft.write(DRAFT_BUDGET_MS);
    if (batch !== undefined) {
      this.#drafts.shift();
      this.#write(batch, flight);
    }
    if (this.#drafts.length > 0) {
      setImmediate(() => {
        const begunMs = performance.now();
        this.#handOver();
        this.#stalledSince(begunMs);
      });
    }
  }

  #write(batch: Batch, flight: Flight): void {
    this.#inFlightBytes += batch.words.byteLength - flight.bytes;
    flight.bytes = batch.words.byteLength;
    this.#storage.write(batch).then(
      (memory) => {
        const committedMs = performance.now();
        this.#inFlight.shift();
        this.#inFlightBytes -= flight.bytes;
        this.#inFlightEntries -= flight.entries;
        this.#keyspace.committed(batch, memory);
        this.#committed(flight.changes, committedMs - flight.begunMs);
        this.#stalledSince(committedMs);
      },
      // A storage that died has ended the server; a commit that failed has said so through `failed`.
      () => {},
    );
  }

  #stalledSince(beginMs: number): void {
    this.stalls.record(Math.max(Math.round((performance.now() - beginMs) * NS_PER_MS), 1));
  }

  #rest(): void {
    this.#keyspace.rest();
    this.#restMs = undefined;
  }

  #committed(changes: number, tookMs: number): void {
    this.savedChanges = changes;
    this.#restMs = performance.now() + REST_MS;
    if (this.#storage.syncsCommits) this.syncedChanges = changes;
    this.#noticeSaved();
    this.lastSaveMs = this.#clock.now();
    this.lastSaveTookMs = tookMs;
    this.longestSaveMs = Math.max(this.longestSaveMs, tookMs);
    this.commits++;
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((waiter) => waiter.changes > this.savedChanges);
    for (const waiter of waiting) if (waiter.changes <= this.savedChanges) waiter.resolve();
    this.#resumeSlowedIfCaughtUp();
    // Somebody waits, or the timer found the storage busy.
    if (this.#waiters.length > 0 || (this.#timer === undefined && this.#dirtySinceMs !== undefined)) this.#schedule();
  }

  #resumeSlowedIfCaughtUp(): void {
    this.#lookAtAge();
    if (!this.isBehind) this.#resumeSlowed();
  }

  /** Not at each question whether it is behind, which is asked after every change: reading the clock would be 4 % of a SETBIT. */
  #lookAtAge(): void {
    this.#isLate = this.oldestChangeMs > COMMIT_AGE_MS_MAX;
  }

  #resumeSlowed(): void {
    for (const resume of this.#slowed.splice(0)) resume();
  }
}
