/**
 * The numbers of INCRBYFLOAT: what C's `long double` is on x86-64, where Redis is mostly run: 64 bits of significand, exponents down to
 * -16445. All of it is computed exactly and rounded once (to nearest, ties to even), as strtold, the processor and `%.17Lf` do, so the
 * digits are those of Redis. Where Redis is run on ARM its `long double` has 113 bits, and its last digits may be others.
 */

/** A finite number is significand * 2^exponent; an infinite one has that exponent, and the sign of its significand. */
export interface LongDouble {
  readonly significand: bigint;
  readonly exponent: number;
}

const SIGNIFICAND_BITS = 64;
/** Exponent of the smallest number above 0: 2^-16445. */
const EXPONENT_MIN = -16445;
/** Numbers from 2^16384 on are infinite. */
const EXPONENT_END = 16384;

/** Longest text that is a number, in bytes: Redis' MAX_LONG_DOUBLE_CHARS without the NUL. */
export const TEXT_BYTES_MAX = 5 * 1024 - 1;

/** Decimal exponents beyond these are infinite and 0 whatever the digits; computing them would take as long as one likes. */
const DECIMAL_EXPONENT_MAX = 4_950;
const DECIMAL_EXPONENT_MIN = -5_000;

/** Digits behind the point that INCRBYFLOAT keeps. */
const FRACTION_DIGITS = 17;

const ZERO: LongDouble = { significand: 0n, exponent: 0 };

/**
 * Reads what strtold does, and Redis' string2ld takes: decimal or hexadecimal digits, or an infinity, nothing before or behind it. Undefined
 * for anything else, and for what is too large for a finite number, or too small for one that is not 0.
 */
export function parseLongDouble(text: string): LongDouble | undefined {
  if (text.length > TEXT_BYTES_MAX) return undefined;
  const [, sign, unsigned = ""] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  const magnitude = /^inf(?:inity)?$/i.test(unsigned)
    ? { significand: 1n, exponent: Number.POSITIVE_INFINITY }
    : (decimal(unsigned) ?? hexadecimal(unsigned));
  if (magnitude === undefined || sign !== "-") return magnitude;
  return { ...magnitude, significand: -magnitude.significand };
}

function decimal(text: string): LongDouble | undefined {
  const [, whole, fraction = "", exponent] =
    /^(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?(?:e([+-]?[0-9]+))?$/i.exec(text) ?? [];
  const digits = digitsOf(whole, fraction);
  if (digits === undefined) return undefined;
  if (digits === "") return ZERO;
  const power = Number(exponent ?? 0) - fraction.length;
  if (digits.length + power > DECIMAL_EXPONENT_MAX || digits.length + power < DECIMAL_EXPONENT_MIN) return undefined;
  const significand = BigInt(digits);
  return power >= 0
    ? finite(rounded(significand * 10n ** BigInt(power), 1n))
    : finite(rounded(significand, 10n ** BigInt(-power)));
}

function hexadecimal(text: string): LongDouble | undefined {
  const [, whole, fraction = "", exponent] =
    /^0x(?=\.?[0-9a-f])([0-9a-f]*)(?:\.([0-9a-f]*))?(?:p([+-]?[0-9]+))?$/i.exec(text) ?? [];
  const digits = digitsOf(whole, fraction);
  if (digits === undefined) return undefined;
  if (digits === "") return ZERO;
  const power = Number(exponent ?? 0) - fraction.length * 4;
  const bits = digits.length * 4 + power;
  if (bits > EXPONENT_END + 4 || bits < EXPONENT_MIN - 4) return undefined;
  return finite(roundedBinary(BigInt(`0x${digits}`), power));
}

/** The digits before and behind a point, without zeros before them; undefined where there is no number. */
function digitsOf(whole: string | undefined, fraction: string): string | undefined {
  return whole === undefined ? undefined : `${whole}${fraction}`.replace(/^0+/, "");
}

/** What strtold gives without an error: no infinity, and no 0 in place of what is not. */
function finite(value: LongDouble): LongDouble | undefined {
  return value.significand === 0n || isInfinite(value) ? undefined : value;
}

function isInfinite({ exponent }: LongDouble): boolean {
  return exponent === Number.POSITIVE_INFINITY;
}

/** The sum; undefined where it is infinite or none. */
export function addLongDoubles(a: LongDouble, b: LongDouble): LongDouble | undefined {
  if (isInfinite(a) || isInfinite(b)) return undefined;
  const exponent = Math.min(a.exponent, b.exponent);
  const sum = (a.significand << BigInt(a.exponent - exponent)) + (b.significand << BigInt(b.exponent - exponent));
  const magnitude = roundedBinary(sum < 0n ? -sum : sum, exponent);
  if (isInfinite(magnitude)) return undefined;
  return sum < 0n ? { ...magnitude, significand: -magnitude.significand } : magnitude;
}

function roundedBinary(significand: bigint, exponent: number): LongDouble {
  return exponent >= 0 ? rounded(significand << BigInt(exponent), 1n) : rounded(significand, 1n << BigInt(-exponent));
}

/** The number nearest to a fraction that is not negative. */
function rounded(numerator: bigint, denominator: bigint): LongDouble {
  // The quotient has as many bits as this says, or one more.
  let exponent = Math.max(bitLength(numerator) - bitLength(denominator) - SIGNIFICAND_BITS, EXPONENT_MIN);
  if (bitLength(quotient(numerator, denominator, exponent, floor)) > SIGNIFICAND_BITS) exponent++;
  const significand = quotient(numerator, denominator, exponent, nearest);
  if (bitLength(significand) + exponent > EXPONENT_END) return { significand: 1n, exponent: Number.POSITIVE_INFINITY };
  return { significand, exponent };
}

/** numerator / denominator / 2^exponent, made an integer by `round`. */
function quotient(numerator: bigint, denominator: bigint, exponent: number, round: typeof nearest): bigint {
  return exponent >= 0
    ? round(numerator, denominator << BigInt(exponent))
    : round(numerator << BigInt(-exponent), denominator);
}

function floor(numerator: bigint, denominator: bigint): bigint {
  return numerator / denominator;
}

/** The integer nearest to a fraction that is not negative; of two the even one. */
function nearest(numerator: bigint, denominator: bigint): bigint {
  const below = numerator / denominator;
  const twiceRest = 2n * (numerator % denominator);
  const isUp = twiceRest > denominator || (twiceRest === denominator && (below & 1n) === 1n);
  return isUp ? below + 1n : below;
}

function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}

/** A finite number as `%.17Lf` prints it, without zeros behind the point that say nothing, and without the sign of 0. */
export function formatLongDouble({ significand, exponent }: LongDouble): string {
  const magnitude = significand < 0n ? -significand : significand;
  const scaled = quotient(magnitude * 10n ** BigInt(FRACTION_DIGITS), 1n, -exponent, nearest);
  const digits = scaled.toString().padStart(FRACTION_DIGITS + 1, "0");
  const fraction = digits.slice(-FRACTION_DIGITS).replace(/0+$/, "");
  const text = digits.slice(0, -FRACTION_DIGITS) + (fraction === "" ? "" : `.${fraction}`);
  return significand < 0n && text !== "0" ? `-${text}` : text;
}
