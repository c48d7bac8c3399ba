/** The walk around damage: against a table in memory of which any numbers fail, as those of a damaged page do. */
import { describe, expect, test } from "vitest";
import { walkRows } from "../../../src/storage/row-walk.js";
import { dice } from "../../support/random.js";

interface Page {
  first: number;
  last: number;
  isDamaged: boolean;
}

/** A table as SQLite keeps it: pages of rows, each for a range of numbers. Reading fails at the first damaged page it comes to. */
class Table {
  readonly pages: readonly Page[];
  readonly rows: readonly number[];
  reads = 0;

  constructor(pages: readonly Page[], rows: readonly number[]) {
    this.pages = pages;
    this.rows = rows;
  }

  read(from: number, limit: number): number[] {
    this.reads++;
    const found: number[] = [];
    for (const { first, last, isDamaged } of this.pages) {
      if (last < from) continue;
      if (isDamaged) throw new Error("malformed");
      for (const row of this.rows) if (row >= Math.max(first, from) && row <= last) found.push(row);
      if (found.length >= limit) break;
    }
    return found.slice(0, limit);
  }
}

function walk(table: Table, range: { first: number; last: number }): { rows: number[]; gaps: [number, number][] } {
  const rows: number[] = [];
  const gaps: [number, number][] = [];
  for (const step of walkRows(
    (from, limit) => table.read(from, limit),
    (row) => row,
    range,
  )) {
    if ("gap" in step) gaps.push([step.gap.first, step.gap.last]);
    else rows.push(...step.rows);
  }
  return { rows, gaps };
}

const numbers = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

describe("walkRows", () => {
  const all = { first: 1, last: 2 ** 47 - 1 };

  test("reads all of a good table in few reads", () => {
    const table = new Table([{ first: 0, last: Infinity, isDamaged: false }], numbers(1, 10_000));
    expect(walk(table, all)).toEqual({ rows: numbers(1, 10_000), gaps: [] });
    expect(table.reads).toBeLessThan(50);
  });

  test("an empty table has no rows", () => {
    expect(walk(new Table([], []), all)).toEqual({ rows: [], gaps: [] });
  });

  test("loses the rows of a damaged page and no other", () => {
    const pages = [
      { first: 0, last: 1000, isDamaged: false },
      { first: 1001, last: 1080, isDamaged: true },
      { first: 1081, last: Infinity, isDamaged: false },
    ];
    const found = walk(new Table(pages, numbers(1, 3000)), all);
    expect(found.rows).toEqual([...numbers(1, 1000), ...numbers(1081, 3000)]);
    expect(found.gaps).toEqual([[1001, 1080]]);
  });

  test("a table of which nothing can be read is one gap, found in few reads", () => {
    const table = new Table([{ first: 0, last: Infinity, isDamaged: true }], []);
    expect(walk(table, all)).toEqual({ rows: [], gaps: [[1, 2 ** 47 - 1]] });
    expect(table.reads).toBeLessThan(1000);
  });

  test("the first and the last page may be the damaged ones", () => {
    const pages = [
      { first: 0, last: 50, isDamaged: true },
      { first: 51, last: 100, isDamaged: false },
      { first: 101, last: Infinity, isDamaged: true },
    ];
    const found = walk(new Table(pages, numbers(1, 150)), { first: 1, last: 1_000_000 });
    expect(found).toEqual({
      rows: numbers(51, 100),
      gaps: [
        [1, 50],
        [101, 1_000_000],
      ],
    });
  });

  test("numbers that are out of order, as a damaged page may have them, end", () => {
    const rows = (from: number) => [1, 2, 3, 2, 1, 4, 5].filter((_, i) => i >= from - 1);
    const read = (from: number, limit: number) => (from > 100 ? [] : rows(Math.min(from, 4)).slice(0, limit));
    const found = [...walkRows(read, (row) => row, { first: 1, last: 2 ** 47 })];
    expect(found.flatMap((step) => ("rows" in step ? step.rows : []))).toEqual([1, 2, 3]);
  });

  test("random tables: every row is read or in a gap, and a gap begins and ends with damage", () => {
    const random = dice("walkRows");
    for (let round = 0; round < 300; round++) {
      const pages: Page[] = [];
      let first = 1;
      for (let i = random.int(1, 30); i > 0; i--) {
        const last = first + random.int(20, 120);
        pages.push({ first, last, isDamaged: random.next() < 0.3 });
        first = last + 1;
      }
      const end = first - 1;
      const rows = numbers(1, end).filter(() => random.next() < 0.8);
      const { rows: read, gaps } = walk(new Table(pages, rows), { first: 1, last: end });
      const isLost = (row: number) => gaps.some(([from, to]) => row >= from && row <= to);
      expect(read).toEqual(rows.filter((row) => !isLost(row)));
      const isDamaged = (row: number) => pages.some((page) => page.isDamaged && row >= page.first && row <= page.last);
      // A number whose page is good may still fail: what follows it there may be behind the damage.
      for (const [, to] of gaps) expect(isDamaged(to) || to === end).toBe(true);
      const lostForNothing = rows.filter((row) => isLost(row) && !isDamaged(row));
      expect(lostForNothing.length).toBeLessThanOrEqual(rows.length / 10);
    }
  });
});
