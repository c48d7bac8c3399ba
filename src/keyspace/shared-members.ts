/**
 * How many members each row of a table shares with each of its columns: what a cohort table asks. Two ways, both exact:
 * pair by pair, as Roaring does it, and all columns at a time, where each id gets a mask of the columns that have it.
 */
import type { Bitmap } from "./bitmap.js";

/** Columns that are counted together: bits of a mask. */
const GROUP = 32;
/** Ids whose masks are kept at a time, as many as a container of Roaring spans: 256 KB, which the processor's cache holds. */
const BLOCK_BITS = 16;
const BLOCK = 2 ** BLOCK_BITS;
const IN_BLOCK = BLOCK - 1;
/** Behind the block of the largest id. */
const NO_BLOCK = 2 ** (32 - BLOCK_BITS);
/** A mask's parts are counted, each by its value, and not its bits: four steps a member instead of one for each bit. */
const PART_BITS = 8;
const PARTS = GROUP / PART_BITS;
const PART_VALUES = 2 ** PART_BITS;
const PART_MASK = PART_VALUES - 1;

/** Most members of all sets together that are laid out for masks: 64 MB. */
const MEMBERS_MAX = 2 ** 24;

/** What a step takes, in nanoseconds, measured; only which way is chosen depends on it. A container spans 65,536 ids. */
const COST = { call: 300, container: 20, member: 1.2, containerMax: 300, mask: 4, maskedRow: 12_000 };

/** The columns `first`..`end - 1` that row number `row` is compared with. */
export type Reach = (row: number) => { first: number; end: number };

/** For each row the number of members that it shares with each column that it reaches; undefined when that takes longer than `nsMax`. */
export function sharedMembers(
  rows: readonly Bitmap[],
  columns: readonly Bitmap[],
  reach: Reach,
  nsMax = Number.POSITIVE_INFINITY,
): number[][] | undefined {
  const masks = maskCost(rows, columns);
  const pairs = pairsCost(rows, columns, reach, Math.min(masks, nsMax));
  if (Math.min(masks, pairs) > nsMax) return undefined;
  return (masks < pairs ? byMasks : byPairs)(rows, columns, reach);
}

/** Exported for its test. */
export function byPairs(rows: readonly Bitmap[], columns: readonly Bitmap[], reach: Reach): number[][] {
  return rows.map((row, r) => {
    const { first, end } = reach(r);
    return columns.slice(first, end).map((column) => row.set.andCardinality(column.set));
  });
}

/** Exported for its test. */
export function byMasks(rows: readonly Bitmap[], columns: readonly Bitmap[], reach: Reach): number[][] {
  const laidOut = new Map<Bitmap, Uint32Array>();
  for (const bitmap of [...rows, ...columns]) if (!laidOut.has(bitmap)) laidOut.set(bitmap, bitmap.members);
  const walk = (bitmap: Bitmap) => new Walk(laidOut.get(bitmap) as Uint32Array);
  const table = rows.map((): number[] => []);
  const masks = new Uint32Array(BLOCK);
  for (let start = 0; start < columns.length; start += GROUP) {
    const group = columns.slice(start, start + GROUP);
    const reached = rows.flatMap((row, r) => {
      const first = Math.max(reach(r).first - start, 0);
      const end = Math.min(reach(r).end - start, group.length);
      return first < end ? [{ row, cells: table[r] as number[], first, end }] : [];
    });
    const counted = reached.map(({ row }) => walk(row));
    const counts = countMasks(group.map(walk), counted, masks);
    reached.forEach(({ cells, first, end }, i) => {
      for (let column = first; column < end; column++) cells.push(total(counts[i] as Uint32Array, column));
    });
  }
  return table;
}

/** For each row how often each part of a mask has each value. `masks` is all 0, before and afterwards. */
function countMasks(columns: readonly Walk[], rows: readonly Walk[], masks: Uint32Array): Uint32Array[] {
  const counts = rows.map(() => new Uint32Array(PARTS * PART_VALUES));
  for (let block = nextBlock(columns); block < NO_BLOCK; block = nextBlock(columns)) {
    for (let c = 0; c < columns.length; c++) (columns[c] as Walk).mark(block, masks, 1 << c);
    for (let r = 0; r < rows.length; r++) (rows[r] as Walk).count(block, masks, counts[r] as Uint32Array);
    for (const column of columns) column.clear(masks);
  }
  return counts;
}

function nextBlock(columns: readonly Walk[]): number {
  let next = NO_BLOCK;
  for (const column of columns) next = Math.min(next, column.block);
  return next;
}

function total(counts: Uint32Array, column: number): number {
  const part = Math.floor(column / PART_BITS) * PART_VALUES;
  const bit = 1 << (column % PART_BITS);
  let sum = 0;
  for (let value = 0; value < PART_VALUES; value++) if ((value & bit) !== 0) sum += counts[part + value] as number;
  return sum;
}

/** Members, ascending, from block to block. The loops are all that takes time. */
class Walk {
  readonly #members: Uint32Array;
  /** The first that was marked last, and the next. */
  #marked = 0;
  #next = 0;

  constructor(members: Uint32Array) {
    this.#members = members;
  }

  /** Number of the block of the next member; NO_BLOCK behind the last one. */
  get block(): number {
    return this.#next < this.#members.length ? (this.#members[this.#next] as number) >>> BLOCK_BITS : NO_BLOCK;
  }

  /** Adds `bit` to the masks of the members in a block. */
  mark(block: number, masks: Uint32Array, bit: number): void {
    const members = this.#members;
    let i = this.#next;
    this.#marked = i;
    for (; i < members.length; i++) {
      const member = members[i] as number;
      if (member >>> BLOCK_BITS !== block) break;
      masks[member & IN_BLOCK] = (masks[member & IN_BLOCK] as number) | bit;
    }
    this.#next = i;
  }

  /** Makes the masks 0 that were marked last. */
  clear(masks: Uint32Array): void {
    const members = this.#members;
    for (let i = this.#marked; i < this.#next; i++) masks[(members[i] as number) & IN_BLOCK] = 0;
  }

  /** Counts the masks of the members in a block, each part by its value. */
  count(block: number, masks: Uint32Array, counts: Uint32Array): void {
    const members = this.#members;
    let i = this.#next;
    while (i < members.length && (members[i] as number) >>> BLOCK_BITS < block) i++;
    for (; i < members.length; i++) {
      const member = members[i] as number;
      if (member >>> BLOCK_BITS !== block) break;
      const mask = masks[member & IN_BLOCK] as number;
      // Most who leave never come back.
      if (mask === 0) continue;
      // Written out: a loop over the parts makes the whole table take half as long again.
      const a = mask & PART_MASK;
      const b = PART_VALUES + ((mask >>> PART_BITS) & PART_MASK);
      const c = 2 * PART_VALUES + ((mask >>> (2 * PART_BITS)) & PART_MASK);
      const d = 3 * PART_VALUES + (mask >>> (3 * PART_BITS));
      counts[a] = (counts[a] as number) + 1;
      counts[b] = (counts[b] as number) + 1;
      counts[c] = (counts[c] as number) + 1;
      counts[d] = (counts[d] as number) + 1;
    }
    this.#next = i;
  }
}

function maskCost(rows: readonly Bitmap[], columns: readonly Bitmap[]): number {
  const membersOf = (bitmaps: readonly Bitmap[]) => bitmaps.reduce((sum, { cardinality }) => sum + cardinality, 0);
  const columnMembers = membersOf(columns);
  const rowMembers = membersOf(rows);
  if (columnMembers + rowMembers > MEMBERS_MAX) return Number.POSITIVE_INFINITY;
  const groups = Math.ceil(columns.length / GROUP);
  return COST.mask * (2 * columnMembers + groups * rowMembers) + COST.maskedRow * groups * rows.length;
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
  return Math.min(Math.ceil((byteLength * 8) / BLOCK), cardinality);
}
