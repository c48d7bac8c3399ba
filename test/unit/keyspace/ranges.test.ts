/** SETRANGE, APPEND and BITFIELD in the keyspace: what they cost and what of them is logged. That they are right, model.ts tests. */
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { BITS_ONE_BY_ONE_MAX, BULK_BYTES_MAX, LOGGED_BITS_MAX, MIB } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { type Batch, readBatch } from "../../../src/keyspace/change-log.js";
import type { Database } from "../../../src/keyspace/database.js";
import type { Entry } from "../../../src/keyspace/entry.js";
import { VALUE } from "../../../src/keyspace/entry-table.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { keyBytes, randomOf } from "./bytes.js";
import { StorageInHand } from "./sqlite.js";

const KEY = "key";
/** Bytes of a string that is written bit by bit, and of one that is not. */
const SHORT = BITS_ONE_BY_ONE_MAX / 8;
const LONG = SHORT + 1;

function setUp() {
  const storage = new StorageInHand();
  const keyspace = new Keyspace(storage, new ManualClock(0), randomOf(7));
  const database = keyspace.databases[0] as Database;
  const entry = () => keyspace.lookup(database, KEY) as Entry;
  const bytes = (start: number, length: number) => keyspace.value(entry()).bytes(start, length).toString("latin1");
  const kind = () => database.contents.entries.valueKind(entry().number);
  /** What the next batch says: how many bits, and whether the whole value. */
  const logged = () => {
    const batch = keyspace.takeBatch();
    storage.apply(batch);
    const { bits, values } = summaryOf(batch);
    return { bits, values };
  };
  return { storage, keyspace, database, entry, bytes, kind, logged };
}

function summaryOf(batch: Batch): { bits: number; values: number; cardinalities: number[] } {
  const summary = { bits: 0, values: 0, cardinalities: [] as number[] };
  const nothing = () => {};
  readBatch(batch, {
    bit: () => void summary.bits++,
    value: () => void summary.values++,
    measure: (_id, _bytes, cardinality) => void summary.cardinalities.push(cardinality),
    expression: nothing,
    make: nothing,
    create: nothing,
    rekey: nothing,
    delete: nothing,
    deadline: nothing,
    dropSlot: nothing,
    reserveSlot: nothing,
    piece: nothing,
    database: nothing,
  });
  return summary;
}

/** Half of the bits are ones, none of them in long runs. */
function noise(length: number): Buffer {
  const random = randomOf(length);
  return Buffer.from(Array.from({ length }, () => random() * 256));
}

describe("a value of 512 MiB that has few bits", () => {
  const far = () => {
    const all = setUp();
    all.keyspace.setBit(all.database, keyBytes(KEY), BULK_BYTES_MAX * 8 - 1, 1);
    all.logged();
    return all;
  };

  test.each([SHORT, LONG])("is small still when %i bytes were written somewhere in it", (length) => {
    const { keyspace, database, bytes, kind, logged, entry } = far();
    const before = Bitmap.usedBytes();
    keyspace.setRange(database, KEY, BULK_BYTES_MAX / 2, Buffer.alloc(length, 0x81));
    expect(kind()).toBe(VALUE.SMALL);
    expect(bytes(BULK_BYTES_MAX / 2 - 1, length + 2)).toBe(`\0${"\x81".repeat(length)}\0`);
    expect(keyspace.value(entry()).cardinality).toBe(1 + 2 * length);
    expect(Bitmap.usedBytes() - before).toBeLessThan(1000);
    const { bits, values } = logged();
    expect(values === 1 ? 0 : bits).toBe(length === SHORT ? 2 * length : 0);
  });

  test("is written at its very end, and not beyond", () => {
    const { keyspace, database, bytes, entry } = far();
    keyspace.setRange(database, KEY, BULK_BYTES_MAX - LONG, Buffer.alloc(LONG, "x"));
    expect(keyspace.value(entry()).byteLength).toBe(BULK_BYTES_MAX);
    expect(bytes(BULK_BYTES_MAX - LONG - 1, LONG + 1)).toBe(`\0${"x".repeat(LONG)}`);
    expect([...keyspace.getBits(entry(), BULK_BYTES_MAX * 8 - 4, 64)]).toEqual([0x80, 0, 0, 0, 0, 0, 0, 0]);
  });

  test("can be made by one byte, and by a field", () => {
    const { keyspace, database, kind, entry, logged } = setUp();
    const { isLonger } = keyspace.lengthen(database, KEY, BULK_BYTES_MAX);
    expect([isLonger, kind(), keyspace.value(entry()).cardinality]).toEqual([true, VALUE.SMALL, 0]);
    expect(keyspace.lengthen(database, KEY, BULK_BYTES_MAX).isLonger).toBe(false);
    keyspace.setBits(entry(), BULK_BYTES_MAX * 8 - 64, 64, Buffer.alloc(8, 0xff));
    expect(keyspace.value(entry()).countRange(BULK_BYTES_MAX * 8 - 64, BULK_BYTES_MAX * 8 - 1)).toBe(64);
    expect(logged().bits).toBe(1 + 64);
  });
});

describe("of a large value", () => {
  const large = () => {
    const all = setUp();
    all.keyspace.setValue(all.database, KEY, Bitmap.fromBytes(noise(MIB)));
    all.logged();
    return all;
  };

  test.each([1, SHORT, LONG, 4000])(
    "only the bits are logged that are different when %i bytes are added, and are in the file",
    (length) => {
      const { keyspace, database, logged, storage, entry } = large();
      keyspace.setRange(database, KEY, MIB, Buffer.alloc(length, 0x11));
      expect(logged()).toEqual({ bits: length * 2, values: 0 });
      storage.settle();
      const stored = storage.load(database.contents.entries.id(entry().number));
      expect(stored.byteLength).toBe(MIB + length);
      expect(stored.countRange(MIB * 8, (MIB + length) * 8 - 1)).toBe(2 * length);
      stored.dispose();
    },
  );

  test("nothing is logged where nothing is different", () => {
    const { keyspace, database, bytes, logged } = large();
    const same = Buffer.from(bytes(1000, 5000), "latin1");
    keyspace.setRange(database, KEY, 1000, same);
    keyspace.setRange(database, KEY, 1000, same.subarray(0, SHORT));
    expect(keyspace.isDirty).toBe(false);
    expect(logged()).toEqual({ bits: 0, values: 0 });
  });

  test("zeros that make it longer are one record", () => {
    const { keyspace, database, logged } = large();
    keyspace.setRange(database, KEY, MIB, Buffer.alloc(SHORT));
    expect(logged()).toEqual({ bits: 1, values: 0 });
    keyspace.setRange(database, KEY, MIB + SHORT, Buffer.alloc(5000));
    expect(logged()).toEqual({ bits: 1, values: 0 });
  });

  test("the whole is logged where most is different", () => {
    const { keyspace, database, bytes, logged } = large();
    const zeros = Buffer.alloc(LOGGED_BITS_MAX);
    keyspace.setRange(database, KEY, 100, zeros);
    expect(logged()).toEqual({ bits: 0, values: 1 });
    expect(bytes(100, zeros.length)).toBe(zeros.toString("latin1"));
  });

  test("a batch that is being written has what was there when it was taken", () => {
    const { keyspace, database, bytes, storage, entry } = large();
    const before = bytes(0, MIB);
    keyspace.setValue(database, KEY, Bitmap.fromBytes(Buffer.from(before, "latin1")));
    const draft = keyspace.takeDraft();
    keyspace.setRange(database, KEY, 0, Buffer.alloc(5000));
    storage.apply(draft.write(Number.POSITIVE_INFINITY) as Batch);
    const stored = storage.load(database.contents.entries.id(entry().number));
    expect(stored.bytes(0, MIB).toString("latin1")).toBe(before);
    expect(bytes(0, 5000)).toBe("\0".repeat(5000));
    stored.dispose();
  });
});

test("who watches is told of what is written, be it different or not, and not of a length alone", () => {
  const { keyspace, database, entry } = setUp();
  let told = 0;
  keyspace.watches.add(database.number, KEY, { touched: () => void told++ });
  keyspace.lengthen(database, KEY, 3);
  expect(told).toBe(0);
  keyspace.setBits(entry(), 0, 5, Buffer.alloc(1));
  keyspace.setRange(database, KEY, 0, Buffer.alloc(1));
  keyspace.setRange(database, KEY, 0, Buffer.alloc(LONG));
  keyspace.setRange(database, KEY, 0, Buffer.alloc(0));
  expect(told).toBe(4);
});

test("a long range in a new value is counted: what is measured is what there is, and what SETBIT adds to it", () => {
  const { storage, keyspace, database, entry } = setUp();
  keyspace.setRange(database, KEY, 0, Buffer.alloc(1000, 0xff));
  keyspace.setBit(database, keyBytes(KEY), 100_000, 1);
  keyspace.setBit(database, keyBytes(KEY), 0, 0);
  expect(database.contents.entries.cardinality(entry().number)).toBe(8000);
  const batch = keyspace.takeBatch();
  storage.apply(batch);
  expect(summaryOf(batch).cardinalities).toEqual([8000]);
});
