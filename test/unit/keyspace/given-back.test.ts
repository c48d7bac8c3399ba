/** Memory that is out of use. In a file, and so in a process, of its own: others' garbage would be counted too. */
import { expect, test } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { PASSING_BYTES_MAX } from "../../../src/config.js";
import type { Database } from "../../../src/keyspace/database.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { collectAll } from "../../../src/passing-buffer.js";
import { keyBytes, randomOf } from "./bytes.js";
import { StorageInHand } from "./sqlite.js";

const KEYS = 200_000;

/** Bytes of buffers, when all objects that are out of use were collected. */
function collected(): number {
  collectAll();
  return process.memoryUsage().arrayBuffers;
}

test("the memory of a database that was emptied is given back, and what its changes have used", () => {
  const storage = new StorageInHand();
  const keyspace = new Keyspace(storage, new ManualClock(0), randomOf(7));
  const database = keyspace.databases[0] as Database;
  for (let k = 0; k < KEYS; k++) keyspace.setBit(database, keyBytes(`key:${k}`), k, 1);
  const batch = keyspace.takeBatch();
  storage.apply(batch);
  keyspace.committed(batch, batch.words);
  storage.settle();
  const batchBytes = batch.words.buffer.byteLength;
  const beforeRest = collected();
  keyspace.rest();
  expect(beforeRest - collected()).toBe(batchBytes);
  const { arena, entries } = database.contents;
  const taken = arena.reservedBytes + entries.reservedBytes;
  expect(taken).toBeGreaterThan(4 * PASSING_BYTES_MAX);
  // It makes what is in use old, too.
  const before = collected();
  keyspace.flush(database);
  storage.commit(keyspace);
  for (let i = 0; i < 100; i++) keyspace.residency.cycle(0);
  expect(before - process.memoryUsage().arrayBuffers).toBeGreaterThan(taken - 2 * PASSING_BYTES_MAX);
  expect(keyspace.residency.keys).toBe(0);
});
