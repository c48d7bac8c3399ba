/**
 * How many members each row of a table shares with each of its columns: what a cohort table asks. Two ways, both exact:
 * pair by pair, as Roaring does it, and many pairs at a time (`shared-ids`).
 */
import type { Bitmap } from "./bitmap.js";
import { type Pair, sharedIds } from "./shared-ids.js";

/** Rows and columns that are counted together: 128 of each have the sets and the pairs that `sharedIds` takes. */
const TILE = 128;
/** Ids of a container of Roaring. */
const CONTAINER = 65_536;

/** What a step takes, in nanoseconds, measured; only which way is chosen depends on it. */
const COST = { call: 300, container: 20, member: 1.2, containerMax: 300, tile: 30_000, laidOut: 3.5, pairId: 0.009 };

/** The columns `first`..`end - 1` that row number `row` is compared with. */
export type Reach = (row: number) => { first: number; end: number };

/** For each row the number of members that it shares with each column that it reaches; undefined when that takes longer than `nsMax`. */
export function sharedMembers(
  rows: readonly Bitmap[],
  columns: readonly Bitmap[],
  reach: Reach,
  nsMax = Number.POSITIVE_INFINITY,
): number[][] | undefined {
  const numbers = numbersCost(rows, columns, reach);
  const pairs = pairsCost(rows, columns, reach, Math.min(numbers, nsMax));
  if (Math.min(numbers, pairs) > nsMax) return undefined;
  return (numbers < pairs ? byNumbers : byPairs)(rows, columns, reach);
}

/** Exported for its test. */
export function byPairs(rows: readonly Bitmap[], columns: readonly Bitmap[], reach: Reach): number[][] {
  return rows.map((row, r) => {
    const { first, end } = reach(r);
    return columns.slice(first, end).map((column) => row.set.andCardinality(column.set));
  });
}

/** Exported for its test. */
export function byNumbers(rows: readonly Bitmap[], columns: readonly Bitmap[], reach: Reach): number[][] {
  const table = rows.map((): number[] => []);
  for (let left = 0; left < columns.length; left += TILE) {
    for (let top = 0; top < rows.length; top += TILE) {
      const pairs: Pair[] = [];
      const cells: number[][] = [];
      rows.slice(top, top + TILE).forEach((row, r) => {
        const { first, end } = reach(top + r);
        for (const column of columns.slice(Math.max(first, left), Math.min(end, left + TILE))) {
          pairs.push([row, column]);
          cells.push(table[top + r] as number[]);
        }
      });
      sharedIds(pairs).forEach((count, i) => void cells[i]?.push(count));
    }
  }
  return table;
}

function numbersCost(rows: readonly Bitmap[], columns: readonly Bitmap[], reach: Reach): number {
  const across = Math.ceil(columns.length / TILE);
  const down = Math.ceil(rows.length / TILE);
  const rowMembers = membersOf(rows);
  const pairs = rows.reduce((sum, _, r) => sum + reach(r).end - reach(r).first, 0);
  // Each pair looks at the ids that its tile's rows have, at most all there are.
  const ids = Math.min(rowMembers / down, Math.max(0, ...rows.map(({ byteLength }) => byteLength * 8)));
  const members = rowMembers * across + membersOf(columns) * down;
  return COST.tile * across * down + COST.laidOut * members + COST.pairId * ids * pairs;
}

function membersOf(bitmaps: readonly Bitmap[]): number {
  return bitmaps.reduce((sum, { cardinality }) => sum + cardinality, 0);
}

/** Sums no further than above `nsMax`. */
function pairsCost(rows: readonly Bitmap[], columns: readonly Bitmap[], reach: Reach, nsMax: number): number {
  let ns = 0;
  rows.forEach((row, r) => {
    const { first, end } = reach(r);
    for (let c = first; c < end && ns <= nsMax; c++) ns += pairCost(row, columns[c] as Bitmap);
  });
  return ns;
}

/** What it takes to compare two values container by container, in nanoseconds, about. */
export function pairCost(a: Bitmap, b: Bitmap): number {
  const containers = Math.min(containersOf(a), containersOf(b));
  const members = COST.member * (a.cardinality + b.cardinality);
  return COST.call + Math.min(COST.container * containers + members, COST.containerMax * containers);
}

/** At most so many containers does it have. */
function containersOf({ byteLength, cardinality }: Bitmap): number {
  return Math.min(Math.ceil((byteLength * 8) / CONTAINER), cardinality);
}
