/** What a batch makes of the file at once: each kind of change, and several of them on one row. */
import { describe, expect, test } from "vitest";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { keyHash } from "../../../src/keyspace/hash.js";
import { expectSizesRight, rowCounts } from "./file-checks.js";
import { noise, Store } from "./store.js";

/** Keys with their values, as a start finds them, by slot and name. */
function contents(store: Store): Record<string, string> {
  expectSizesRight(store.connection);
  const hashes = store.connection.prepare<[], { hash: number; key: Buffer }>("SELECT hash, key FROM keys").all();
  for (const { hash, key } of hashes) expect(hash).toBe(keyHash(key.toString("latin1")));
  const dropped = store.connection.prepare("SELECT slot FROM dropped_slots").pluck().all();
  const rows = store.rows().filter(({ slot }) => !dropped.includes(slot));
  return Object.fromEntries(rows.map(({ slot, key }) => [`${slot}:${key}`, store.read(key).toString("latin1")]));
}

/** A store whose file has these keys in database 0, with an empty log. */
function storeOf(values: Record<string, string>): Store {
  const store = new Store();
  for (const [key, text] of Object.entries(values)) store.put(key, text);
  store.flush();
  expect(rowCounts(store.connection).log).toBe(0);
  return store;
}

describe("a new key", () => {
  test("is in the file at once, with its value, and nothing of it in the log", () => {
    const store = new Store();
    store.put("a\0\xff", "value");
    store.bit("bits", 3);
    store.bit("bits", 20, 0);
    store.bit("bits", 4);
    store.bit("bits", 3, 0);
    store.put("", "");
    store.flush();
    expect(contents(store)).toEqual({ "0:a\0\xff": "value", "0:bits": "\x08\0\0", "0:": "" });
    expect(store.row("bits")).toMatchObject({ length: 3, cardinality: 1, deadline: null, deltaBytes: 0 });
    expect(rowCounts(store.connection)).toMatchObject({ keys: 3, chunks: 3, deltas: 0, log: 0 });
  });

  test("is made as it is at last: bits, name, deadline", () => {
    const store = new Store();
    store.bit("a", 7);
    store.expire("a", 100);
    store.expire("a", 200);
    store.rename("a", "b", { toDatabase: 4 });
    store.flush();
    expect(contents(store)).toEqual({ "4:b": "\x01" });
    expect(store.row("b")).toMatchObject({ deadline: 200, cardinality: 1, length: 1 });
  });

  test("that is large has several chunks", () => {
    const store = new Store();
    const bytes = noise(300_000);
    store.put("a", bytes);
    store.flush();
    expect(store.read("a").equals(bytes)).toBe(true);
    expect(rowCounts(store.connection).chunks).toBeGreaterThanOrEqual(3);
    expectSizesRight(store.connection);
  });

  test("that is gone again leaves nothing", () => {
    const store = new Store();
    store.put("a", "v");
    store.bit("a", 9);
    store.delete("a");
    store.put("b", "v");
    store.keyspace.flush(store.database(0));
    store.flush();
    expect(rowCounts(store.connection)).toMatchObject({ keys: 0, chunks: 0, log: 0 });
  });

  test("with the last bit there is", () => {
    const store = new Store();
    store.bit("a", 2 ** 32 - 1);
    store.flush();
    expect(store.row("a")).toMatchObject({ length: 2 ** 29, cardinality: 1 });
  });
});

describe("single bits of a key that was there before", () => {
  test("are in the log: one row for all keys, and the values stay as they are", () => {
    const store = storeOf({ a: "\x80", b: "x", c: "y" });
    store.bit("a", 0, 0);
    store.bit("a", 3);
    store.bit("a", 20, 0);
    store.bit("b", 7);
    store.flush();
    expect(rowCounts(store.connection)).toMatchObject({ log: 1, deltas: 0, chunks: 3 });
    expect(store.readHome("a").toString("latin1")).toBe("\x80");
    expect(store.row("a")).toMatchObject({ length: 1, cardinality: 1 });
    expect(contents(store)).toEqual({ "0:a": "\x10\0\0", "0:b": "y", "0:c": "y" });
    expect(store.storage.writer.figures).toMatchObject({ logRows: 2 });
    store.bit("b", 6);
    store.flush();
    expect(rowCounts(store.connection).log).toBe(2);
    expect(store.read("b").toString()).toBe("{");
  });

  test("do not bring back what was set before the value was replaced", () => {
    const store = storeOf({ a: "a", b: "b" });
    store.bit("a", 70);
    store.bit("b", 70);
    store.flush();
    store.put("a", "new");
    store.delete("b");
    store.flush();
    expect(contents(store)).toEqual({ "0:a": "new" });
    expect(contents(store.crashed())).toEqual({ "0:a": "new" });
    store.bit("a", 31);
    store.flush();
    expect(contents(store)).toEqual({ "0:a": "new\x01" });
  });

  test("that were brought home just now, while others of the log were not, do not come back either", () => {
    const store = storeOf({ a: "a", b: "b" });
    // The first piece of work is to see that there is no garbage.
    store.storage.step(1);
    store.bit("a", 70);
    store.bit("b", 70);
    store.flush();
    store.storage.step(1);
    expect([store.readHome("a").length, store.readHome("b").length]).toEqual([9, 1]);
    store.put("a", "new");
    store.flush();
    expect(contents(store.crashed())).toMatchObject({ "0:a": "new" });
  });

  test("of the batch that then replaces the value are not written at all", () => {
    const store = storeOf({ a: "a" });
    store.bit("a", 70);
    store.put("a", "new");
    store.bit("a", 31);
    store.flush();
    expect(contents(store)).toEqual({ "0:a": "new\x01" });
    expect(rowCounts(store.connection).log).toBe(0);
  });
});

describe("a key that was there before", () => {
  test("gets a whole new value, a shorter one too, and an empty one", () => {
    const store = storeOf({ a: "long" });
    for (const text of ["x", "", "longer than before"]) {
      store.put("a", text);
      store.flush();
      expect(contents(store)).toEqual({ "0:a": text });
    }
  });

  test("gets another name and place, and its value stays", () => {
    const store = storeOf({ a: "v" });
    store.bit("a", 100);
    store.flush();
    const { id } = store.row("a");
    store.rename("a", "b", { toDatabase: 5 });
    store.flush();
    expect(store.row("b").id).toBe(id);
    expect(Object.keys(contents(store))).toEqual(["5:b"]);
    expect(store.read("b").length).toBe(13);
  });

  test("may exchange its name with another", () => {
    const store = storeOf({ a: "A", b: "B" });
    store.rename("a", "tmp");
    store.rename("b", "a");
    store.rename("tmp", "b");
    store.flush();
    expect(contents(store)).toEqual({ "0:a": "B", "0:b": "A" });
    expect(store.rows().map(({ id, key }) => [id, key])).toEqual([
      [1, "b"],
      [2, "a"],
    ]);
  });

  test("is gone with its value, and made again is another row", () => {
    const store = storeOf({ a: "old", b: "" });
    store.delete("a");
    store.flush();
    expect(contents(store)).toEqual({ "0:b": "" });
    store.put("a", "new");
    store.delete("b");
    store.put("b", "again");
    store.flush();
    expect(contents(store)).toEqual({ "0:a": "new", "0:b": "again" });
    expect(store.rows().map(({ id }) => id)).toEqual([3, 4]);
  });

  test("gets a deadline, another one, and none", () => {
    const store = storeOf({ a: "v" });
    for (const deadline of [1, 1_700_000_000_123, Number.MAX_SAFE_INTEGER]) {
      store.expire("a", deadline);
      store.flush();
      expect(store.row("a").deadline).toBe(deadline);
    }
    store.persist("a");
    store.flush();
    expect(store.row("a").deadline).toBeNull();
    expect(contents(store)).toEqual({ "0:a": "v" });
  });

  test("had deltas, and a new value has none of them", () => {
    const store = new Store();
    store.put("a", noise(100_000));
    store.flush();
    store.bits("a", 100);
    store.flush();
    store.storage.settle();
    expect(store.row("a").deltaBytes).toBeGreaterThan(0);
    const replaced = noise(120_000, 2);
    store.put("a", replaced);
    store.flush();
    expect(store.read("a").equals(replaced)).toBe(true);
    expect(store.row("a").deltaBytes).toBe(0);
    expect(rowCounts(store.connection).deltas).toBe(0);
    expect(store.storage.writer.figures.deltaBytes).toBe(0);
  });
});

describe("a database that is emptied", () => {
  test("has no rows for a start, whatever was done to them before", () => {
    const store = storeOf({ a: "a", b: "b", c: "c" });
    store.bit("a", 5);
    store.expire("b", 7);
    store.put("c", "new");
    store.keyspace.flush(store.database(0));
    store.put("d", "later");
    store.flush();
    const { slot } = store.row("d");
    expect(slot).toBe(16);
    expect(contents(store)).toEqual({ "16:d": "later" });
    expect(contents(store.crashed())).toEqual({ "16:d": "later" });
  });

  test("does not take a key with it that was moved out before, but one that was moved in", () => {
    const store = storeOf({ out: "out", in: "in", there: "there" });
    store.rename("in", "in", { toDatabase: 1 });
    store.flush();
    store.rename("out", "out", { toDatabase: 1 });
    store.rename("in", "in", { database: 1, toDatabase: 0 });
    store.rename("there", "there", { toDatabase: 1 });
    store.rename("there", "there", { database: 1, toDatabase: 0 });
    store.keyspace.flush(store.database(0));
    store.flush();
    expect(contents(store)).toEqual({ "1:out": "out" });
    store.storage.writer.tidy();
    expect(store.rows().map(({ key }) => key)).toEqual(["out"]);
  });

  test("does not take a key with it that was made in it and moved out, all in one batch", () => {
    const store = new Store();
    store.put("stays", "1");
    store.put("goes", "2");
    store.rename("stays", "stays", { toDatabase: 2 });
    store.keyspace.flush(store.database(0));
    store.flush();
    expect(contents(store)).toEqual({ "2:stays": "1" });
    expect(rowCounts(store.connection)).toMatchObject({ keys: 1, chunks: 1 });
  });
});

describe("the databases", () => {
  const rows = (store: Store) =>
    store.connection.prepare("SELECT number, slot, keys, volatile_keys FROM databases ORDER BY number").raw().all();

  test("know how many keys they have", () => {
    const store = new Store();
    for (const key of ["a", "b", "c"]) store.put(key, "", 3);
    store.expire("b", 5, 3);
    store.flush();
    expect(rows(store)[3]).toEqual([3, 3, 3, 1]);
    expect(rows(store)).toHaveLength(16);
  });

  test("may exchange what they hold, two of them and all in a ring, several times in a batch", () => {
    const store = new Store();
    for (let number = 0; number < 16; number++) store.put("a", String(number), number);
    store.flush();
    store.keyspace.swap(store.database(0), store.database(1));
    store.flush();
    expect((rows(store) as number[][]).map(([, slot]) => slot).slice(0, 3)).toEqual([1, 0, 2]);
    store.keyspace.swap(store.database(1), store.database(0));
    for (let number = 0; number < 15; number++) store.keyspace.swap(store.database(number), store.database(number + 1));
    store.flush();
    expect((rows(store) as number[][]).map(([, slot]) => slot)).toEqual(
      [...Array(15).keys()].map((i) => i + 1).concat(0),
    );
    store.keyspace.swap(store.database(3), store.database(4));
    store.keyspace.flush(store.database(3));
    store.flush();
    const slots = (rows(store) as number[][]).map(([, slot]) => slot);
    expect(slots.slice(3, 5)).toEqual([16, 4]);
  });
});

describe("a batch that can't be committed", () => {
  const failing = (store: Store, what: string) =>
    store.connection.exec(`CREATE TRIGGER failing AFTER ${what} BEGIN SELECT RAISE(ABORT, 'disk full'); END`);

  test.each(["INSERT ON keys", "UPDATE ON keys", "INSERT ON log", "INSERT ON databases", "INSERT ON dropped_values"])(
    "for it fails at an %s leaves the file as it was, and is whole when it can be",
    (what) => {
      const store = storeOf({ a: "a", b: "b", c: "c" });
      store.put("large", noise(100_000));
      store.flush();
      store.bit("a", 9);
      store.flush();
      const before = contents(store);
      store.delete("large");
      store.put("b", "new");
      store.bit("a", 10);
      store.bit("c", 5);
      store.expire("c", 99);
      store.put("new", "n");
      const batch = store.keyspace.takeBatch();
      failing(store, what);
      expect(() => store.storage.apply(batch)).toThrow("disk full");
      expect(store.connection.inTransaction).toBe(false);
      expect(contents(store)).toEqual(before);
      expect(contents(store.crashed())).toEqual(before);
      store.connection.exec("DROP TRIGGER failing");
      store.storage.apply(batch);
      const after = { "0:a": "a\x60", "0:b": "new", "0:c": "g", "0:new": "n" };
      expect(contents(store)).toEqual(after);
      store.storage.writer.tidy();
      expect(contents(store)).toEqual(after);
    },
  );

  test("for it is damaged leaves the file as it was, too", () => {
    const store = storeOf({ a: "a" });
    expect(() => store.storage.apply({ number: 2, words: Uint32Array.of(5, 1, 77, 1) })).toThrow("unknown kind");
    expect(contents(store)).toEqual({ "0:a": "a" });
  });
});

test("no bitmap stays in native memory after a batch, or after its bits were brought home", () => {
  const store = new Store();
  store.put("a", noise(300_000));
  store.flush();
  const before = Bitmap.usedBytes();
  for (let i = 0; i < 10; i++) {
    store.bits("a", 20_000, 7 + i);
    store.flush();
    store.storage.writer.tidy();
  }
  expect(Bitmap.usedBytes()).toBeLessThan(before + 200_000);
});
