/**
 * The change log: what is put in comes out, in order; what changed values measure, and replaced ones, come last, as they are
 * when the batch is taken.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { type Batch, type BatchVisitor, ChangeLog, ID_MAX, readBatch } from "../../../src/keyspace/change-log.js";
import { Contents, FLAG } from "../../../src/keyspace/contents.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";

type Record = readonly [kind: keyof BatchVisitor, ...facts: unknown[]];

/** A batch's records; of values the string, since a set has many portable forms. */
function recordsOf(batch: Batch): Record[] {
  const records: Record[] = [];
  const measured = new Map<number, number>();
  readBatch(batch, {
    bit: (...facts) => records.push(["bit", ...facts]),
    measure: (id, byteLength, cardinality) => {
      measured.set(id, byteLength);
      records.push(["measure", id, byteLength, cardinality]);
    },
    value: (id, portable) => {
      const bytes = measured.get(id) as number;
      records.push([
        "value",
        id,
        Bitmap.fromPortable(Uint8Array.from(portable), bytes).bytes(0, bytes).toString("latin1"),
      ]);
    },
    expression: (id, { op, sources }) => records.push(["expression", id, op, ...sources]),
    make: (...facts) => records.push(["make", ...facts]),
    create: (...facts) => records.push(["create", ...facts]),
    rekey: (...facts) => records.push(["rekey", ...facts]),
    delete: (...facts) => records.push(["delete", ...facts]),
    deadline: (...facts) => records.push(["deadline", ...facts]),
    dropSlot: (...facts) => records.push(["dropSlot", ...facts]),
    reserveSlot: (...facts) => records.push(["reserveSlot", ...facts]),
    piece: (id, facts, portable) =>
      records.push(["piece", id, facts, [...Bitmap.fromPortable(Uint8Array.from(portable), 0).members]]),
    database: ({ number, slot, keys, volatileKeys }) => records.push(["database", number, slot, keys, volatileKeys]),
  });
  return records;
}

/** The batch, whole. */
function take(log: ChangeLog): Batch {
  return log.take().write(Number.POSITIVE_INFINITY) as Batch;
}

/** An entry as the log wants it: what it is in, and its number there. */
type At = readonly [contents: Contents, entry: number];

function entryOf(id: number, key: string, options: { slot?: number; bytes?: Uint8Array } = {}): At {
  const contents = new Contents({ slot: options.slot ?? 0, keys: 0, volatileKeys: 0 }, 1);
  const entry = contents.entries.add(key);
  contents.entries.setId(entry, id);
  put([contents, entry], options.bytes ?? new Uint8Array());
  return [contents, entry];
}

function put([{ entries }, entry]: At, bytes: Uint8Array): void {
  entries.setNative(entry, Bitmap.fromBytes(bytes));
  entries.setByteLength(entry, bytes.length);
}

/** What a value measures that nothing was done to. */
const unchanged = (id: number): Record => ["measure", id, 0, 0];

const ALL_BYTES = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join("");

const id = fc.oneof(
  fc.integer({ min: 1, max: 10 }),
  fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 46, ID_MAX - 1, ID_MAX),
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
  /**
   * Each logs something and gives the record that it must become, and what the batch must say of it at its end. The id's
   * entry is new each time: no coalescing here.
   */
  const step = fc.oneof(
    fc.tuple(id, offset, bit).map(([of, at, value]) => (log: ChangeLog): [Record, Record] => {
      log.bit(...entryOf(of, ""), at, value);
      return [["bit", of, at, value], unchanged(of)];
    }),
    fc.tuple(id, slot, key).map(([of, inSlot, name]) => (log: ChangeLog): [Record, Record] => {
      log.create(...entryOf(of, name, { slot: inSlot }));
      return [["create", of, inSlot, name], unchanged(of)];
    }),
    fc.tuple(id, slot, key).map(([of, inSlot, name]) => (log: ChangeLog): [Record] => {
      log.rekey(...entryOf(of, name, { slot: inSlot }));
      return [["rekey", of, inSlot, name]];
    }),
    id.map((of) => (log: ChangeLog): [Record] => {
      log.delete(...entryOf(of, ""));
      return [["delete", of]];
    }),
    fc.tuple(id, deadline).map(([of, at]) => (log: ChangeLog): [Record] => {
      const [contents, entry] = entryOf(of, "");
      contents.entries.setDeadline(entry, at);
      log.deadline(contents, entry);
      return [["deadline", of, at]];
    }),
    fc.oneof(slot, id).map((of) => (log: ChangeLog): [Record] => {
      log.dropSlot(of);
      return [["dropSlot", of]];
    }),
    slot.map((of) => (log: ChangeLog): [Record] => {
      log.reserveSlot(of);
      return [["reserveSlot", of]];
    }),
    fc.tuple(fc.nat(15), id, wide, wide).map(([number, of, keys, volatileKeys]) => (log: ChangeLog): [Record] => {
      log.database({ number, slot: of, keys, volatileKeys });
      return [["database", number, of, keys, volatileKeys]];
    }),
  );

  test("for any program", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const log = new ChangeLog();
        const expected = steps.map((each) => each(log));
        const atOnce = expected.map(([record]) => record);
        const last = expected.flatMap(([, measure]) => (measure === undefined ? [] : [measure]));
        expect(log.isEmpty).toBe(steps.length === 0);
        expect(log.valuedEntries).toBe(last.length);
        expect(recordsOf(take(log))).toEqual([...atOnce, ...last]);
        expect(log.isEmpty).toBe(true);
        expect(recordsOf(take(log))).toEqual([]);
      }),
    );
  });

  test("beyond the first buffer", () => {
    const log = new ChangeLog();
    const entry = entryOf(2 ** 40, "");
    const expected: Record[] = [];
    for (let i = 0; i < 30_000; i++) {
      log.bit(...entry, i * 7, (i & 1) as 0 | 1);
      expected.push(["bit", 2 ** 40, i * 7, i & 1]);
    }
    const bytes = log.byteLength;
    const batch = take(log);
    expect(recordsOf(batch)).toEqual([...expected, unchanged(2 ** 40)]);
    expect(batch.words.byteLength - bytes).toBeLessThan(100);
    log.bit(...entry, 1, 1);
    expect(recordsOf(take(log))).toEqual([["bit", 2 ** 40, 1, 1], unchanged(2 ** 40)]);
  });
});

describe("what a changed value measures", () => {
  test("comes once, after the changes, as it is when the batch is taken, for a value of few members too", () => {
    const log = new ChangeLog();
    const native = entryOf(1, "a");
    const [contents, small] = entryOf(2, "b");
    log.bit(...native, 5, 1);
    log.bit(contents, small, 9, 1);
    log.bit(contents, small, 20, 1);
    log.bit(...native, 5, 0);
    put(native, Buffer.from("\x07\x01\x00"));
    contents.entries.setSmall(small, [9, 20]);
    contents.entries.setByteLength(small, 77);
    expect(recordsOf(take(log)).slice(4)).toEqual([
      ["measure", 1, 3, 4],
      ["measure", 2, 77, 2],
    ]);
  });

  test("goes with a row that was given another entry", () => {
    const log = new ChangeLog();
    const old = entryOf(1, "old");
    const other = entryOf(1, "other", { bytes: Buffer.from("moved") });
    log.bit(...old, 3, 1);
    log.moveValue(...old, ...other);
    log.vacate(...old);
    expect(recordsOf(take(log))).toEqual([
      ["bit", 1, 3, 1],
      ["measure", 1, 5, 23],
    ]);
    log.value(...other);
    const third = entryOf(1, "third", { bytes: Buffer.from("v") });
    log.moveValue(...other, ...third);
    expect(recordsOf(take(log))).toEqual([
      ["measure", 1, 1, 5],
      ["value", 1, "v"],
    ]);
  });

  test("is not said of what a database held that was emptied since", () => {
    const log = new ChangeLog();
    const [contents, entry] = entryOf(1, "a");
    log.bit(contents, entry, 1, 1);
    contents.dropped = true;
    log.dropSlot(0);
    expect(recordsOf(take(log))).toEqual([
      ["bit", 1, 1, 1],
      ["dropSlot", 0],
    ]);
  });
});

describe("values", () => {
  test("are written once, last, and as they are when the batch is taken", () => {
    const log = new ChangeLog();
    const a = entryOf(1, "a", { bytes: Buffer.from("old") });
    const b = entryOf(2, "b", { bytes: Buffer.from("") });
    log.create(...a);
    log.value(...a);
    log.value(...b);
    log.value(...a);
    put(a, Buffer.from("new"));
    log.delete(...entryOf(3, "c"));
    expect(recordsOf(take(log))).toEqual([
      ["create", 1, 0, "a"],
      ["delete", 3],
      ["measure", 1, 3, 15],
      ["measure", 2, 0, 0],
      ["value", 1, "new"],
      ["value", 2, ""],
    ]);
  });

  test("of few members are written too", () => {
    const log = new ChangeLog();
    const [contents, entry] = entryOf(1, "a");
    contents.entries.setSmall(entry, [1, 2, 15]);
    contents.entries.setByteLength(entry, 3);
    log.value(contents, entry);
    expect(recordsOf(take(log))).toEqual([
      ["measure", 1, 3, 3],
      ["value", 1, "\x60\x01\0"],
    ]);
  });

  test("make single bits of the same batch needless, those before stay and do no harm", () => {
    const log = new ChangeLog();
    const entry = entryOf(1, "a", { bytes: Buffer.from("v") });
    log.bit(...entry, 5, 1);
    log.value(...entry);
    log.bit(...entry, 6, 1);
    expect(recordsOf(take(log))).toEqual([
      ["bit", 1, 5, 1],
      ["measure", 1, 1, 5],
      ["value", 1, "v"],
    ]);
  });

  test("are bits again in the next batch", () => {
    const log = new ChangeLog();
    const entry = entryOf(1, "a", { bytes: Buffer.from("v") });
    log.value(...entry);
    take(log);
    log.bit(...entry, 6, 1);
    expect(recordsOf(take(log))).toEqual([
      ["bit", 1, 6, 1],
      ["measure", 1, 1, 5],
    ]);
    log.value(...entry);
    expect(recordsOf(take(log))).toEqual([
      ["measure", 1, 1, 5],
      ["value", 1, "v"],
    ]);
  });

  test("count as bytes of the batch before it is taken, and no more after", () => {
    const log = new ChangeLog();
    const noise = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 2654435761) >>> 13));
    log.value(...entryOf(1, "a", { bytes: noise }));
    expect(log.byteLength).toBeGreaterThan(5000);
    take(log);
    expect(log.byteLength).toBe(0);
  });

  test("of a key that was deleted since are not written", () => {
    const log = new ChangeLog();
    const [contents, entry] = entryOf(1, "a", { bytes: Buffer.from("v") });
    log.value(contents, entry);
    contents.entries.setFlags(entry, contents.entries.flags(entry) | FLAG.DEAD);
    log.delete(contents, entry);
    expect(recordsOf(take(log))).toEqual([["delete", 1]]);
  });

  test("of any length are read back whole, one behind the other", () => {
    const strings = fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 10 });
    fc.assert(
      fc.property(strings, (all) => {
        const log = new ChangeLog();
        all.forEach((bytes, i) => {
          log.value(...entryOf(i + 1, "k", { bytes }));
        });
        const expected = all.map((bytes, i) => ["value", i + 1, Buffer.from(bytes).toString("latin1")]);
        expect(recordsOf(take(log)).filter(([kind]) => kind === "value")).toEqual(expected);
      }),
    );
  });
});

describe("batches", () => {
  test("are numbered from 1, and each entry that they touch knows its last", () => {
    const log = new ChangeLog();
    const [inA, a] = entryOf(1, "a");
    const [inB, b] = entryOf(2, "b");
    const batches = () => [inA.entries.batch(a), inB.entries.batch(b)];
    log.bit(inA, a, 1, 1);
    log.bit(inA, a, 2, 1);
    log.vacate(inB, b);
    expect(take(log).number).toBe(1);
    expect(batches()).toEqual([1, 1]);
    log.bit(inA, a, 3, 1);
    expect(take(log).number).toBe(2);
    expect(batches()).toEqual([2, 1]);
  });

  test("are written a value at a time, each as it was when the batch was taken, and let go of", () => {
    const log = new ChangeLog();
    const before = Bitmap.usedBytes();
    const entries = [1, 2, 3].map((id) => entryOf(id, "k", { bytes: Buffer.alloc(10_000, id) }));
    for (const entry of entries) log.value(...entry);
    const draft = log.take();
    // The next batch is open already: a value that is held is not to be changed, and another one takes its place.
    for (const [contents, entry] of entries) {
      const bitmap = contents.entries.native(entry) as Bitmap;
      expect(bitmap.isShared).toBe(true);
      contents.entries.dropValue(entry);
      bitmap.dispose();
    }
    expect(draft.write(0)).toBeUndefined();
    expect(draft.write(0)).toBeUndefined();
    const batch = draft.write(0) as Batch;
    // But for what a native object keeps until it is collected.
    expect(Bitmap.usedBytes() - before).toBeLessThan(1000);
    const values = recordsOf(batch).filter(([kind]) => kind === "value");
    expect(values).toEqual([1, 2, 3].map((id) => ["value", id, String.fromCharCode(id).repeat(10_000)]));
  });

  test("do not change when the log goes on", () => {
    const log = new ChangeLog();
    log.bit(...entryOf(1, "a"), 1, 1);
    const batch = take(log);
    for (let i = 0; i < 100; i++) log.bit(...entryOf(2, "b"), i, 0);
    expect(recordsOf(batch)).toEqual([["bit", 1, 1, 1], unchanged(1)]);
  });

  test("can be read after their words were moved to another place in memory", () => {
    const log = new ChangeLog();
    log.create(...entryOf(7, ALL_BYTES));
    log.value(...entryOf(8, "v", { bytes: Buffer.from("some value") }));
    const { words } = take(log);
    const moved = new Uint32Array(words.length + 3).fill(0xffffffff);
    moved.set(words, 3);
    expect(recordsOf({ number: 1, words: moved.subarray(3) })).toEqual(recordsOf({ number: 1, words }));
  });

  test("of a usual size are written into the same memory in turn, which is shared; larger ones have their own", () => {
    const log = new ChangeLog();
    const bits = entryOf(1, "a");
    const batchOf = (count: number) => {
      for (let i = 0; i < count; i++) log.bit(...bits, i, 1);
      return take(log);
    };
    const first = batchOf(300_000);
    expect(first.words.buffer).toBeInstanceOf(SharedArrayBuffer);
    const second = batchOf(300_000);
    log.reuse(first.words);
    log.reuse(second.words);
    expect(second.words.buffer).not.toBe(first.words.buffer);
    // What is open was begun before the first was given back, and has grown since.
    batchOf(1);
    const third = batchOf(300_000);
    expect([first, second].map(({ words }) => words.buffer)).toContain(third.words.buffer);
    const large = batchOf(1_000_000);
    expect(large.words.buffer).toBeInstanceOf(ArrayBuffer);
    expect(recordsOf(large).length).toBe(1_000_001);
    log.reuse(large.words);
    expect(large.words.length).toBe(0);
    log.bit(...entryOf(2, "b"), 5, 1);
    expect(recordsOf(take(log))).toEqual([["bit", 2, 5, 1], unchanged(2)]);
  });

  test("that are damaged are refused", () => {
    expect(() => recordsOf({ number: 1, words: new Uint32Array([99, 1]) })).toThrow("unknown kind 99");
  });
});
