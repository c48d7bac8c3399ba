/**
 * How many members each row of a table shares with each of its columns: what a cohort table asks. Two ways, both exact:
 * pair by pair, as Roaring does it, and many pairs at a time (`shared-ids`).
 */
import type { Bitmap } from "./bitmap.js";
import { ARRAY_MEMBERS_MAX } from "./portable-format.js";
import { MEMBERS_MAX, type Pair, sharedIds } from "./shared-ids.js";

/** Rows and columns that are counted together: 128 of each have the sets and the pairs that `sharedIds` takes. */
const TILE = 128;
/** Ids of a container of Roaring. */
const CONTAINER = 65_536;

/** What steps take, in nanoseconds, measured; only which way is chosen depends on it. */
const PAIR_COST = { call: 60, container: 20, member: 1.2, arrays: 100, arrayMember: 0.36, bitsets: 420 };
const NUMBERS_COST = { count: 100_000, countPair: 40, pair: 100, setInBlock: 12, member: 2.5, pairId: 0.0086 };
/** Of two arrays of a container, members of the longer one that are looked at for each of the shorter. */
const GALLOP = 40;

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
  const sets = [...new Set([...rows, ...columns])].map(spread);
  const rowMembers = sum(rows, ({ cardinality }) => cardinality);
  const containers = Math.max(0, ...sets.map(({ containers }) => containers));
  const across = Math.ceil(columns.length / TILE);
  const down = Math.ceil(rows.length / TILE);
  // Each pair looks at the ids that its tile's rows have, at most all there are; each block, at all sets.
  const ids = Math.min(rowMembers / down, containers * CONTAINER);
  const blocks = Math.min(rowMembers / down, containers);
  const { count, countPair, pair, setInBlock, member, pairId } = NUMBERS_COST;
  const setCost = setInBlock * blocks * sets.length + member * sum(sets, ({ members }) => members);
  const pairs = sum(rows, (_, r) => reach(r).end - reach(r).first);
  // Of a set among many there is room for few members at a time, and each time all pairs are counted.
  const largest = Math.max(0, ...sets.map(({ members }) => members));
  const counts = Math.ceil((largest * Math.min(sets.length, 2 * TILE)) / MEMBERS_MAX) * across * down;
  const countCost = (count + (countPair * pairs) / (across * down)) * counts;
  return countCost + setCost * Math.max(across, down) + (pair + pairId * ids) * pairs;
}

/** Sums no further than above `nsMax`. */
function pairsCost(rows: readonly Bitmap[], columns: readonly Bitmap[], reach: Reach, nsMax: number): number {
  const across = columns.map(spread);
  let ns = 0;
  rows.map(spread).forEach((row, r) => {
    const { first, end } = reach(r);
    for (let c = first; c < end && ns <= nsMax; c++) ns += spreadCost(row, across[c] as Spread);
  });
  return ns;
}

/** What it takes to compare two values container by container, in nanoseconds, about. */
export function pairCost(a: Bitmap, b: Bitmap): number {
  return spreadCost(spread(a), spread(b));
}

/** The same from what is known of them. */
export function spreadCost(a: Spread, b: Spread): number {
  const [fewer, more] = a.inContainer < b.inContainer ? [a.inContainer, b.inContainer] : [b.inContainer, a.inContainer];
  return PAIR_COST.call + containerCost(fewer, more) * Math.min(a.containers, b.containers);
}

function containerCost(fewer: number, more: number): number {
  if (fewer > ARRAY_MEMBERS_MAX) return PAIR_COST.bitsets;
  if (more > ARRAY_MEMBERS_MAX) return PAIR_COST.container + PAIR_COST.member * fewer;
  const members = fewer + Math.min(more, GALLOP * fewer);
  return Math.min(PAIR_COST.container + PAIR_COST.member * members, PAIR_COST.arrays + PAIR_COST.arrayMember * members);
}

/** How the members of a set lie. */
export interface Spread {
  members: number;
  /** Containers that it has at most, and how many members each of so many has. */
  containers: number;
  inContainer: number;
}

function spread({ byteLength, cardinality: members }: Bitmap): Spread {
  const containers = Math.min(Math.ceil((byteLength * 8) / CONTAINER), members);
  return { members, containers, inContainer: containers === 0 ? 0 : members / containers };
}

function sum<T>(list: readonly T[], of: (each: T, index: number) => number): number {
  return list.reduce((total, each, i) => total + of(each, i), 0);
}
