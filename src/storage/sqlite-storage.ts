/**
 * The storage on a file: a reader on the server's thread (point look-ups of some ten microseconds) and a writer on a thread of
 * its own, which is the only one that waits for the disk.
 */
import { statSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { type AppendFsync, READER_CACHE_KIB, WRITER_YOUNG_MIB } from "../config.js";
import type { Bitmap } from "../keyspace/bitmap.js";
import type { Batch } from "../keyspace/change-log.js";
import type { StorageFigures, StoredKey, ValueFacts } from "../keyspace/storage.js";
import { limitYoungSpace } from "../v8-flags.js";
import { backupInThread } from "./backup-thread.js";
import type { DurableStorage, StorageEvents } from "./durable-storage.js";
import { walBytes } from "./look.js";
import { transferOf, type WriterData, type WriterReport, type WriterRequest } from "./messages.js";
import { Reader } from "./reader.js";
import { type Connection, connect } from "./schema.js";
import { TurnSnapshot } from "./turn-snapshot.js";
import { pressureOf, type WriterFigures } from "./writer.js";

const SYNCHRONOUS = { always: "FULL", everysec: "FULL", no: "NORMAL" } as const satisfies Record<
  AppendFsync,
  WriterData["synchronous"]
>;

interface Waiter<T> {
  resolve: (value: T) => void;
  reject: (error: Error) => void;
}

export class SqliteStorage extends Reader implements DurableStorage {
  readonly #path: string;
  readonly #lock: Connection;
  readonly #connection: Connection;
  readonly #writer: Worker;
  readonly #committed = new Map<number, Waiter<Uint32Array>>();
  readonly #synced = new Map<number, Waiter<void>>();
  readonly #events: StorageEvents;
  #figures: WriterFigures;
  pressure: number;
  #syncNumber = 0;
  #appendfsync: AppendFsync;
  #closing = false;
  #closed: () => void = () => {};
  readonly #snapshot: TurnSnapshot;

  /** `lock` is the lock on `path`, whose schema is in place. */
  constructor(path: string, lock: Connection, appendfsync: AppendFsync, events: StorageEvents) {
    const connection = connect(path, READER_CACHE_KIB, { readonly: true });
    super(connection);
    this.#connection = connection;
    this.#snapshot = new TurnSnapshot(connection);
    this.#figures = this.leftoverFigures;
    this.pressure = pressureOf(this.#figures);
    this.#path = path;
    this.#lock = lock;
    this.#events = events;
    this.#appendfsync = appendfsync;
    const workerData: WriterData = { path, synchronous: SYNCHRONOUS[appendfsync] };
    this.#writer = new Worker(new URL("./writer-worker.js", import.meta.url), {
      workerData,
      resourceLimits: { maxYoungGenerationSizeMb: WRITER_YOUNG_MIB },
    });
    this.#writer.on("online", limitYoungSpace);
    this.#writer.on("message", (report: WriterReport) => this.#report(report));
    this.#writer.on("error", (error) => this.#died(error));
    this.#writer.on("exit", () => this.#died(new Error("the writer thread ended")));
  }

  override find(slot: number, key: string): StoredKey | undefined {
    this.#snapshot.use();
    return super.find(slot, key);
  }

  /** An expression's row, and then what it is of. */
  override load(id: number): Bitmap {
    return this.#snapshot.during(() => super.load(id));
  }

  override measure(id: number): ValueFacts {
    return this.#snapshot.during(() => super.measure(id));
  }

  write(batch: Batch): Promise<Uint32Array> {
    const { number, words } = batch;
    return new Promise((resolve, reject) => {
      this.#committed.set(number, { resolve, reject });
      this.#ask({ batch: { number, words } }, transferOf(words));
    });
  }

  get syncsCommits(): boolean {
    return this.#appendfsync !== "no";
  }

  /** Resolves when all that is committed is on the disk. */
  sync(): Promise<void> {
    if (this.syncsCommits) return Promise.resolve();
    const number = ++this.#syncNumber;
    return new Promise((resolve, reject) => {
      this.#synced.set(number, { resolve, reject });
      this.#ask({ sync: number });
    });
  }

  settleSoon(): void {
    this.#ask({ settle: true });
  }

  trimHeap(): void {
    this.#ask({ trim: true });
  }

  setAppendfsync(appendfsync: AppendFsync): void {
    // What was committed without a sync gets one with the next commit, which covers the whole log.
    this.#appendfsync = appendfsync;
    this.#ask({ synchronous: SYNCHRONOUS[appendfsync] });
  }

  get figures(): StorageFigures {
    const fileBytes = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    return { ...this.#figures, walBytes: walBytes(this.#path) ?? 0, fileBytes };
  }

  /** Runs in a thread of its own; writes go on meanwhile. Rejects with the reason, and then no copy was made. */
  backup(target: string): Promise<void> {
    return backupInThread(this.#path, target);
  }

  async close({ discard } = { discard: false }): Promise<void> {
    this.#closing = true;
    // The reader goes first: whoever closes last folds the WAL into the file, and only the writer may write.
    this.#connection.close();
    if (discard) await this.#writer.terminate();
    else await this.#finishWriting();
    this.#lock.close();
  }

  #finishWriting(): Promise<void> {
    return new Promise((resolve) => {
      this.#closed = resolve;
      this.#ask({ close: true });
    });
  }

  #ask(request: WriterRequest, transfer: ArrayBuffer[] = []): void {
    this.#writer.postMessage(request, transfer);
  }

  #report(report: WriterReport): void {
    // Who is told of a commit counts on finding what it holds.
    this.#snapshot.refresh();
    switch (report.kind) {
      case "committed":
        this.#take(report.figures);
        this.#committed.get(report.number)?.resolve(report.words);
        this.#committed.delete(report.number);
        this.#events.onWritten();
        break;
      case "settled":
        this.#take(report.figures);
        this.leftoverSettled();
        this.#events.onSettled(report.number);
        break;
      case "synced":
        this.#synced.get(report.number)?.resolve();
        this.#synced.delete(report.number);
        break;
      case "warning":
        this.#events.onWarning(report.message);
        break;
      case "recovered":
        this.#events.onWritten();
        break;
      case "failed":
        this.#events.onWriteFailed(report.reason);
        break;
      case "closed":
        this.#closed();
        break;
    }
  }

  /** Keeps what the writer tells of itself. The pressure is asked for after every command, and so it is not computed then. */
  #take(figures: WriterFigures): void {
    this.#figures = figures;
    this.pressure = pressureOf(figures);
  }

  #died(error: Error): void {
    if (this.#closing) {
      this.#closed();
      return;
    }
    this.#closing = true;
    for (const { reject } of [...this.#committed.values(), ...this.#synced.values()]) reject(error);
    this.#committed.clear();
    this.#synced.clear();
    this.#events.onDied(error);
  }
}
