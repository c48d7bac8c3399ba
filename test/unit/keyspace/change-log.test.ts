/** The change log: what is put in comes out, in order; replaced values come last, as they are when the batch is taken. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { type Batch, type BatchVisitor, ChangeLog, ID_MAX, readBatch } from "../../../src/keyspace/change-log.js";
import { Database } from "../../../src/keyspace/database.js";
import { Entry } from "../../../src/keyspace/entry.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";

type Record = readonly [kind: keyof BatchVisitor, ...facts: unknown[]];

/** A batch's records; of values the string, since a set has many portable forms. */
function recordsOf(batch: Batch): Record[] {
  const records: Record[] = [];
  readBatch(batch, {
    bit: (...facts) => records.push(["bit", ...facts]),
    value: (id, byteLength, portable) => {
      const bitmap = Bitmap.fromPortable(Uint8Array.from(portable), byteLength);
      records.push(["value", id, bitmap.bytes(0, byteLength).toString("latin1")]);
    },
    create: (...facts) => records.push(["create", ...facts]),
    rekey: (...facts) => records.push(["rekey", ...facts]),
    delete: (...facts) => records.push(["delete", ...facts]),
    deadline: (...facts) => records.push(["deadline", ...facts]),
    dropSlot: (...facts) => records.push(["dropSlot", ...facts]),
    database: ({ number, slot, keys, volatileKeys }) => records.push(["database", number, slot, keys, volatileKeys]),
  });
  return records;
}

function entryOf(id: number, key: string, options: { slot?: number; bytes?: Uint8Array } = {}): Entry {
  const database = new Database(0, options.slot ?? 0, 0, 0);
  return new Entry(id, database, key, NO_DEADLINE, Bitmap.fromBytes(options.bytes ?? new Uint8Array()), 0);
}

const ALL_BYTES = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join("");

const id = fc.oneof(
  fc.integer({ min: 1, max: 10 }),
  fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 47, ID_MAX - 1, ID_MAX),
  fc.integer({ min: 1, max: ID_MAX }),
);
const key = fc.oneof(
  fc.constantFrom("", "\0", ALL_BYTES, "k".repeat(70_000)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
);
const deadline = fc.oneof(
  fc.constantFrom(NO_DEADLINE, 0, 1, -1, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 2 ** 32, 2 ** 32 - 1),
  fc.integer({ min: 0, max: 4e12 }),
);
const offset = fc.oneof(fc.constantFrom(0, 2 ** 31, 2 ** 32 - 1), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const bit = fc.constantFrom<0 | 1>(0, 1);
const wide = fc.oneof(fc.nat(), fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 40 + 7));
const slot = fc.nat();

describe("what is put in comes out, in order", () => {
  /** Each logs something and gives the record that it must become. The id's entry is new each time: no coalescing here. */
  const step = fc.oneof(
    fc.tuple(id, offset, bit).map(([of, at, value]) => (log: ChangeLog): Record => {
      log.bit(entryOf(of, ""), at, value);
      return ["bit", of, at, value];
    }),
    fc.tuple(id, slot, key).map(([of, inSlot, name]) => (log: ChangeLog): Record => {
      log.create(entryOf(of, name, { slot: inSlot }));
      return ["create", of, inSlot, name];
    }),
    fc.tuple(id, slot, key).map(([of, inSlot, name]) => (log: ChangeLog): Record => {
      log.rekey(entryOf(of, name, { slot: inSlot }));
      return ["rekey", of, inSlot, name];
    }),
    id.map((of) => (log: ChangeLog): Record => {
      log.delete(entryOf(of, ""));
      return ["delete", of];
    }),
    fc.tuple(id, deadline).map(([of, at]) => (log: ChangeLog): Record => {
      const entry = entryOf(of, "");
      entry.deadline = at;
      log.deadline(entry);
      return ["deadline", of, at];
    }),
    fc.oneof(slot, id).map((of) => (log: ChangeLog): Record => {
      log.dropSlot(of);
      return ["dropSlot", of];
    }),
    fc.tuple(fc.nat(15), id, wide, wide).map(([number, of, keys, volatileKeys]) => (log: ChangeLog): Record => {
      log.database(new Database(number, of, keys, volatileKeys));
      return ["database", number, of, keys, volatileKeys];
    }),
  );

  test("for any program", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const log = new ChangeLog();
        const expected = steps.map((each) => each(log));
        expect(log.isEmpty).toBe(steps.length === 0);
        expect(recordsOf(log.take().batch)).toEqual(expected);
        expect(log.isEmpty).toBe(true);
        expect(recordsOf(log.take().batch)).toEqual([]);
      }),
    );
  });

  test("beyond the first buffer", () => {
    const log = new ChangeLog();
    const entry = entryOf(2 ** 40, "");
    const expected: Record[] = [];
    for (let i = 0; i < 30_000; i++) {
      log.bit(entry, i * 7, (i & 1) as 0 | 1);
      expected.push(["bit", 2 ** 40, i * 7, i & 1]);
    }
    expect(recordsOf(log.take().batch)).toEqual(expected);
    log.bit(entry, 1, 1);
    expect(recordsOf(log.take().batch)).toEqual([["bit", 2 ** 40, 1, 1]]);
  });
});

describe("values", () => {
  test("are written once, last, and as they are when the batch is taken", () => {
    const log = new ChangeLog();
    const a = entryOf(1, "a", { bytes: Buffer.from("old") });
    const b = entryOf(2, "b", { bytes: Buffer.from("") });
    log.create(a);
    log.value(a);
    log.value(b);
    log.value(a);
    a.bitmap = Bitmap.fromBytes(Buffer.from("new"));
    log.delete(entryOf(3, "c"));
    expect(recordsOf(log.take().batch)).toEqual([
      ["create", 1, 0, "a"],
      ["delete", 3],
      ["value", 1, "new"],
      ["value", 2, ""],
    ]);
  });

  test("make single bits of the same batch needless, those before stay and do no harm", () => {
    const log = new ChangeLog();
    const entry = entryOf(1, "a", { bytes: Buffer.from("v") });
    log.bit(entry, 5, 1);
    log.value(entry);
    log.bit(entry, 6, 1);
    expect(recordsOf(log.take().batch)).toEqual([
      ["bit", 1, 5, 1],
      ["value", 1, "v"],
    ]);
  });

  test("are bits again in the next batch", () => {
    const log = new ChangeLog();
    const entry = entryOf(1, "a", { bytes: Buffer.from("v") });
    log.value(entry);
    log.take();
    log.bit(entry, 6, 1);
    expect(recordsOf(log.take().batch)).toEqual([["bit", 1, 6, 1]]);
    log.value(entry);
    expect(recordsOf(log.take().batch)).toEqual([["value", 1, "v"]]);
  });

  test("of a key that was deleted since are not written", () => {
    const log = new ChangeLog();
    const entry = entryOf(1, "a", { bytes: Buffer.from("v") });
    log.value(entry);
    entry.alive = false;
    entry.bitmap = undefined;
    log.delete(entry);
    expect(recordsOf(log.take().batch)).toEqual([["delete", 1]]);
  });

  test("of any length are read back whole, one behind the other", () => {
    const strings = fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 10 });
    fc.assert(
      fc.property(strings, (all) => {
        const log = new ChangeLog();
        all.forEach((bytes, i) => {
          log.value(entryOf(i + 1, "k", { bytes }));
        });
        const expected = all.map((bytes, i) => ["value", i + 1, Buffer.from(bytes).toString("latin1")]);
        expect(recordsOf(log.take().batch)).toEqual(expected);
      }),
    );
  });
});

describe("batches", () => {
  test("are numbered from 1, and name each entry they touch once", () => {
    const log = new ChangeLog();
    const a = entryOf(1, "a");
    const b = entryOf(2, "b");
    log.bit(a, 1, 1);
    log.bit(a, 2, 1);
    log.vacate(b);
    const first = log.take();
    expect(first.batch.number).toBe(1);
    expect(first.touched).toEqual([a, b]);
    expect([a.batch, b.batch]).toEqual([1, 1]);
    log.bit(a, 3, 1);
    const second = log.take();
    expect(second.batch.number).toBe(2);
    expect(second.touched).toEqual([a]);
    expect([a.batch, b.batch]).toEqual([2, 1]);
  });

  test("do not change when the log goes on", () => {
    const log = new ChangeLog();
    log.bit(entryOf(1, "a"), 1, 1);
    const { batch } = log.take();
    for (let i = 0; i < 100; i++) log.bit(entryOf(2, "b"), i, 0);
    expect(recordsOf(batch)).toEqual([["bit", 1, 1, 1]]);
  });

  test("can be read after their words were moved to another place in memory", () => {
    const log = new ChangeLog();
    log.create(entryOf(7, ALL_BYTES));
    log.value(entryOf(8, "v", { bytes: Buffer.from("some value") }));
    const { words } = log.take().batch;
    const moved = new Uint32Array(words.length + 3).fill(0xffffffff);
    moved.set(words, 3);
    expect(recordsOf({ number: 1, words: moved.subarray(3) })).toEqual(recordsOf({ number: 1, words }));
  });

  test("that are damaged are refused", () => {
    expect(() => recordsOf({ number: 1, words: new Uint32Array([99, 1]) })).toThrow("unknown kind 99");
  });
});
