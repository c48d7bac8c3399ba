/**
 * A keyspace's storage whose every step the test takes itself: a batch is committed when it is told to, and brought home
 * when it is told to, and not before. The writer is the real one.
 */
import { vi } from "vitest";
import { FOLD_SLICE_MS } from "../../../src/config.js";
import type { Batch } from "../../../src/keyspace/change-log.js";
import type { Keyspace } from "../../../src/keyspace/keyspace.js";
import type { Storage, StorageFigures } from "../../../src/keyspace/storage.js";
import { Reader } from "../../../src/storage/reader.js";
import { type Connection, connect, createSchema } from "../../../src/storage/schema.js";
import { NOTHING_SETTLED, Writer } from "../../../src/storage/writer.js";

const CACHE_KIB = 2048;

export class StorageInHand extends Reader implements Storage {
  readonly connection: Connection;
  readonly writer: Writer;
  readonly warnings: string[] = [];
  readonly syncsCommits: boolean = true;
  pressure = 1;
  syncs = 0;
  #settledReported = NOTHING_SETTLED;

  constructor(connection: Connection = emptyDatabase()) {
    super(connection);
    this.connection = connection;
    this.writer = new Writer(connection, (message) => void this.warnings.push(message));
  }

  /** The same data as a server finds it that starts now. It must be the only one from then on that writes. */
  reopened(): StorageInHand {
    return new StorageInHand(this.connection);
  }

  /** Commits at once. */
  apply(batch: Batch): void {
    this.writer.flush(batch);
  }

  async write(batch: Batch): Promise<Uint32Array> {
    this.apply(batch);
    return batch.words;
  }

  /** Does a slice of the writer's own work: so many pieces of it. */
  step(pieces: number): void {
    stepOf(this.writer, pieces);
  }

  /** Up to which batch reading finds everything. */
  get settledBatch(): number {
    return this.writer.settledBatch;
  }

  /** Brings everything home. */
  settle(): void {
    this.writer.settle();
  }

  /** Tells the keyspace so, if it does not know yet. */
  reportSettled(keyspace: Keyspace): void {
    if (this.settledBatch === this.#settledReported) return;
    this.#settledReported = this.settledBatch;
    this.leftoverSettled();
    keyspace.settled(this.settledBatch);
  }

  /** Commits what has changed, brings it home, and tells the keyspace of both. */
  commit(keyspace: Keyspace): void {
    const batch = keyspace.takeBatch();
    this.apply(batch);
    keyspace.committed(batch);
    this.settle();
    this.reportSettled(keyspace);
  }

  get figures(): StorageFigures {
    return { ...this.writer.figures, fileBytes: 0, walBytes: 0 };
  }

  async sync(): Promise<void> {
    this.syncs++;
  }

  settleSoon(): void {
    this.writer.settleSoon();
  }

  close(): void {
    this.connection.close();
  }
}

/** One slice of a writer's own work, as if its time were over after so many pieces. */
export function stepOf(writer: Writer, pieces: number): void {
  const now = performance.now();
  let calls = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now + (calls++ < pieces ? 0 : FOLD_SLICE_MS));
  try {
    writer.step();
  } finally {
    clock.mockRestore();
  }
}

export function emptyDatabase(): Connection {
  const connection = connect(":memory:", CACHE_KIB);
  createSchema(connection);
  return connection;
}
