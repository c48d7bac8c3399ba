/** BITFIELD's integers against plain arithmetic: what fits is itself, what does not is cut, limited or refused. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  cutToField,
  decodeField,
  encodeField,
  type FieldType,
  fieldType,
  incrementField,
} from "../../../src/commands/bitmaps/field.js";

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

const TYPES = [
  ...Array.from({ length: 64 }, (_, i) => `i${i + 1}`),
  ...Array.from({ length: 63 }, (_, i) => `u${i + 1}`),
].map((text) => fieldType(text) as FieldType);

function limits({ isSigned, width }: FieldType): [bigint, bigint] {
  return isSigned ? [-(2n ** BigInt(width - 1)), 2n ** BigInt(width - 1) - 1n] : [0n, 2n ** BigInt(width) - 1n];
}

const int64 = fc.oneof(
  fc.bigInt({ min: INT64_MIN, max: INT64_MAX }),
  fc.bigInt({ min: -300n, max: 300n }),
  fc.constantFrom(INT64_MIN, INT64_MIN + 127n, INT64_MIN + 128n, INT64_MAX, INT64_MAX - 1n),
);
/** A type, and an integer that fits, the limits often among them. */
const typed = fc.constantFrom(...TYPES).chain((type) => {
  const [min, max] = limits(type);
  return fc.tuple(
    fc.constant(type),
    fc.oneof(fc.bigInt({ min, max }), fc.constantFrom(min, max, max - 1n < min ? min : max - 1n)),
  );
});

/** The one integer of the type that differs from `value` by a multiple of its range. */
function wrapped(type: FieldType, value: bigint): bigint {
  const [min, max] = limits(type);
  const range = max - min + 1n;
  return ((((value - min) % range) + range) % range) + min;
}

test("types are i1 to i64 and u1 to u63, in lower case", () => {
  expect(TYPES).not.toContain(undefined);
  for (const text of [
    "",
    "i",
    "8",
    "i0",
    "u0",
    "u64",
    "i65",
    "i08",
    "i-8",
    "i+8",
    "I8",
    "x8",
    "i8 ",
    " i8",
    "i100",
    "i8\n",
  ]) {
    expect(fieldType(text)).toBeUndefined();
  }
});

describe("an integer", () => {
  test("is what its bits say, in as many bits as the type has", () => {
    fc.assert(
      fc.property(typed, ([type, value]) => {
        const bits = encodeField(type, value);
        expect(decodeField(type, bits)).toBe(value);
        const text = [...bits].map((byte) => byte.toString(2).padStart(8, "0")).join("");
        expect(BigInt(`0b${text.slice(0, type.width)}`)).toBe(BigInt.asUintN(type.width, value));
        expect(text.slice(type.width)).not.toContain("1");
        const few = bits.subarray(0, Math.ceil(type.width / 8));
        expect(decodeField(type, few)).toBe(value);
      }),
    );
  });

  test("is incremented to the sum where that fits, and else wraps, stops at a limit, or is left", () => {
    fc.assert(
      fc.property(typed, int64, ([type, value], increment) => {
        const [min, max] = limits(type);
        const sum = value + increment;
        const fits = min <= sum && sum <= max;
        expect(incrementField(type, value, increment, "WRAP")).toBe(wrapped(type, sum));
        expect(incrementField(type, value, increment, "SAT")).toBe(fits ? sum : sum > max ? max : min);
        expect(incrementField(type, value, increment, "FAIL")).toBe(fits ? sum : undefined);
      }),
    );
  });

  test("is set where it fits, and else cut, limited or refused", () => {
    fc.assert(
      fc.property(fc.constantFrom(...TYPES), int64, (type, value) => {
        const [min, max] = limits(type);
        const fits = min <= value && value <= max;
        expect(cutToField(type, value, "WRAP")).toBe(wrapped(type, value));
        expect(cutToField(type, value, "FAIL")).toBe(fits ? value : undefined);
        // As Redis' check in C has it: a number is too large too where it is no unsigned one, or the room above it overflows.
        const isLarge = type.isSigned ? value > max || max - value > INT64_MAX : !fits;
        const expected = fits ? value : isLarge ? max : min;
        expect(cutToField(type, value, "SAT")).toBe(expected);
      }),
    );
  });
});

test.each([
  ["u8", -1n, 255n],
  ["u8", INT64_MIN, 255n],
  ["i8", INT64_MIN, 127n],
  ["i8", INT64_MIN + 127n, 127n],
  ["i8", INT64_MIN + 128n, -128n],
  ["i64", INT64_MIN, INT64_MIN],
])("redis-server 7.0.15 makes of OVERFLOW SAT SET %s %i a %i", (type, value, expected) => {
  expect(cutToField(fieldType(type) as FieldType, value, "SAT")).toBe(expected);
});
