/** Memory that is out of use. In a file, and so in a process, of its own: others' garbage would be counted too. */
import { expect, test } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { PASSING_BYTES_MAX } from "../../../src/config.js";
import type { Database } from "../../../src/keyspace/database.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { collectAll } from "../../../src/passing-buffer.js";
import { buffersDownTo } from "../../support/buffers.js";
import { sleep } from "../../support/server-process.js";
import { keyBytes, randomOf } from "./bytes.js";
import { StorageInHand } from "./sqlite.js";

const KEYS = 200_000;
const FREED_MS = 200;

test("the memory of a database that was emptied is given back, and what its changes have used", async () => {
  const storage = new StorageInHand();
  const keyspace = new Keyspace(storage, new ManualClock(0), randomOf(7));
  const database = keyspace.databases[0] as Database;
  for (let k = 0; k < KEYS; k++) keyspace.setBit(database, keyBytes(`key:${k}`), k, 1);
  const memory = commit(storage, keyspace);
  await nextTurn();
  for (let i = 0; i < 2; i++) collectAll();
  expect(memory.deref()?.byteLength).toBeGreaterThan(PASSING_BYTES_MAX);
  keyspace.rest();
  // What a WeakRef was asked for lives until the turn has ended.
  await nextTurn();
  for (let i = 0; i < 2; i++) collectAll();
  expect(memory.deref()).toBeUndefined();
  // V8 frees on a thread of its own.
  await sleep(FREED_MS);
  const { arena, entries } = database.contents;
  const taken = arena.reservedBytes + entries.reservedBytes;
  expect(taken).toBeGreaterThan(4 * PASSING_BYTES_MAX);
  // What the commit has left was freed before, and what is in use has grown old.
  const before = process.memoryUsage().arrayBuffers;
  keyspace.flush(database);
  storage.commit(keyspace);
  for (let i = 0; i < 100; i++) keyspace.residency.cycle(0);
  const most = before - taken + 2 * PASSING_BYTES_MAX;
  expect(buffersDownTo(most)).toBeLessThanOrEqual(most);
  expect(keyspace.residency.keys).toBe(0);
});

/** Commits what has changed. Returns the memory of the batch, which the keyspace takes back for the next one, and which V8 does not count. */
function commit(storage: StorageInHand, keyspace: Keyspace): WeakRef<ArrayBufferLike> {
  const batch = keyspace.takeBatch();
  storage.apply(batch);
  keyspace.committed(batch, batch.words);
  storage.settle();
  return new WeakRef(batch.words.buffer);
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
