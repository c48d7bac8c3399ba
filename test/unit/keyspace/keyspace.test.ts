/** The keyspace, case by case: what the random programs of keyspace-model cannot say in a sentence. */
import { describe, expect, test, vi } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { ABSENT_KEY_LENGTH_MAX, ABSENT_KEYS_MAX, EXPIRE_BATCH_ROWS, IDLE_MS } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import type { Database } from "../../../src/keyspace/database.js";
import type { Entry } from "../../../src/keyspace/entry.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import type { Watcher } from "../../../src/keyspace/watches.js";
import { keyBytes } from "./bytes.js";
import { StorageInHand } from "./sqlite.js";

const START_MS = 1_000_000;
/** The time of a key's last use is known to this. */
const IDLE_UNIT_MS = 200;

function setUp(storage = new StorageInHand()) {
  const clock = new ManualClock(START_MS);
  const keyspace = new Keyspace(storage, clock, () => 0);
  const [zero, one] = keyspace.databases as [Database, Database];
  const commit = () => storage.commit(keyspace);
  const put = (key: string, text = "v", database = zero) =>
    keyspace.setValue(database, key, Bitmap.fromBytes(Buffer.from(text)));
  const read = (key: string, database = zero) => {
    const entry = keyspace.lookup(database, key);
    if (entry === undefined) return undefined;
    const bitmap = keyspace.bitmap(entry);
    return bitmap.bytes(0, bitmap.byteLength).toString("latin1");
  };
  const evict = () => {
    clock.advance(IDLE_MS + IDLE_UNIT_MS);
    keyspace.tick();
    for (let i = 0; i < 5; i++) keyspace.residency.cycle(clock.now());
  };
  const pass = (ms: number) => {
    clock.advance(ms);
    keyspace.tick();
  };
  return { storage, clock, keyspace, zero, one, commit, put, read, evict, pass };
}

function found(keyspace: Keyspace, database: Database, key: string): Entry {
  const entry = keyspace.lookup(database, key);
  if (entry === undefined) throw new Error(`no key ${key}`);
  return entry;
}

describe("a start", () => {
  test("reads no keys, only how many there are", () => {
    const first = setUp();
    first.put("a");
    first.put("b", "v", first.one);
    first.commit();
    const { keyspace, zero, one } = setUp(first.storage.reopened());
    expect(keyspace.residency.keys).toBe(0);
    expect([zero.size, one.size]).toEqual([1, 1]);
  });

  test("gives new keys ids that no row has", () => {
    const first = setUp();
    for (let i = 0; i < 10; i++) first.put(`k${i}`);
    first.commit();
    const storage = first.storage.reopened();
    const { put, commit, read } = setUp(storage);
    put("new", "n");
    commit();
    expect(read("new")).toBe("n");
    expect(read("k9")).toBe("v");
  });

  test("does not use a dropped slot again", () => {
    const first = setUp();
    first.put("a");
    first.commit();
    first.keyspace.flush(first.zero);
    first.keyspace.flush(first.one);
    const { slot } = first.zero.contents;
    first.commit();
    const second = setUp(first.storage.reopened());
    expect(second.zero.contents.slot).toBe(slot);
    second.put("b", "v", second.one);
    second.keyspace.flush(second.one);
    expect(second.one.contents.slot).toBeGreaterThan(
      Math.max(...second.keyspace.databases.map(({ contents }) => contents.slot)) - 1,
    );
    expect(new Set(second.keyspace.databases.map(({ contents }) => contents.slot)).size).toBe(16);
  });
});

describe("a replacement of all data", () => {
  test("gives empty databases, and what comes into them stays when it is whole", () => {
    const { keyspace, storage, zero, one, put, commit, read } = setUp();
    put("a", "old");
    put("a", "old", one);
    commit();
    keyspace.beginReplacement();
    expect([zero.size, one.size, read("a")]).toEqual([0, 0, undefined]);
    put("b", "new");
    commit();
    keyspace.completeReplacement();
    commit();
    expect([zero.size, one.size, read("a"), read("b")]).toEqual([1, 0, undefined, "new"]);
    const next = setUp(storage.reopened());
    expect([next.zero.size, next.one.size, next.read("b")]).toEqual([1, 0, "new"]);
  });

  test("that is given up leaves the databases as they were", () => {
    const { keyspace, zero, put, commit, read } = setUp();
    keyspace.setDeadline(put("a", "old"), START_MS + 10);
    commit();
    keyspace.beginReplacement();
    put("a", "new");
    put("b", "new");
    keyspace.undoReplacement();
    expect([zero.size, zero.volatileSize, read("a"), read("b")]).toEqual([1, 1, "old", undefined]);
    commit();
    expect([zero.size, zero.volatileSize, read("a"), read("b")]).toEqual([1, 1, "old", undefined]);
    // There is none under way any more.
    put("a", "newer");
    keyspace.undoReplacement();
    expect(read("a")).toBe("newer");
  });

  test("does not begin before everything is settled, which could not be given back", () => {
    const { keyspace, put } = setUp();
    put("a");
    expect(() => keyspace.beginReplacement()).toThrow("not settled");
    // On its way to the file it is in neither.
    keyspace.takeDraft();
    expect(() => keyspace.beginReplacement()).toThrow("not settled");
  });

  test("does not begin where a watched key can't be looked up, and all is left as it was", () => {
    const { storage, keyspace, zero, one, put, commit, read, evict } = setUp();
    put("a", "old");
    put("b", "old", one);
    commit();
    evict();
    keyspace.watches.add(zero.number, "unreadable", { touched: () => {} });
    vi.spyOn(storage, "find").mockImplementationOnce(() => {
      throw new Error("database disk image is malformed");
    });
    expect(() => keyspace.beginReplacement()).toThrow("malformed");
    keyspace.undoReplacement();
    commit();
    storage.writer.tidy();
    expect([read("a"), read("b", one)]).toEqual(["old", "old"]);
  });
});

describe("memory", () => {
  test("lets an idle key go and finds it again in the file", () => {
    const { keyspace, put, commit, read, evict } = setUp();
    put("a", "value");
    commit();
    evict();
    expect(keyspace.residency.keys).toBe(0);
    expect(read("a")).toBe("value");
    expect(keyspace.residency.keys).toBe(1);
  });

  test("keeps a key that is used", () => {
    const { keyspace, put, commit, read, clock } = setUp();
    put("a");
    put("b");
    commit();
    for (let i = 0; i < 4; i++) {
      clock.advance(IDLE_MS / 2);
      keyspace.tick();
      read("a");
      for (let k = 0; k < 5; k++) keyspace.residency.cycle(clock.now());
    }
    expect(keyspace.residency.keys).toBe(1);
  });

  test("keeps a key with changes that are not committed, however idle", () => {
    const { storage, keyspace, put, read, evict, zero } = setUp();
    put("a", "one");
    evict();
    expect(keyspace.residency.keys).toBe(1);
    const batch = keyspace.takeBatch();
    evict();
    expect(keyspace.residency.keys).toBe(1);
    keyspace.setBit(zero, keyBytes("a"), 0, 1);
    storage.apply(batch);
    keyspace.committed(batch);
    storage.settle();
    storage.reportSettled(keyspace);
    evict();
    expect(keyspace.residency.keys).toBe(1);
    expect(read("a")).toBe("\xefne");
  });

  test("keeps a key whose change is committed but not where reading finds it, but no key whose deletion is committed", () => {
    const { storage, keyspace, put, commit, read, evict, zero } = setUp();
    put("a", "one");
    put("b", "two");
    commit();
    keyspace.setBit(zero, keyBytes("a"), 0, 1);
    keyspace.delete(found(keyspace, zero, "b"));
    const batch = keyspace.takeBatch();
    storage.apply(batch);
    evict();
    expect(keyspace.residency.keys).toBe(2);
    keyspace.committed(batch);
    expect(storage.settledBatch).toBeLessThan(batch.number);
    storage.reportSettled(keyspace);
    evict();
    expect(keyspace.residency.keys).toBe(1);
    expect(read("a")).toBe("\xefne");
    expect(read("b")).toBeUndefined();
    storage.settle();
    storage.reportSettled(keyspace);
    evict();
    expect(keyspace.residency.keys).toBe(0);
    expect(read("a")).toBe("\xefne");
    expect(read("b")).toBeUndefined();
  });

  test("asks the file once for a key that is not there, until somebody makes it", () => {
    const { keyspace, zero, put, commit, evict, read } = setUp();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 10; i++) expect(read(`missing${i}`)).toBeUndefined();
    }
    expect(keyspace.residency.keys).toBe(0);
    expect(keyspace.storageLookups).toBe(10);
    put("missing3", "now");
    keyspace.rename(found(keyspace, zero, "missing3"), zero, "missing4");
    for (const expected of ["now", "now"]) {
      expect([read("missing3"), read("missing4"), read("missing5")]).toEqual([undefined, expected, undefined]);
      commit();
      evict();
    }
    keyspace.delete(found(keyspace, zero, "missing4"));
    commit();
    evict();
    expect(read("missing4")).toBeUndefined();
    put("missing4", "again");
    expect(read("missing4")).toBe("again");
  });

  test("keeps no more of them than it may, and none that are long", () => {
    const { keyspace, read } = setUp();
    for (let i = 0; i < ABSENT_KEYS_MAX + 1; i++) read(`missing${i}`);
    const before = keyspace.storageLookups;
    read(`missing${ABSENT_KEYS_MAX}`);
    expect(keyspace.storageLookups).toBe(before);
    read("missing1");
    const long = "x".repeat(ABSENT_KEY_LENGTH_MAX + 1);
    for (let i = 0; i < 3; i++) read(long);
    expect(keyspace.storageLookups).toBe(before + 4);
  });

  test("frees the bitmaps of what it lets go, deletes, replaces and flushes", () => {
    const { keyspace, put, commit, read, evict, zero } = setUp();
    const noise = Buffer.from(Array.from({ length: 500_000 }, (_, i) => (i * 2654435761) >>> 13)).toString("latin1");
    const before = Bitmap.usedBytes();
    put("a", noise);
    commit();
    evict();
    expect(Bitmap.usedBytes()).toBeLessThan(before + 100_000);
    read("a");
    put("a", "small");
    expect(Bitmap.usedBytes()).toBeLessThan(before + 100_000);
    put("a", noise);
    keyspace.delete(found(keyspace, zero, "a"));
    expect(Bitmap.usedBytes()).toBeLessThan(before + 100_000);
    put("a", noise);
    keyspace.flush(zero);
    evict();
    expect(Bitmap.usedBytes()).toBeLessThan(before + 100_000);
  });
});

describe("changes", () => {
  test("a SETBIT that changes neither bit nor length is none", () => {
    const { keyspace, put, commit, zero } = setUp();
    put("a", "\x80");
    commit();
    const { changes } = keyspace;
    expect(keyspace.setBit(zero, keyBytes("a"), 0, 1)).toBe(1);
    expect(keyspace.setBit(zero, keyBytes("a"), 7, 0)).toBe(0);
    expect(keyspace.changes).toBe(changes);
    expect(keyspace.isDirty).toBe(false);
  });

  test("a SETBIT of 0 behind the end is one: the value is longer", () => {
    const { keyspace, put, commit, read, evict, zero } = setUp();
    put("a", "x");
    commit();
    keyspace.setBit(zero, keyBytes("a"), 39, 0);
    expect(keyspace.isDirty).toBe(true);
    commit();
    evict();
    expect(read("a")).toBe("x\0\0\0\0");
  });

  test.each([
    ["a SETBIT of a new key", (k: Keyspace, db: Database) => void k.setBit(db, keyBytes("new"), 7, 1)],
    ["a COPY of a key that expires", (k: Keyspace, db: Database) => k.copy(found(k, db, "volatile"), db, "new")],
    ["a RENAME", (k: Keyspace, db: Database) => k.rename(found(k, db, "a"), db, "new")],
  ])("%s counts once, as in Redis' `dirty`", (_what, change) => {
    const { keyspace, put, zero } = setUp();
    put("a");
    keyspace.setDeadline(put("volatile"), START_MS + 1000);
    const { changes } = keyspace;
    change(keyspace, zero);
    expect(keyspace.changes - changes).toBe(1);
  });

  test("a FLUSHDB of nothing is none", () => {
    const { keyspace, zero } = setUp();
    keyspace.flush(zero);
    expect(keyspace.isDirty).toBe(false);
  });
});

describe("expiry", () => {
  test("a key lives up to its deadline and is gone a millisecond later", () => {
    const { keyspace, zero, put, pass } = setUp();
    keyspace.setDeadline(put("a"), START_MS + 100);
    pass(100);
    expect(keyspace.lookup(zero, "a")).toBeDefined();
    pass(1);
    expect(keyspace.lookup(zero, "a")).toBeUndefined();
    expect([zero.size, zero.volatileSize, keyspace.expiredKeys]).toEqual([0, 0, 1]);
  });

  test("the cycle finds keys that nobody asks for, more than one read of them", () => {
    const { keyspace, zero, put, commit, evict } = setUp();
    const KEYS = EXPIRE_BATCH_ROWS * 3 + 1;
    for (let i = 0; i < KEYS; i++) keyspace.setDeadline(put(`k${i}`), START_MS + 1 + (i % 5));
    put("stays");
    commit();
    evict();
    for (let i = 0; i < 1000 && zero.size > 1; i++) keyspace.expireCycle();
    expect([zero.size, zero.volatileSize, keyspace.expiredKeys]).toEqual([1, 0, KEYS]);
    commit();
    expect(keyspace.keys(zero, () => true)).toEqual(["stays"]);
  });

  test("the cycle lets a key live whose deadline was moved and is not in the file yet", () => {
    const { keyspace, zero, put, commit, pass } = setUp();
    keyspace.setDeadline(put("later"), START_MS + 10);
    keyspace.setDeadline(put("never"), START_MS + 10);
    keyspace.setDeadline(put("renamed"), START_MS + 10);
    commit();
    keyspace.setDeadline(found(keyspace, zero, "later"), START_MS + 1000);
    keyspace.persist(found(keyspace, zero, "never"));
    keyspace.rename(found(keyspace, zero, "renamed"), zero, "other");
    keyspace.persist(found(keyspace, zero, "other"));
    pass(11);
    for (let i = 0; i < 5; i++) keyspace.expireCycle();
    expect(keyspace.keys(zero, () => true).sort()).toEqual(["later", "never", "other"]);
    expect(keyspace.expiredKeys).toBe(0);
  });

  test("the cycle leaves a key alone that took the place of one that had expired", () => {
    const { keyspace, zero, put, commit, read, pass } = setUp();
    keyspace.setDeadline(put("a", "old"), START_MS + 10);
    commit();
    pass(11);
    expect(read("a")).toBeUndefined();
    put("a", "new");
    keyspace.expireCycle();
    expect(read("a")).toBe("new");
    expect(zero.size).toBe(1);
  });

  test("the cycle does not touch rows of a database that was flushed", () => {
    const { keyspace, zero, put, commit, pass } = setUp();
    keyspace.setDeadline(put("a"), START_MS + 10);
    commit();
    keyspace.flush(zero);
    pass(11);
    keyspace.expireCycle();
    expect([zero.size, keyspace.expiredKeys]).toEqual([0, 0]);
  });
});

describe("watches", () => {
  function watched(keyspace: Keyspace, database: Database, key: string): { touched(): void; times: number } {
    const watcher: Watcher & { times: number } = {
      times: 0,
      touched() {
        this.times++;
      },
    };
    keyspace.watches.add(database.number, key, watcher);
    return watcher;
  }

  const CHANGES: [string, (k: Keyspace, db: Database, other: Database) => void][] = [
    ["a bit", (k, db) => void k.setBit(db, keyBytes("a"), 0, 1)],
    ["a longer value", (k, db) => void k.setBit(db, keyBytes("a"), 100, 0)],
    ["a new value", (k, db) => void k.setValue(db, "a", new Bitmap())],
    ["a deletion", (k, db) => k.delete(found(k, db, "a"))],
    ["a deadline", (k, db) => k.setDeadline(found(k, db, "a"), START_MS + 1)],
    ["being renamed away", (k, db) => k.rename(found(k, db, "a"), db, "c")],
    ["being moved away", (k, db, other) => k.rename(found(k, db, "a"), other, "a")],
    ["a flush", (k, db) => k.flush(db)],
    ["a replacement", (k) => k.beginReplacement()],
    ["a swap", (k, db, other) => k.swap(db, other)],
    ["a swap seen from the other side", (k, db, other) => k.swap(other, db)],
  ];
  test.each(CHANGES)("%s touches the key", (_what, change) => {
    const { keyspace, put, commit, zero, one } = setUp();
    put("a");
    commit();
    const watcher = watched(keyspace, zero, "a");
    change(keyspace, zero, one);
    expect(watcher.times).toBeGreaterThan(0);
  });

  const HARMLESS: [string, (k: Keyspace, db: Database, other: Database) => void][] = [
    ["a look", (k, db) => void k.lookup(db, "a")],
    ["a bit that is so already", (k, db) => void k.setBit(db, keyBytes("a"), 0, 0)],
    ["a change of another key", (k, db) => void k.setBit(db, keyBytes("b"), 0, 1)],
    ["a change of the same key in another database", (k, _db, other) => void k.setBit(other, keyBytes("a"), 0, 1)],
    ["being copied", (k, db, other) => k.copy(found(k, db, "a"), other, "a")],
    ["a flush of another database", (k, _db, other) => k.flush(other)],
    ["a swap with itself", (k, db) => k.swap(db, db)],
  ];
  test.each(HARMLESS)("%s does not", (_what, change) => {
    const { keyspace, put, zero, one } = setUp();
    put("a");
    put("b");
    const watcher = watched(keyspace, zero, "a");
    change(keyspace, zero, one);
    expect(watcher.times).toBe(0);
  });

  test("a flush or a swap does not touch a key that is in neither database", () => {
    const { keyspace, put, zero, one } = setUp();
    put("other");
    const watcher = watched(keyspace, zero, "missing");
    keyspace.swap(zero, one);
    keyspace.flush(zero);
    keyspace.flush(one);
    expect(watcher.times).toBe(0);
  });

  test("a swap touches a key that only the other database has", () => {
    const { keyspace, put, zero, one } = setUp();
    put("a", "v", one);
    const watcher = watched(keyspace, zero, "a");
    keyspace.swap(zero, one);
    expect(watcher.times).toBe(1);
  });

  test("expiry touches the key, when somebody meets it and when the cycle does", () => {
    for (const meet of [(k: Keyspace, db: Database) => void k.lookup(db, "a"), (k: Keyspace) => k.expireCycle()]) {
      const { keyspace, put, commit, zero, pass } = setUp();
      keyspace.setDeadline(put("a"), START_MS + 1);
      commit();
      const watcher = watched(keyspace, zero, "a");
      pass(2);
      expect(watcher.times).toBe(0);
      meet(keyspace, zero);
      expect(watcher.times).toBe(1);
    }
  });

  test("a watch on a key that leaves memory still hears of it", () => {
    const { keyspace, put, commit, evict, zero } = setUp();
    put("a");
    commit();
    const watcher = watched(keyspace, zero, "a");
    evict();
    expect(watcher.times).toBe(0);
    keyspace.setBit(zero, keyBytes("a"), 1, 0);
    expect(watcher.times).toBe(1);
  });

  test("a watch that was dropped hears nothing, others on the key still do", () => {
    const { keyspace, put, zero } = setUp();
    put("a");
    const gone = watched(keyspace, zero, "a");
    const stays = watched(keyspace, zero, "a");
    keyspace.watches.delete(zero.number, "a", gone);
    keyspace.watches.delete(zero.number, "a", gone);
    keyspace.watches.delete(5, "unknown", gone);
    keyspace.setBit(zero, keyBytes("a"), 1, 0);
    expect([gone.times, stays.times]).toEqual([0, 1]);
  });
});
