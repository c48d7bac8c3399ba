/** Memory that is out of use. In a file, and so in a process, of its own: others' garbage would be counted too. */
import { expect, test } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { PASSING_BYTES_MAX } from "../../../src/config.js";
import type { Database } from "../../../src/keyspace/database.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { collectAll } from "../../../src/passing-buffer.js";
import { buffersDownTo } from "../../support/buffers.js";
import { keyBytes, randomOf } from "./bytes.js";
import { StorageInHand } from "./sqlite.js";

const KEYS = 200_000;

test("the memory of a database that was emptied is given back, and what its changes have used", () => {
  const storage = new StorageInHand();
  const keyspace = new Keyspace(storage, new ManualClock(0), randomOf(7));
  const database = keyspace.databases[0] as Database;
  for (let k = 0; k < KEYS; k++) keyspace.setBit(database, keyBytes(`key:${k}`), k, 1);
  const batch = keyspace.takeBatch();
  storage.apply(batch);
  keyspace.committed(batch, batch.words);
  // So large a batch is no other's.
  expect(batch.words.length).toBe(0);
  storage.settle();
  keyspace.rest();
  const { arena, entries } = database.contents;
  const taken = arena.reservedBytes + entries.reservedBytes;
  expect(taken).toBeGreaterThan(4 * PASSING_BYTES_MAX);
  // What the commit has left is freed before (V8 does it on a thread of its own), and what is in use grows old.
  for (let i = 0; i < 2; i++) collectAll();
  const before = buffersDownTo(1.1 * taken);
  keyspace.flush(database);
  storage.commit(keyspace);
  for (let i = 0; i < 100; i++) keyspace.residency.cycle(0);
  const most = before - taken + 2 * PASSING_BYTES_MAX;
  expect(buffersDownTo(most)).toBeLessThanOrEqual(most);
  expect(keyspace.residency.keys).toBe(0);
});
