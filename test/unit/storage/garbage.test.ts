/** Rows that no key needs any more: little goes at once, much in slices, nothing else goes, and a crash forgets nothing. */
import { describe, expect, test } from "vitest";
import { GARBAGE_SLICE_ROWS, GARBAGE_SYNC_BYTES_MAX } from "../../../src/config.js";
import type { Bitmap } from "../../../src/keyspace/bitmap.js";
import type { Database } from "../../../src/keyspace/database.js";
import { expectSizesRight, expectTidy, rowCounts } from "./file-checks.js";
import { bytesOf, noise, Store } from "./store.js";

/** In more rows than one slice removes. */
const LARGE_BYTES = 128 * 1024 * GARBAGE_SLICE_ROWS;

function storeOf(values: Record<string, Uint8Array | string>): Store {
  const store = new Store();
  for (const [key, bytes] of Object.entries(values)) store.put(key, bytes);
  store.flush();
  store.storage.writer.tidy();
  return store;
}

/** Keys of a database, as many as several slices take. */
function manyKeys(store: Store, count: number, database = 0): void {
  for (let i = 0; i < count; i++) store.put(`many${i}`, `${i}`, database);
}

const counts = ({ connection }: Store) => rowCounts(connection);

describe("a deleted value", () => {
  test("that is small goes with its key", () => {
    const store = storeOf({ a: noise(GARBAGE_SYNC_BYTES_MAX - 10_000), b: "b" });
    store.delete("a");
    store.flush();
    expect(counts(store)).toMatchObject({ keys: 1, chunks: 1, dropped_values: 0 });
    expect(store.storage.writer.dueInMs).toBeUndefined();
  });

  test("that is large waits for its removal, which is done in slices", () => {
    const store = storeOf({ a: noise(LARGE_BYTES), b: "b" });
    const { chunks = 0 } = counts(store);
    expect(chunks).toBeGreaterThan(GARBAGE_SLICE_ROWS);
    store.delete("a");
    store.flush();
    expect(counts(store)).toMatchObject({ keys: 1, chunks, dropped_values: 1 });
    expect(store.storage.writer.dueInMs).toBe(0);
    store.storage.step(1);
    expect(counts(store)).toMatchObject({ chunks: chunks - GARBAGE_SLICE_ROWS, dropped_values: 1 });
    expectSizesRight(store.connection);
    store.storage.writer.tidy();
    expect(counts(store)).toMatchObject({ keys: 1, chunks: 1 });
    expectTidy(store.connection);
    expect(store.read("b").toString()).toBe("b");
  });

  test("takes its deltas with it, and what is in the log of it", () => {
    const store = storeOf({ a: noise(200_000), b: noise(200_000, 2) });
    for (const key of ["a", "b"]) store.touch(key, 77);
    store.flush();
    store.storage.settle();
    for (const key of ["a", "b"]) store.touch(key, 1_000_000);
    store.flush();
    store.delete("a");
    store.flush();
    expect(counts(store)).toMatchObject({ keys: 1, deltas: 2, dropped_values: 1 });
    const { deltaBytes } = store.row("b");
    expect(store.storage.writer.figures.deltaBytes).toBe(deltaBytes);
    const value = store.read("b").toString("latin1");
    store.storage.writer.tidy();
    expectTidy(store.connection);
    expect(store.readHome("b").toString("latin1")).toBe(value);
  });

  test("and its name may be had by another at once", () => {
    const store = storeOf({ a: noise(300_000) });
    store.delete("a");
    const bytes = noise(250_000, 3);
    store.put("a", bytes);
    store.flush();
    for (let i = 0; i < 5; i++) {
      expect(store.read("a").equals(bytes)).toBe(true);
      store.storage.step(1);
    }
    store.storage.writer.tidy();
    expectTidy(store.connection);
    expect(store.read("a").equals(bytes)).toBe(true);
  });
});

describe("a dropped slot", () => {
  test("goes in slices, and nothing of another slot with it", () => {
    const store = new Store();
    manyKeys(store, GARBAGE_SLICE_ROWS * 2 + 5);
    manyKeys(store, 10, 1);
    store.put("large", noise(300_000));
    store.put("large", noise(300_000), 1);
    store.flush();
    const { keys = 0 } = counts(store);
    store.keyspace.flush(store.database(0));
    store.put("new", "n");
    store.flush();
    expect(counts(store)).toMatchObject({ keys: keys + 1, dropped_slots: 1 });
    expect(store.storage.writer.dueInMs).toBe(0);
    store.storage.step(1);
    expect(counts(store)).toMatchObject({ keys: keys + 1 - GARBAGE_SLICE_ROWS, dropped_slots: 1 });
    store.storage.writer.tidy();
    expectTidy(store.connection);
    expect(counts(store).keys).toBe(12);
    expect(store.rows().filter(({ slot }) => slot === 1)).toHaveLength(11);
    expect(store.rows().filter(({ slot }) => slot !== 1)).toMatchObject([{ key: "new", slot: 16 }]);
  });

  test("may be several", () => {
    const store = new Store();
    for (let number = 0; number < 5; number++) manyKeys(store, 70, number);
    store.flush();
    for (let number = 0; number < 4; number++) store.keyspace.flush(store.database(number));
    store.flush();
    expect(counts(store).dropped_slots).toBe(4);
    store.storage.writer.tidy();
    expectTidy(store.connection);
    expect(counts(store).keys).toBe(70);
  });

  test("does not take a key with it that was moved out while it was being removed", () => {
    const store = new Store();
    manyKeys(store, 200);
    store.put("moved", "m");
    store.flush();
    store.rename("moved", "moved", { toDatabase: 1 });
    store.keyspace.flush(store.database(0));
    store.flush();
    store.storage.writer.tidy();
    expect(store.rows().map(({ key }) => key)).toEqual(["moved"]);
    expectTidy(store.connection);
  });
});

describe("a reserved slot", () => {
  /** All databases are being replaced: another "a" and "c" have come and are in the file. */
  function replacing(): Store {
    const store = storeOf({ a: "old", b: noise(300_000) });
    store.storage.reportSettled(store.keyspace);
    store.keyspace.beginReplacement();
    store.put("a", "new");
    store.put("c", "c");
    store.flush();
    store.storage.step(100);
    return store;
  }

  /** Database 0 as a start finds it. */
  function found(store: Store): Record<string, string> {
    const { keyspace } = new Store(store.storage.reopened());
    const database = keyspace.databases[0] as Database;
    const keys = keyspace.keys(database, () => true).sort();
    expect(database.size).toBe(keys.length);
    return Object.fromEntries(
      keys.map((key) => [key, bytesOf((keyspace.read(database, key) as { bitmap: Bitmap }).bitmap).toString("latin1")]),
    );
  }

  const OLD = { a: "old", b: noise(300_000).toString("latin1") };
  const NEW = { a: "new", c: "c" };

  test("is garbage after a crash, and what it was to replace is there", () => {
    const store = replacing();
    expect(counts(store).keys).toBe(4);
    const next = store.crashed();
    expect(found(next)).toEqual(OLD);
    next.storage.writer.tidy();
    expectTidy(next.connection);
    expect(found(next)).toEqual(OLD);
  });

  test("is not used again after a crash", () => {
    const next = replacing().crashed();
    next.keyspace.flush(next.database(0));
    next.put("a", "newer");
    next.flush();
    next.storage.writer.tidy();
    expectTidy(next.connection);
    expect(found(next)).toEqual({ a: "newer" });
  });

  test("is a database's when the replacement is whole, and goes like any other", () => {
    const store = replacing();
    store.keyspace.completeReplacement();
    store.flush();
    expect(found(store)).toEqual(NEW);
    store.storage.writer.tidy();
    expectTidy(store.connection);
    expect(found(store)).toEqual(NEW);
    store.keyspace.flush(store.database(0));
    store.flush();
    store.storage.writer.tidy();
    expectTidy(store.connection);
    expect(counts(store).keys).toBe(0);
  });

  test("is garbage when the replacement is given up", () => {
    const store = replacing();
    store.keyspace.undoReplacement();
    store.bit("a", 23);
    store.flush();
    const old = { ...OLD, a: "ole" };
    expect(found(store)).toEqual(old);
    store.storage.writer.tidy();
    expectTidy(store.connection);
    expect(found(store)).toEqual(old);
  });

  test("keeps its rows when the commit that makes it a database's fails", () => {
    const store = replacing();
    store.keyspace.completeReplacement();
    const batch = store.keyspace.takeBatch();
    store.connection.exec(
      "CREATE TRIGGER failing AFTER INSERT ON databases WHEN new.number = 15 BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    expect(() => store.storage.apply(batch)).toThrow("disk full");
    expect(found(store)).toEqual(OLD);
    store.storage.step(100);
    store.connection.exec("DROP TRIGGER failing");
    store.storage.apply(batch);
    expect(found(store)).toEqual(NEW);
    store.storage.writer.tidy();
    expectTidy(store.connection);
    expect(found(store)).toEqual(NEW);
  });
});

describe("a crash", () => {
  test("forgets nothing of what is to be removed, at whatever moment", () => {
    for (const pieces of [0, 1, 2, 3, 4, 6]) {
      let store = storeOf({ a: noise(LARGE_BYTES), b: noise(200_000), c: "c" });
      store.put("stays", "s", 1);
      manyKeys(store, 100);
      store.flush();
      store.delete("a");
      store.flush();
      store.keyspace.flush(store.database(0));
      store.flush();
      for (let i = 0; i < pieces; i++) {
        store.storage.step(1);
        store = store.crashed();
      }
      expect(store.storage.writer.dueInMs).toBe(0);
      expectSizesRight(store.connection);
      store.storage.writer.tidy();
      expectTidy(store.connection);
      expect(counts(store)).toMatchObject({ keys: 1, chunks: 1 });
    }
  });

  test("lets no new key have an id whose rows are still to be removed", () => {
    const store = storeOf({ a: "a", b: noise(300_000) });
    const id = store.id("b");
    store.delete("b");
    store.flush();
    const next = store.crashed();
    next.put("c", "c");
    next.flush();
    expect(next.id("c")).toBe(id + 1);
    next.storage.writer.tidy();
    expect(next.read("c").toString()).toBe("c");
    expectTidy(next.connection);
  });
});

describe("a slice that fails", () => {
  test("after it has removed all there was has removed nothing, and that is known", () => {
    const store = storeOf({ a: noise(300_000), b: "b" });
    store.delete("a");
    store.bit("b", 50);
    store.flush();
    store.storage.settleSoon();
    store.connection.exec("CREATE TRIGGER failing BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    expect(() => store.storage.step(100)).toThrow("disk full");
    expect(counts(store).dropped_values).toBe(1);
    store.connection.exec("DROP TRIGGER failing");
    store.storage.settle();
    while (store.storage.writer.dueInMs === 0) store.storage.step(1);
    expectTidy(store.connection);
  });

  test.each(["chunks", "dropped_values", "keys", "dropped_slots"])("to delete from %s is tried again", (table) => {
    const store = storeOf({ a: noise(300_000), b: "b" });
    store.delete("a");
    store.flush();
    store.keyspace.flush(store.database(0));
    store.flush();
    store.connection.exec(
      `CREATE TRIGGER failing AFTER DELETE ON ${table} BEGIN SELECT RAISE(ABORT, 'disk full'); END`,
    );
    const work = () => {
      while (store.storage.writer.dueInMs === 0) store.storage.step(1);
    };
    expect(work).toThrow("disk full");
    expect(store.storage.writer.dueInMs).toBe(0);
    expectSizesRight(store.connection);
    store.connection.exec("DROP TRIGGER failing");
    work();
    expectTidy(store.connection);
    expect(counts(store)).toMatchObject({ keys: 0, chunks: 0 });
  });
});
