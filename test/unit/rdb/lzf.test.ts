/** LZF, there and back, and what is no LZF. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compress, compressedBytesMax, LZF_RATIO_MAX } from "../../../src/rdb/lzf.js";
import { LzfDecoder } from "../../../src/rdb/lzf-decoder.js";
import { RdbError } from "../../../src/rdb/string.js";
import { noise } from "./noise.js";

function compressed(bytes: Uint8Array): Buffer {
  const out = Buffer.alloc(compressedBytesMax(bytes.length));
  return out.subarray(0, compress(bytes, out));
}

function decompressed(bytes: Uint8Array, length: number): Buffer | undefined {
  const pieces: Buffer[] = [];
  const decoder = new LzfDecoder();
  try {
    decoder.begin(length, (piece) => void pieces.push(Buffer.from(piece)));
    if (decoder.decode(bytes) < bytes.length) return undefined;
    decoder.end();
    return Buffer.concat(pieces);
  } catch (error) {
    if (!(error instanceof RdbError)) throw error;
    return undefined;
  }
}

/** Bytes with much that comes again: short alphabets, and pieces repeated. */
const repetitive = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40, max: 3 }), fc.integer({ min: 1, max: 400 })), {
    maxLength: 20,
  })
  .map((pieces) => Buffer.concat(pieces.flatMap(([piece, times]) => new Array<Uint8Array>(times).fill(piece))));

describe("there and back", () => {
  test.each([
    ["nothing", fc.constant(new Uint8Array())],
    ["any bytes", fc.uint8Array({ maxLength: 3000 })],
    ["few kinds of bytes", fc.uint8Array({ maxLength: 3000, max: 2 })],
    ["bytes that come again", repetitive],
  ])("%s", (_name, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, (bytes) => {
        expect(decompressed(compressed(bytes), bytes.length)).toEqual(Buffer.from(bytes));
      }),
    );
  });

  test.each([262, 263, 264, 265, 266, 267, 8191, 8192, 8193, 8194, 70_000])("%i zeros", (length) => {
    const bytes = Buffer.alloc(length);
    expect(decompressed(compressed(bytes), length)).toEqual(bytes);
  });

  test("a copy from as far as a distance reaches, and from further", () => {
    for (let distance = 8185; distance <= 8200; distance++) {
      const bytes = Buffer.concat([Buffer.from("once again"), noise(distance - 10), Buffer.from("once again")]);
      expect(decompressed(compressed(bytes), bytes.length)).toEqual(bytes);
    }
  });
});

test("zeros become almost as few bytes as can be", () => {
  const length = 1_000_000;
  expect(compressed(Buffer.alloc(length)).length).toBeLessThan(length / LZF_RATIO_MAX + 10);
});

test("what two strings were compressed to is, put together, what both together may be compressed to", () => {
  fc.assert(
    fc.property(repetitive, repetitive, (a, b) => {
      const both = Buffer.concat([compressed(a), compressed(b)]);
      expect(decompressed(both, a.length + b.length)).toEqual(Buffer.concat([a, b]));
    }),
  );
});

describe("what is no LZF of so many bytes", () => {
  test.each([
    ["a literal that is cut off", [2, 0x61, 0x62], 3],
    ["a literal that is too long", [2, 0x61, 0x62, 0x63], 2],
    ["fewer bytes than it should be", [0, 0x61], 2],
    ["a copy without its distance", [0, 0x61, 0x20], 4],
    ["a long copy without its length", [0, 0x61, 0xe0], 10],
    ["a long copy without its distance", [0, 0x61, 0xe0, 0], 10],
    ["a copy from before the start", [0, 0x61, 0x20, 1], 4],
    ["a copy that is too long", [0, 0x61, 0x20, 0], 3],
  ])("%s", (_name, bytes, length) => {
    expect(decompressed(Buffer.from(bytes), length)).toBeUndefined();
  });

  test("any bytes are refused, or fill what they should", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(300), (bytes, length) => {
        expect([undefined, length]).toContain(decompressed(bytes, length)?.length);
      }),
    );
  });
});
