/** A keyspace's storage whose every step the test takes itself: a batch is applied when it is told to, and not before. */
import type { Batch } from "../../../src/keyspace/change-log.js";
import type { Storage } from "../../../src/keyspace/storage.js";
import { Applier } from "../../../src/storage/applier.js";
import { Reader } from "../../../src/storage/reader.js";
import { type Connection, connect, createSchema } from "../../../src/storage/schema.js";

const CACHE_KIB = 2048;

export class StorageInHand extends Reader implements Storage {
  readonly connection: Connection;
  readonly #applier: Applier;

  constructor(connection: Connection = emptyDatabase()) {
    super(connection);
    this.connection = connection;
    this.#applier = new Applier(connection);
  }

  /** The same data as a server finds it that starts now. */
  reopened(): StorageInHand {
    return new StorageInHand(this.connection);
  }

  /** Commits at once. */
  apply(batch: Batch): void {
    this.#applier.apply(batch);
  }

  async write(batch: Batch): Promise<void> {
    this.apply(batch);
  }

  close(): void {
    this.connection.close();
  }
}

export function emptyDatabase(): Connection {
  const connection = connect(":memory:", CACHE_KIB);
  createSchema(connection);
  return connection;
}
