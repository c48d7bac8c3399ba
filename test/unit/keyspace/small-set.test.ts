/** Small sets against a Set, and their portable format against Roaring itself, in both directions. */
import fc from "fast-check";
import roaring from "roaring";
import { describe, expect, test } from "vitest";
import {
  portableSizeOfSmall,
  smallCountRange,
  smallFirstClear,
  smallFirstSet,
  smallFromPortable,
  smallHas,
  smallInsert,
  smallLowerBound,
  smallRemove,
  writePortableOfSmall,
} from "../../../src/keyspace/small-set.js";

const { RoaringBitmap32 } = roaring;

const X_MAX = 0xffffffff;
const NO_LIMIT = 2 ** 32;

/** Numbers that meet: few containers, and the borders of all. */
const member = fc.oneof(
  fc.integer({ min: 0, max: 100 }),
  fc.integer({ min: 0, max: 300_000 }),
  fc.integer({ min: X_MAX - 100, max: X_MAX }),
  fc.integer({ min: 0, max: X_MAX }),
  fc.constantFrom(0, 1, 65_535, 65_536, 65_537, 2 ** 31 - 1, 2 ** 31, X_MAX - 1, X_MAX),
);

/** Sets with all kinds of containers: scattered members, runs, and more than an array holds. */
const members = fc
  .tuple(
    fc.array(member, { maxLength: 200, size: "max" }),
    fc.array(
      fc.record({
        first: member,
        length: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 9000 })),
        step: fc.constantFrom(1, 1, 2, 7),
      }),
      { maxLength: 6 },
    ),
  )
  .map(([single, series]) => {
    const set = new Set(single);
    for (const { first, length, step } of series) {
      for (let i = 0; i < length && first + i * step <= X_MAX; i++) set.add(first + i * step);
    }
    return Uint32Array.from(set).sort();
  });

/** The set somewhere inside of a larger piece of memory, between words that must not change. */
const MARGIN = 3;
const NOISE = 0xdeadbeef;

function embed(set: ArrayLike<number>, room = set.length): Uint32Array {
  const words = new Uint32Array(room + 2 * MARGIN).fill(NOISE);
  words.set(set, MARGIN);
  return words;
}

function portableOf(set: Uint32Array): Uint8Array {
  const words = embed(set);
  const out = new Uint8Array(portableSizeOfSmall(words, MARGIN, set.length)).fill(0xa5);
  writePortableOfSmall(words, MARGIN, set.length, out);
  return out;
}

function roaringOf(set: Uint32Array, optimized: boolean): Uint8Array {
  const bitmap = new RoaringBitmap32(set);
  if (optimized) bitmap.runOptimize();
  return bitmap.serialize("portable");
}

test("insertion and removal do what they do to a Set, and nothing to the memory around", () => {
  const step = fc.record({ x: member, add: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: "max" }), (steps) => {
      const model = new Set<number>();
      const words = embed([], steps.length);
      let count = 0;
      for (const { x, add } of steps) {
        expect(smallHas(words, MARGIN, count, x)).toBe(model.has(x));
        const changed = add ? !model.has(x) : model.has(x);
        expect((add ? smallInsert : smallRemove)(words, MARGIN, count, x)).toBe(changed);
        if (add) model.add(x);
        else model.delete(x);
        count = model.size;
      }
      expect(words.subarray(MARGIN, MARGIN + count)).toEqual(Uint32Array.from(model).sort());
      expect([...words.subarray(0, MARGIN), ...words.subarray(-MARGIN)]).toEqual(Array(2 * MARGIN).fill(NOISE));
    }),
  );
});

test("long tails move as short ones do", () => {
  const model = new Set<number>();
  const words = embed([], 3000);
  for (let i = 3000; i > 0; i--) {
    const x = (i * 7919) % 30_011;
    expect(smallInsert(words, MARGIN, model.size, x)).toBe(!model.has(x));
    model.add(x);
  }
  for (let x = 0; x < 30_011; x += 3) expect(smallRemove(words, MARGIN, model.size, x)).toBe(model.delete(x));
  expect(words.subarray(MARGIN, MARGIN + model.size)).toEqual(Uint32Array.from(model).sort());
  expect([...words.subarray(-MARGIN)]).toEqual(Array(MARGIN).fill(NOISE));
});

test("counts, ranks and finds as reading the members one by one does", () => {
  fc.assert(
    fc.property(members, member, member, (set, a, b) => {
      const words = embed(set);
      const all = [...set];
      expect(smallLowerBound(words, MARGIN, set.length, a)).toBe(all.filter((x) => x < a).length);
      expect(smallCountRange(words, MARGIN, set.length, a, b)).toBe(all.filter((x) => x >= a && x <= b).length);
      expect(smallFirstSet(words, MARGIN, set.length, a)).toBe(all.find((x) => x >= a) ?? -1);
      const has = new Set(all);
      let clear = a;
      while (has.has(clear)) clear++;
      expect(smallFirstClear(words, MARGIN, set.length, a)).toBe(clear);
    }),
  );
});

describe("portable format", () => {
  test("Roaring reads what is written here, and writes the same without runs", () => {
    fc.assert(
      fc.property(members, (set) => {
        const portable = portableOf(set);
        expect(RoaringBitmap32.deserialize(portable, "portable").toUint32Array()).toEqual(set);
        expect(Buffer.from(portable).equals(roaringOf(set, false))).toBe(true);
      }),
    );
  });

  test("what Roaring writes is read, with runs and without", () => {
    fc.assert(
      fc.property(members, fc.boolean(), (set, optimized) => {
        const portable = roaringOf(set, optimized);
        expect(smallFromPortable(portable, set.length)).toEqual(set);
        if (set.length > 0) expect(smallFromPortable(portable, set.length - 1)).toBeUndefined();
      }),
    );
  });

  test.each([1, 2, 3, 4, 5, 8, 9, 17])("%i containers of runs, with offsets from 4 on", (containers) => {
    const bitmap = new RoaringBitmap32();
    for (let key = 0; key < containers; key++) bitmap.addRange(key * 65_536 + 10, key * 65_536 + 500);
    bitmap.runOptimize();
    const portable = bitmap.serialize("portable");
    expect([portable[0], portable[1]]).toEqual([12347 & 0xff, 12347 >> 8]);
    expect(smallFromPortable(portable, NO_LIMIT)).toEqual(bitmap.toUint32Array());
  });

  test("run, array and bitset containers beside each other", () => {
    const bitmap = new RoaringBitmap32([1, 5, 70_000]);
    bitmap.addRange(131_072, 196_608);
    for (let x = 262_144; x < 262_144 + 60_000; x += 3) bitmap.add(x);
    bitmap.add(X_MAX);
    bitmap.runOptimize();
    expect(smallFromPortable(bitmap.serialize("portable"), NO_LIMIT)).toEqual(bitmap.toUint32Array());
  });

  test.each([4095, 4096, 4097, 65_536])("a container of %i members", (count) => {
    const set = Uint32Array.from({ length: count }, (_, i) => 65_536 + (count === 65_536 ? i : i * 2));
    expect(Buffer.from(portableOf(set)).equals(roaringOf(set, false))).toBe(true);
    expect(smallFromPortable(portableOf(set), count)).toEqual(set);
  });

  test("the empty set", () => {
    const portable = portableOf(new Uint32Array(0));
    expect([...portable]).toEqual([0x3a, 0x30, 0, 0, 0, 0, 0, 0]);
    expect(RoaringBitmap32.deserialize(portable, "portable").size).toBe(0);
    expect(smallFromPortable(portable, 0)).toEqual(new Uint32Array(0));
    expect(smallFromPortable(roaringOf(new Uint32Array(0), true), 0)).toEqual(new Uint32Array(0));
  });

  test("a view that begins anywhere in its memory", () => {
    const set = Uint32Array.of(3, 65_536, X_MAX);
    const portable = portableOf(set);
    const memory = new Uint8Array(portable.length + 3);
    memory.set(portable, 3);
    expect(smallFromPortable(memory.subarray(3), 3)).toEqual(set);
  });

  test("every cut throws", () => {
    fc.assert(
      fc.property(members, fc.boolean(), fc.nat(), (set, optimized, nat) => {
        const portable = roaringOf(set, optimized);
        const length = nat % portable.length;
        expect(() => smallFromPortable(portable.subarray(0, length), NO_LIMIT)).toThrow("cut off");
      }),
    );
    const portable = roaringOf(
      Uint32Array.from({ length: 300 }, (_, i) => i * 1000),
      true,
    );
    for (let length = 0; length < portable.length; length++) {
      expect(() => smallFromPortable(portable.subarray(0, length), NO_LIMIT)).toThrow("cut off");
    }
  });

  test("changed bytes throw, or give members in order", () => {
    fc.assert(
      fc.property(
        members,
        fc.boolean(),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        (set, runs, edits) => {
          const portable = roaringOf(set, runs).slice();
          for (const [at, byte] of edits) portable[at % Math.min(portable.length, 64)] = byte;
          let read: Uint32Array | undefined;
          try {
            read = smallFromPortable(portable, 100_000);
          } catch (error) {
            expect((error as Error).message).toMatch(/^portable Roaring set: /);
            return;
          }
          if (read !== undefined) expect(read.every((x, i) => i === 0 || x > (read[i - 1] as number))).toBe(true);
        },
      ),
    );
  });

  const u16 = (...words: number[]) => words.flatMap((word) => [word & 0xff, word >> 8]);

  test.each([
    ["nothing", "cut off", []],
    ["another cookie", "wrong cookie", u16(12345, 0, 0, 0)],
    ["a cookie with something in its upper half", "wrong cookie", u16(12346, 1, 0, 0)],
    ["more containers than keys", "too many containers", u16(12346, 0, 1, 1)],
    ["containers in the wrong order", "containers out of order", u16(12346, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 7)],
    ["the same container twice", "containers out of order", u16(12346, 0, 2, 0, 1, 0, 1, 0, 0, 0, 0, 0, 7, 7)],
    ["members in the wrong order", "members out of order", u16(12346, 0, 1, 0, 0, 1, 16, 0, 9, 8)],
    ["the same member twice", "members out of order", u16(12346, 0, 1, 0, 0, 1, 16, 0, 9, 9)],
    ["runs that overlap", "runs out of order", [...u16(12347, 0), 1, ...u16(0, 5, 2, 10, 2, 12, 2)]],
    ["a run past its container", "runs out of order", [...u16(12347, 0), 1, ...u16(0, 2, 1, 0xfffe, 2)]],
    ["runs with more than is said", "cardinality is wrong", [...u16(12347, 0), 1, ...u16(0, 1, 1, 10, 2)]],
    ["runs with less than is said", "cardinality is wrong", [...u16(12347, 0), 1, ...u16(0, 5, 1, 10, 2)]],
    [
      "a bitset with less than is said",
      "cardinality is wrong",
      [...u16(12346, 0, 1, 0, 0, 5000, 16, 0), ...Array(8192).fill(0)],
    ],
    [
      "a bitset with more than is said",
      "cardinality is wrong",
      [...u16(12346, 0, 1, 0, 0, 5000, 16, 0), ...Array(8192).fill(255)],
    ],
  ])("%s throws", (_, message, bytes) => {
    expect(() => smallFromPortable(Uint8Array.from(bytes), NO_LIMIT)).toThrow(`portable Roaring set: ${message}`);
  });
});
