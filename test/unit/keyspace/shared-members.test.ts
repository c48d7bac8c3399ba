/** Both ways to count what rows and columns share, against plain sets. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { byNumbers, byPairs, type Reach, sharedMembers } from "../../../src/keyspace/shared-members.js";

const OFFSET_LAST = 2 ** 32 - 1;
/** Few ids, close to each other and at the ends of blocks, so that sets share some. */
const id = fc.oneof(
  fc.nat(40),
  fc.integer({ min: 65_530, max: 65_540 }),
  fc.integer({ min: 2 ** 31 - 3, max: 2 ** 31 + 3 }),
  fc.integer({ min: OFFSET_LAST - 5, max: OFFSET_LAST }),
);
const ids = fc.uniqueArray(id, { maxLength: 60 });
const bitmapOf = (members: readonly number[]) => Bitmap.fromMembers(Uint32Array.from(members), 2 ** 29);

test("rows and columns are counted as plain sets are, by pairs and by numbers", () => {
  // Sets that are both, each of them twice.
  const table = fc.record({
    rows: fc.array(ids, { maxLength: 4 }),
    columns: fc.array(ids, { maxLength: 70 }),
    both: fc.array(ids, { maxLength: 3 }),
    steps: fc.option(fc.integer({ min: 1, max: 80 })),
  });
  fc.assert(
    fc.property(table, ({ rows, columns, both, steps }) => {
      const shared = both.map(bitmapOf);
      const rowSets = [...both, ...rows, ...both];
      const columnSets = [...both, ...columns, ...both];
      const rowBitmaps = [...shared, ...rows.map(bitmapOf), ...shared];
      const columnBitmaps = [...shared, ...columns.map(bitmapOf), ...shared];
      const { length } = columnSets;
      const reach: Reach = (row) =>
        steps === null
          ? { first: 0, end: length }
          : { first: Math.min(row, length), end: Math.min(row + steps, length) };
      const expected = rowSets.map((row, r) => {
        const { first, end } = reach(r);
        return columnSets.slice(first, end).map((column) => column.filter((member) => row.includes(member)).length);
      });
      for (const way of [byPairs, byNumbers, sharedMembers]) {
        expect(way(rowBitmaps, columnBitmaps, reach)).toEqual(expected);
      }
    }),
    { numRuns: 100 },
  );
});

test("rows and columns that are more than are counted at a time, some of them empty", () => {
  const sets = Array.from({ length: 300 }, (_, i) =>
    Bitmap.fromMembers(
      Uint32Array.from({ length: i % 5 === 0 ? 0 : 40 }, (_, k) => k * (1 + (i % 7)) * 3_000),
      2 ** 20,
    ),
  );
  const all: Reach = () => ({ first: 0, end: 300 });
  const steps: Reach = (row) => ({ first: row, end: Math.min(row + 150, 300) });
  for (const reach of [all, steps]) expect(byNumbers(sets, sets, reach)).toEqual(byPairs(sets, sets, reach));
});

test("sets of which not all members are in memory at a time", () => {
  const sets = Array.from({ length: 200 }, (_, i) =>
    Bitmap.fromMembers(
      Uint32Array.from({ length: i === 0 ? 200_000 : 40 * i }, (_, k) => k * (i === 0 ? 21_000 : 3_000)),
      2 ** 29,
    ),
  );
  // The last row has but two members, and the columns go on behind them.
  const rows = [...sets.slice(1), bitmapOf([3_000, OFFSET_LAST])];
  const reach: Reach = () => ({ first: 0, end: 2 });
  for (const columns of [sets.slice(0, 2), [Bitmap.fromRange(0, 5_000_000), bitmapOf([OFFSET_LAST])]]) {
    expect(byNumbers(rows, columns, reach)).toEqual(byPairs(rows, columns, reach));
    expect(byNumbers(columns, columns, reach)).toEqual(byPairs(columns, columns, reach));
  }
});

test("blocks of which a row has all ids", () => {
  const rows = Array.from({ length: 30 }, (_, i) => Bitmap.fromRange(i * 10, 300_000 - i));
  const reach: Reach = (row) => ({ first: row, end: 30 });
  expect(byNumbers(rows, rows, reach)).toEqual(byPairs(rows, rows, reach));
});

test("what would take longer than it may is not counted", () => {
  const members = Uint32Array.from({ length: 100_000 }, (_, i) => 2 * i);
  const dense = Array.from({ length: 10 }, () => Bitmap.fromMembers(members, 2 ** 20));
  const reach: Reach = () => ({ first: 0, end: 10 });
  expect(sharedMembers(dense, dense, reach, 1000)).toBeUndefined();
  expect(sharedMembers(dense, dense, reach, 1e9)?.flat()).toEqual(Array.from({ length: 100 }, () => 100_000));
});

test("many rows of few members do not each get counters of masks", () => {
  const rows = Array.from({ length: 20_000 }, (_, i) => Bitmap.fromMembers(Uint32Array.of(i), 2 ** 20));
  const before = process.memoryUsage().arrayBuffers;
  const table = sharedMembers(rows, rows.slice(0, 1), () => ({ first: 0, end: 1 }));
  expect(table?.flat()).toEqual([1, ...Array.from({ length: 19_999 }, () => 0)]);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000 * 1024);
});

test.each([
  [
    "sparse",
    (week: number) => Uint32Array.from({ length: 20_000 }, (_, i) => (i * 2_500 + week * (i % 7)) % 50_000_000),
  ],
  ["dense", (week: number) => Uint32Array.from({ length: 200_000 }, (_, i) => (i * 3 + week) % 1_000_000)],
])("a table of %s sets is the same both ways", (_kind, members) => {
  const weeks = Array.from({ length: 40 }, (_, week) => Bitmap.fromMembers(members(week), 2 ** 29));
  const reach: Reach = (row) => ({ first: row, end: row + 20 });
  const table = sharedMembers(weeks.slice(0, 20), weeks, reach);
  expect(table).toEqual(byPairs(weeks.slice(0, 20), weeks, reach));
  expect(table?.map((cells) => cells[0])).toEqual(weeks.slice(0, 20).map(({ cardinality }) => cardinality));
});
