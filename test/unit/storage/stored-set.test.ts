/** Values that come into the file in pieces: nobody sees one before it is a key's, and then all of it; a crash leaves nothing of it. */
import { describe, expect, test } from "vitest";
import { DATABASES } from "../../../src/config.js";
import type { Bitmap } from "../../../src/keyspace/bitmap.js";
import { BitmapBuilder } from "../../../src/keyspace/bitmap-builder.js";
import { StoredSet } from "../../../src/keyspace/stored-set.js";
import { Check } from "../../../src/storage/check.js";
import { Reader } from "../../../src/storage/reader.js";
import { VALUE_ROWS_MAX } from "../../../src/storage/values.js";
import { keyBytes } from "../keyspace/bytes.js";
import { expectSizesRight, expectTidy, rowCounts } from "./file-checks.js";
import { noise, Store } from "./store.js";

const MIB = 2 ** 20;
/** More than is gathered in memory, and no whole number of containers. */
const PART = noise(5 * MIB + 1234);
const ZEROS = 3 * MIB + 77;
const STRING = Buffer.concat([PART, PART, Buffer.alloc(ZEROS), PART, Buffer.alloc(ZEROS)]);

/** Builds the string in pieces, all of them committed. */
async function build(store: Store): Promise<{ builder: BitmapBuilder; finish(): Bitmap }> {
  const builder = new BitmapBuilder(async () => ({
    stored: store.keyspace.storedSet(),
    committed: async () => store.flush(),
  }));
  for (const zeros of [0, 0, ZEROS]) {
    builder.appendZeros(zeros);
    builder.append(PART);
    await builder.makeRoom();
  }
  const finish = () => {
    builder.appendZeros(ZEROS);
    const bitmap = builder.finish();
    store.flush();
    return bitmap;
  };
  return { builder, finish };
}

/** A store with a value under "k" that the string is to replace, and a bit of that in the log. */
function storeWithOld(): Store {
  const store = new Store();
  store.put("k", noise(200_000, 2));
  store.expire("k", 1000);
  store.flush();
  store.bit("k", 2_000_000);
  store.flush();
  return store;
}

const old = (): Buffer => {
  const bytes = Buffer.alloc(250_001);
  noise(200_000, 2).copy(bytes);
  bytes[250_000] = 0x80;
  return bytes;
};

function expectFine(store: Store): void {
  const damage: string[] = [];
  const check = new Check(store.connection, { onDamage: (line) => damage.push(line), onProgress: () => {} });
  for (const _ of check.run());
  expect(damage).toEqual([]);
  expectSizesRight(store.connection);
}

const set = (store: Store, bitmap: Bitmap) => store.keyspace.setValue(store.database(0), "k", bitmap);

test("it is as good as one that came whole, and takes its place and its deadline in one change", async () => {
  const store = storeWithOld();
  let touched = 0;
  store.keyspace.watches.add(0, "k", { touched: () => void touched++ });
  const bitmap = (await build(store)).finish();
  expect(bitmap.unmade).toBeInstanceOf(StoredSet);
  expect(bitmap.byteLength).toBe(STRING.length);
  const { cardinality, portableBytes } = bitmap;
  expect(store.read("k").equals(old())).toBe(true);
  expect(store.keyspace.databases[0]?.size).toBe(1);
  expectFine(store);
  expect(touched).toBe(0);
  const entry = set(store, bitmap);
  expect(touched).toBeGreaterThan(0);
  expect(store.keyspace.facts(entry)).toEqual({ cardinality, byteLength: STRING.length });
  expect(store.read("k").equals(old())).toBe(true);
  store.flush();
  expect(store.read("k").equals(STRING)).toBe(true);
  expect(store.row("k")).toMatchObject({ slot: 0, length: STRING.length, cardinality, deadline: 1000 });
  expectFine(store);
  store.storage.writer.tidy();
  expectTidy(store.connection);
  expect(rowCounts(store.connection)).toMatchObject({ keys: 1 });
  expect(store.keyspace.bitmap(entry).bytes(0, STRING.length).equals(STRING)).toBe(true);
  expect(store.keyspace.databases[0]?.size).toBe(1);
  expect(portableBytes).toBeGreaterThan(3 * PART.length);
});

test("its rows are as small as those of a value that came whole", async () => {
  const store = new Store();
  set(store, (await build(store)).finish());
  store.put("whole", STRING);
  store.flush();
  const [pieces, whole] = [store.row("k"), store.row("whole")];
  expect(pieces.chunkBytes).toBeLessThan(whole.chunkBytes * 1.01);
  const chunks = store.numbers("chunk", pieces.id);
  expect(chunks.length).toBeLessThan(store.numbers("chunk", whole.id).length * 1.2);
  expect(chunks[0]).toBe(0);
});

test("bits that are set before its change is committed are in it", async () => {
  const store = new Store();
  const entry = set(store, (await build(store)).finish());
  store.keyspace.setBit(store.database(0), keyBytes("k"), STRING.length * 8 + 8, 1);
  store.keyspace.rename(entry, store.database(3), "other");
  store.flush();
  const bytes = store.read("other");
  expect(bytes.length).toBe(STRING.length + 2);
  expect(bytes.subarray(0, STRING.length).equals(STRING)).toBe(true);
  expect(bytes[STRING.length + 1]).toBe(0x80);
  expectFine(store);
});

test("a database that is emptied with it in the same batch stays empty", async () => {
  const store = storeWithOld();
  set(store, (await build(store)).finish());
  store.keyspace.flush(store.database(0));
  store.flush();
  expectFine(store);
  store.storage.writer.tidy();
  expectTidy(store.connection);
  expect(rowCounts(store.connection)).toMatchObject({ keys: 0, chunks: 0 });
});

describe("as the value of a key that comes in the place of other data", () => {
  async function storeInReplacement(): Promise<Store> {
    const store = storeWithOld();
    store.storage.settle();
    store.storage.reportSettled(store.keyspace);
    store.keyspace.beginReplacement();
    store.flush();
    set(store, (await build(store)).finish());
    store.flush();
    expectFine(store);
    return store;
  }

  test("it is there when that is complete", async () => {
    const store = await storeInReplacement();
    store.keyspace.completeReplacement();
    store.flush();
    store.storage.writer.tidy();
    expectTidy(store.connection);
    expectFine(store);
    expect(store.read("k").equals(STRING)).toBe(true);
    expect(rowCounts(store.connection)).toMatchObject({ keys: 1 });
  });

  test.each(["undone", "broken by a crash"])("it is gone when that is %s", async (end) => {
    let store = await storeInReplacement();
    if (end === "undone") {
      store.keyspace.undoReplacement();
      store.flush();
    } else store = store.crashed();
    store.storage.writer.tidy();
    expectTidy(store.connection);
    expectFine(store);
    expect(store.read("k").equals(old())).toBe(true);
    expect(rowCounts(store.connection)).toMatchObject({ keys: 1 });
  });
});

test("the longest string has its last bit", async () => {
  const store = new Store();
  const { builder } = await build(store);
  builder.appendZeros(2 ** 29 - builder.byteLength - 1);
  builder.append(Uint8Array.of(1));
  const bitmap = builder.finish();
  store.flush();
  const entry = set(store, bitmap);
  store.flush();
  expect(store.keyspace.bitOf(entry, 2 ** 32 - 1)).toBe(1);
  expect(store.numbers("chunk", store.id("k")).every((number) => number < VALUE_ROWS_MAX)).toBe(true);
  expectFine(store);
});

describe("one that never becomes a key's", () => {
  test("stays as long as it may become one, and is gone after a crash, when the old value is still there", async () => {
    const store = storeWithOld();
    const { builder } = await build(store);
    store.storage.writer.tidy();
    expect(rowCounts(store.connection)).toMatchObject({ keys: 2, dropped_slots: 1 });
    expectFine(store);
    const { nextId, nextSlot } = new Reader(store.connection);
    const crashed = store.crashed();
    crashed.storage.writer.tidy();
    expectTidy(crashed.connection);
    expect(rowCounts(crashed.connection)).toMatchObject({ keys: 1 });
    expect(crashed.read("k").equals(old())).toBe(true);
    expect(nextSlot).toBe(DATABASES);
    expect(nextId).toBe(Math.max(...store.rows().map(({ id }) => id)) + 2);
    builder.dispose();
  });

  test.each(["builder", "bitmap"])("is gone when its %s is given up", async (which) => {
    const store = storeWithOld();
    const { builder, finish } = await build(store);
    if (which === "builder") builder.dispose();
    else finish().dispose();
    builder.dispose();
    store.flush();
    expectFine(store);
    store.storage.writer.tidy();
    expectTidy(store.connection);
    expect(store.rows().map(({ key, deadline }) => [key, deadline])).toEqual([["k", 1000]]);
  });

  test("is gone when its builder is given up while a piece is on its way", async () => {
    const store = new Store();
    let commit = () => {};
    const builder = new BitmapBuilder(async () => ({
      stored: store.keyspace.storedSet(),
      committed: () => new Promise((resolve) => (commit = resolve)),
    }));
    builder.append(PART);
    await builder.makeRoom();
    builder.append(PART);
    const room = builder.makeRoom();
    await Promise.resolve();
    builder.dispose();
    commit();
    await room;
    store.flush();
    store.storage.writer.tidy();
    expect(rowCounts(store.connection)).toMatchObject({ keys: 0, chunks: 0, dropped_slots: 0 });
  });
});

test("the change that gives it to a key is tried again where it could not be committed", async () => {
  const store = storeWithOld();
  set(store, (await build(store)).finish());
  const batch = store.keyspace.takeBatch();
  store.connection.exec(
    "CREATE TRIGGER broken BEFORE DELETE ON dropped_slots BEGIN SELECT raise(ABORT, 'the disk is full'); END",
  );
  expect(() => store.storage.apply(batch)).toThrow("the disk is full");
  expect(store.read("k").equals(old())).toBe(true);
  store.connection.exec("DROP TRIGGER broken");
  store.storage.writer.tidy();
  store.storage.apply(batch);
  store.keyspace.committed(batch);
  store.storage.writer.tidy();
  expectTidy(store.connection);
  expect(store.read("k").equals(STRING)).toBe(true);
});

test("a value that must be whole is", async () => {
  const builder = new BitmapBuilder(async () => undefined);
  builder.append(PART);
  await builder.makeRoom();
  builder.append(PART);
  await builder.makeRoom();
  const bitmap = builder.finish();
  expect(bitmap.unmade).toBeUndefined();
  expect(bitmap.bytes(0, bitmap.byteLength).equals(Buffer.concat([PART, PART]))).toBe(true);
});

test("what a value measures is counted by its rows, and a damaged one is told of", async () => {
  const store = new Store();
  set(store, (await build(store)).finish());
  store.put("small", "abc");
  store.put("delta", noise(300_000));
  store.flush();
  store.storage.settle();
  store.bit("delta", 2_400_001);
  store.bits("delta", 100_000, 100);
  store.flush();
  store.storage.settle();
  expect(store.row("delta").deltaBytes).toBeGreaterThan(0);
  const reader = new Reader(store.connection);
  for (const key of ["k", "small", "delta"]) {
    const bitmap = reader.load(store.id(key));
    const { cardinality, byteLength } = bitmap;
    expect(reader.measure(store.id(key))).toEqual({ cardinality, byteLength });
    bitmap.dispose();
  }
  const id = store.id("k");
  store.connection.prepare("UPDATE chunks SET checksum = checksum + 1 WHERE chunk = ?").run(id * VALUE_ROWS_MAX);
  expect(() => reader.measure(id)).toThrow("not what was written");
  expect(() => reader.load(id)).toThrow("not what was written");
});
