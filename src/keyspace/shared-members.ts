/**
 * How many members each row of a table shares with each of its columns: what a cohort table asks. Two ways, both exact:
 * pair by pair, as Roaring does it, and all columns at a time, where each id gets a mask of the columns that have it.
 */
import type { Bitmap } from "./bitmap.js";

/** Columns that are counted together: bits of a mask. */
const GROUP = 32;
/** Ids whose masks are kept at a time, as many as a container of Roaring spans: 256 KB, which the processor's cache holds. */
const BLOCK = 65_536;
/** A mask's parts are counted, each by its value, and not its bits: four steps a member instead of one for each bit. */
const PART_BITS = 8;
const PARTS = GROUP / PART_BITS;
const PART_VALUES = 2 ** PART_BITS;

/** Most members of all sets together that are laid out for masks: 64 MB. */
const MEMBERS_MAX = 2 ** 24;

/** What a step takes, in nanoseconds, measured; only which way is chosen depends on it. A container spans 65,536 ids. */
const COST = { call: 300, container: 20, member: 1.2, containerMax: 300, mask: 4 };

/** The columns `first`..`end - 1` that row number `row` is compared with. */
export type Reach = (row: number) => { first: number; end: number };

/** For each row the number of members that it shares with each column that it reaches. */
export function sharedMembers(rows: readonly Bitmap[], columns: readonly Bitmap[], reach: Reach): number[][] {
  return (isMaskingCheaper(rows, columns, reach) ? byMasks : byPairs)(rows, columns, reach);
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
  for (let start = 0; start < columns.length; start += GROUP) {
    const group = columns.slice(start, start + GROUP);
    const reached = rows.flatMap((row, r) => {
      const first = Math.max(reach(r).first - start, 0);
      const end = Math.min(reach(r).end - start, group.length);
      return first < end ? [{ row, cells: table[r] as number[], first, end }] : [];
    });
    const counted = reached.map(({ row }) => walk(row));
    const counts = countMasks(group.map(walk), counted);
    reached.forEach(({ cells, first, end }, i) => {
      for (let column = first; column < end; column++) cells.push(total(counts[i] as Uint32Array, column));
    });
  }
  return table;
}

/** For each row how often each part of a mask has each value. */
function countMasks(columns: readonly Walk[], rows: readonly Walk[]): Uint32Array[] {
  const masks = new Uint32Array(BLOCK);
  const counts = rows.map(() => new Uint32Array(PARTS * PART_VALUES));
  for (let block = nextBlock(columns); block < Number.POSITIVE_INFINITY; block = nextBlock(columns)) {
    const end = (block + 1) * BLOCK;
    for (const [c, column] of columns.entries()) column.mark(end, masks, 1 << c);
    for (const [r, row] of rows.entries()) row.count(block * BLOCK, end, masks, counts[r] as Uint32Array);
    for (const column of columns) column.clear(masks);
  }
  return counts;
}

function nextBlock(columns: readonly Walk[]): number {
  let next = Number.POSITIVE_INFINITY;
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

  /** Number of the block of the next member; infinite behind the last one. */
  get block(): number {
    return this.#next < this.#members.length
      ? Math.floor((this.#members[this.#next] as number) / BLOCK)
      : Number.POSITIVE_INFINITY;
  }

  /** Adds `bit` to the masks of the members below `end`. */
  mark(end: number, masks: Uint32Array, bit: number): void {
    const members = this.#members;
    let i = this.#next;
    this.#marked = i;
    for (let member = members[i]; member !== undefined && member < end; member = members[++i]) {
      masks[member % BLOCK] = (masks[member % BLOCK] as number) | bit;
    }
    this.#next = i;
  }

  /** Makes the masks 0 that were marked last. */
  clear(masks: Uint32Array): void {
    const members = this.#members;
    for (let i = this.#marked; i < this.#next; i++) masks[(members[i] as number) % BLOCK] = 0;
  }

  /** Counts the masks of the members `start`..`end - 1`, each part by its value. */
  count(start: number, end: number, masks: Uint32Array, counts: Uint32Array): void {
    const members = this.#members;
    let i = this.#next;
    while (i < members.length && (members[i] as number) < start) i++;
    for (let member = members[i]; member !== undefined && member < end; member = members[++i]) {
      const mask = masks[member % BLOCK] as number;
      for (let part = 0; part < PARTS; part++) {
        const at = part * PART_VALUES + ((mask >>> (part * PART_BITS)) & (PART_VALUES - 1));
        counts[at] = (counts[at] as number) + 1;
      }
    }
    this.#next = i;
  }
}

function isMaskingCheaper(rows: readonly Bitmap[], columns: readonly Bitmap[], reach: Reach): boolean {
  const membersOf = (bitmaps: readonly Bitmap[]) => bitmaps.reduce((sum, { cardinality }) => sum + cardinality, 0);
  const columnMembers = membersOf(columns);
  const rowMembers = membersOf(rows);
  if (columnMembers + rowMembers > MEMBERS_MAX) return false;
  const groups = Math.ceil(columns.length / GROUP);
  const masks = COST.mask * (2 * columnMembers + groups * rowMembers);
  let pairs = 0;
  rows.forEach((row, r) => {
    const { first, end } = reach(r);
    for (let c = first; c < end && pairs <= masks; c++) pairs += pairCost(row, columns[c] as Bitmap);
  });
  return masks < pairs;
}

function pairCost(a: Bitmap, b: Bitmap): number {
  const containers = Math.min(containersOf(a), containersOf(b));
  const members = COST.member * (a.cardinality + b.cardinality);
  return COST.call + Math.min(COST.container * containers + members, COST.containerMax * containers);
}

/** At most so many containers does it have. */
function containersOf({ byteLength, cardinality }: Bitmap): number {
  return Math.min(Math.ceil((byteLength * 8) / BLOCK), cardinality);
}
