/** Small sets against a Set, and their portable format against Roaring itself. */
import fc from "fast-check";
import roaring from "roaring";
import { describe, expect, test } from "vitest";
import {
  portableSizeOfSmall,
  smallCountRange,
  smallFirstClear,
  smallFirstSet,
  smallHas,
  smallInsertAt,
  smallLowerBound,
  smallRemove,
  writePortableOfSmall,
} from "../../../src/keyspace/small-set.js";
import { member, X_MAX } from "./members.js";

const { RoaringBitmap32 } = roaring;

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

function roaringOf(set: Uint32Array): Uint8Array {
  return new RoaringBitmap32(set).serialize("portable");
}

/** Adds a number where it belongs, and says whether it was missing. */
function insert(words: Uint32Array, start: number, count: number, x: number): boolean {
  if (smallHas(words, start, count, x)) return false;
  smallInsertAt(words, start, count, smallLowerBound(words, start, count, x), x);
  return true;
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
        expect((add ? insert : smallRemove)(words, MARGIN, count, x)).toBe(changed);
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
    expect(insert(words, MARGIN, model.size, x)).toBe(!model.has(x));
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
        expect(Buffer.from(portable).equals(roaringOf(set))).toBe(true);
      }),
    );
  });

  test.each([4095, 4096, 4097, 65_536])("a container of %i members", (count) => {
    const set = Uint32Array.from({ length: count }, (_, i) => 65_536 + (count === 65_536 ? i : i * 2));
    expect(Buffer.from(portableOf(set)).equals(roaringOf(set))).toBe(true);
  });

  test("the empty set", () => {
    const portable = portableOf(new Uint32Array(0));
    expect([...portable]).toEqual([0x3a, 0x30, 0, 0, 0, 0, 0, 0]);
    expect(RoaringBitmap32.deserialize(portable, "portable").size).toBe(0);
  });
});
