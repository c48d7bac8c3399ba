/** BITFIELD's integers: their types, their bits, and what happens where a result does not fit. Knows no keys and no requests. */

const INT64_MAX = 2n ** 63n - 1n;

export const OVERFLOWS = ["WRAP", "SAT", "FAIL"] as const;
export type Overflow = (typeof OVERFLOWS)[number];

/** The type of an integer, i1..i64 or u1..u63. */
export interface FieldType {
  readonly isSigned: boolean;
  /** In bits. */
  readonly width: number;
}

/** The type that `text` names, in lower case; undefined where there is none. */
export function fieldType(text: string): FieldType | undefined {
  const [, sign, digits] = /^([iu])([1-9][0-9]?)$/.exec(text) ?? [];
  const width = Number(digits);
  if (sign === undefined || width > (sign === "i" ? 64 : 63)) return undefined;
  return { isSigned: sign === "i", width };
}

/** The integer whose bits are the first of `bits`, most significant first. */
export function decodeField({ isSigned, width }: FieldType, bits: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bits) value = (value << 8n) | BigInt(byte);
  return integerOf(isSigned, width, value >> BigInt(bits.length * 8 - width));
}

/** The bits of an integer that fits, as `decodeField` takes them. */
export function encodeField({ width }: FieldType, value: bigint): Buffer {
  const bits = Buffer.alloc(8);
  bits.writeBigUInt64BE(BigInt.asUintN(64, value << BigInt(64 - width)));
  return bits;
}

/** INCRBY: what `value` of the field and a 64-bit `increment` give; undefined where they would overflow and must not. */
export function incrementField(
  type: FieldType,
  value: bigint,
  increment: bigint,
  overflow: Overflow,
): bigint | undefined {
  const sum = value + increment;
  const { min, max } = limits(type);
  return resolve(type, sum, sum > max ? max : sum < min ? min : undefined, overflow);
}

/** SET: what of a signed 64-bit integer is written; undefined where it does not fit and must not be cut. */
export function cutToField(type: FieldType, value: bigint, overflow: Overflow): bigint | undefined {
  const { min, max } = limits(type);
  // Redis reads a negative number as an unsigned one here, which is too large and not too small.
  const isBelow = type.isSigned && value < min;
  // And its own check overflows where `max - value` is no 64-bit integer: such a value is too large, too.
  const isAbove = value > max || (!type.isSigned && value < 0n) || (isBelow && max - value > INT64_MAX);
  return resolve(type, value, isAbove ? max : isBelow ? min : undefined, overflow);
}

function limits({ isSigned, width }: FieldType): { min: bigint; max: bigint } {
  const max = (1n << BigInt(isSigned ? width - 1 : width)) - 1n;
  return { min: isSigned ? -max - 1n : 0n, max };
}

/** `value`, or what takes its place if it is beyond `limit`. */
function resolve(
  { isSigned, width }: FieldType,
  value: bigint,
  limit: bigint | undefined,
  overflow: Overflow,
): bigint | undefined {
  if (limit === undefined) return value;
  if (overflow === "FAIL") return undefined;
  return overflow === "SAT" ? limit : integerOf(isSigned, width, value);
}

/** The integer of so many bits that has the lowest bits of `value`. */
function integerOf(isSigned: boolean, width: number, value: bigint): bigint {
  return isSigned ? BigInt.asIntN(width, value) : BigInt.asUintN(width, value);
}
