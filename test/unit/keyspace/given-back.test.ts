/** Memory of a database that was emptied. In a file, and so in a process, of its own: others' garbage would be counted too. */
import { expect, test } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { PASSING_BYTES_MAX } from "../../../src/config.js";
import type { Database } from "../../../src/keyspace/database.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { collectAll } from "../../../src/passing-buffer.js";
import { keyBytes, randomOf } from "./bytes.js";
import { StorageInHand } from "./sqlite.js";

const KEYS = 200_000;

test("the memory of a database that was emptied is given back", () => {
  const storage = new StorageInHand();
  const keyspace = new Keyspace(storage, new ManualClock(0), randomOf(7));
  const database = keyspace.databases[0] as Database;
  for (let k = 0; k < KEYS; k++) keyspace.setBit(database, keyBytes(`key:${k}`), k, 1);
  storage.commit(keyspace);
  storage.settle();
  keyspace.rest();
  const { arena, entries } = database.contents;
  const taken = arena.reservedBytes + entries.reservedBytes;
  expect(taken).toBeGreaterThan(4 * PASSING_BYTES_MAX);
  // What the commit has left, and it makes what is in use old.
  for (let i = 0; i < 2; i++) collectAll();
  const before = process.memoryUsage().arrayBuffers;
  keyspace.flush(database);
  storage.commit(keyspace);
  for (let i = 0; i < 100; i++) keyspace.residency.cycle(0);
  expect(before - process.memoryUsage().arrayBuffers).toBeGreaterThan(taken - 2 * PASSING_BYTES_MAX);
  expect(keyspace.residency.keys).toBe(0);
});
