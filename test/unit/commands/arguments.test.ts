/** Reading arguments: times into deadlines, with Redis' limits, and ranges into places of a sequence. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { clampRange, databaseArg, integerArg, offsetArg } from "../../../src/commands/args.js";
import { deadlineArg } from "../../../src/commands/keys/deadline.js";
import { CommandError } from "../../../src/errors.js";
import { Argv } from "../../../src/resp/argv.js";
import { START_MS, TestServer } from "./harness.js";

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);
const SECONDS_MAX = INT64_MAX / 1000n;
/** C rounds towards zero, so the least number of seconds is no further away than the largest. */
const SECONDS_MIN = INT64_MIN / 1000n;
const KEPT_MAX = Number.MAX_SAFE_INTEGER;

type Unit = "s" | "ms";

function deadline(text: string | bigint, unit: Unit, basisMs: number, options: { positive?: boolean } = {}): number {
  return deadlineArg(Argv.of(String(text)), 0, unit, basisMs, "expire", options);
}

describe("deadlineArg()", () => {
  test.each<[string, Unit, number, number]>([
    ["0", "s", 0, 0],
    ["10", "s", START_MS, START_MS + 10_000],
    ["-10", "s", START_MS, START_MS - 10_000],
    ["1700000000", "s", 0, START_MS],
    ["10", "ms", START_MS, START_MS + 10],
    ["1000000000000", "s", START_MS, 1e15 + START_MS],
    ["1000000000001", "s", START_MS, 1e15 + 1000 + START_MS],
    ["-1000000000001", "s", START_MS, -1e15 - 1000 + START_MS],
  ])("%s %s from %i on is %i", (text, unit, basisMs, expected) => {
    expect(deadline(text, unit, basisMs)).toBe(expected);
  });

  test("is exact wherever a number is", () => {
    const seconds = fc.bigInt({ min: -(2n ** 53n) / 1000n + 2n ** 31n, max: 2n ** 53n / 1000n - 2n ** 31n });
    fc.assert(
      fc.property(seconds, fc.nat(2 ** 31), (time, basisMs) => {
        expect(deadline(time, "s", basisMs)).toBe(Number(time * 1000n + BigInt(basisMs)));
        expect(deadline(time * 1000n, "ms", basisMs)).toBe(Number(time * 1000n + BigInt(basisMs)));
      }),
    );
  });

  test("beyond 2^53 is kept as the last exact number, on both sides", () => {
    expect(deadline(SECONDS_MAX, "s", 0)).toBe(KEPT_MAX);
    expect(deadline(INT64_MAX, "ms", 0)).toBe(KEPT_MAX);
    expect(deadline(SECONDS_MIN, "s", 0)).toBe(-KEPT_MAX);
    expect(deadline(2n ** 53n, "ms", 0)).toBe(KEPT_MAX);
    expect(deadline(2n ** 53n - 1n, "ms", 0)).toBe(KEPT_MAX);
  });

  test.each<[string, bigint, Unit, number]>([
    ["a second too many", SECONDS_MAX + 1n, "s", 0],
    ["a second too few", SECONDS_MIN - 1n, "s", 0],
    ["seconds that are too many with the time of day", SECONDS_MAX, "s", START_MS],
    ["milliseconds that are too many with the time of day", INT64_MAX - BigInt(START_MS) + 1n, "ms", START_MS],
  ])("%s does not fit into 64 bits", (_what, time, unit, basisMs) => {
    expect(() => deadline(time, unit, basisMs)).toThrow("ERR invalid expire time in 'expire' command");
  });

  test("the last millisecond that fits is taken, and the very first", () => {
    expect(deadline(INT64_MAX - BigInt(START_MS), "ms", START_MS)).toBe(KEPT_MAX);
    // Redis 7.0.15 answers :1 to PEXPIRE k -9223372036854775808: milliseconds need no multiplication that could overflow.
    expect(deadline(INT64_MIN, "ms", START_MS)).toBe(-KEPT_MAX);
    expect(deadline(INT64_MIN, "ms", 0)).toBe(-KEPT_MAX);
  });

  test.each(["", " 1", "1 ", "+1", "01", "-0", "1.5", "1e3", "ten", `${INT64_MAX + 1n}`, `${INT64_MIN - 1n}`, "0x10"])(
    "%j is no integer",
    (text) => {
      expect(() => deadline(text, "s", 0)).toThrow("ERR value is not an integer or out of range");
      expect(() => deadline(text, "ms", 0, { positive: true })).toThrow("ERR value is not an integer or out of range");
    },
  );

  test("must be above 0 where SET asks", () => {
    for (const time of ["0", "-1", `${INT64_MIN}`]) {
      expect(() => deadline(time, "s", START_MS, { positive: true })).toThrow("ERR invalid expire time");
      expect(() => deadline(time, "ms", START_MS, { positive: true })).toThrow("ERR invalid expire time");
    }
    expect(deadline("1", "s", START_MS, { positive: true })).toBe(START_MS + 1000);
    expect(deadline("1", "ms", 0, { positive: true })).toBe(1);
  });
});

describe("clampRange()", () => {
  /** Redis' steps, as they stand in getrangeCommand. */
  function redisClamp(start: number, end: number, length: number): [number, number] {
    if (start < 0) start = length + start;
    if (end < 0) end = length + end;
    if (start < 0) start = 0;
    if (end < 0) end = 0;
    if (end >= length) end = length - 1;
    return [start, end];
  }

  test("does what Redis does, for indexes anywhere", () => {
    const index = fc.oneof(
      fc.integer({ min: -12, max: 12 }),
      fc.constantFrom(-(2 ** 32), 2 ** 32, -(2 ** 53), 2 ** 53, -(2 ** 63), 2 ** 63),
    );
    fc.assert(
      fc.property(index, index, fc.nat(10), (start, end, length) => {
        const { first, last } = clampRange(start, end, length);
        expect([first, last]).toEqual(redisClamp(start, end, length));
      }),
      { numRuns: 2000 },
    );
  });

  test("selects what slicing selects, where it selects anything", () => {
    const sequence = [..."abcdefghij"];
    for (let start = -12; start <= 12; start++) {
      for (let end = -12; end <= 12; end++) {
        const { first, last } = clampRange(start, end, sequence.length);
        const from = Math.max(start < 0 ? 10 + start : start, 0);
        const to = end < 0 ? Math.max(10 + end, 0) : end;
        expect(sequence.slice(first, last + 1)).toEqual(sequence.slice(from, to + 1));
      }
    }
  });

  test("of an empty sequence selects nothing", () => {
    for (const [start, end] of [
      [0, -1],
      [0, 0],
      [-1, -1],
      [5, 9],
    ] as const) {
      const { first, last } = clampRange(start, end, 0);
      expect(first).toBeGreaterThan(last);
    }
  });
});

describe("numbers", () => {
  test.each(["0", "7", "4294967295"])("offset %s is one", (text) => {
    expect(offsetArg(Argv.of(text), 0)).toBe(Number(text));
  });

  test.each(["", "-1", "007", "+1", "1.0", " 1", "4294967296", "18446744073709551616", "0x1", "1\0"])(
    "offset %j is none",
    (text) => {
      expect(() => offsetArg(Argv.of(text), 0)).toThrow("ERR bit offset is not an integer or out of range");
    },
  );

  test("an index of 64 bits is taken as the nearest number, a longer one is refused", () => {
    expect(integerArg(Argv.of(`${INT64_MAX}`), 0)).toBe(2 ** 63);
    expect(integerArg(Argv.of(`${INT64_MIN}`), 0)).toBe(-(2 ** 63));
    expect(() => integerArg(Argv.of(`${INT64_MAX + 1n}`), 0)).toThrow(CommandError);
  });

  test("a database is 0 to 15", () => {
    const { client } = new TestServer().connect();
    for (let number = 0; number < 16; number++) {
      expect(databaseArg(client, Argv.of(String(number)), 0)).toBe(client.server.keyspace.databases[number]);
    }
    for (const text of ["16", "-1", "1000"]) {
      expect(() => databaseArg(client, Argv.of(text), 0)).toThrow("ERR DB index is out of range");
    }
  });
});
