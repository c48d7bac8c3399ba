/** The log: what a flush appends is read back as it was, batch after batch. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StartError } from "../../../src/errors.js";
import { ID_MAX } from "../../../src/keyspace/change-log.js";
import { type ChangedRow, LogEncoder, lastBits, logChecksum } from "../../../src/storage/log.js";
import { Pending, readLog } from "../../../src/storage/pending.js";
import type { Connection } from "../../../src/storage/schema.js";
import { emptyDatabase } from "../keyspace/sqlite.js";
import { Store } from "./store.js";

const rowOf = (bits: number[]): ChangedRow => ({ byteLength: 1, cardinality: 1, bits: Float64Array.from(bits) });

/** One for all, as for all flushes: nothing of one may be seen in the next. */
const encoder = new LogEncoder();

function encodeLog(changed: ReadonlyMap<number, ChangedRow>, replaced: readonly number[]): Uint32Array {
  encoder.clear();
  for (const [of, row] of changed) encoder.changed(of, row);
  for (const of of replaced) encoder.replaced(of);
  return encoder.words.slice();
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

function rowsOf(pending: Pending): [number, ChangedRow | undefined][] {
  return [...pending.ids()].map((id) => [id, pending.row(id)]);
}

function append(connection: Connection, row: number, words: Uint32Array): void {
  const bytes = bytesOf(words);
  connection.prepare("INSERT INTO log VALUES (?, ?, ?)").run(row, bytes, logChecksum(row, bytes));
}

const packed = (offset: number, bit: 0 | 1) => offset * 2 + bit;

const id = fc.oneof(
  fc.integer({ min: 1, max: 6 }),
  fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 46, ID_MAX),
);
const offset = fc.oneof(
  fc.nat(9),
  fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
);
const bit = fc.constantFrom<(0 | 1)[]>(0, 1);
const ones = fc.array(
  offset.map((at) => packed(at, 1)),
  { minLength: 1, maxLength: 70 },
);
const mixed = fc.array(
  fc.tuple(offset, bit).map(([at, value]) => packed(at, value)),
  { minLength: 1, maxLength: 70 },
);
const pendingRow: fc.Arbitrary<ChangedRow> = fc.record({
  byteLength: fc.oneof(fc.nat(), fc.constant(2 ** 29)),
  cardinality: fc.oneof(fc.nat(), fc.constantFrom(2 ** 32 - 1, 2 ** 32)),
  bits: fc.oneof(ones, mixed).map((bits) => Float64Array.from(bits)),
});
/** What one flush leaves. A row is either changed or replaced. */
const flushed = fc.record({
  changed: fc.uniqueArray(fc.tuple(id, pendingRow), { selector: ([of]) => of, maxLength: 6 }),
  replaced: fc.uniqueArray(id, { maxLength: 4 }),
});

describe("what is appended to the log", () => {
  test("is read back, batch after batch: later bits behind earlier ones, and none of a value that was replaced", () => {
    fc.assert(
      fc.property(fc.array(flushed, { maxLength: 5 }), (batches) => {
        const connection = emptyDatabase();
        const expected = new Map<number, ChangedRow>();
        batches.forEach(({ changed, replaced }, i) => {
          const replacedOnly = replaced.filter((of) => !changed.some(([other]) => other === of));
          append(connection, i + 1, encodeLog(new Map(changed), replacedOnly));
          for (const of of replacedOnly) expected.delete(of);
          for (const [of, row] of changed) {
            const bits = Float64Array.from([...(expected.get(of)?.bits ?? []), ...row.bits]);
            expected.set(of, { ...row, bits });
          }
        });
        const pending = readLog(connection);
        expect(rowsOf(pending)).toEqual([...expected].sort(([a], [b]) => a - b));
        expect(pending.rows).toBe(expected.size);
        connection.close();
      }),
      { numRuns: 200 },
    );
  });

  test("is nothing where nothing is", () => {
    expect(encodeLog(new Map(), [])).toHaveLength(0);
    expect(rowsOf(readLog(emptyDatabase()))).toEqual([]);
  });

  test("takes a word for a bit of 1, and a bit more where there are zeros", () => {
    const row = (bits: number[]) => new Map([[1, rowOf(bits)]]);
    const set = Array.from({ length: 64 }, (_, i) => packed(i, 1));
    const header = encodeLog(row([]), []).length;
    expect(encodeLog(row(set), [])).toHaveLength(header + 64);
    expect(encodeLog(row([...set.slice(1), packed(3, 0)]), [])).toHaveLength(header + 64 + 2);
  });

  test("is read in the order of its rows, whatever the order they were written in", () => {
    const connection = emptyDatabase();
    const row = (bits: number[]) => new Map([[1, rowOf(bits)]]);
    append(connection, 10, encodeLog(row([packed(5, 0)]), []));
    append(connection, 9, encodeLog(row([packed(5, 1)]), []));
    expect(readLog(connection).row(1)?.bits).toEqual(Float64Array.of(packed(5, 1), packed(5, 0)));
  });
});

describe("a log that is not what was written", () => {
  const damages: [string, string][] = [
    ["a word", "UPDATE log SET words = CAST(substr(words, 1, 24) || x'ffffffff' || substr(words, 29) AS BLOB)"],
    ["its end", "UPDATE log SET words = substr(words, 1, length(words) - 4)"],
    ["its beginning", "UPDATE log SET words = substr(words, 2)"],
    ["its checksum", "UPDATE log SET checksum = checksum + 1"],
    ["its number", "UPDATE log SET batch = batch + 1"],
    ["all of it", "UPDATE log SET words = x''"],
  ];
  test.each(damages)("is refused, with the row's number, where %s differs", (_what, sql) => {
    const connection = emptyDatabase();
    const bits = Float64Array.of(packed(100, 1), packed(7, 0));
    append(connection, 41, encodeLog(new Map([[1, { byteLength: 13, cardinality: 1, bits }]]), [9]));
    expect(readLog(connection).rows).toBe(1);
    connection.exec(sql);
    expect(() => readLog(connection)).toThrow(StartError);
    expect(() => readLog(connection)).toThrow(/log row 4[12] is not what was written/);
  });
});

test("of several changes of one bit the last counts", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(5), bit), { maxLength: 20 }), (changes) => {
      const { ones: set, zeros } = lastBits(Float64Array.from(changes, ([at, value]) => packed(at, value)));
      const last = new Map(changes);
      const offsets = (value: 0 | 1) => [...last.keys()].filter((at) => last.get(at) === value).sort();
      expect([...new Set(set)].sort()).toEqual(offsets(1));
      expect([...zeros].sort()).toEqual(offsets(0));
    }),
  );
});

describe("what a start finds in the log", () => {
  test("is each row's bits in the order of their change, since its value was last replaced", () => {
    const store = new Store();
    for (const key of ["a", "b", "c"]) store.put(key, "\x00\x00\x00");
    store.flush();
    store.bit("b", 9);
    store.bit("a", 3);
    store.flush();
    store.bit("b", 9, 0);
    store.put("a", "\xff");
    store.bit("c", 5);
    store.flush();
    store.bit("a", 0, 0);
    store.flush();
    const leftover = readLog(store.connection);
    expect(leftover.row(store.id("a"))?.bits).toEqual(Float64Array.of(packed(0, 0)));
    expect(leftover.row(store.id("b"))?.bits).toEqual(Float64Array.of(packed(9, 1), packed(9, 0)));
    expect(leftover.row(store.id("c"))?.bits).toEqual(Float64Array.of(packed(5, 1)));
    expect(leftover.row(99)).toBeUndefined();
    expect(leftover.lastId).toBe(store.id("c"));
    const logBytes = store.connection.prepare("SELECT sum(length(words)) FROM log").pluck().get();
    expect([leftover.logBytes, leftover.rows]).toEqual([logBytes, 3]);
  });

  test("may be nothing", () => {
    const leftover = readLog(new Store().connection);
    expect([leftover.lastId, leftover.logBytes, leftover.rows]).toEqual([0, 0, 0]);
    expect(leftover.row(1)).toBeUndefined();
  });
});

test("a row whose value was replaced may be forgotten, and what comes later counts", () => {
  const pending = new Pending();
  const add = (changed: [number, number[]][], replaced: number[] = []) =>
    pending.append(bytesOf(encodeLog(new Map(changed.map(([of, bits]) => [of, rowOf(bits)])), replaced)));
  add([
    [7, [packed(1, 1)]],
    [3, [packed(2, 1)]],
  ]);
  pending.forget(7);
  pending.forget(7);
  expect([pending.rows, pending.has(7), [...pending.ids()]]).toEqual([1, false, [3]]);
  add([[7, [packed(4, 0)]]], [3]);
  expect([pending.rows, pending.has(3), rowsOf(pending)]).toEqual([1, false, [[7, rowOf([packed(4, 0)])]]]);
});

test("flushes of any size have room, and many of them", () => {
  const pending = new Pending();
  const flushes = [70_000, 1, 65_530, 3, 200_000].map((bits) => Array.from({ length: bits }, (_, at) => packed(at, 1)));
  for (const bits of flushes) pending.append(bytesOf(encodeLog(new Map([[1, rowOf(bits)]]), [])));
  expect(pending.row(1)?.bits).toEqual(Float64Array.from(flushes.flat()));
});
