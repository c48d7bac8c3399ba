/**
 * The storage of `--db :memory:`: the same tables in an SQLite database that is kept in memory, written at once on the
 * server's thread. Nothing is left when the server ends.
 */
import { READER_CACHE_KIB } from "../config.js";
import type { Batch } from "../keyspace/change-log.js";
import type { ExpiredCursor, StoredDatabase, StoredKey, StoredValue } from "../keyspace/storage.js";
import { Applier } from "./applier.js";
import { backup } from "./backup.js";
import type { DurableStorage } from "./durable-storage.js";
import { Reader } from "./reader.js";
import { type Connection, connect, createSchema } from "./schema.js";

export class MemoryStorage implements DurableStorage {
  readonly databases: readonly StoredDatabase[];
  readonly nextId: number;
  readonly #connection: Connection;
  readonly #reader: Reader;
  readonly #applier: Applier;

  constructor() {
    this.#connection = connect(":memory:", READER_CACHE_KIB);
    createSchema(this.#connection);
    this.#reader = new Reader(this.#connection);
    this.#applier = new Applier(this.#connection);
    this.databases = this.#reader.databases();
    this.nextId = this.#reader.nextId();
  }

  find(slot: number, key: string): StoredKey | undefined {
    return this.#reader.find(slot, key);
  }

  load(id: number): StoredValue {
    return this.#reader.load(id);
  }

  page(slot: number, hash: number, limit: number): StoredKey[] {
    return this.#reader.page(slot, hash, limit);
  }

  expired(now: number, after: ExpiredCursor, limit: number): StoredKey[] {
    return this.#reader.expired(now, after, limit);
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
