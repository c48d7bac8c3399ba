/** The reader of RDB files, on files made by hand; real ones are in test/migration. Every case comes whole and byte by byte. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compress, compressedBytesMax } from "../../../src/rdb/lzf.js";
import { RdbReader } from "../../../src/rdb/reader.js";
import { RdbError } from "../../../src/rdb/string.js";
import { dice } from "../../support/random.js";
import { BytesBuilder, length, long, type ReadKey, rdbFile, readAll, row, string } from "../../support/rdb-file.js";
import { noise } from "./noise.js";

const NONE = Number.POSITIVE_INFINITY;
const AFTER = row(0, "after", "x");

/** The keys of a file, which must be the same in chunks of every size. */
function keysOf(file: Buffer): ReadKey[] {
  const { keys } = readAll(file);
  for (const chunkBytes of [1, 2, 7]) expect(readAll(file, chunkBytes).keys).toEqual(keys);
  return keys;
}

function lzf(bytes: Buffer): Buffer {
  const out = Buffer.alloc(compressedBytesMax(bytes.length));
  const compressed = out.subarray(0, compress(bytes, out));
  return row(0xc3, length(compressed.length), length(bytes.length), compressed);
}

describe("strings", () => {
  const long14 = "x".repeat(100);
  const zeros = Buffer.alloc(300_000);
  test.each([
    ["nothing", row(""), ""],
    ["a length of 6 bits", row("abc\xff"), "abc\xff"],
    ["a length of 14 bits", row(long14), long14],
    ["a length of 32 bits", row(0x80, 0, 0, 0, 2, Buffer.from("ab")), "ab"],
    ["a length of 64 bits", row(0x81, 0, 0, 0, 0, 0, 0, 0, 2, Buffer.from("ab")), "ab"],
    ["8 bits", row(0xc0, 0x80), "-128"],
    ["16 bits", row(0xc1, 0xff, 0x7f), "32767"],
    ["32 bits", row(0xc2, 0, 0, 0, 0x80), "-2147483648"],
    ["LZF", row(0xc3, 4, 6, 0, 0x61, 0x60, 0), "aaaaaa"],
    ["LZF of nothing but literals", row(0xc3, 4, 3, 2, Buffer.from("abc")), "abc"],
    ["LZF of several pieces", lzf(zeros), zeros.toString("latin1")],
    ["several pieces", string(noise(200_000)), noise(200_000).toString("latin1")],
  ])("%s", (_name, encoded, value) => {
    const keys = keysOf(rdbFile(row(0, "k", encoded, AFTER)));
    expect(keys).toEqual([
      { database: 0, key: "k", deadline: NONE, type: "a string", value },
      { database: 0, key: "after", deadline: NONE, type: "a string", value: "x" },
    ]);
    // Passed over, they end in the same place.
    const reader = new RdbReader();
    reader.feed(rdbFile(row(0, "k", encoded, AFTER)));
    expect(reader.next()).toEqual({ ...keys[0], value: undefined });
    expect(reader.next()).toEqual({ ...keys[1], value: undefined });
    expect([reader.next(), reader.isDone]).toEqual([undefined, true]);
  });

  test("keys are strings of every encoding too", () => {
    const name = "k".repeat(50);
    const keys = keysOf(rdbFile(row(0, 0xc0, 5, "a", 0, lzf(Buffer.from(name)), "b", 0, "", "c")));
    expect(keys.map(({ key }) => key)).toEqual(["5", name, ""]);
  });

  test("LZF of any bytes, in any chunks, in pieces of 64 KiB", () => {
    const bytes = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 100 }),
        fc.tuple(fc.nat(255), fc.nat(70_000)).map(([byte, times]) => Buffer.alloc(times, byte)),
        fc
          .tuple(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(300))
          .map(([of, n]) => Buffer.concat(Array(n).fill(of))),
      ),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: 5000 }), (parts, chunkBytes) => {
        const value = Buffer.concat(parts);
        const { keys } = readAll(rdbFile(row(0, "k", lzf(value), AFTER)), chunkBytes);
        expect(keys.map((key) => key.value)).toEqual([value.toString("latin1"), "x"]);
      }),
    );
  });

  test("pieces begin where 64 KiB of the string do, wherever the chunks end", () => {
    const lengths: number[] = [];
    const reader = new RdbReader(() => ({
      ...new BytesBuilder(),
      append: ({ length: n }) => lengths.push(n),
      finish: () => n(),
      dispose: () => {},
    }));
    const n = () => lengths.length;
    const file = rdbFile(row(0, "k", string(noise(200_000))));
    for (let start = 0; start < file.length; start += 50_000) {
      reader.feed(file.subarray(start, start + 50_000));
      reader.next();
    }
    expect(lengths).toEqual([65_536, 65_536, 65_536, 200_000 - 3 * 65_536]);
  });

  test("one of more than 512 MiB is named and passed over", () => {
    // In LZF, since 6 MB can say so much: a byte of 0, and copies of it.
    const COPIES = 2 ** 21;
    const body = Buffer.concat([Buffer.of(0, 0), Buffer.alloc(COPIES * 3, Buffer.of(0xe0, 0xff, 0))]);
    const bytes = 1 + COPIES * 264;
    const file = rdbFile(row(0, "k", 0xc3, length(body.length), length(bytes), body, AFTER), { checksum: "off" });
    expect(readAll(file, 65_536).keys.map(({ type, value }) => [type, value])).toEqual([
      ["a string of more than 512 MB", undefined],
      ["a string", "x"],
    ]);
  });
});

/** A stream: one node; 1 entry, the last of 5-1; a group with one pending entry, whose consumer has it. */
function stream(type: 15 | 19 | 21): Buffer {
  const id = Buffer.alloc(16, 7);
  const end = type === 15 ? row(1, 5, 1) : row(1, 5, 1, 5, 1, 0, 0, 1);
  const group = type === 15 ? row("group", 5, 1) : row("group", 5, 1, 1);
  const times = type === 21 ? row(long(9), long(9)) : long(9);
  return row(1, id.length, id, "listpack", end, 1, group, 1, id, long(9), 1, 1, "consumer", times, 1, id);
}

/** A value of each type, by its number. */
const VALUES: [type: number, name: string, value: Buffer][] = [
  [1, "a list", row(2, "a", 0xc0, 7)],
  [2, "a set", row(2, "a", "b")],
  [3, "a sorted set", row(4, "a", 3, Buffer.from("1.5"), "b", 253, "c", 254, "d", 255)],
  [4, "a hash", row(2, "f", "v", "g", lzf(Buffer.alloc(99)))],
  [5, "a sorted set", row(1, "a", long(1))],
  [7, "a module's value", row(0x81, long(77), 2, 5, 1, 9, 3, Buffer.alloc(4), 4, long(1), 5, "string", 0)],
  [9, "a hash", row("zipmap")],
  [10, "a list", row("ziplist")],
  [11, "a set", row("intset")],
  [12, "a sorted set", row("ziplist")],
  [13, "a hash", row("ziplist")],
  [14, "a list", row(2, "ziplist", lzf(Buffer.alloc(99)))],
  [15, "a stream", stream(15)],
  [16, "a hash", row("listpack")],
  [17, "a sorted set", row("listpack")],
  [18, "a list", row(2, 1, "plain", 2, "listpack")],
  [19, "a stream", stream(19)],
  [20, "a set", row("listpack")],
  [21, "a stream", stream(21)],
  [22, "a hash", row(2, 0, "f", "v", 0x81, long(5), "g", "w")],
  [23, "a hash", row("listpack")],
  [24, "a hash", row(long(99), 2, 0, "f", "v", 1, "g", "w")],
  [25, "a hash", row(long(99), "listpack")],
];

describe("other types are named and passed over", () => {
  test.each(VALUES)("%i, %s", (type, name, value) => {
    const file = rdbFile(row(252, long(1234), type, "k", value, AFTER), { version: 12 });
    expect(keysOf(file)).toEqual([
      { database: 0, key: "k", deadline: 1234, type: name, value: undefined },
      { database: 0, key: "after", deadline: NONE, type: "a string", value: "x" },
    ]);
  });

  test("one with many elements, in few bytes at a time", () => {
    const elements = Array.from({ length: 20_000 }, (_, i) => string(`element ${i}`));
    expect(keysOf(rdbFile(row(2, "k", length(elements.length), ...elements, AFTER))).map(({ key }) => key)).toEqual([
      "k",
      "after",
    ]);
  });
});

describe("between keys", () => {
  test("databases and deadlines", () => {
    const file = rdbFile(
      row(
        254,
        0,
        251,
        2,
        1,
        253,
        0xff,
        0xff,
        0xff,
        0x7f,
        0,
        "s",
        "a",
        252,
        long(1_800_000_000_123),
        248,
        9,
        0,
        "ms",
        "b",
        254,
        15,
        249,
        255,
        0,
        "none",
        "c",
      ),
    );
    expect(keysOf(file).map(({ database, key, deadline }) => [database, key, deadline])).toEqual([
      [0, "s", 2147483647000],
      [0, "ms", 1_800_000_000_123],
      [15, "none", NONE],
    ]);
  });

  test("what is no key's: fields of the head, functions, modules, slots", () => {
    const body = row(
      ...[
        250,
        "redis-ver",
        "7.4.0",
        250,
        "lua",
        "return 1",
        250,
        "repl-offset",
        0xc1,
        0x10,
        0x27,
        250,
        "repl-id",
        "abc",
      ],
      ...[245, "#!lua", 246, "name", "lua", 1, "text", "code", 246, "name", "lua", 0, "code"],
      ...[247, 0x81, long(77), 2, 1, 5, "of a module", 1, 5, 0, 244, 12, 3, 4],
      AFTER,
    );
    const { keys, reader } = readAll(rdbFile(body, { version: 12 }));
    expect(keysOf(rdbFile(body, { version: 12 }))).toEqual(keys);
    expect(keys.length).toBe(1);
    expect([...reader.aux]).toEqual([
      ["redis-ver", "7.4.0"],
      ["repl-offset", "10000"],
      ["repl-id", "abc"],
    ]);
    expect([reader.functions, reader.version]).toEqual([3, 12]);
  });
});

describe("the end", () => {
  test.each([1, 2, 3, 4])("of version %i has no checksum", (version) => {
    const file = rdbFile(AFTER, { version });
    expect(keysOf(file).length).toBe(1);
    expect(readAll(file).reader.hasChecksum).toBe(false);
  });

  test("has a checksum, or zeros where that is switched off", () => {
    expect(readAll(rdbFile(AFTER, { version: 5 })).reader.hasChecksum).toBe(true);
    expect(readAll(rdbFile(AFTER, { checksum: "off" })).reader.hasChecksum).toBe(false);
  });

  test.each([1, 5, 1000])("what follows is left, in chunks of %i bytes", (chunkBytes) => {
    const file = rdbFile(AFTER);
    const all = Buffer.concat([file, Buffer.from("*1\r\n$4\r\nPING\r\n")]);
    const reader = new RdbReader(() => new BytesBuilder());
    let at = 0;
    for (; !reader.isDone; at += chunkBytes) {
      reader.feed(all.subarray(at, at + chunkBytes));
      while (reader.next() !== undefined);
    }
    expect(reader.offset).toBe(file.length);
    expect(Buffer.concat([reader.rest, all.subarray(at)]).toString()).toBe("*1\r\n$4\r\nPING\r\n");
    reader.end();
  });
});

describe("what is wrong is an RdbError that names the byte", () => {
  const whole = rdbFile(AFTER);
  const spoilt = Buffer.from(whole);
  spoilt[12] = 0x41;
  test.each([
    ["nothing", Buffer.alloc(0), "at byte 0: it is cut off"],
    ["something else", Buffer.from("SQLite format 3"), "at byte 9: it is no RDB of Redis'"],
    ["a version of no number", Buffer.from("REDISabcd"), "at byte 9: it is no RDB of Redis'"],
    [
      "a newer version",
      rdbFile(AFTER, { version: 13 }),
      "at byte 9: it is of version 13, and only 1 to 12 can be read",
    ],
    ["version 0", rdbFile(AFTER, { version: 0 }), "at byte 9: it is of version 0, and only 1 to 12 can be read"],
    ["an unknown type", rdbFile(row(26, "k", "v")), "at byte 10: unknown type 26"],
    ["a module's type before 4.0", rdbFile(row(6, "k", "v")), "at byte 10: unknown type 6"],
    ["an unknown opcode", rdbFile(row(243, "k", "v")), "at byte 10: unknown type 243"],
    ["a length of no kind", rdbFile(row(0, 0x82)), "at byte 10: 130 begins no length"],
    ["an encoding of no kind", rdbFile(row(0, "k", 0xc4)), "at byte 13: unknown string encoding 4"],
    ["an encoding for a length", rdbFile(row(1, "k", 0xc0)), "at byte 13: an encoding where a length should be"],
    ["a module's value of no kind", rdbFile(row(7, "k", 1, 6)), "at byte 14: unknown kind 6 of a module's value"],
    ["LZF from before the string", rdbFile(row(0, "k", 0xc3, 4, 6, 0, 0x61, 0x60, 1)), "copies from before its string"],
    ["LZF that is shorter", rdbFile(row(0, "k", 0xc3, 4, 7, 0, 0x61, 0x60, 0)), "LZF of another length than it says"],
    ["LZF that is cut off", rdbFile(row(0, "k", 0xc3, 2, 7, 9, 0x61)), "LZF that is cut off"],
    [
      "LZF of more than can be",
      rdbFile(row(0, "k", 0xc3, 2, 0x80, 0x20, 0, 0, 0, 0, 0x61)),
      "LZF of 536870912 bytes in 2",
    ],
    [
      "LZF that is longer",
      rdbFile(row(0, "k", 0xc3, length(3001), 5, 0, 0, Buffer.alloc(3000, Buffer.of(0xe0, 255, 0)))),
      "LZF of more than it says",
    ],
    ["LZF that is longer by one", rdbFile(row(0, "k", 0xc3, 4, 5, 0, 0x61, 0x60, 0)), "LZF of more than it says"],
    ["a changed byte", spoilt, `at byte ${whole.length}: the checksum is not that of what was read`],
    ["a name of 600 MB", rdbFile(row(0, 0x80, 0x24, 0, 0, 0, "k")), "at byte 15: a name of 603979776 bytes"],
  ])("%s", (_name, file, message) => {
    for (const chunkBytes of [Math.max(file.length, 1), 1]) {
      expect(() => readAll(file, chunkBytes)).toThrow(RdbError);
      expect(() => readAll(file, chunkBytes)).toThrow(message);
    }
  });

  test("a size that is claimed takes no memory until the bytes are there", () => {
    const before = process.memoryUsage();
    for (const claim of [
      row(0, "k", 0x80, 0x20, 0, 0, 0),
      row(0, 0x80, 0x20, 0, 0, 0),
      row(1, "k", 0x81, Buffer.alloc(8, 0xff)),
    ]) {
      const reader = new RdbReader(() => new BytesBuilder());
      for (const chunk of [rdbFile(claim).subarray(0, -9), Buffer.alloc(1000)]) {
        reader.feed(chunk);
        expect(reader.next()).toBeUndefined();
      }
      expect(() => reader.end()).toThrow("it is cut off");
    }
    const after = process.memoryUsage();
    expect(after.arrayBuffers + after.heapUsed - before.arrayBuffers - before.heapUsed).toBeLessThan(16 * 2 ** 20);
  });

  test("who stops in the middle of a string lets go of it", () => {
    let disposed = 0;
    const reader = new RdbReader(() => ({ append: () => {}, finish: () => 0, dispose: () => disposed++ }));
    reader.feed(rdbFile(row(0, "k", 0x80, 0x20, 0, 0, 0)));
    expect(reader.next()).toBeUndefined();
    expect(disposed).toBe(0);
    reader.dispose();
    expect(disposed).toBe(1);
  });
});

/** A small file with a value of every type. */
const everything = row(
  ...[250, "redis-ver", "7.4.0", 254, 0, 251, 30, 1],
  ...VALUES.map(([type, , value]) => row(type, `key ${type}`, value)),
  ...[
    252,
    long(1_800_000_000_123),
    0,
    "lzf",
    lzf(Buffer.alloc(3000)),
    254,
    3,
    0,
    0xc0,
    5,
    0xc1,
    1,
    1,
    245,
    "#!lua",
    0,
    "raw",
    string(noise(90)),
  ],
);

describe("damage", () => {
  test("of any bit of a file with a checksum is an error", () => {
    const file = rdbFile(everything, { version: 12 });
    expect(readAll(file).keys.length).toBe(VALUES.length + 3);
    for (let bit = 0; bit < file.length * 8; bit++) {
      const flipped = Buffer.from(file);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      // Of version 2 it is fine, but for a checksum that such have not: whoever reads a file must see that something follows.
      if (flipped.toString("latin1", 5, 9) === "0002") expect(readAll(flipped).reader.rest.length).toBe(8);
      else expect(() => readAll(flipped), `bit ${bit}`).toThrow(RdbError);
    }
  });

  test("of any byte of a file without one is an error, or ends in time", () => {
    const random = dice("damaged RDB without a checksum");
    const file = rdbFile(everything, { version: 12, checksum: "off" });
    for (let at = 0; at < file.length; at++) {
      const damaged = Buffer.from(file);
      damaged[at] = random.int(0, 255);
      try {
        readAll(damaged, random.pick([1, 7, file.length]));
      } catch (error) {
        expect(error, `byte ${at}`).toBeInstanceOf(RdbError);
      }
    }
  });

  test("a file that is cut off anywhere is an error", () => {
    const file = rdbFile(everything, { version: 12 });
    for (let bytes = 0; bytes < file.length; bytes++) {
      expect(() => readAll(file.subarray(0, bytes)), `${bytes} bytes`).toThrow(`at byte ${bytes}: it is cut off`);
    }
  });
});
