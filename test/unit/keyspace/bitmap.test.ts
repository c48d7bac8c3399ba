/** The value: bit order, bytes in and out, ranges and positions, each against the obvious way on a string of bytes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MIB, OFFSET_MAX, REPLY_SLICE_BYTES } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { bitOf, bytesArbitrary, countBits, findBit, randomOf } from "./bytes.js";

const LENGTH_MAX = 512 * MIB;

function stringOf(bitmap: Bitmap): Buffer {
  return bitmap.bytes(0, bitmap.byteLength);
}

function portableOf(bitmap: Bitmap): Uint8Array {
  const portable = new Uint8Array(bitmap.portableBytes);
  bitmap.writePortable(portable);
  return portable;
}

function pulled(slices: Iterator<Buffer>): Buffer[] {
  const all: Buffer[] = [];
  for (let next = slices.next(); next.done !== true; next = slices.next()) all.push(next.value);
  return all;
}

/** A string of random bytes: half of its bits are ones, so that it takes as much memory as a string. */
function noise(bytes: number, seed: number): Buffer {
  const random = randomOf(seed);
  return Buffer.from(Array.from({ length: bytes }, () => Math.floor(random() * 256)));
}

describe("bit order", () => {
  test("bit 0 is the most significant bit of byte 0", () => {
    const bitmap = new Bitmap();
    bitmap.setBit(0, 1);
    bitmap.setBit(15, 1);
    bitmap.setBit(17, 1);
    expect(stringOf(bitmap)).toEqual(Buffer.from([0b10000000, 0b00000001, 0b01000000]));
  });

  test("each bit of a byte is read back at its own offset", () => {
    for (let byte = 0; byte < 256; byte++) {
      const bitmap = Bitmap.fromBytes(Buffer.from([byte]));
      for (let offset = 0; offset < 8; offset++) expect(bitmap.getBit(offset)).toBe((byte >> (7 - offset)) & 1);
    }
  });
});

describe("length", () => {
  test("clearing a bit behind the end lengthens the value with zeros", () => {
    const bitmap = new Bitmap();
    expect(bitmap.setBit(100, 0)).toBe(0);
    expect(bitmap.byteLength).toBe(13);
    expect(stringOf(bitmap)).toEqual(Buffer.alloc(13));
  });

  test("clearing the last bit does not shorten the value", () => {
    const bitmap = Bitmap.fromBytes(Buffer.from([0, 1]));
    expect(bitmap.setBit(15, 0)).toBe(1);
    expect(stringOf(bitmap)).toEqual(Buffer.alloc(2));
  });

  test("the last bit there is makes 512 MiB, and every range reaches it", () => {
    const bitmap = new Bitmap();
    expect(bitmap.setBit(OFFSET_MAX, 1)).toBe(0);
    expect(bitmap.setBit(OFFSET_MAX, 1)).toBe(1);
    expect(bitmap.byteLength).toBe(LENGTH_MAX);
    expect(bitmap.getBit(OFFSET_MAX)).toBe(1);
    expect(bitmap.countRange(0, OFFSET_MAX)).toBe(1);
    expect(bitmap.countRange(OFFSET_MAX, OFFSET_MAX)).toBe(1);
    expect(bitmap.countRange(0, OFFSET_MAX - 1)).toBe(0);
    expect(bitmap.position(1, 0, OFFSET_MAX)).toBe(OFFSET_MAX);
    expect(bitmap.position(0, OFFSET_MAX, OFFSET_MAX)).toBe(-1);
    expect(bitmap.bytes(LENGTH_MAX - 2, 2)).toEqual(Buffer.from([0, 1]));
  });

  test("a value that is all ones up to the last bit is searched to its end", () => {
    const bitmap = new Bitmap();
    bitmap.set.addRange(0, OFFSET_MAX + 1);
    bitmap.byteLength = LENGTH_MAX;
    expect(bitmap.cardinality).toBe(2 ** 32);
    expect(bitmap.countRange(0, OFFSET_MAX)).toBe(2 ** 32);
    expect(bitmap.position(0, 0, OFFSET_MAX)).toBe(-1);
    expect(bitmap.position(1, OFFSET_MAX, OFFSET_MAX)).toBe(OFFSET_MAX);
    bitmap.setBit(OFFSET_MAX, 0);
    expect(bitmap.position(0, 0, OFFSET_MAX)).toBe(OFFSET_MAX);
    bitmap.setBit(3_000_000_000, 0);
    expect(bitmap.position(0, 5, OFFSET_MAX)).toBe(3_000_000_000);
    expect(bitmap.bytes(375_000_000, 1)).toEqual(Buffer.from([0x7f]));
    bitmap.dispose();
  });
});

describe("bytes in and out", () => {
  test("any string comes back as it was", () => {
    fc.assert(
      fc.property(bytesArbitrary(), (bytes) => {
        const bitmap = Bitmap.fromBytes(bytes);
        expect(bitmap.byteLength).toBe(bytes.length);
        expect(stringOf(bitmap).equals(bytes)).toBe(true);
        expect(bitmap.cardinality).toBe(countBits(bytes, 0, bytes.length * 8 - 1));
      }),
    );
  });

  test.each([4095, 4096, 4097])(
    "a container with %i members, around Roaring's border of array and bitset",
    (members) => {
      for (const tail of [0, 1]) {
        const bytes = Buffer.alloc(3 * 8192 + tail);
        // In the middle container: every 16th bit, then as many more as are missing, at the odd ones.
        const bits = [...Array.from({ length: 4096 }, (_, i) => i * 16), 1].slice(0, members);
        for (const bit of bits) {
          const at = 8192 + (bit >>> 3);
          bytes[at] = (bytes[at] as number) | (0x80 >> (bit & 7));
        }
        const bitmap = Bitmap.fromBytes(bytes);
        expect(bitmap.cardinality).toBe(members);
        expect(stringOf(bitmap).equals(bytes)).toBe(true);
      }
    },
  );

  test.each([8191, 8192, 8193, 65_535, 65_536, 65_537])("%i bytes of ones", (length) => {
    const bytes = Buffer.alloc(length, 0xff);
    const bitmap = Bitmap.fromBytes(bytes);
    expect(bitmap.cardinality).toBe(length * 8);
    expect(stringOf(bitmap).equals(bytes)).toBe(true);
  });

  test("a string keeps its trailing zeros, and the empty string is one", () => {
    expect(stringOf(Bitmap.fromBytes(Buffer.alloc(20_000))).equals(Buffer.alloc(20_000))).toBe(true);
    expect(Bitmap.fromBytes(Buffer.alloc(0)).byteLength).toBe(0);
    expect(stringOf(Bitmap.fromBytes(Buffer.alloc(0)))).toEqual(Buffer.alloc(0));
  });

  test("the value does not change with the buffer it was made from", () => {
    const bytes = Buffer.from([1, 2, 3]);
    const bitmap = Bitmap.fromBytes(bytes);
    bytes.fill(0);
    expect(stringOf(bitmap)).toEqual(Buffer.from([1, 2, 3]));
  });

  test("any part of a string is that part", () => {
    fc.assert(
      fc.property(bytesArbitrary(), fc.nat(), fc.nat(), (bytes, a, b) => {
        const bitmap = Bitmap.fromBytes(bytes);
        const start = a % (bytes.length + 1);
        const length = b % (bytes.length - start + 1);
        expect(bitmap.bytes(start, length).equals(bytes.subarray(start, start + length))).toBe(true);
      }),
    );
  });

  test("the portable form gives the same value back, also after optimize()", () => {
    fc.assert(
      fc.property(bytesArbitrary(), (bytes) => {
        const bitmap = Bitmap.fromBytes(bytes);
        const before = Bitmap.fromPortable(portableOf(bitmap), bytes.length);
        bitmap.optimize();
        const after = Bitmap.fromPortable(portableOf(bitmap), bytes.length);
        expect(stringOf(before).equals(bytes)).toBe(true);
        expect(stringOf(after).equals(bytes)).toBe(true);
      }),
    );
  });

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["a text", Buffer.from("this is no bitmap")],
    [
      "a portable set that was cut off",
      Buffer.from(portableOf(Bitmap.fromBytes(Buffer.alloc(100, 5)))).subarray(0, 40),
    ],
  ])("%s is refused as a portable form", (_what, portable) => {
    expect(() => Bitmap.fromPortable(portable, 100)).toThrow();
  });
});

describe("bits", () => {
  test("setBit() and getBit() do what they do to a string", () => {
    const change = fc.tuple(
      fc.oneof(fc.nat(200), fc.integer({ min: 65_500, max: 65_600 })),
      fc.constantFrom<0 | 1>(0, 1),
    );
    fc.assert(
      fc.property(bytesArbitrary(9000), fc.array(change, { maxLength: 60 }), (bytes, changes) => {
        const bitmap = Bitmap.fromBytes(bytes);
        let model = Buffer.from(bytes);
        for (const [offset, bit] of changes) {
          const length = Math.max(model.length, (offset >>> 3) + 1);
          if (length > model.length) model = Buffer.concat([model, Buffer.alloc(length - model.length)]);
          expect(bitmap.setBit(offset, bit)).toBe(bitOf(model, offset));
          const mask = 0x80 >> (offset & 7);
          const byte = model[offset >>> 3] as number;
          model[offset >>> 3] = bit === 1 ? byte | mask : byte & ~mask;
          expect(bitmap.getBit(offset)).toBe(bit);
        }
        expect(stringOf(bitmap).equals(model)).toBe(true);
      }),
    );
  });

  test("countRange() counts what stands in the string, both ends included", () => {
    fc.assert(
      fc.property(bytesArbitrary(), fc.nat(), fc.nat(), (bytes, a, b) => {
        const first = a % (bytes.length * 8 + 9);
        const last = b % (bytes.length * 8 + 9);
        expect(Bitmap.fromBytes(bytes).countRange(first, last)).toBe(countBits(bytes, first, last));
      }),
    );
  });

  test("position() finds what a search bit by bit finds", () => {
    fc.assert(
      fc.property(bytesArbitrary(), fc.constantFrom<0 | 1>(0, 1), fc.nat(), fc.nat(), (bytes, bit, a, b) => {
        const bits = bytes.length * 8;
        const first = bits === 0 ? 0 : a % bits;
        const last = bits === 0 ? -1 : b % bits;
        expect(Bitmap.fromBytes(bytes).position(bit, first, last)).toBe(findBit(bytes, bit, first, last));
      }),
    );
  });

  test("position() finds the one 0 in a row of ones wherever it is", () => {
    const bits = 3 * 65_536;
    const bitmap = Bitmap.fromBytes(Buffer.alloc(bits / 8, 0xff));
    for (const zero of [0, 1, 7, 8, 65_534, 65_535, 65_536, 65_537, 131_071, 131_072, bits - 2, bits - 1]) {
      bitmap.setBit(zero, 0);
      for (const first of [0, 1, 65_535, 65_536]) {
        if (first <= zero) expect(bitmap.position(0, first, bits - 1)).toBe(zero);
        expect(bitmap.position(0, first, zero - 1)).toBe(-1);
      }
      bitmap.setBit(zero, 1);
    }
  });
});

describe("slices", () => {
  test("together they are the range, none longer than a slice", () => {
    fc.assert(
      fc.property(bytesArbitrary(4 * REPLY_SLICE_BYTES), fc.nat(), fc.nat(), (bytes, a, b) => {
        const start = a % (bytes.length + 1);
        const length = b % (bytes.length - start + 1);
        const slices = pulled(Bitmap.fromBytes(bytes).slices(start, length));
        expect(Buffer.concat(slices).equals(bytes.subarray(start, start + length))).toBe(true);
        expect(slices.every((slice) => slice.length > 0 && slice.length <= REPLY_SLICE_BYTES)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test("they are those of the moment they were asked for, whatever becomes of the value", () => {
    const bytes = noise(3 * REPLY_SLICE_BYTES, 1);
    const bitmap = Bitmap.fromBytes(bytes);
    const slices = bitmap.slices(0, bytes.length);
    const first = slices.next().value as Buffer;
    for (let offset = 0; offset < 8 * bytes.length; offset += 100) bitmap.setBit(offset, offset % 200 === 0 ? 1 : 0);
    bitmap.dispose();
    expect(Buffer.concat([first, ...pulled(slices)]).equals(bytes)).toBe(true);
  });

  describe("free the copy they read from", () => {
    const bytes = noise(MIB, 2);
    const bitmap = Bitmap.fromBytes(bytes);
    // Less than one copy, and more than what the allocator may do beside it.
    const SLACK_BYTES = 128 * 1024;

    test.each<[string, (slices: Iterator<Buffer>) => void]>([
      ["after the last one", (slices) => void pulled(slices)],
      [
        "when they are given up in the middle",
        (slices) => {
          slices.next();
          slices.return?.();
        },
      ],
      // A generator that was not begun runs no `finally` on return(): its copy waits for a garbage collection.
      ["when they are given up before the first", (slices) => void slices.return?.()],
    ])("%s", (_when, use) => {
      const before = Bitmap.usedBytes();
      use(bitmap.slices(0, bytes.length));
      expect(Bitmap.usedBytes()).toBeLessThan(before + SLACK_BYTES);
    });
  });

  test("a slice of a large value does not take a copy of all of it", () => {
    const large = Bitmap.fromBytes(noise(4 * MIB, 3));
    const before = Bitmap.usedBytes();
    const slices = large.slices(0, REPLY_SLICE_BYTES + 1);
    slices.next();
    const taken = Bitmap.usedBytes() - before;
    slices.return?.();
    large.dispose();
    expect(taken).toBeLessThan(MIB);
  });
});

test("a clone goes its own way", () => {
  const bitmap = Bitmap.fromBytes(Buffer.from([0xf0]));
  const clone = bitmap.clone();
  bitmap.setBit(0, 0);
  clone.setBit(20, 1);
  expect(stringOf(bitmap)).toEqual(Buffer.from([0x70]));
  expect(stringOf(clone)).toEqual(Buffer.from([0xf0, 0, 0x08]));
});
