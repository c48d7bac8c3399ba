/**
 * BITOP: one new value out of several. A missing key is a source without bits and of length 0.
 * The result is as long as the longest source (Redis' rule for all operations, 8.2's included).
 */
import roaring from "roaring";
import { MIB } from "../config.js";
import { Bitmap, optimizeSet, type UnmadeSet } from "./bitmap.js";
import { free } from "./bitmap-freeing.js";
import { flatShared } from "./flat-sets.js";

const { RoaringBitmap32 } = roaring;
type RoaringSet = InstanceType<typeof RoaringBitmap32>;

export const BITOPS = ["AND", "OR", "XOR", "NOT", "DIFF", "DIFF1", "ANDOR", "ONE"] as const;
export type BitOp = (typeof BITOPS)[number];

/**
 * `sources` has at least one member; NOT has exactly one, and DIFF, DIFF1 and ANDOR at least two. None is changed, and none may be from
 * then on while it `isShared`. Of one or two sources the result is only counted, and made when somebody needs its bits: bitmapist
 * counts most of its results and does nothing else with them.
 */
export function bitop(op: BitOp, sources: readonly Bitmap[]): Bitmap {
  if (sources.length <= 2) {
    const combination = new Combination(op, sources);
    return new Bitmap(combination, combination.byteLength);
  }
  const byteLength = longest(sources);
  const sets = sources.map((source) => source.set);
  const result = combine(op, sets, byteLength * 8);
  optimizeSet(result);
  return new Bitmap(result, byteLength);
}

function longest(sources: readonly Bitmap[]): number {
  return sources.reduce((bytes, { byteLength }) => Math.max(bytes, byteLength), 0);
}

/**
 * How many bits are 1 in what `bitop` gives, counted no further than to `limit`. The result is not made, but for ONE of three or more; of
 * three or more sources all but the first are combined.
 */
export function bitopCardinality(op: BitOp, sources: readonly Bitmap[], limit = Number.POSITIVE_INFINITY): number {
  if (sources.length > 1 && limit < cardinalityMax(op, sources)) return cardinalityUpTo(op, sources, limit);
  if (sources.length <= 2) {
    const combination = new Combination(op, sources);
    const { cardinality } = combination;
    combination.dispose();
    return Math.min(cardinality, limit);
  }
  return cardinalityOf(
    op,
    sources.map(({ set }) => set),
  );
}

/** The members that both have, as a part of those that either has (the Jaccard index); -1 where neither has any. */
export function jaccard(a: Bitmap, b: Bitmap): number {
  const shared = bitopCardinality("AND", [a, b]);
  const all = a.cardinality + b.cardinality - shared;
  return all === 0 ? -1 : shared / all;
}

/** No result of two or more sources has more bits. */
function cardinalityMax(op: BitOp, sources: readonly Bitmap[]): number {
  const [first, ...rest] = sources.map(({ cardinality }) => cardinality) as [number, ...number[]];
  if (op === "DIFF" || op === "ANDOR") return first;
  return rest.reduce((max, cardinality) => (op === "AND" ? Math.min(max, cardinality) : max + cardinality), first);
}

/** Offsets that are counted before the limit is looked at: first so many, then twice as many each time ... */
const FIRST_SLICE = 2 ** 20;
/** ... up to this, which bounds the memory that slices of the sources take: 2 MB each. */
const SLICE_MAX = 2 ** 24;

/** Counts the result of two or more sources slice by slice, until there are `limit` bits. */
function cardinalityUpTo(op: BitOp, sources: readonly Bitmap[], limit: number): number {
  const sets = sources.map(({ set }) => set);
  const end = longest(sources) * 8;
  let count = 0;
  let size = FIRST_SLICE;
  for (let start = 0; start < end && count < limit; start += size, size = Math.min(size * 2, SLICE_MAX)) {
    const slices = sets.map((set) => RoaringBitmap32.fromRange(start, start + size).andInPlace(set));
    count += cardinalityOf(op, slices);
    for (const slice of slices) free(slice);
  }
  return Math.min(count, limit);
}

/** How many bits the result of two or more sets has. */
function cardinalityOf(op: BitOp, sets: readonly RoaringSet[]): number {
  const [first, ...rest] = sets as [RoaringSet, ...RoaringSet[]];
  if (rest.length === 1) return pairCardinality(op, first, rest[0] as RoaringSet);
  const made = op === "ONE" ? exactlyOne(sets) : combine(op === "AND" || op === "XOR" ? op : "OR", rest, 0);
  const cardinality = op === "ONE" ? made.size : pairCardinality(op, first, made);
  free(made);
  return cardinality;
}

/** Offsets that are made at a time of what takes long: 1,024 containers, half a millisecond's work. */
const MADE_OFFSETS = 2 ** 26;
/** From so many bytes on NOT takes some 15 ms ... */
const LONG_NOT_BYTES = 64 * MIB;
/** ... and from so many bytes of sources on, in Roaring's portable format, anything else some 10 ms. */
const LONG_SOURCES_BYTES = 2 * MIB;

/** What an operation gives of one or two values, which it holds as they are now. */
export class Combination implements UnmadeSet {
  readonly op: BitOp;
  readonly sources: readonly Bitmap[];
  readonly byteLength: number;
  #cardinality: number | undefined;
  /** Of what takes long, what is made of the offsets below `#next`. */
  #made: RoaringSet | undefined;
  #next = 0;

  constructor(op: BitOp, sources: readonly Bitmap[]) {
    this.byteLength = longest(sources);
    [this.op, this.sources] = withoutComplement(op, sources);
    // Sources are made here, if they were not: what is unmade never stands on more that is.
    for (const source of this.sources) source.hold().make();
  }

  /** Counted when it is asked for first: who needs the bits at once counts these. */
  get cardinality(): number {
    this.#cardinality ??= this.#count();
    return this.#cardinality;
  }

  #count(): number {
    const [a, b] = this.sources as [Bitmap, Bitmap | undefined];
    if (b !== undefined) return pairCardinality(this.op, a.set, b.set, flatShared(a, b));
    return this.op === "NOT" ? this.byteLength * 8 - a.cardinality : a.cardinality;
  }

  has(offset: number): boolean {
    const [a, b] = this.sources.map((source) => source.getBit(offset) === 1) as [boolean, boolean | undefined];
    if (this.op === "NOT") return !a && offset < this.byteLength * 8;
    return b === undefined ? a : pairHas(this.op, a, b);
  }

  make(endMs: number): RoaringSet | undefined {
    const sets = this.sources.map(({ set }) => set);
    if (this.#made === undefined && !this.#takesLong(sets, endMs)) {
      const set = combine(this.op, sets, this.byteLength * 8);
      optimizeSet(set);
      return set;
    }
    const made = this.#made ?? new RoaringBitmap32();
    this.#made = made;
    do this.#makeSlice(made, sets);
    while (this.#next < this.byteLength * 8 && performance.now() < endMs);
    if (this.#next < this.byteLength * 8) return undefined;
    this.#made = undefined;
    return made;
  }

  /** Whether to make it a part at a time: NOT takes less time in all so, everything else twice as much, so that it is for those who need it. */
  #takesLong(sets: readonly RoaringSet[], endMs: number): boolean {
    if (this.op === "NOT") return this.byteLength > LONG_NOT_BYTES;
    if (endMs === Number.POSITIVE_INFINITY) return false;
    return sets.reduce((sum, set) => sum + set.getSerializationSizeInBytes("portable"), 0) > LONG_SOURCES_BYTES;
  }

  #makeSlice(made: RoaringSet, sets: readonly RoaringSet[]): void {
    const first = this.#next;
    const end = Math.min(first + MADE_OFFSETS, this.byteLength * 8);
    const slices = sets.map((set) => RoaringBitmap32.fromRange(first, end).andInPlace(set));
    const part = combine(this.op, slices, end, first);
    for (const slice of slices) free(slice);
    optimizeSet(part);
    made.orInPlace(part);
    free(part);
    this.#next = end;
  }

  dispose(): void {
    if (this.#made !== undefined) free(this.#made);
    for (const source of this.sources) source.dispose();
  }
}

/** AND with what NOT gives, as bitmapist nests them, is DIFF as far as the complement reaches: nobody needs the complement. */
function withoutComplement(op: BitOp, sources: readonly Bitmap[]): [BitOp, readonly Bitmap[]] {
  const [first, second] = sources as [Bitmap, Bitmap | undefined];
  if (op !== "AND" || second === undefined) return [op, sources];
  const ofSecond = complemented(second);
  if (ofSecond !== undefined && first.byteLength <= second.byteLength) return ["DIFF", [first, ofSecond]];
  const ofFirst = complemented(first);
  if (ofFirst !== undefined && second.byteLength <= first.byteLength) return ["DIFF", [second, ofFirst]];
  return [op, sources];
}

/** The value whose complement this is, if it is one that is not made. */
function complemented({ unmade }: Bitmap): Bitmap | undefined {
  return unmade instanceof Combination && unmade.op === "NOT" ? unmade.sources[0] : undefined;
}

/** NOT has no second source. Roaring counts all of them by what the sets share, too. */
function pairCardinality(op: BitOp, a: RoaringSet, b: RoaringSet, shared = a.andCardinality(b)): number {
  switch (op) {
    case "AND":
    case "ANDOR":
      return shared;
    case "OR":
      return a.size + b.size - shared;
    case "XOR":
    case "ONE":
      return a.size + b.size - 2 * shared;
    case "DIFF":
      return a.size - shared;
    case "DIFF1":
      return b.size - shared;
    case "NOT":
      throw new Error("NOT has one source");
  }
}

function pairHas(op: BitOp, a: boolean, b: boolean): boolean {
  switch (op) {
    case "AND":
    case "ANDOR":
      return a && b;
    case "OR":
      return a || b;
    case "XOR":
    case "ONE":
      return a !== b;
    case "DIFF":
      return a && !b;
    case "DIFF1":
      return b && !a;
    case "NOT":
      throw new Error("NOT has one source");
  }
}

/** `first`..`end - 1` are the offsets that NOT is of. */
function combine(op: BitOp, sets: readonly RoaringSet[], end: number, first = 0): RoaringSet {
  const [one, ...rest] = sets as [RoaringSet, ...RoaringSet[]];
  switch (op) {
    case "AND":
      return intersection(sets);
    case "OR":
      return RoaringBitmap32.orMany(sets);
    case "XOR":
      return RoaringBitmap32.xorMany(sets);
    case "NOT":
      return end === first ? one.clone() : one.clone().flipRange(first, end);
    case "DIFF":
      return withUnion(rest, (others) => RoaringBitmap32.andNot(one, others));
    case "DIFF1":
      return withUnion(rest, (others) => RoaringBitmap32.andNot(others, one));
    case "ANDOR":
      return withUnion(rest, (others) => RoaringBitmap32.and(one, others));
    case "ONE":
      return exactlyOne(sets);
  }
}

/** Smallest first, so that every step works on as little as possible and an empty result ends it. */
function intersection(sets: readonly RoaringSet[]): RoaringSet {
  const [smallest, second, ...others] = [...sets].sort((a, b) => a.size - b.size) as [RoaringSet, ...RoaringSet[]];
  // Two at once: to copy the smallest first takes half as long again.
  const result = second === undefined ? smallest.clone() : RoaringBitmap32.and(smallest, second);
  for (const other of others) {
    if (result.isEmpty) break;
    result.andInPlace(other);
  }
  return result;
}

function withUnion(sets: readonly RoaringSet[], use: (union: RoaringSet) => RoaringSet): RoaringSet {
  const union = RoaringBitmap32.orMany(sets);
  const result = use(union);
  free(union);
  return result;
}

/** Bits that are 1 in one source and in no other: those seen at all, without those seen twice. */
function exactlyOne(sets: readonly RoaringSet[]): RoaringSet {
  const seen = new RoaringBitmap32();
  const twice = new RoaringBitmap32();
  for (const set of sets) {
    const again = RoaringBitmap32.and(seen, set);
    twice.orInPlace(again);
    free(again);
    seen.orInPlace(set);
  }
  seen.andNotInPlace(twice);
  free(twice);
  return seen;
}
