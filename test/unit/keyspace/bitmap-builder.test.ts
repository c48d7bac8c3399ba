import fc from "fast-check";
import { expect, test } from "vitest";
import { BitmapBuilder } from "../../../src/keyspace/bitmap-builder.js";

/** Pieces of strings, some of zeros, which may begin anywhere in a container of 8 KiB. */
const pieces = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.integer({ min: 0, max: 20_000 }),
    fc.integer({ min: 1, max: 20_000 }).map((length) => new Uint8Array(length).fill(0xa5)),
  ),
  { maxLength: 12 },
);

test("a value that comes in pieces is the value of the whole string", () => {
  fc.assert(
    fc.property(pieces, (given) => {
      const builder = new BitmapBuilder();
      for (const piece of given) {
        if (typeof piece === "number") builder.appendZeros(piece);
        else builder.append(piece);
      }
      const string = Buffer.concat(given.map((piece) => (typeof piece === "number" ? Buffer.alloc(piece) : piece)));
      expect(builder.byteLength).toBe(string.length);
      const bitmap = builder.finish();
      expect(bitmap.byteLength).toBe(string.length);
      expect(bitmap.bytes(0, string.length).equals(string)).toBe(true);
      bitmap.dispose();
    }),
  );
});

test("the last byte of the longest string is the last bits of a value", () => {
  const builder = new BitmapBuilder();
  builder.appendZeros(2 ** 29 - 1);
  builder.append(Uint8Array.of(0x81));
  const bitmap = builder.finish();
  expect([...bitmap.members]).toEqual([2 ** 32 - 8, 2 ** 32 - 1]);
  expect(bitmap.byteLength).toBe(2 ** 29);
});

test("what was given away can't be added to", () => {
  const builder = new BitmapBuilder();
  builder.finish().dispose();
  builder.dispose();
  expect(() => builder.append(Uint8Array.of(1))).toThrow("given its value away");
});
