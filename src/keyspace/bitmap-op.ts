/**
 * BITOP: one new value out of several. A missing key is a source without bits and of length 0.
 * The result is as long as the longest source (Redis' rule for all operations, 8.2's included).
 */
import roaring from "roaring";
import { Bitmap } from "./bitmap.js";

const { RoaringBitmap32 } = roaring;
type RoaringSet = InstanceType<typeof RoaringBitmap32>;

export const BITOPS = ["AND", "OR", "XOR", "NOT", "DIFF", "DIFF1", "ANDOR", "ONE"] as const;
export type BitOp = (typeof BITOPS)[number];

/** `sources` has at least one member; NOT has exactly one, and DIFF, DIFF1 and ANDOR at least two. None is changed. */
export function bitop(op: BitOp, sources: readonly Bitmap[]): Bitmap {
  const byteLength = sources.reduce((longest, source) => Math.max(longest, source.byteLength), 0);
  const sets = sources.map((source) => source.set);
  const result = new Bitmap(combine(op, sets, byteLength), byteLength);
  result.optimize();
  return result;
}

/** How many bits are 1 in what `bitop` gives. Of two sources it is counted without being made. */
export function bitopCardinality(op: BitOp, sources: readonly Bitmap[]): number {
  const [first, second] = sources as [Bitmap, Bitmap | undefined];
  if (second === undefined) return op === "NOT" ? first.byteLength * 8 - first.cardinality : first.cardinality;
  if (sources.length === 2) return pairCardinality(op, first.set, second.set);
  const result = bitop(op, sources);
  const { cardinality } = result;
  result.dispose();
  return cardinality;
}

/** NOT has no second source. */
function pairCardinality(op: BitOp, a: RoaringSet, b: RoaringSet): number {
  switch (op) {
    case "AND":
    case "ANDOR":
      return a.andCardinality(b);
    case "OR":
      return a.orCardinality(b);
    case "XOR":
    case "ONE":
      return a.xorCardinality(b);
    case "DIFF":
      return a.andNotCardinality(b);
    case "DIFF1":
      return b.andNotCardinality(a);
    case "NOT":
      throw new Error("NOT has one source");
  }
}

function combine(op: BitOp, sets: readonly RoaringSet[], byteLength: number): RoaringSet {
  const [first, ...rest] = sets as [RoaringSet, ...RoaringSet[]];
  switch (op) {
    case "AND":
      return intersection(sets);
    case "OR":
      return RoaringBitmap32.orMany(sets);
    case "XOR":
      return RoaringBitmap32.xorMany(sets);
    case "NOT":
      return byteLength === 0 ? first.clone() : first.clone().flipRange(0, byteLength * 8);
    case "DIFF":
      return withUnion(rest, (others) => RoaringBitmap32.andNot(first, others));
    case "DIFF1":
      return withUnion(rest, (others) => RoaringBitmap32.andNot(others, first));
    case "ANDOR":
      return withUnion(rest, (others) => RoaringBitmap32.and(first, others));
    case "ONE":
      return exactlyOne(sets);
  }
}

/** Smallest first, so that every step works on as little as possible and an empty result ends it. */
function intersection(sets: readonly RoaringSet[]): RoaringSet {
  const [smallest, ...others] = [...sets].sort((a, b) => a.size - b.size) as [RoaringSet, ...RoaringSet[]];
  const result = smallest.clone();
  for (const other of others) {
    if (result.isEmpty) break;
    result.andInPlace(other);
  }
  return result;
}

function withUnion(sets: readonly RoaringSet[], use: (union: RoaringSet) => RoaringSet): RoaringSet {
  const union = RoaringBitmap32.orMany(sets);
  const result = use(union);
  union.dispose();
  return result;
}

/** Bits that are 1 in one source and in no other: those seen at all, without those seen twice. */
function exactlyOne(sets: readonly RoaringSet[]): RoaringSet {
  const seen = new RoaringBitmap32();
  const twice = new RoaringBitmap32();
  for (const set of sets) {
    const again = RoaringBitmap32.and(seen, set);
    twice.orInPlace(again);
    again.dispose();
    seen.orInPlace(set);
  }
  seen.andNotInPlace(twice);
  twice.dispose();
  return seen;
}
