/** BITOP against the same operations byte by byte. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MIB, OFFSET_MAX } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { BITOPS, type BitOp, bitop, bitopCardinality } from "../../../src/keyspace/bitmap-op.js";
import { bytesArbitrary } from "./bytes.js";

/** What an operation makes of the bytes at one place, the first source's first. */
const NAIVE: Record<BitOp, (first: number, ...rest: number[]) => number> = {
  AND: (first, ...rest) => rest.reduce((a, b) => a & b, first),
  OR: (first, ...rest) => rest.reduce((a, b) => a | b, first),
  XOR: (first, ...rest) => rest.reduce((a, b) => a ^ b, first),
  NOT: (first) => ~first,
  DIFF: (first, ...rest) => first & ~rest.reduce((a, b) => a | b, 0),
  DIFF1: (first, ...rest) => ~first & rest.reduce((a, b) => a | b, 0),
  ANDOR: (first, ...rest) => first & rest.reduce((a, b) => a | b, 0),
  ONE: (...all) => {
    let ones = 0;
    for (let bit = 1; bit < 256; bit <<= 1) if (all.filter((byte) => byte & bit).length === 1) ones |= bit;
    return ones;
  },
};

const SOURCES_MIN: Partial<Record<BitOp, number>> = { DIFF: 2, DIFF1: 2, ANDOR: 2 };

function naive(op: BitOp, sources: readonly Uint8Array[]): Buffer {
  const out = Buffer.alloc(Math.max(...sources.map(({ length }) => length)));
  for (let i = 0; i < out.length; i++) {
    const [first, ...rest] = sources.map((source) => source[i] ?? 0) as [number, ...number[]];
    out[i] = NAIVE[op](first, ...rest);
  }
  return out;
}

function stringOf(bitmap: Bitmap): Buffer {
  return bitmap.bytes(0, bitmap.byteLength);
}

describe.each(BITOPS)("BITOP %s", (op) => {
  const sourcesMin = SOURCES_MIN[op] ?? 1;
  const sourcesMax = op === "NOT" ? 1 : 5;

  test("gives what the bytes give, is as long as the longest source, and changes none of them", () => {
    // A pool from which sources are drawn with repetition: the same value twice is an ordinary thing to ask for.
    const pool = fc.array(bytesArbitrary(20_000), { minLength: 1, maxLength: 4 });
    const picks = fc.array(fc.nat(), { minLength: sourcesMin, maxLength: sourcesMax });
    fc.assert(
      fc.property(pool, picks, (strings, picked) => {
        const bitmaps = strings.map((bytes) => Bitmap.fromBytes(bytes));
        const chosen = picked.map((pick) => pick % strings.length);
        const result = bitop(
          op,
          chosen.map((i) => bitmaps[i] as Bitmap),
        );
        const expected = naive(
          op,
          chosen.map((i) => strings[i] as Buffer),
        );
        expect(
          bitopCardinality(
            op,
            chosen.map((i) => bitmaps[i] as Bitmap),
          ),
        ).toBe(result.cardinality);
        expect(result.byteLength).toBe(expected.length);
        expect(stringOf(result).equals(expected)).toBe(true);
        bitmaps.forEach((bitmap, i) => {
          expect(bitmap.byteLength).toBe(strings[i]?.length);
          expect(stringOf(bitmap).equals(strings[i] as Buffer)).toBe(true);
        });
      }),
      { numRuns: 60 },
    );
  });

  test.each(BITOPS)("%s is counted up to a limit, over many slices of the offsets", (op) => {
    const offset = fc.oneof(fc.nat(300), fc.nat(2 ** 23), fc.nat(OFFSET_MAX), fc.constantFrom(2 ** 20 - 1, 2 ** 20));
    const source = fc.array(offset, { minLength: 1, maxLength: 40 });
    const least = SOURCES_MIN[op] ?? 1;
    const sources = fc.array(source, { minLength: least, maxLength: op === "NOT" ? 1 : 4 });
    fc.assert(
      fc.property(sources, fc.nat(), (lists, throwOfLimit) => {
        const bitmaps = lists.map((list) => Bitmap.fromOffsets(Uint32Array.from(list)));
        const all = bitop(op, bitmaps).cardinality;
        for (const limit of [1, all - 1, all, all + 1, throwOfLimit % (all + 1)]) {
          if (limit > 0) expect(bitopCardinality(op, bitmaps, limit)).toBe(Math.min(all, limit));
        }
        expect(bitopCardinality(op, bitmaps)).toBe(all);
      }),
      { numRuns: 60 },
    );
  });

  test("a missing key is a stream of zeros", () => {
    const missing = new Bitmap();
    const value = Buffer.from([0b10100101, 0xff, 0]);
    const bitmap = Bitmap.fromBytes(value);
    const orders =
      op === "NOT"
        ? [[bitmap]]
        : [
            [bitmap, missing],
            [missing, bitmap],
            [missing, bitmap, missing],
          ];
    for (const sources of orders) {
      const expected = naive(
        op,
        sources.map((source) => (source === missing ? Buffer.alloc(0) : value)),
      );
      expect(stringOf(bitop(op, sources))).toEqual(expected);
    }
  });

  test("nothing but missing keys make nothing", () => {
    const sources = Array.from({ length: sourcesMin }, () => new Bitmap());
    const result = bitop(op, sources);
    expect(result.byteLength).toBe(0);
    expect(result.cardinality).toBe(0);
  });

  test("the result is a value of its own, also with one source", () => {
    const source = Bitmap.fromBytes(Buffer.from([0xaa]));
    const result = bitop(
      op,
      Array.from({ length: sourcesMin }, () => source),
    );
    result.setBit(1, 1);
    expect(stringOf(source)).toEqual(Buffer.from([0xaa]));
  });
});

test("BITOP NOT of the longest value there is", () => {
  const bitmap = new Bitmap();
  bitmap.setBit(OFFSET_MAX, 1);
  const result = bitop("NOT", [bitmap]);
  expect(result.byteLength).toBe(512 * MIB);
  expect(result.cardinality).toBe(2 ** 32 - 1);
  expect(result.position(0, 0, OFFSET_MAX)).toBe(OFFSET_MAX);
  const twice = bitop("NOT", [result]);
  expect(twice.cardinality).toBe(1);
  expect(twice.getBit(OFFSET_MAX)).toBe(1);
});

test("BITOP NOT complements up to the length and no further", () => {
  const bitmap = new Bitmap();
  bitmap.setBit(17, 0);
  expect(stringOf(bitop("NOT", [bitmap]))).toEqual(Buffer.from([0xff, 0xff, 0xff]));
});
