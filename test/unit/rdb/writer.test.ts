/** What is written is read again; that Redis reads it is in test/migration. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { LongString } from "../../../src/rdb/string.js";
import { RdbWriter, type WrittenKey } from "../../../src/rdb/writer.js";
import { readAll } from "../../support/rdb-file.js";
import { noise } from "./noise.js";

const SLICE_BYTES = 65_536;

/** How often the slices of a string were asked for. */
interface Counted extends LongString {
  passes: number;
}

/** `bytes` in slices; zeros are one buffer, so that they take no memory. */
function stringOf(bytes: Uint8Array): Counted {
  const string = {
    byteLength: bytes.length,
    passes: 0,
    bytes: (start: number, length: number) => Buffer.from(bytes.subarray(start, start + length)),
    *slices(start: number, length: number) {
      string.passes++;
      for (let at = start; at < start + length; at += SLICE_BYTES) {
        yield string.bytes(at, Math.min(SLICE_BYTES, start + length - at));
      }
    },
  };
  return string;
}

function written(keys: readonly (WrittenKey & { string: LongString })[]): Buffer {
  const writer = new RdbWriter();
  const pieces = [writer.head({ "redis-ver": "7.0.15" })];
  for (const key of keys) pieces.push(...writer.key(key, key.string));
  return Buffer.concat([...pieces, writer.end()]);
}

const keys = fc.array(
  fc.record({
    database: fc.nat(70_000),
    key: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    deadline: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.nat(2 ** 45)),
    value: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300, max: 1 }),
      fc.integer().map((n) => Buffer.from(String(n))),
      fc.nat(200_000).map((n) => new Uint8Array(n)),
    ),
  }),
  { maxLength: 8 },
);

test("what is written is read again: keys of any database, with and without a deadline", () => {
  fc.assert(
    fc.property(keys, (given) => {
      const file = written(given.map(({ value, ...key }) => ({ ...key, string: stringOf(value) })));
      const { keys: read, reader } = readAll(file, 4096);
      expect(read).toEqual(
        given.map(({ value, ...key }) => ({ ...key, type: "a string", value: Buffer.from(value).toString("latin1") })),
      );
      expect([reader.version, reader.hasChecksum, reader.aux.get("redis-ver")]).toEqual([7, true, "7.0.15"]);
    }),
  );
});

const BARE = { database: 0, key: "k", deadline: Number.POSITIVE_INFINITY };

test("a value of few bits that are everywhere is compressed twice and not held", () => {
  const bytes = new Uint8Array(24 * 2 ** 20);
  for (let i = 0; i < bytes.length; i += 999) bytes[i] = i;
  const string = stringOf(bytes);
  const file = written([{ ...BARE, string }]);
  expect(string.passes).toBe(2);
  expect(file.length).toBeLessThan(bytes.length / 30);
  expect(readAll(file, SLICE_BYTES).keys[0]?.value === Buffer.from(bytes).toString("latin1")).toBe(true);
});

test("a value that can't be compressed is tried for a megabyte", () => {
  const string = stringOf(noise(3_000_000));
  const file = written([{ ...BARE, string }]);
  expect(string.passes).toBe(2);
  expect(file.length).toBeGreaterThan(3_000_000);
  expect(file.length).toBeLessThan(3_000_100);
});
