/** Strings to test values with, and the obvious way to read their bits: what Bitmap is compared with. */
import fc from "fast-check";
import type { KeyBytes } from "../../../src/keyspace/key-bytes.js";

/** A string made of pieces, so that all of Roaring's containers come up: sorted arrays, bitsets, runs, and gaps. */
interface Piece {
  start: number;
  length: number;
  fill: "ones" | "random" | "single bits";
  seed: number;
}

/** Lengths at which something changes: bytes, containers of 8 KiB (65,536 bits), and around them. */
const BORDER_LENGTHS = [0, 1, 2, 7, 8, 9, 8191, 8192, 8193, 16383, 16384, 16385, 24577];

export function bytesArbitrary(lengthMax = 30_000): fc.Arbitrary<Buffer> {
  const length = fc.oneof(
    fc.constantFrom(...BORDER_LENGTHS.filter((border) => border <= lengthMax)),
    fc.integer({ min: 0, max: Math.min(64, lengthMax) }),
    fc.integer({ min: 0, max: lengthMax }),
  );
  const piece: fc.Arbitrary<Piece> = fc.record({
    start: fc.integer({ min: 0, max: lengthMax }),
    length: fc.oneof(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 12_000 })),
    fill: fc.constantFrom("ones", "random", "single bits"),
    seed: fc.integer(),
  });
  return fc.tuple(length, fc.array(piece, { maxLength: 5 })).map(([bytes, pieces]) => {
    const out = Buffer.alloc(bytes);
    for (const each of pieces) paint(out, each);
    return out;
  });
}

function paint(out: Buffer, { start, length, fill, seed }: Piece): void {
  const random = randomOf(seed);
  const end = Math.min(start + length, out.length);
  if (fill === "ones") out.fill(0xff, Math.min(start, out.length), end);
  else if (fill === "random") for (let i = start; i < end; i++) out[i] = random() * 256;
  else for (let i = start; i < end; i += 1 + Math.floor(random() * 40)) out[i] = 1 << Math.floor(random() * 8);
}

/** A generator that a number repeats (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bit `offset` as Redis counts: from the most significant bit of the first byte; past the end there are zeros. */
export function bitOf(bytes: Uint8Array, offset: number): 0 | 1 {
  return (((bytes[offset >>> 3] ?? 0) >> (7 - (offset & 7))) & 1) as 0 | 1;
}

export function countBits(bytes: Uint8Array, first: number, last: number): number {
  let ones = 0;
  for (let offset = first; offset <= last; offset++) ones += bitOf(bytes, offset);
  return ones;
}

export function findBit(bytes: Uint8Array, bit: 0 | 1, first: number, last: number): number {
  for (let offset = first; offset <= last; offset++) if (bitOf(bytes, offset) === bit) return offset;
  return -1;
}

/** A key given as a latin1 string, as it comes in a request: with other bytes around it. */
export function keyBytes(key: string): KeyBytes {
  const bytes = Buffer.from(`<${key}>`, "latin1");
  return { bytes, start: 1, end: bytes.length - 1 };
}
