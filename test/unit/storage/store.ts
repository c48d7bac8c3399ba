/** A keyspace and its file, for tests that say in a sentence what a flush or the writer's work makes of it. */
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import type { Database } from "../../../src/keyspace/database.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import { Reader } from "../../../src/storage/reader.js";
import type { Connection } from "../../../src/storage/schema.js";
import { Values } from "../../../src/storage/values.js";
import { keyBytes } from "../keyspace/bytes.js";
import { StorageInHand } from "../keyspace/sqlite.js";

export interface Row {
  id: number;
  slot: number;
  key: string;
  length: number;
  cardinality: number;
  deadline: number | null;
  chunkBytes: number;
  deltaBytes: number;
}

export class Store {
  readonly storage: StorageInHand;
  readonly keyspace: Keyspace;

  constructor(storage = new StorageInHand()) {
    this.storage = storage;
    this.keyspace = new Keyspace(storage, { now: () => 0 }, () => 0);
  }

  /** What a server makes of the file that starts after a crash. */
  crashed(): Store {
    return new Store(this.storage.reopened());
  }

  get connection(): Connection {
    return this.storage.connection;
  }

  database(number: number): Database {
    return this.keyspace.databases[number] as Database;
  }

  put(key: string, bytes: Uint8Array | string, database = 0): void {
    const bitmap = Bitmap.fromBytes(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    this.keyspace.setValue(this.database(database), key, bitmap);
  }

  bit(key: string, offset: number, bit: 0 | 1 = 1, database = 0): void {
    this.keyspace.setBit(this.database(database), keyBytes(key), offset, bit);
  }

  /** Changes a bit, whatever it is, to 1 in the end. */
  touch(key: string, offset: number): void {
    this.bit(key, offset, 0);
    this.bit(key, offset, 1);
  }

  /** Sets a bit in each byte up to `length`, or in every `step`th. */
  bits(key: string, length: number, step = 1): void {
    for (let i = 0; i < length; i += step) this.bit(key, i * 8 + 1);
  }

  delete(key: string, database = 0): void {
    this.keyspace.delete(this.#found(key, database));
  }

  rename(key: string, to: string, options: { database?: number; toDatabase?: number } = {}): void {
    const entry = this.#found(key, options.database ?? 0);
    this.keyspace.rename(entry, this.database(options.toDatabase ?? options.database ?? 0), to);
  }

  expire(key: string, deadline: number, database = 0): void {
    this.keyspace.setDeadline(this.#found(key, database), deadline);
  }

  persist(key: string): void {
    this.expire(key, NO_DEADLINE);
  }

  #found(key: string, database: number) {
    const entry = this.keyspace.lookup(this.database(database), key);
    if (entry === undefined) throw new Error(`no key ${key}`);
    return entry;
  }

  /** Commits what has changed; what single bits say stays in the log. */
  flush(): void {
    const batch = this.keyspace.takeBatch();
    this.storage.apply(batch);
    this.keyspace.committed(batch);
  }

  /** The rows of all keys. */
  rows(): Row[] {
    return this.connection
      .prepare<[], Omit<Row, "key"> & { key: Buffer }>(
        `SELECT id, slot, key, byte_length AS length, cardinality, deadline, chunk_bytes AS chunkBytes,
                delta_bytes AS deltaBytes FROM keys ORDER BY id`,
      )
      .all()
      .map((row) => ({ ...row, key: row.key.toString("latin1") }));
  }

  row(key: string): Row {
    const row = this.rows().find((each) => each.key === key);
    if (row === undefined) throw new Error(`no row ${key}`);
    return row;
  }

  id(key: string): number {
    return this.row(key).id;
  }

  /** The value as a start finds it: with what is in the log. */
  read(key: string): Buffer {
    return bytesOf(new Reader(this.connection).load(this.id(key)));
  }

  /** The value without what is in the log. */
  readHome(key: string): Buffer {
    const bitmap = new Values(this.connection).load(this.id(key));
    if (bitmap === undefined) throw new Error(`no value ${key}`);
    return bytesOf(bitmap);
  }

  /** Numbers of the chunks, or the deltas, of a value. */
  numbers(row: "chunk" | "delta", id: number): number[] {
    return this.connection
      .prepare<[number], number>(`SELECT ${row} & 65535 FROM ${row}s WHERE ${row} / 65536 = ? ORDER BY ${row}`)
      .pluck()
      .all(id);
  }
}

export function bytesOf(bitmap: Bitmap): Buffer {
  const bytes = bitmap.bytes(0, bitmap.byteLength);
  bitmap.dispose();
  return bytes;
}

/** Bytes that no run or array makes small: their bits take about as many bytes in the file. */
export function noise(length: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0, word = seed; i < words.length; i++) {
    word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
    words[i] = Math.imul(word ^ (word >>> 15), 0x2c1b3c6d);
  }
  return Buffer.from(words.buffer).subarray(0, length);
}
