/**
 * The storage of `--db :memory:`: the same tables in an SQLite database that is kept in memory, written at once on the
 * server's thread. Nothing is left when the server ends.
 */
import { MEMORY_DB, READER_CACHE_KIB } from "../config.js";
import type { Batch } from "../keyspace/change-log.js";
import type { StorageFigures } from "../keyspace/storage.js";
import { backup } from "./backup.js";
import type { DurableStorage, StorageEvents } from "./durable-storage.js";
import { Reader } from "./reader.js";
import { type Connection, connect, createSchema } from "./schema.js";
import { Writer } from "./writer.js";

export class MemoryStorage extends Reader implements DurableStorage {
  readonly #connection: Connection;
  readonly #writer: Writer;
  readonly #events: StorageEvents;
  #timer: NodeJS.Timeout | undefined;
  #settledReported = 0;

  constructor(events: StorageEvents) {
    const connection = connect(MEMORY_DB, READER_CACHE_KIB);
    createSchema(connection);
    super(connection);
    this.#connection = connection;
    this.#events = events;
    this.#writer = new Writer(connection, (message) => events.onWarning(message));
  }

  get figures(): StorageFigures {
    return { ...this.#writer.figures, walBytes: 0, fileBytes: 0 };
  }

  get pressure(): number {
    return this.#writer.pressure;
  }

  async write(batch: Batch): Promise<Uint32Array> {
    this.#writer.flush(batch);
    this.#schedule();
    return batch.words;
  }

  readonly syncsCommits = false;

  async sync(): Promise<void> {}

  settleSoon(): void {
    this.#writer.settleSoon();
    this.#schedule();
  }

  setAppendfsync(): void {}

  /** That would keep clients waiting: there is no other thread here. */
  trimHeap(): void {}

  async backup(target: string): Promise<void> {
    backup(this.#connection, target);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#connection.close();
  }

  #schedule(): void {
    if (this.#writer.settledBatch !== this.#settledReported) {
      this.#settledReported = this.#writer.settledBatch;
      this.#events.onSettled(this.#settledReported);
    }
    clearTimeout(this.#timer);
    const { dueInMs } = this.#writer;
    if (dueInMs === undefined) return;
    this.#timer = setTimeout(() => {
      this.#writer.step();
      this.#schedule();
    }, dueInMs);
  }
}
