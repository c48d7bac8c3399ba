/** What stays in memory when it is short: the bound holds, the coldest leave, changes stay until the storage gives them back. */
import { describe, expect, test, vi } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { KIB, MIB, SMALL_MEMBERS_MAX } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import type { Database } from "../../../src/keyspace/database.js";
import type { Entry } from "../../../src/keyspace/entry.js";
import { NO_ENTRY } from "../../../src/keyspace/entry-table.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { keyBytes, randomOf } from "./bytes.js";
import { StorageInHand } from "./sqlite.js";

/** A native value that nobody used for ten seconds may become a small one. */
const LATER_MS = 11_000;

function setUp() {
  const storage = new StorageInHand();
  const clock = new ManualClock(0);
  const keyspace = new Keyspace(storage, clock, randomOf(7));
  const [database, other] = keyspace.databases as [Database, Database];
  const { residency } = keyspace;
  const fill = (keys: number, members = 3) => {
    for (let k = 0; k < keys; k++) {
      keyspace.tick();
      for (let i = 0; i < members; i++) keyspace.setBit(database, keyBytes(`key:${k}`), i * 1000 + k, 1);
    }
  };
  const settle = () => {
    storage.commit(keyspace);
    storage.settle();
  };
  /** A cycle lets 256 entries go at most: so many are enough for all that a test here has. */
  const cycle = (times = 100) => {
    for (let i = 0; i < times; i++) residency.cycle(clock.now());
  };
  return { storage, clock, keyspace, database, other, residency, fill, settle, cycle };
}

describe("a bound on memory", () => {
  test("is kept, and every key is still there with its value", () => {
    const { keyspace, database, residency, fill, settle, cycle } = setUp();
    fill(20_000);
    settle();
    const unbounded = residency.bytes;
    residency.maxBytes = Math.floor(unbounded / 2);
    cycle();
    expect(residency.bytes).toBeLessThanOrEqual(residency.maxBytes);
    expect(residency.keys).toBeLessThan(20_000);
    expect(residency.evicted).toBe(20_000 - residency.keys);
    for (let k = 0; k < 20_000; k++) {
      keyspace.tick();
      const entry = keyspace.lookup(database, `key:${k}`);
      expect(entry === undefined ? 0 : keyspace.value(entry).cardinality).toBe(3);
    }
    // The pass itself, which looked every key up, did not go beyond the bound by more than one check's worth.
    expect(residency.bytes).toBeLessThanOrEqual(residency.maxBytes + 128 * KIB);
  });

  test("does not take what is not settled: it says that it is stuck, until it is", () => {
    const { storage, keyspace, residency, fill, settle, cycle } = setUp();
    fill(5000);
    residency.maxBytes = 100 * KIB;
    cycle();
    expect([residency.keys, residency.isStuck]).toEqual([5000, true]);
    storage.commit(keyspace);
    cycle();
    settle();
    expect(residency.isStuck).toBe(false);
    cycle();
    expect(residency.keys).toBeLessThan(5000);
  });

  test("lets the coldest go: keys in use stay while others are read once", () => {
    const { clock, keyspace, database, residency, fill, settle, cycle } = setUp();
    fill(20_000);
    settle();
    residency.maxBytes = Math.floor(residency.bytes * 0.8);
    const hot = Array.from({ length: 200 }, (_, i) => `key:${i * 7}`);
    for (let round = 0; round < 40; round++) {
      clock.advance(1000);
      keyspace.tick();
      for (const key of hot) keyspace.lookup(database, key);
      for (let k = 0; k < 1000; k++) {
        keyspace.tick();
        keyspace.lookup(database, `key:${(round * 1000 + k) % 20_000}`);
      }
      cycle(5);
    }
    const before = keyspace.storageLookups;
    for (const key of hot) keyspace.lookup(database, key);
    expect(keyspace.storageLookups - before).toBeLessThan(hot.length / 10);
  });

  test("of 0 is none", () => {
    const { residency, fill, settle, cycle } = setUp();
    fill(2000);
    settle();
    cycle();
    expect([residency.keys, residency.evicted]).toEqual([2000, 0]);
  });
});

describe("values", () => {
  test("are native while whole sets are made of them, and small again when nobody has done that for a while", () => {
    const { clock, keyspace, database, residency, cycle } = setUp();
    for (let i = 0; i < SMALL_MEMBERS_MAX / 2; i++) keyspace.setBit(database, keyBytes("a"), i * 3, 1);
    const entry = keyspace.lookup(database, "a") as Entry;
    keyspace.bitmap(entry);
    cycle();
    expect(residency.nativeValues).toBe(1);
    clock.advance(LATER_MS);
    cycle();
    expect(residency.nativeValues).toBe(0);
    const value = keyspace.value(entry);
    expect([value.cardinality, value.byteLength]).toEqual([SMALL_MEMBERS_MAX / 2, (SMALL_MEMBERS_MAX / 2) * (3 / 8)]);
  });

  test("give their native memory back when they are deleted, replaced, flushed or leave", () => {
    const { keyspace, database, other, residency, settle, cycle } = setUp();
    const before = Bitmap.usedBytes();
    const big = () => Bitmap.fromBytes(Buffer.alloc(MIB, 0x55));
    for (const key of ["deleted", "replaced", "evicted"]) keyspace.setValue(database, key, big());
    for (let i = 0; i < 100; i++) keyspace.setValue(other, `flushed:${i}`, big());
    expect(Bitmap.usedBytes() - before).toBeGreaterThan(50 * MIB);
    settle();
    const entry = keyspace.lookup(database, "deleted");
    if (entry !== undefined) keyspace.delete(entry);
    keyspace.setValue(database, "replaced", Bitmap.fromBytes(Buffer.from("x")));
    keyspace.flush(other);
    settle();
    residency.maxBytes = 1;
    cycle();
    // Each value was of 1 MiB. What garbage collection owes of earlier tests' empty sets is not counted to the byte.
    expect(Bitmap.usedBytes() - before).toBeLessThan(100 * KIB);
  });
});

test("what many values have left behind is given back, while the others stay as they are", () => {
  const { keyspace, database, residency, settle, cycle } = setUp();
  const keys = 4000;
  const nameOf = (k: number) => `${"key:".repeat(100)}${k}`;
  const membersOf = (k: number) => (k % 40 === 0 ? 1500 : 200 + (k % 50));
  for (let k = 0; k < keys; k++) {
    keyspace.tick();
    for (let i = 0; i < membersOf(k); i++) keyspace.setBit(database, keyBytes(nameOf(k)), i * 3001 + k, 1);
  }
  const stays = (k: number) => k % 20 === 0;
  for (let k = 0; k < keys; k++) {
    keyspace.tick();
    if (!stays(k)) keyspace.delete(keyspace.lookup(database, nameOf(k)) as Entry);
  }
  settle();
  const { arena, entries } = database.contents;
  const before = arena.reservedBytes;
  // While no time passes a cycle does all that there is.
  vi.useFakeTimers({ toFake: ["performance"] });
  cycle(1);
  vi.useRealTimers();
  expect(residency.keys).toBe(keys / 20);
  expect(arena.reservedBytes).toBeLessThan(before / 2);
  for (let k = 0; k < keys; k++) {
    const entry = entries.findKey(nameOf(k));
    expect(entry === NO_ENTRY).toBe(!stays(k));
    if (entry === NO_ENTRY) continue;
    keyspace.tick();
    const expected = Array.from({ length: membersOf(k) }, (_, i) => i * 3001 + k);
    expect(keyspace.bitmap(keyspace.lookup(database, nameOf(k)) as Entry).members).toEqual(Uint32Array.from(expected));
  }
});

test("a batch that names an entry which is gone, with all others in memory, can be taken", () => {
  const { keyspace, database, residency, fill, settle } = setUp();
  // The rows of a table that has become empty are given back: a number beyond the first ones means nothing then.
  fill(70_000, 1);
  settle();
  keyspace.setValue(database, "key:69999", Bitmap.fromBytes(Buffer.from("a")));
  residency.forgetClean();
  expect(residency.keys).toBe(1);
  keyspace.delete(keyspace.lookup(database, "key:69999") as Entry);
  keyspace.setValue(database, "key:69999", Bitmap.fromBytes(Buffer.from("b")));
  expect(database.contents.entries.capacity).toBe(1);
  const draft = keyspace.takeDraft();
  expect(draft.write(0)).toBeDefined();
});
