/**
 * Random commands, valid and not, for the differential runs and the transcripts. Every argument has a generator that now
 * and then makes one Redis refuses; beside that a few commands are mutilated as a whole (`mutated`).
 *
 * What must not happen here: a command that ends the server or another connection, changes configuration that outlives
 * the run, or makes redis-server hold much memory.
 */
import fc from "fast-check";
import { Crc64 } from "../../src/rdb/crc64.js";
import { type Arg, DATABASES, KEYS, type Step } from "./steps.js";

type Argv = readonly Arg[];
export type ArgvArb = fc.Arbitrary<Argv>;

export interface Sizes {
  /** Largest bit offset that is written to. */
  readonly offsetMax: number;
  /** Longest value that is SET. */
  readonly valueBytesMax: number;
}

/** What is compared live. */
export const LIVE_SIZES: Sizes = { offsetMax: 2 ** 20, valueBytesMax: 2000 };

/** What is kept in transcripts. */
export const TRANSCRIPT_SIZES: Sizes = { offsetMax: 1200, valueBytesMax: 40 };

const NO_INTEGERS = [
  "007",
  "+1",
  "-0",
  "1.0",
  "1e3",
  "0x10",
  "abc",
  "",
  " 1",
  "1 ",
  "1\x00",
  "9223372036854775808",
  "-",
];
const HUGE_INTEGERS = ["9223372036854775807", "-9223372036854775808", "4294967296", "-4294967297", "99999999999"];

/** The first keys more often, so that commands find something. */
const key = fc.constantFrom(KEYS[0], KEYS[0], KEYS[0], KEYS[1], KEYS[1], ...KEYS);
const keys = (min: number) => fc.array(key, { minLength: min, maxLength: 4 });
const badInteger = fc.constantFrom(...NO_INTEGERS);
const bit = often(fc.constantFrom("0", "1"), fc.constantFrom("2", "-1", "01", "10", "", "x", "4294967296"));

/** Numbers as INCRBYFLOAT takes them, and what it does not take: strtold's spellings, long doubles' limits, ties. */
const float = often(
  fc.oneof(
    integer(-20, 20),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }).map(String),
    fc.double().map(String),
    fc
      .tuple(fc.integer({ min: -99999, max: 99999 }), fc.integer({ min: 0, max: 20 }))
      .map(([n, digits]) => `${n}e-${digits}`),
    fc.bigInt({ min: -(10n ** 22n), max: 10n ** 22n }).map(String),
    fc
      .tuple(fc.bigInt({ min: 0n, max: 2n ** 70n }), fc.integer({ min: -90, max: 20 }))
      .map(([digits, power]) => `0x${digits.toString(16)}p${power}`),
    fc
      .tuple(fc.bigInt({ min: 0n, max: 10n ** 25n }), fc.integer({ min: 0, max: 24 }))
      .map(([n, point]) => `${String(n).slice(0, point)}.${String(n).slice(point)}`),
    fc.constantFrom(
      "5.0e3",
      ".5",
      "5.",
      "-.5",
      "+1",
      "007",
      "-0",
      "-0.0",
      "0x10",
      "0X.8P1",
      "0x1.8",
      "1e-17",
      "5e-18",
      "-5e-18",
      "15e-18",
    ),
    fc.constantFrom(
      "1e4932",
      "-1e4932",
      "1.189731495357231765e4932",
      "1.18973149535723176509e4932",
      "1e-4950",
      "3.6e-4951",
    ),
    fc.constantFrom("0x1p16383", "0x1p-16445", "0x1p-16446", "0x1.8p-16446", "0e99999999999", "9223372036854775807"),
  ),
  fc.constantFrom(
    ...[
      "",
      " 1",
      "1 ",
      "1\x00",
      "abc",
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
      "0b1",
      "1e99999999999",
    ],
    ...[
      "inf",
      "-inf",
      "Infinity",
      "+INF",
      "nan",
      "-nan",
      "nan(1)",
      "infinit",
      "1e4933",
      "1e-4952",
      "0x1p16384",
      "0x1p-16447",
    ],
  ),
);

/** Mostly `usual`, sometimes `odd`. */
function often<T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: odd });
}

function integer(min: number, max: number): fc.Arbitrary<string> {
  return fc.integer({ min, max }).map(String);
}

/** Upper, lower or mixed case, as clients write it. */
function word(...words: string[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...words), fc.constantFrom("upper", "upper", "lower", "mixed"))
    .map(([text, style]): string =>
      style === "upper" ? text.toUpperCase() : style === "lower" ? text.toLowerCase() : mixed(text),
    );
}

function mixed(text: string): string {
  return [...text].map((c, i) => (i % 2 === 0 ? c.toUpperCase() : c.toLowerCase())).join("");
}

/** A command: its name in any case, then arguments. */
function command(name: string, ...args: fc.Arbitrary<Arg | Argv>[]): ArgvArb {
  return fc.tuple(word(name), ...args).map(([first, ...rest]) => [first as Arg, ...rest.flat()] as Argv);
}

/** Some of the options, each one or more words, in any order. */
function options(...each: fc.Arbitrary<Arg | Argv>[]): fc.Arbitrary<Argv> {
  const drawn = fc.oneof(fc.array(fc.oneof(...each), { maxLength: 1 }), fc.array(fc.oneof(...each), { maxLength: 3 }));
  return often(
    drawn.map((list) => list.flat() as Argv),
    fc.constantFrom<Argv>(["FOO"], ["EX"], ["", "1"]),
  );
}

function option(name: string, ...values: fc.Arbitrary<Arg>[]): fc.Arbitrary<Argv> {
  return fc.tuple(word(name), ...values).map((words) => words as Argv);
}

/** One of the commands with something wrong with it as a whole. */
function mutated(argv: ArgvArb): ArgvArb {
  const change = fc.tuple(
    fc.constantFrom("drop", "add", "double", "swap", "cut"),
    fc.nat(),
    fc.constantFrom("x", "", "1"),
  );
  return fc.tuple(argv, change).map(([list, [what, n, extra]]) => {
    const at = list.length < 2 ? 0 : 1 + (n % (list.length - 1));
    if (what === "add") return [...list, extra];
    if (at === 0) return list;
    if (what === "drop") return list.filter((_, i) => i !== at);
    if (what === "double") return [...list.slice(0, at), list[at]!, ...list.slice(at)];
    if (what === "cut") return list.slice(0, at);
    return list.map((arg, i) => (i === at ? list[1]! : i === 1 ? list[at]! : arg));
  });
}

/**
 * Parts of glob patterns, the broken ones among them. No range crosses from 7f to 80: Redis compares plain C `char`s,
 * so that its answer depends on the machine.
 */
const globPart = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom("*", "?", "a", "b", "k", "x", "[ab]", "[^a]", "[a-c]", "[c-a]", "\\*", "\\?", "\\a"),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("[", "]", "[]", "[^]", "[^", "[a-", "[a-]", "\\", "[\\]]", "[^\\", "^", "-", "**"),
  },
  { weight: 1, arbitrary: fc.constantFrom("\x00", "\xff", "\r\n", "\x80", "[\x00-\x7f]", "[\x80-\xff]", "A", "[A-Z]") },
);
export const glob = fc.array(globPart, { maxLength: 7 }).map((parts) => parts.join(""));

/** A key that such a pattern may match. */
export const globKey = fc
  .array(
    fc.constantFrom("a", "b", "c", "k", "x", "*", "?", "[", "]", "\\", "^", "-", "\x00", "\xff", "\r\n", "\x80", "A"),
    {
      maxLength: 6,
    },
  )
  .map((parts) => parts.join(""));

const database = often(
  fc.constantFrom(DATABASES[0], DATABASES[0], DATABASES[1], ...DATABASES).map(String),
  fc.constantFrom("16", "-1", "x", "", "01", "99999999999"),
);

const scanOptions = fc
  .array(
    fc.oneof(
      option("MATCH", glob),
      option("COUNT", integer(1, 5)),
      option("TYPE", fc.constantFrom("string", "STRING", "hash", "foo", "")),
    ),
    { maxLength: 3 },
  )
  .map((list) => list.flat() as string[]);

const FAMILY_NAMES = [
  "bits",
  "fields",
  "strings",
  "counters",
  "keys",
  "expiry",
  "objects",
  "transactions",
  "connection",
] as const;
export type Family = (typeof FAMILY_NAMES)[number];
export type Families = Readonly<Record<Family, ArgvArb>>;

/** What DUMP gives, for a body that may be anything: with the footer of a version, and a checksum that is right. */
export function payloadOf(body: Uint8Array, version = 10): string {
  const bytes = Buffer.concat([body, Buffer.of(version & 0xff, version >>> 8)]);
  return Buffer.concat([bytes, new Crc64().update(bytes).digest()]).toString("latin1");
}

const STRING_TYPE = 0;
/** Strings in RDB's format, in each of its encodings, and what only looks like them. */
const encodedString = fc.oneof(
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 63 }).map((bytes) => [bytes.length, ...bytes]) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 63 }).map((bytes) => [0x40, bytes.length, ...bytes]) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 63 }).map((bytes) => [0x80, 0, 0, 0, bytes.length, ...bytes]) },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ maxLength: 63 }).map((bytes) => [0x81, 0, 0, 0, 0, 0, 0, 0, bytes.length, ...bytes]),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(0xc0, 0xc1, 0xc2), fc.uint8Array({ minLength: 0, maxLength: 5 }))
      .map(([first, bytes]) => [first, ...bytes]),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      [0xc3, 4, 6, 0, 0x61, 0x60, 0],
      [0xc3, 5, 0x41, 0x0a, 0, 0, 0xe0, 0xff, 0],
      [0xc3, 5, 0x41, 0x09, 0, 0, 0xe0, 0xff, 0],
      [0xc3, 3, 3, 2, 0x61, 0x62],
    ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.nat(12), fc.integer({ min: 1, max: 30 }), fc.uint8Array({ maxLength: 14, max: 0x45 }))
      .map(([compressed, length, bytes]) => [0xc3, Math.max(compressed, 1), length, ...bytes]),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom([], [0x40], [0x82, 0], [0xc4], [0xff, 1], [0x81, ...new Array(8).fill(255)]),
  },
);
export const payload = often(
  fc
    .tuple(encodedString, fc.constantFrom(10, 10, 10, 9, 1, 0))
    .map(([string, version]) => payloadOf(Buffer.from([STRING_TYPE, ...string]), version)),
  fc.constantFrom(
    "",
    "x",
    "\x00\x01a\n\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    payloadOf(Buffer.from([]), 0),
    payloadOf(Buffer.from([]), 10),
    payloadOf(Buffer.from([STRING_TYPE, 1, 0x61]), 12),
    payloadOf(Buffer.from([STRING_TYPE, 1, 0x61]), 266),
    payloadOf(Buffer.from([1, 60])),
    payloadOf(Buffer.from([8, 1, 0x61])),
    payloadOf(Buffer.from([255, 1, 0x61])),
  ),
);

/** One generator out of several, each with its weight; 1 unless said. */
export function oneOf(
  all: Families,
  weights: Partial<Record<Family, number>> = Object.fromEntries(FAMILY_NAMES.map((name) => [name, 1])),
): ArgvArb {
  return fc.oneof(...FAMILY_NAMES.map((name) => ({ weight: weights[name] ?? 0, arbitrary: all[name] })));
}

export function families(sizes: Sizes): Families {
  const offset = often(
    fc.oneof(
      { weight: 4, arbitrary: integer(0, 70) },
      { weight: 2, arbitrary: integer(0, sizes.offsetMax) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(127, 128, 1023, 65535, 65536, 65537).map((n) => String(n % (sizes.offsetMax + 1))),
      },
    ),
    fc.oneof(badInteger, fc.constantFrom("-1", "4294967296", "9223372036854775807", "-4294967296")),
  );
  const readOffset = often(offset, fc.constant("4294967295"));
  const position = often(
    fc.oneof(integer(-12, 12), integer(-200, 200), integer(-sizes.offsetMax, sizes.offsetMax)),
    fc.oneof(badInteger, fc.constantFrom(...HUGE_INTEGERS)),
  );
  const unit = often(word("BYTE", "BIT"), fc.constantFrom("BITS", "", "1"));
  const range = fc.oneof(
    fc.constant<Argv>([]),
    fc.tuple(position),
    fc.tuple(position, position),
    fc.tuple(position, position, unit),
    fc.tuple(unit),
  );
  const bytes = fc.uint8Array({ maxLength: 12 }).map((list) => Buffer.from(list).toString("latin1"));
  const value = fc.oneof(
    { weight: 3, arbitrary: bytes },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        "",
        "foobar",
        "123",
        "-7",
        "\x00",
        "\x00\x00\x00",
        "\xff",
        "\xff\xff\xff",
        "\x80",
        "hello",
      ),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(
          fc.constantFrom("\x00", "\xff", "\xaa", "\x00\x01", "x"),
          fc.integer({ min: 1, max: sizes.valueBytesMax }),
        )
        .map(([unitBytes, length]) => unitBytes.repeat(length).slice(0, length)),
    },
  );
  const operation = often(word("AND", "OR", "XOR", "NOT"), fc.constantFrom("NAND", "", "AN", "ANDX"));

  const bits = fc.oneof(
    { weight: 6, arbitrary: command("SETBIT", key, offset, bit) },
    { weight: 3, arbitrary: command("GETBIT", key, readOffset) },
    { weight: 4, arbitrary: command("BITCOUNT", key, range) },
    { weight: 5, arbitrary: command("BITPOS", key, bit, range) },
    { weight: 4, arbitrary: command("BITOP", operation, key, keys(1)) },
    { weight: 1, arbitrary: command("BITOP", word("NOT"), key, key) },
  );

  const deadline: fc.Arbitrary<Argv> = fc.oneof(
    option("EX", often(integer(-1, 4), fc.oneof(badInteger, fc.constantFrom(...HUGE_INTEGERS, "9223372036854775")))),
    option("PX", often(integer(-1, 3000), fc.oneof(badInteger, fc.constantFrom(...HUGE_INTEGERS)))),
    option(
      "EXAT",
      often<Arg>(fc.record({ inSeconds: fc.integer({ min: -2, max: 4 }) }), fc.constantFrom("0", "-1", "1", "x")),
    ),
    option(
      "PXAT",
      often<Arg>(fc.record({ inMs: fc.integer({ min: -500, max: 3000 }) }), fc.constantFrom("0", "-1", "1", "x")),
    ),
  );

  // Integers that are written stay out of 10^7..2^32: where a mutation makes an offset of one, Redis would make a value that long.
  const fieldInteger = often(
    fc.oneof(
      integer(-300, 300),
      fc.constantFrom("32767", "32768", "-32769", "65535", "65536", ...HUGE_INTEGERS),
      fc
        .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
        .filter((n) => n < 0 || n > 2n ** 32n)
        .map(String),
      fc
        .tuple(fc.integer({ min: 32, max: 62 }), fc.integer({ min: 1, max: 2 }), fc.constantFrom(1n, -1n))
        .map(([exponent, less, sign]) => String(sign * (2n ** BigInt(exponent + 1) - BigInt(less)))),
      fc.constantFrom("-9223372036854775807", "-9223372036854775700", "-4611686018427387904", "-4611686018427387905"),
    ),
    badInteger,
  );
  const fieldType = often(
    fc.oneof(
      fc.tuple(fc.constantFrom("i", "u"), integer(1, 63)).map((parts) => parts.join("")),
      fc.constantFrom("i8", "u8", "i16", "u1", "i1", "i2", "i64", "u63"),
    ),
    fc.constantFrom(
      "u64",
      "i65",
      "i0",
      "u0",
      "i",
      "",
      "8",
      "I8",
      "x8",
      "i08",
      "i+8",
      "i-8",
      "i8x",
      "i8\x00x",
      "u99999999999",
    ),
  );
  const fieldOffset = often(
    fc.oneof(
      integer(0, 70),
      offset.filter((text) => Number(text) <= sizes.offsetMax || !/^[0-9]+$/.test(text) || Number(text) >= 2 ** 32),
      integer(0, 12).map((n) => `#${n}`),
    ),
    fc.constantFrom(
      "#",
      "#-1",
      "##1",
      "#x",
      "#01",
      " #1",
      "4294967296",
      "#9223372036854775807",
      "#4611686018427387904",
    ),
  );
  const readFields = option("GET", fieldType, often(fieldOffset, fc.constantFrom("4294967295", "4294967290")));
  const writtenFields = fc.oneof(
    { weight: 3, arbitrary: option("SET", fieldType, fieldOffset, fieldInteger) },
    { weight: 4, arbitrary: option("INCRBY", fieldType, fieldOffset, fieldInteger) },
  );
  const overflow = option("OVERFLOW", often(word("WRAP", "SAT", "FAIL"), fc.constantFrom("", "x", "WRAPS")));
  const operations = (...each: fc.Arbitrary<Argv>[]) =>
    fc.array(often(fc.oneof(...each), fc.constantFrom<Argv>(["FOO"], ["GET"], ["SET", "u8", "0"], [""])), {
      maxLength: 5,
    });
  const fields = fc.oneof(
    {
      weight: 8,
      arbitrary: command(
        "BITFIELD",
        key,
        operations(readFields, writtenFields, writtenFields, overflow).map((list) => list.flat()),
      ),
    },
    { weight: 4, arbitrary: command("BITFIELD", key, overflow, writtenFields, writtenFields) },
    {
      weight: 2,
      arbitrary: command(
        "BITFIELD_RO",
        key,
        operations(readFields).map((list) => list.flat()),
      ),
    },
    {
      weight: 1,
      arbitrary: command(
        "BITFIELD_RO",
        key,
        operations(readFields, writtenFields, overflow).map((l) => l.flat()),
      ),
    },
    { weight: 1, arbitrary: command("SETBIT", key, offset, bit) },
    { weight: 1, arbitrary: command("GET", key) },
  );

  const counted = fc.oneof(
    integer(-20, 20),
    fc.constantFrom("9223372036854775807", "-9223372036854775808", "9223372036854775800", "-9223372036854775807"),
    badInteger,
  );
  const counters = fc.oneof(
    { weight: 2, arbitrary: command("SET", key, fc.oneof(counted, float), options(deadline)) },
    { weight: 3, arbitrary: command("INCR", key) },
    { weight: 3, arbitrary: command("DECR", key) },
    { weight: 3, arbitrary: command("INCRBY", key, counted) },
    { weight: 3, arbitrary: command("DECRBY", key, counted) },
    { weight: 8, arbitrary: command("INCRBYFLOAT", key, float) },
    { weight: 1, arbitrary: command("GET", key) },
    { weight: 1, arbitrary: command("TTL", key) },
  );

  const seconds = often(integer(-1, 4), fc.oneof(badInteger, fc.constantFrom(...HUGE_INTEGERS, "9223372036854775")));
  const milliseconds = often(integer(-100, 3000), fc.oneof(badInteger, fc.constantFrom(...HUGE_INTEGERS)));
  const pairs = fc.array(fc.tuple(key, value), { minLength: 1, maxLength: 3 }).map((list) => list.flat());
  const byteOffset = often(
    fc.oneof(integer(0, 12), integer(0, Math.floor(sizes.offsetMax / 8))),
    fc.oneof(badInteger, fc.constantFrom("-1", "536870912", ...HUGE_INTEGERS)),
  );
  const strings = fc.oneof(
    { weight: 4, arbitrary: command("SET", key, value) },
    {
      weight: 4,
      arbitrary: command("SET", key, value, options(word("NX"), word("XX"), word("GET"), word("KEEPTTL"), deadline)),
    },
    { weight: 3, arbitrary: command("GET", key) },
    { weight: 2, arbitrary: command("STRLEN", key) },
    { weight: 3, arbitrary: command("GETRANGE", key, position, position) },
    { weight: 2, arbitrary: command("MGET", keys(1)) },
    { weight: 2, arbitrary: command("MSET", pairs) },
    { weight: 2, arbitrary: command("MSETNX", pairs) },
    { weight: 4, arbitrary: command("SETRANGE", key, byteOffset, value) },
    { weight: 4, arbitrary: command("APPEND", key, value) },
    { weight: 1, arbitrary: command("SUBSTR", key, position, position) },
    { weight: 2, arbitrary: command("GETDEL", key) },
    { weight: 4, arbitrary: command("GETEX", key, options(word("PERSIST"), deadline)) },
    { weight: 2, arbitrary: command("GETSET", key, value) },
    { weight: 2, arbitrary: command("SETNX", key, value) },
    { weight: 2, arbitrary: command("SETEX", key, seconds, value) },
    { weight: 2, arbitrary: command("PSETEX", key, milliseconds, value) },
  );

  const copyOptions = options(word("REPLACE"), option("DB", database));
  const keyCommands = fc.oneof(
    { weight: 12, arbitrary: command("DEL", keys(1)) },
    { weight: 6, arbitrary: command("UNLINK", keys(1)) },
    { weight: 12, arbitrary: command("EXISTS", keys(1)) },
    { weight: 6, arbitrary: command("TOUCH", keys(1)) },
    { weight: 6, arbitrary: command("TYPE", key) },
    { weight: 12, arbitrary: command("KEYS", glob) },
    { weight: 6, arbitrary: command("KEYS", fc.constant("*")) },
    {
      weight: 6,
      arbitrary: command(
        "SCAN",
        fc.constant("0"),
        fc.constant("COUNT"),
        integer(1000, 2000),
        options(option("MATCH", glob)),
      ),
    },
    {
      weight: 6,
      arbitrary: command(
        "SCAN",
        fc.constantFrom("x", "-x", "", "1.5"),
        options(option("COUNT", fc.constantFrom("0", "-1", "x"))),
      ),
    },
    {
      weight: 6,
      arbitrary: command("SCAN", fc.constant("0"), option("COUNT", fc.constantFrom("0", "-1", "x", "", "1.5"))),
    },
    { weight: 12, arbitrary: command("RENAME", key, key) },
    { weight: 12, arbitrary: command("RENAMENX", key, key) },
    { weight: 12, arbitrary: command("DBSIZE") },
    { weight: 6, arbitrary: command("RANDOMKEY") },
    { weight: 4, arbitrary: command("SELECT", database) },
    { weight: 12, arbitrary: command("MOVE", key, database) },
    { weight: 6, arbitrary: command("SWAPDB", database, database) },
    { weight: 18, arbitrary: command("COPY", key, key, copyOptions) },
    { weight: 1, arbitrary: command("FLUSHDB", options(word("ASYNC"), word("SYNC"))) },
    { weight: 1, arbitrary: command("FLUSHALL", options(word("ASYNC"), word("SYNC"))) },
  );

  const conditions = options(word("NX"), word("XX"), word("GT"), word("LT"));
  const atSeconds = often<Arg>(
    fc.record({ inSeconds: fc.integer({ min: -2, max: 4 }) }),
    fc.oneof(badInteger, fc.constantFrom("0", "-1", ...HUGE_INTEGERS)),
  );
  const atMilliseconds = often<Arg>(
    fc.record({ inMs: fc.integer({ min: -100, max: 3000 }) }),
    fc.oneof(badInteger, fc.constantFrom("0", "-1", ...HUGE_INTEGERS)),
  );
  const expiry = fc.oneof(
    { weight: 3, arbitrary: command("EXPIRE", key, seconds, conditions) },
    { weight: 3, arbitrary: command("PEXPIRE", key, milliseconds, conditions) },
    { weight: 3, arbitrary: command("EXPIREAT", key, atSeconds, conditions) },
    { weight: 3, arbitrary: command("PEXPIREAT", key, atMilliseconds, conditions) },
    { weight: 2, arbitrary: command("TTL", key) },
    { weight: 2, arbitrary: command("PTTL", key) },
    { weight: 2, arbitrary: command("EXPIRETIME", key) },
    { weight: 2, arbitrary: command("PEXPIRETIME", key) },
    { weight: 2, arbitrary: command("PERSIST", key) },
  );

  const idle = often(integer(0, 400), fc.oneof(badInteger, fc.constantFrom("-1")));
  const objects = fc.oneof(
    { weight: 3, arbitrary: command("OBJECT", word("ENCODING", "REFCOUNT", "IDLETIME", "FREQ"), key) },
    { weight: 1, arbitrary: command("OBJECT", word("NOSUCH"), key) },
    {
      weight: 2,
      arbitrary: command("MEMORY", word("USAGE"), key, options(option("SAMPLES", idle))),
    },
    { weight: 1, arbitrary: command("MEMORY", word("NOSUCH", "DOCTOR", "MALLOC-STATS")) },
    { weight: 4, arbitrary: command("DUMP", key) },
    {
      weight: 6,
      arbitrary: command(
        "RESTORE",
        key,
        fc.oneof({ weight: 2, arbitrary: fc.constant("0") }, { weight: 2, arbitrary: milliseconds }, atMilliseconds),
        payload,
        options(
          word("REPLACE"),
          word("REPLACE"),
          word("ABSTTL"),
          option("IDLETIME", idle),
          option("FREQ", often(integer(0, 255), fc.oneof(badInteger, fc.constantFrom("256", "-1")))),
        ),
      ),
    },
  );

  const transactions = fc.oneof(
    { weight: 3, arbitrary: command("MULTI") },
    { weight: 3, arbitrary: command("EXEC") },
    { weight: 1, arbitrary: command("DISCARD") },
    { weight: 3, arbitrary: command("WATCH", keys(1)) },
    { weight: 1, arbitrary: command("UNWATCH") },
  );

  const text = fc.constantFrom("hello", "", "two words", "\x00\xff", "line\r\nbreak", "x".repeat(200));
  const connectionName = fc.constantFrom("me", "", "two words", "line\n", "\xe9", "a-b.c:1");
  const helloOptions = fc.constantFrom<Argv>(
    [],
    ["SETNAME", "me"],
    ["setname", "two words"],
    ["AUTH", "default", "x"],
    ["AUTH", "nobody", "x"],
    ["AUTH", "default"],
    ["SETNAME"],
    ["FOO"],
    ["AUTH", "default", "x", "SETNAME", "you"],
    ["SETNAME", "you", "AUTH", "nobody", "x"],
  );
  const connection = fc.oneof(
    { weight: 2, arbitrary: command("PING", options(text)) },
    { weight: 2, arbitrary: command("ECHO", text) },
    { weight: 2, arbitrary: command("HELLO") },
    {
      weight: 4,
      arbitrary: command(
        "HELLO",
        often(fc.constantFrom("2", "3"), fc.constantFrom("1", "4", "x", "", "03", "-3")),
        helloOptions,
      ),
    },
    { weight: 1, arbitrary: command("RESET") },
    {
      weight: 1,
      arbitrary: command(
        "AUTH",
        fc.constantFrom<Argv>(["x"], ["default", "x"], ["nobody", "x"], ["", ""], ["a", "b", "c"]),
      ),
    },
    { weight: 3, arbitrary: command("CLIENT", word("SETNAME"), connectionName) },
    { weight: 3, arbitrary: command("CLIENT", word("GETNAME")) },
    { weight: 1, arbitrary: command("CLIENT", word("ID")) },
    { weight: 1, arbitrary: command("CLIENT", word("INFO")) },
    { weight: 1, arbitrary: command("CLIENT", word("NO-EVICT"), often(word("ON", "OFF"), fc.constant("maybe"))) },
    { weight: 1, arbitrary: command("CLIENT", word("REPLY"), fc.constantFrom("ON", "on", "maybe", "")) },
    { weight: 1, arbitrary: command("CLIENT", word("NOSUCH"), text) },
    {
      weight: 1,
      arbitrary: command(
        "CONFIG",
        word("GET"),
        fc.constantFrom("nosuch", "databases", "DATABASES", "appendonly", "nosuch*"),
      ),
    },
    { weight: 1, arbitrary: command("CONFIG", word("SET"), fc.constant("nosuch"), text) },
    { weight: 1, arbitrary: command("CONFIG", word("RESETSTAT")) },
    { weight: 1, arbitrary: command("CONFIG", word("NOSUCH")) },
    { weight: 1, arbitrary: command("TIME") },
    { weight: 1, arbitrary: command("LASTSAVE") },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Argv>(
        ["NOSUCH"],
        ["nosuch", "a", "b\r\nc"],
        ["", "x"],
        ["GE T", "y".repeat(300)],
        ["X".repeat(300), "z"],
      ),
    },
  );

  // Without mutations, for a bare COMMAND answers with all there are, and we have fewer.
  const commandCommand = fc.oneof(
    { weight: 1, arbitrary: command("COMMAND", word("COUNT")) },
    {
      weight: 2,
      arbitrary: command(
        "COMMAND",
        word("GETKEYS"),
        fc.oneof(
          command("BITOP", operation, key, keys(1)),
          command("SET", key, value),
          command(
            "MSET",
            fc.array(fc.tuple(key, value), { maxLength: 3 }).map((list) => list.flat()),
          ),
          command("MSETNX", pairs),
          command("BITFIELD", key, overflow, writtenFields),
          command("APPEND", key, value),
          command("MGET", keys(0)),
          command("DEL", keys(1)),
          command("COPY", key, key),
          command("GETBIT", key),
          command("PING"),
          command("NOSUCH", key),
        ),
      ),
    },
    { weight: 1, arbitrary: command("COMMAND", word("NOSUCH")) },
    { weight: 1, arbitrary: command("COMMAND", word("INFO"), word("NOSUCH")) },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Argv>(["COMMAND", "GETKEYS"], ["COMMAND", "COUNT", "x"], ["COMMAND", "NOSUCH"]),
    },
  );

  const withMutations = (usual: ArgvArb) => often(usual, mutated(usual));
  return {
    bits: withMutations(bits),
    fields: withMutations(fields),
    strings: withMutations(strings),
    counters: withMutations(counters),
    keys: withMutations(keyCommands),
    expiry: withMutations(expiry),
    objects: withMutations(objects),
    transactions: withMutations(transactions),
    // What ends connections or the server stands in no generator that is mutated.
    connection: fc.oneof(
      { weight: 12, arbitrary: withMutations(connection) },
      { weight: 1, arbitrary: commandCommand },
      {
        weight: 1,
        arbitrary: fc.constantFrom<Argv>(
          ["SHUTDOWN", "NOSUCH"],
          ["SHUTDOWN", "SAVE", "NOSAVE"],
          ["SHUTDOWN", "ABORT", "NOW"],
          ["SHUTDOWN", "ABORT"],
          ["CLIENT", "KILL", "ID", "999999"],
          ["CLIENT", "KILL", "ID", "x"],
          ["CLIENT", "KILL", "ID", "0"],
          ["CLIENT", "KILL", "TYPE", "pubsub"],
          ["CLIENT", "KILL", "TYPE", "nosuch"],
          ["CLIENT", "KILL", "ADDR", "1.2.3.4:5"],
          ["CLIENT", "KILL", "LADDR", "1.2.3.4:5"],
          ["CLIENT", "KILL", "USER", "nobody"],
          ["CLIENT", "KILL", "ID", "999999", "SKIPME", "maybe"],
          ["CLIENT", "KILL", "ID", "999999", "SKIPME", "no"],
          ["CLIENT", "KILL", "ID"],
          ["CLIENT", "KILL", "1.2.3.4:5"],
          ["CLIENT", "KILL"],
          ["CLIENT", "LIST", "TYPE", "nosuch"],
          ["CLIENT", "LIST", "TYPE", "pubsub"],
          ["CLIENT", "LIST", "ID", "999999"],
          ["CLIENT", "LIST", "ID", "x"],
          ["CLIENT", "LIST", "ID"],
          ["CLIENT", "LIST", "NOSUCH"],
        ),
      },
    ),
  };
}

/** WATCH, something beside it, MULTI and EXEC in this order, which single commands find too seldom. */
function transaction(commands: ArgvArb, plain: ArgvArb): fc.Arbitrary<Step[]> {
  const call = (conn: number, argv: Argv): Step => ({ kind: "call", conn, argv });
  const parts = fc.record({
    watched: fc.array(key, { maxLength: 2 }),
    beside: fc.array(fc.oneof(commands, plain), { maxLength: 2 }),
    besideOn: fc.constantFrom(0, 1),
    waitMs: fc.constantFrom(0, 0, 0, 1, 600, 2000),
    queued: fc.array(fc.oneof(commands, plain), { maxLength: 5 }),
    end: fc.constantFrom("EXEC", "EXEC", "EXEC", "EXEC", "DISCARD"),
  });
  return parts.map(({ watched, beside, besideOn, waitMs, queued, end }) => [
    ...(watched.length > 0 ? [call(0, ["WATCH", ...watched])] : []),
    ...beside.map((argv) => call(besideOn, argv)),
    ...(waitMs > 0 ? [{ kind: "clock", ms: waitMs } as const] : []),
    call(0, ["MULTI"]),
    ...queued.map((argv) => call(0, argv)),
    call(0, [end]),
  ]);
}

export interface Mix {
  readonly commands: ArgvArb;
  readonly sizes: Sizes;
  readonly steps: number;
}

/** A whole run: commands on two connections, with the clock going forward and the composite steps in between. */
export function run({ commands, sizes, steps }: Mix): fc.Arbitrary<Step[]> {
  const all = families(sizes);
  const conn = fc.constantFrom(0, 0, 0, 1);
  const plain = fc.oneof(all.bits, all.fields, all.strings, all.counters);
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 60, arbitrary: fc.record({ kind: fc.constant("call" as const), conn, argv: commands }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("clock" as const),
        ms: fc.oneof(fc.constantFrom(1, 499, 500, 501, 877, 999, 1000, 1001), fc.integer({ min: 1, max: 3000 })),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("scan" as const), conn, options: scanOptions }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("silent" as const), conn, commands: fc.array(plain, { maxLength: 3 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("skip" as const), conn, argv: plain }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("quit" as const), conn }) },
  );
  const chunk = fc.oneof(
    { weight: 30, arbitrary: step.map((single) => [single]) },
    { weight: 1, arbitrary: transaction(commands, plain) },
  );
  return fc.array(chunk, { maxLength: steps, size: "max" }).map((chunks) => chunks.flat());
}
