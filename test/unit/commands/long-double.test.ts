/** INCRBYFLOAT's numbers: what redis-server 7.0.15 answers on x86-64, and what must hold of any. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addLongDoubles,
  formatLongDouble,
  type LongDouble,
  parseLongDouble,
} from "../../../src/commands/strings/long-double.js";

const parsed = (text: string): LongDouble => parseLongDouble(text) as LongDouble;
const formatted = (text: string): string => formatLongDouble(parsed(text));

function sum(a: string, b: string): string | undefined {
  const value = addLongDoubles(parsed(a), parsed(b));
  return value && formatLongDouble(value);
}

test.each([
  ["10.50", "0.1", "10.6"],
  ["5.0e3", "2.0e2", "5200"],
  ["0.1", "0.2", "0.3"],
  ["3.0e3", "200", "3200"],
  ["1", "1e-17", "1.00000000000000001"],
  ["1", "1e-18", "1"],
  ["1e-17", "-15e-18", "-0.00000000000000001"],
  ["1e-30", "-1e-29", "0"],
  ["3e-18", "3e-18", "0.00000000000000001"],
  ["36893488147419103233", "0", "36893488147419103232"],
  ["36893488147419103235", "0", "36893488147419103236"],
  ["1e20", "0.1", "100000000000000000000"],
  ["17179869184", "1.5", "17179869185.5"],
  ["-0", "-0.0", "0"],
  ["0x1p-3", "0", "0.125"],
  ["9223372036854775807", "1", "9223372036854775808"],
  ["18446744073709551615", "2", "18446744073709551616"],
  ["18446744073709551615", "3", "18446744073709551618"],
  ["0.1", "0", "0.1"],
  ["123456789.123456789", "0", "123456789.12345678899873747"],
])("%s + %s is %s", (a, b, expected) => {
  expect(sum(a, b)).toBe(expected);
});

test.each([
  "",
  " 1",
  "1 ",
  "1\0",
  "\n1",
  ".",
  "e5",
  "1e",
  "1e+",
  "0x",
  "0x.",
  "0xp1",
  "--1",
  "1_0",
  "1,5",
  "nan",
  "-NaN",
  "nan(1)",
  "infinit",
])("%j is no number", (text) => {
  expect(parseLongDouble(text)).toBeUndefined();
});

test("what is too large, or too small and not 0, is no number either, and takes no time to find out", () => {
  for (const text of [
    "1e4933",
    "-1e4933",
    "1e-4952",
    "0x1p16384",
    "0x1p-16447",
    "0x1p-16446",
    "1e99999999999",
    "1e-99999999999",
  ]) {
    expect(parseLongDouble(text)).toBeUndefined();
  }
  expect(parseLongDouble(`1${"0".repeat(5200)}`)).toBeUndefined();
  for (const text of ["1e4932", "0x1p16383", "3.6e-4951", "0x1.8p-16446", "0e99999999999", `${"0".repeat(5000)}1`]) {
    expect(parseLongDouble(text)).toBeDefined();
  }
});

test("an infinity is read, and gives no sum", () => {
  for (const text of ["inf", "-inf", "+INF", "Infinity"]) {
    expect(parseLongDouble(text)).toBeDefined();
    expect(sum(text, "1")).toBeUndefined();
    expect(sum(text, "-inf")).toBeUndefined();
  }
  expect(sum("1.18973149535723176502e4932", "1.18973149535723176502e4932")).toBeUndefined();
});

describe("any number", () => {
  const int63 = fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n });
  const double = fc.double({ noNaN: true, noDefaultInfinity: true });

  test("that is an integer of 63 bits is exact, and so is its sum with another", () => {
    fc.assert(
      fc.property(int63, int63, (a, b) => {
        expect(formatted(String(a))).toBe(String(a));
        expect(sum(String(a), String(b))).toBe(String(a + b));
      }),
    );
  });

  test("below 64 comes back as it was written, up to 17 digits behind the point", () => {
    const decimal = fc
      .integer({ min: 1, max: 17 })
      .chain((digits) => fc.tuple(fc.bigInt({ min: 1n, max: 64n * 10n ** BigInt(digits) - 1n }), fc.constant(digits)))
      .filter(([n]) => n % 10n !== 0n);
    fc.assert(
      fc.property(decimal, ([n, digits]) => {
        const all = String(n).padStart(digits + 1, "0");
        const text = `${all.slice(0, -digits)}.${all.slice(-digits)}`;
        expect(formatted(text)).toBe(text);
        expect(formatted(`-${text}`)).toBe(`-${text}`);
        expect(formatted(`${n}e-${digits}`)).toBe(text);
      }),
    );
  });

  test("has at most 64 bits, and is as near to its text as a double", () => {
    fc.assert(
      fc.property(double, (value) => {
        const { significand, exponent } = parsed(String(value));
        expect((significand < 0n ? -significand : significand) <= 2n ** 64n).toBe(true);
        if (Math.abs(exponent) > 900) return;
        expect(Math.abs(Number(significand) * 2 ** exponent - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -52);
      }),
    );
  });

  test("plus another is the same the other way round", () => {
    fc.assert(
      fc.property(double, double, (a, b) => {
        expect(sum(String(a), String(b))).toBe(sum(String(b), String(a)));
      }),
    );
  });
});
