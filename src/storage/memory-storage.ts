/**
 * The storage of `--db :memory:`: the same tables in an SQLite database that is kept in memory, written at once on the
 * server's thread. Nothing is left when the server ends.
 */
import { MEMORY_DB, READER_CACHE_KIB } from "../config.js";
import type { Batch } from "../keyspace/change-log.js";
import { Applier } from "./applier.js";
import { backup } from "./backup.js";
import type { DurableStorage } from "./durable-storage.js";
import { Reader } from "./reader.js";
import { type Connection, connect, createSchema } from "./schema.js";

export class MemoryStorage extends Reader implements DurableStorage {
  readonly #connection: Connection;
  readonly #applier: Applier;

  constructor() {
    const connection = connect(MEMORY_DB, READER_CACHE_KIB);
    createSchema(connection);
    super(connection);
    this.#connection = connection;
    this.#applier = new Applier(connection);
  }

  async write(batch: Batch): Promise<void> {
    this.#applier.apply(batch);
  }

  setAppendfsync(): void {}

  async backup(target: string): Promise<void> {
    backup(this.#connection, target);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }
}
