/** What the writer's thread does: commits batches in the order they come, one again until it is committed; works between them. */
import {
  CATCH_UP_MS_MAX,
  FLUSH_RETRY_MS,
  LATE_SHARE,
  REST_MS,
  WAL_BYTES_MAX,
  WAL_CHECKPOINT_PAGES,
  WRITER_CACHE_KIB,
} from "../config.js";
import { reasonOf } from "../errors.js";
import { collectAll } from "../passing-buffer.js";
import { trimHeap } from "./heap-trim.js";
import { transferOf, type WriterData, type WriterReport, type WriterRequest } from "./messages.js";
import { realFile } from "./real-file.js";
import { type Connection, connect } from "./schema.js";
import { sync } from "./sync.js";
import { NOTHING_SETTLED, Writer } from "./writer.js";

/** A failure that lasts is said again after this long. */
const SAY_AGAIN_MS = 60_000;

/** Memory of buffers that were collected is freed by then: V8 does that on another thread. */
const FREED_MS = 100;

/** What the loop needs of the thread's port. */
export interface WriterPort {
  on(event: "message", listener: (request: WriterRequest) => void): unknown;
  postMessage(report: WriterReport, transfer?: ArrayBuffer[]): void;
  close(): void;
}

export function runWriter(port: WriterPort, data: WriterData): void {
  new WriterLoop(port, data).start();
}

class WriterLoop {
  readonly #port: WriterPort;
  readonly #path: string;
  readonly #connection: Connection;
  readonly #writer: Writer;
  readonly #queue: WriterRequest[] = [];
  #synchronous: WriterData["synchronous"];
  #timeout: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  /** A batch could not be committed: it is tried again later, and everything behind it waits. */
  #isRetrying = false;
  /** The work between flushes failed: it is not tried again before this, in milliseconds of `performance.now()`. */
  #workNotBeforeMs = 0;
  #workFailure = "";
  #workFailureSaidMs = 0;
  #settledReported = NOTHING_SETTLED;
  #isClosed = false;

  constructor(port: WriterPort, { path, synchronous }: WriterData) {
    this.#port = port;
    this.#path = path;
    this.#synchronous = synchronous;
    this.#connection = connect(path, WRITER_CACHE_KIB);
    this.#connection.pragma(`wal_autocheckpoint = ${WAL_CHECKPOINT_PAGES}`);
    this.#connection.pragma(`journal_size_limit = ${WAL_BYTES_MAX}`);
    this.#writer = new Writer(this.#connection, (message) => this.#report({ kind: "warning", message }));
  }

  start(): void {
    this.#port.on("message", (request) => {
      // It is no work on the file: it need not wait for that, and the writer rests all the same.
      if (request.trim === true) return void setTimeout(trimHeap, FREED_MS);
      this.#queue.push(request);
      if (!this.#isRetrying) this.#run();
    });
    this.#schedule();
  }

  #report(report: WriterReport, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(report, transfer);
  }

  /** Does what is asked, and then one slice of what is due; the next waits for its turn behind new messages. */
  #run(): void {
    const wasRetrying = this.#isRetrying;
    this.#isRetrying = false;
    try {
      for (let request = this.#queue[0]; request !== undefined; request = this.#queue[0]) {
        const startedAt = performance.now();
        this.#perform(request);
        this.#queue.shift();
        if (this.#isClosed) return;
        this.#catchUp((performance.now() - startedAt) / LATE_SHARE);
      }
      if (wasRetrying) this.#report({ kind: "recovered" });
    } catch (error) {
      this.#report({ kind: "failed", reason: reasonOf(error) });
      this.#isRetrying = true;
    }
    if (!this.#isRetrying) this.#step();
    this.#schedule();
  }

  /** Gives the work that is late so many milliseconds, or more where it is very late, though flushes wait. */
  #catchUp(ms: number): void {
    const end = performance.now() + Math.min(ms * this.#writer.pressure, Math.max(ms, CATCH_UP_MS_MAX));
    while (this.#writer.isLate && this.#workDueInMs === 0) {
      this.#step();
      if (performance.now() >= end) return;
    }
  }

  #schedule(): void {
    this.#unschedule();
    const delayMs = this.#isRetrying ? FLUSH_RETRY_MS : this.#workDueInMs;
    if (delayMs === 0) this.#immediate = setImmediate(() => this.#run());
    else if (delayMs !== undefined) this.#timeout = setTimeout(() => this.#run(), delayMs);
    else this.#timeout = setTimeout(() => this.#rest(), REST_MS);
  }

  /** There was nothing to do for some time: what pages, rows and batches have used is given back. */
  #rest(): void {
    this.#writer.rest();
    this.#connection.pragma("shrink_memory");
    collectAll();
    this.#timeout = setTimeout(trimHeap, FREED_MS);
  }

  #unschedule(): void {
    clearTimeout(this.#timeout);
    clearImmediate(this.#immediate);
  }

  #perform({ batch, synchronous, sync: syncNumber, settle, close }: WriterRequest): void {
    if (synchronous !== undefined) this.#synchronous = synchronous;
    if (batch !== undefined) {
      this.#connection.pragma(`synchronous = ${this.#synchronous}`);
      this.#writer.flush(batch);
      const { number, words } = batch;
      this.#report({ kind: "committed", number, words, figures: this.#writer.figures }, transferOf(words));
      this.#reportSettled();
    }
    if (syncNumber !== undefined) {
      sync(`${realFile(this.#path)}-wal`);
      this.#report({ kind: "synced", number: syncNumber });
    }
    if (settle === true) this.#writer.settleSoon();
    if (close === true) this.#close();
  }

  /** When to do the work between flushes; undefined for not before the next. */
  get #workDueInMs(): number | undefined {
    const { dueInMs } = this.#writer;
    return dueInMs === undefined ? undefined : Math.max(dueInMs, this.#workNotBeforeMs - performance.now(), 0);
  }

  /** Does a slice of that work if it is due. When it fails nothing is lost, and flushes go on. */
  #step(): void {
    if (this.#workDueInMs !== 0) return;
    try {
      // What is brought home is in the log already: it need not wait for the disk. The next flush's sync covers it.
      this.#connection.pragma("synchronous = NORMAL");
      this.#writer.step();
    } catch (error) {
      this.#workNotBeforeMs = performance.now() + FLUSH_RETRY_MS;
      const failure = `can't put the database file in order: ${reasonOf(error)}`;
      if (failure !== this.#workFailure || performance.now() > this.#workFailureSaidMs + SAY_AGAIN_MS) {
        this.#report({ kind: "warning", message: failure });
        this.#workFailureSaidMs = performance.now();
      }
      this.#workFailure = failure;
    }
    this.#reportSettled();
  }

  #reportSettled(): void {
    const { settledBatch, figures } = this.#writer;
    if (settledBatch === this.#settledReported) return;
    this.#settledReported = settledBatch;
    this.#report({ kind: "settled", number: settledBatch, figures });
  }

  #close(): void {
    try {
      this.#writer.settle();
    } catch (error) {
      // What is committed stays in the log, from which the next start takes it.
      this.#report({ kind: "warning", message: `can't put the database file in order: ${reasonOf(error)}` });
    }
    this.#unschedule();
    this.#connection.close();
    this.#isClosed = true;
    this.#report({ kind: "closed" });
    this.#port.close();
  }
}
