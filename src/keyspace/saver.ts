/**
 * Brings the change log to the storage: one batch at a time, at most FLUSH_INTERVAL_MS after the first change in it.
 * While the storage can't write, it knows the reason, and commands that write are refused.
 */
import type { Clock } from "../clock.js";
import { FLUSH_INTERVAL_MS } from "../config.js";
import type { Keyspace } from "./keyspace.js";
import type { Storage } from "./storage.js";

export class Saver {
  /** When the last commit was done, in wall-clock milliseconds; the start at first. */
  lastSaveMs: number;
  /** How long the last one took, in milliseconds. */
  lastSaveTookMs = 0;
  /** `keyspace.changes` as of the last batch that was committed. */
  savedChanges = 0;
  /** Why the storage can't write at present. Nothing is lost by it: what it holds is tried again and again. */
  failure: string | undefined;
  readonly #clock: Clock;
  readonly #keyspace: Keyspace;
  readonly #storage: Storage;
  readonly #waiting = new Set<(reason: Error) => void>();
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(keyspace: Keyspace, storage: Storage, clock: Clock) {
    this.#clock = clock;
    this.lastSaveMs = clock.now();
    this.#keyspace = keyspace;
    this.#storage = storage;
  }

  /** Begins to flush by itself. A commit that took longer than the interval is followed by the next at once. */
  start(delayMs = FLUSH_INTERVAL_MS): void {
    this.#timer = setTimeout(() => void this.#flushAndGoOn(), delayMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  get isSaving(): boolean {
    return this.#running !== undefined;
  }

  /** Begins to commit what has changed, unless a commit is under way already: then the next one will. */
  saveSoon(): void {
    // Not now: BGSAVE may stand inside a transaction, which one batch must hold whole.
    queueMicrotask(() => {
      if (this.#running === undefined) this.#commitAll().catch(() => {});
    });
  }

  /** Resolves when everything that has changed until now is committed. Rejects when the storage can't, and goes on trying. */
  async save(): Promise<void> {
    if (this.failure !== undefined) throw new Error(this.failure);
    let fail: (reason: Error) => void = () => {};
    const failed = new Promise<never>((_resolve, reject) => {
      fail = reject;
    });
    this.#waiting.add(fail);
    try {
      await Promise.race([this.#commitAll(), failed]);
    } finally {
      this.#waiting.delete(fail);
    }
  }

  /** The storage says that a commit failed. */
  failed(reason: string): void {
    this.failure = reason;
    for (const fail of this.#waiting) fail(new Error(reason));
  }

  /** The storage says that a commit succeeded. */
  succeeded(): void {
    this.failure = undefined;
  }

  async #flushAndGoOn(): Promise<void> {
    const begun = performance.now();
    try {
      await this.#commitAll();
    } catch {
      // A storage that died has ended the server; a commit that failed has said so through `failed`.
    }
    if (this.#timer !== undefined) this.start(Math.max(FLUSH_INTERVAL_MS - (performance.now() - begun), 0));
  }

  async #commitAll(): Promise<void> {
    // The batch in flight may not hold the newest changes: wait for it, and then for one that holds what has changed by now.
    const { changes } = this.#keyspace;
    while (this.#running !== undefined) {
      await this.#running;
      if (this.savedChanges >= changes) return;
    }
    if (!this.#keyspace.isDirty) return;
    this.#running = this.#commit();
    try {
      await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  async #commit(): Promise<void> {
    const begun = performance.now();
    const { changes } = this.#keyspace;
    const batch = this.#keyspace.takeBatch();
    await this.#storage.write(batch);
    this.#keyspace.committed(batch);
    this.savedChanges = changes;
    this.lastSaveMs = this.#clock.now();
    this.lastSaveTookMs = performance.now() - begun;
  }
}
