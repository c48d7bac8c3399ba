/** Cutting a portable set: the pieces are sets too, and together they are the same one. */
import fc from "fast-check";
import roaring from "roaring";
import { describe, expect, test } from "vitest";
import { cutPortable } from "../../../src/storage/portable.js";
import { randomOf } from "../keyspace/bytes.js";

const { RoaringBitmap32 } = roaring;
type RoaringSet = InstanceType<typeof RoaringBitmap32>;

const CONTAINER_BITS = 2 ** 16;

type Fill = "one" | "array" | "bitset" | "run" | "runs" | "full";

/** Puts a container of one kind into a set. */
function fill(set: RoaringSet, container: number, kind: Fill, random: () => number): void {
  const from = container * CONTAINER_BITS;
  const some = (count: number) => {
    for (let i = 0; i < count; i++) set.add(from + Math.floor(random() * CONTAINER_BITS));
  };
  if (kind === "one") some(1);
  else if (kind === "array") some(500);
  else if (kind === "bitset") some(20_000);
  else if (kind === "run") set.addRange(from + 100, from + 40_000);
  else if (kind === "full") set.addRange(from, from + CONTAINER_BITS);
  else for (let i = 0; i < 50; i++) set.addRange(from + i * 1000, from + i * 1000 + Math.floor(random() * 900));
}

function setOf(containers: readonly (readonly [number, Fill])[], seed = 1): RoaringSet {
  const set = new RoaringBitmap32();
  const random = randomOf(seed);
  for (const [container, kind] of containers) fill(set, container, kind, random);
  return set;
}

function portableOf(set: RoaringSet, options: { runs: boolean }): Buffer {
  if (options.runs) set.runOptimize();
  else set.removeRunCompression();
  return Buffer.from(set.serialize("portable"));
}

/** Each piece is read by Roaring; that all is as it must be is checked on the way. */
function cut(portable: Uint8Array, bytesMax: number): { first: number; set: RoaringSet; bytes: number }[] {
  const before = Buffer.from(portable);
  const pieces = [...cutPortable(portable, bytesMax)].map(({ first, portable: piece }) => {
    const set = RoaringBitmap32.deserialize(piece, "portable");
    // As Roaring itself writes the set: nothing is left over, and the header says what there is.
    expect(Buffer.from(piece).equals(Buffer.from(set.serialize("portable")))).toBe(true);
    return { first, set, bytes: piece.length };
  });
  expect(before.equals(portable)).toBe(true);
  expect(pieces[0]?.first).toBe(0);
  pieces.forEach(({ first, set, bytes }, i) => {
    const next = pieces[i + 1]?.first ?? CONTAINER_BITS;
    expect(next).toBeGreaterThan(first);
    if (pieces.length > 1) expect(set.isEmpty).toBe(false);
    if (!set.isEmpty) expect(set.minimum()).toBeGreaterThanOrEqual(first * CONTAINER_BITS);
    if (!set.isEmpty) expect(set.maximum()).toBeLessThan(next * CONTAINER_BITS);
    if (i > 0) expect(Math.floor(set.minimum() / CONTAINER_BITS)).toBe(first);
    if (containersOf(set) > 1) expect(bytes).toBeLessThanOrEqual(bytesMax);
  });
  return pieces;
}

/** How many there may be between the first and the last member. */
function containersOf(set: RoaringSet): number {
  if (set.isEmpty) return 0;
  return Math.floor(set.maximum() / CONTAINER_BITS) - Math.floor(set.minimum() / CONTAINER_BITS) + 1;
}

function expectSame(pieces: readonly { set: RoaringSet }[], set: RoaringSet): void {
  expect(RoaringBitmap32.orMany(pieces.map((piece) => piece.set)).isEqual(set)).toBe(true);
  expect(pieces.reduce((sum, piece) => sum + piece.set.size, 0)).toBe(set.size);
}

const kind = fc.constantFrom<Fill[]>("one", "array", "bitset", "run", "runs", "full");
const containers = fc.uniqueArray(fc.tuple(fc.oneof(fc.nat(60), fc.nat(65_535), fc.constant(65_535)), kind), {
  selector: ([container]) => container,
  minLength: 1,
  maxLength: 40,
});
const bytesMax = fc.oneof(fc.integer({ min: 20, max: 400 }), fc.integer({ min: 400, max: 100_000 }));

describe("the pieces of a set", () => {
  test("are together the same set, each of at most so many bytes, for any set and size", () => {
    fc.assert(
      fc.property(containers, bytesMax, fc.boolean(), fc.nat(), (all, max, runs, seed) => {
        const set = setOf(all, seed);
        expectSame(cut(portableOf(set, { runs }), max), set);
      }),
      { numRuns: 400 },
    );
  });

  test.each(["one", "array", "bitset", "run", "runs", "full"] as const)("are right where all is of kind %s", (each) => {
    for (const count of [1, 2, 3, 4, 5, 8, 9, 16, 17, 40]) {
      const set = setOf(Array.from({ length: count }, (_, i) => [i * 3, each] as const));
      for (const runs of [true, false]) {
        for (const max of [20, 100, 1000, 9000, 40_000]) expectSame(cut(portableOf(set, { runs }), max), set);
      }
    }
  });

  test("are right on both sides of four containers with runs, where Roaring begins to write offsets", () => {
    for (const count of [6, 7, 8, 9]) {
      const set = setOf(Array.from({ length: count }, (_, i) => [i, "run"] as const));
      const portable = portableOf(set, { runs: true });
      const pieces = cut(portable, Math.ceil(portable.length / 2) + 10);
      expectSame(pieces, set);
      expect(pieces.length).toBeGreaterThanOrEqual(2);
    }
  });

  test("begin where their first member is, but the first at 0", () => {
    const set = setOf([
      [7, "bitset"],
      [8, "bitset"],
      [500, "bitset"],
      [65_535, "bitset"],
    ]);
    expect(cut(portableOf(set, { runs: true }), 9000).map(({ first }) => first)).toEqual([0, 8, 500, 65_535]);
  });

  test("are few, and all about as large", () => {
    for (const count of [17, 18, 24, 31, 32, 33, 100, 160]) {
      const set = setOf(Array.from({ length: count }, (_, i) => [i, "bitset"] as const));
      const portable = portableOf(set, { runs: true });
      const sizes = cut(portable, 128 * 1024).map(({ bytes }) => bytes);
      expect(sizes.length).toBeLessThanOrEqual(Math.ceil(portable.length / (120 * 1024)));
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThan(2 * 8192);
    }
  });

  test("are small too where the containers hold little: their headers count", () => {
    const set = new RoaringBitmap32();
    for (let container = 0; container < 65_536; container++) set.add(container * CONTAINER_BITS);
    const pieces = cut(portableOf(set, { runs: true }), 128 * 1024);
    expectSame(pieces, set);
    expect(pieces.length).toBeGreaterThanOrEqual(5);
  });

  test("of every container there is, with runs, are right", () => {
    const set = RoaringBitmap32.fromRange(0, 2 ** 32);
    const pieces = cut(portableOf(set, { runs: true }), 128 * 1024);
    expectSame(pieces, set);
  });
});

describe("a set that is small enough", () => {
  test("is one piece, as it is", () => {
    for (const set of [new RoaringBitmap32(), setOf([[9, "bitset"]])]) {
      const portable = portableOf(set, { runs: true });
      const [piece, ...others] = cutPortable(portable, portable.length);
      expect(others).toEqual([]);
      expect(piece).toEqual({ first: 0, portable });
    }
  });
});

describe("what is no portable set", () => {
  test("is refused", () => {
    expect(() => [...cutPortable(Buffer.alloc(100, 7), 50)]).toThrow("not a portable");
  });

  test("is refused when it is cut off", () => {
    const portable = portableOf(setOf([1, 2, 3, 4, 5].map((i) => [i, "bitset"] as const)), { runs: true });
    expect(() => [...cutPortable(portable.subarray(0, portable.length - 1), 9000)]).toThrow("cut off");
  });

  test("may begin anywhere in memory: a blob of the file is a view", () => {
    const set = setOf([1, 2, 3, 4, 5].map((i) => [i, "array"] as const));
    const portable = portableOf(set, { runs: false });
    const moved = Buffer.concat([Buffer.alloc(3), portable]).subarray(3);
    expectSame(cut(moved, 1500), set);
  });
});
