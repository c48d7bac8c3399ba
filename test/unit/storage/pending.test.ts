/** The log: what a flush appends is read back as it was, batch after batch. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StartError } from "../../../src/errors.js";
import { ID_MAX } from "../../../src/keyspace/change-log.js";
import { encodeLog, Leftover, lastBits, logChecksum, type PendingRow, readLog } from "../../../src/storage/pending.js";
import type { Connection } from "../../../src/storage/schema.js";
import { emptyDatabase } from "../keyspace/sqlite.js";
import { Store } from "./store.js";

function append(connection: Connection, row: number, words: Uint32Array): void {
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
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
const pendingRow: fc.Arbitrary<PendingRow> = fc.record({
  byteLength: fc.oneof(fc.nat(), fc.constant(2 ** 29)),
  cardinality: fc.oneof(fc.nat(), fc.constantFrom(2 ** 32 - 1, 2 ** 32)),
  bits: fc.oneof(ones, mixed),
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
        const expected = new Map<number, PendingRow>();
        batches.forEach(({ changed, replaced }, i) => {
          const replacedOnly = replaced.filter((of) => !changed.some(([other]) => other === of));
          append(connection, i + 1, encodeLog(new Map(changed), replacedOnly));
          for (const of of replacedOnly) expected.delete(of);
          for (const [of, row] of changed) {
            const bits = [...(expected.get(of)?.bits ?? []), ...row.bits];
            expected.set(of, { ...row, bits });
          }
        });
        const { rows } = readLog(connection);
        expect([...rows].sort(([a], [b]) => a - b)).toEqual([...expected].sort(([a], [b]) => a - b));
        connection.close();
      }),
      { numRuns: 200 },
    );
  });

  test("is nothing where nothing is", () => {
    expect(encodeLog(new Map(), [])).toHaveLength(0);
    expect(readLog(emptyDatabase()).isEmpty).toBe(true);
  });

  test("takes a word for a bit of 1, and a bit more where there are zeros", () => {
    const row = (bits: number[]) => new Map([[1, { byteLength: 1, cardinality: 1, bits }]]);
    const set = Array.from({ length: 64 }, (_, i) => packed(i, 1));
    const header = encodeLog(row([]), []).length;
    expect(encodeLog(row(set), [])).toHaveLength(header + 64);
    expect(encodeLog(row([...set.slice(1), packed(3, 0)]), [])).toHaveLength(header + 64 + 2);
  });

  test("is read in the order of its rows, whatever the order they were written in", () => {
    const connection = emptyDatabase();
    const row = (bits: number[]) => new Map([[1, { byteLength: 1, cardinality: 1, bits }]]);
    append(connection, 10, encodeLog(row([packed(5, 0)]), []));
    append(connection, 9, encodeLog(row([packed(5, 1)]), []));
    expect(readLog(connection).rows.get(1)?.bits).toEqual([packed(5, 1), packed(5, 0)]);
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
    const bits = [packed(100, 1), packed(7, 0)];
    append(connection, 41, encodeLog(new Map([[1, { byteLength: 13, cardinality: 1, bits }]]), [9]));
    expect(readLog(connection).rows.size).toBe(1);
    connection.exec(sql);
    expect(() => readLog(connection)).toThrow(StartError);
    expect(() => readLog(connection)).toThrow(/log row 4[12] is not what was written/);
  });
});

test("of several changes of one bit the last counts", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(5), bit), { maxLength: 20 }), (changes) => {
      const { ones: set, zeros } = lastBits(changes.map(([at, value]) => packed(at, value)));
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
    const leftover = new Leftover(store.connection);
    expect([...leftover.bits(store.id("a"))]).toEqual([{ offset: 0, bit: 0 }]);
    expect([...leftover.bits(store.id("b"))]).toEqual([
      { offset: 9, bit: 1 },
      { offset: 9, bit: 0 },
    ]);
    expect([...leftover.bits(store.id("c"))]).toEqual([{ offset: 5, bit: 1 }]);
    expect([...leftover.bits(99)]).toEqual([]);
    expect(leftover.lastId).toBe(store.id("c"));
    const logBytes = store.connection.prepare("SELECT sum(length(words)) FROM log").pluck().get();
    expect(leftover.figures).toEqual({ logBytes, logRows: 3 });
  });

  test("may be nothing", () => {
    const leftover = new Leftover(new Store().connection);
    expect([leftover.lastId, leftover.figures]).toEqual([0, { logBytes: 0, logRows: 0 }]);
    expect([...leftover.bits(1)]).toEqual([]);
  });
});
