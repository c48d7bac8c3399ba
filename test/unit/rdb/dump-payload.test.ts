/** Strings as DUMP gives them and RESTORE takes them. The payloads that are written out are redis-server 7.0.15's. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { Crc64 } from "../../../src/rdb/crc64.js";
import { DumpPayload, isWhole, restored } from "../../../src/rdb/dump-payload.js";
import { RdbError } from "../../../src/rdb/string.js";
import { restoredString } from "../../support/restored-string.js";
import { noise } from "./noise.js";

function dumped(bytes: Uint8Array): Buffer {
  const bitmap = Bitmap.fromBytes(bytes);
  const payload = new DumpPayload(bitmap);
  bitmap.dispose();
  const pieces: Buffer[] = [];
  for (let next = payload.next(); next.done !== true; next = payload.next()) pieces.push(next.value);
  const whole = Buffer.concat(pieces);
  expect(whole.length).toBe(payload.byteLength);
  return whole;
}

/** A payload with whatever is to be read, and a footer that is right. */
function payloadOf(body: readonly number[], version = 10): Buffer {
  const bytes = Buffer.from([...body, version & 0xff, version >> 8]);
  return Buffer.concat([bytes, new Crc64().update(bytes).digest()]);
}

describe("DUMP", () => {
  test.each([
    ["5", "c005"],
    ["-128", "c080"],
    ["-129", "c17fff"],
    ["32767", "c1ff7f"],
    ["32768", "c200800000"],
    ["-2147483648", "c200000080"],
    ["2147483648", "0a32313437343833363438"],
    ["-0", "022d30"],
    ["007", "03303037"],
    ["1e3", "03316533"],
    ["", "00"],
  ])("of %j is an integer where Redis makes it one", (string, hex) => {
    expect(dumped(Buffer.from(string)).subarray(1, -10).toString("hex")).toBe(hex);
  });

  test("of 5 is what redis-server gives, to the byte", () => {
    expect(dumped(Buffer.from("5"))).toEqual(payloadOf([0, 0xc0, 5]));
    expect(dumped(Buffer.from("5")).toString("hex")).toBe("00c0050a00632f5f66832fb351");
  });

  test("of what can't be compressed has its bytes as they are", () => {
    const bytes = noise(20_000);
    expect(dumped(bytes).subarray(0, 6)).toEqual(Buffer.of(0, 0x80, 0, 0, 0x4e, 0x20));
    expect(dumped(bytes).subarray(6, -10).equals(bytes)).toBe(true);
  });

  test("of a value of few bits is small however long it is", () => {
    const bytes = Buffer.alloc(6_000_000);
    for (let i = 0; i < 1000; i++) bytes[i * 5987] = 0x10;
    expect(dumped(bytes).length).toBeLessThan(80_000);
    expect(restoredString(dumped(bytes)).equals(bytes)).toBe(true);
  });

  test("lets go of the value when nobody wants the rest", () => {
    const COPY_BYTES = 200_000;
    const before = Bitmap.usedBytes();
    const bitmap = Bitmap.fromMembers(
      Uint32Array.from({ length: 100_000 }, (_, i) => i * 3 + (i % 2)),
      40_000,
    );
    const payload = new DumpPayload(bitmap);
    bitmap.dispose();
    payload.next();
    payload.return();
    expect(payload.next().done).toBe(true);
    expect(Bitmap.usedBytes()).toBeLessThan(before + COPY_BYTES / 10);
  });
});

test("what was dumped is whole, and is restored", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 300, max: 1 }),
    fc.integer().map((n) => Buffer.from(String(n))),
    fc
      .tuple(fc.nat(200_000), fc.uint8Array({ maxLength: 20 }))
      .map(([n, end]) => Buffer.concat([Buffer.alloc(n), end])),
  );
  fc.assert(
    fc.property(bytes, (string) => {
      const payload = dumped(string);
      expect(isWhole(payload)).toBe(true);
      expect(restoredString(payload).equals(string)).toBe(true);
    }),
  );
});

describe("a payload is whole", () => {
  test("when no bit of it was changed", () => {
    const payload = dumped(Buffer.from("some string of a certain length"));
    for (let bit = 0; bit < payload.length * 8; bit++) {
      const changed = Buffer.from(payload);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(isWhole(changed)).toBe(false);
    }
  });

  test.each([
    [0, true],
    [9, true],
    [10, true],
    [11, true],
    [12, false],
    [256, false],
  ])("of version %i: %j", (version, whole) => {
    expect(isWhole(payloadOf([0, 1, 0x61], version))).toBe(whole);
  });

  test("of 10 bytes at least", () => {
    expect(isWhole(Buffer.alloc(9))).toBe(false);
    expect(isWhole(Buffer.alloc(10))).toBe(true);
  });
});

describe("RESTORE reads", () => {
  test.each([
    ["a length of 6 bits", [3, 0x61, 0x62, 0x63], "abc"],
    ["a length of 14 bits", [0x40, 3, 0x61, 0x62, 0x63], "abc"],
    ["a length of 32 bits", [0x80, 0, 0, 0, 3, 0x61, 0x62, 0x63], "abc"],
    ["a length of 64 bits", [0x81, 0, 0, 0, 0, 0, 0, 0, 3, 0x61, 0x62, 0x63], "abc"],
    ["an integer of 8 bits", [0xc0, 0xff], "-1"],
    ["an integer of 16 bits", [0xc1, 0, 0x80], "-32768"],
    ["an integer of 32 bits", [0xc2, 1, 0, 0, 0x80], "-2147483647"],
    ["LZF", [0xc3, 4, 6, 0, 0x61, 0x60, 0], "aaaaaa"],
    ["LZF of lengths that are an encoding's", [0xc3, 0xc4, 0xc6, 0, 0x61, 0x60, 0], "aaaaaa"],
    ["a string with more behind it", [1, 0x61, 0x62, 0x63], "a"],
    ["a string that ends in the footer", [3, 0x61], "a\x0a\x00"],
  ])("%s", (_name, body, string) => {
    expect(restoredString(payloadOf([0, ...body])).toString("latin1")).toBe(string);
  });

  test("what is compressed in pieces of 64 KiB, so that a large string is never held", () => {
    const lengths: number[] = [];
    const builder = {
      append: ({ length }: Uint8Array) => void lengths.push(length),
      finish: () => {},
      dispose: () => {},
    };
    restored(dumped(Buffer.alloc(200_000)), builder);
    expect(lengths).toEqual([65_536, 65_536, 65_536, 3392]);
  });

  test("on when a string before it was none", () => {
    const bytes = Buffer.alloc(200_000, "ab");
    const broken = payloadOf([0, 0xc3, 4, 7, 0, 0x61, 0x60, 0]);
    expect(() => restoredString(broken)).toThrow(RdbError);
    expect(restoredString(dumped(bytes)).equals(bytes)).toBe(true);
  });

  test.each([
    ["another type", [1, 1, 0x61]],
    ["a length of no kind", [0, 0x82, 0, 0, 0, 0]],
    ["an encoding of no kind", [0, 0xc4, 0]],
    ["a string that is cut off", [0, 60, 0x61]],
    ["a length without end", [0, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ["LZF that is none", [0, 0xc3, 2, 2, 5, 0x61]],
    ["LZF that is too short", [0, 0xc3, 2, 2, 0, 0x61]],
    ["LZF of more than can come of it", [0, 0xc3, 2, 0x80, 0x20, 0, 0, 0, 0, 0x61]],
  ])("no %s", (_name, body) => {
    expect(() => restoredString(payloadOf(body))).toThrow(RdbError);
  });
});
