/**
 * Every bit command against a model that cannot be wrong in the same way: a value is an array of bits, one number each,
 * and every command is the plainest loop over it. It also covers what Redis 7 doesn't know: Redis 8.2's BITOP DIFF, DIFF1,
 * ANDOR and ONE.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { RawClient } from "../support/raw-client.js";
import { redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { startOurs } from "./ours.js";
import { startRedis } from "./redis.js";
import { formatArgv, formatBytes } from "./steps.js";

const SEED = process.env.DIFF_SEED === undefined ? Date.now() % 2 ** 31 : Number(process.env.DIFF_SEED);
const RUNS = 400;
const COMMANDS_MAX = 40;
const BITS_MAX = 70_000; // more than one container of a Roaring bitmap
const KEYS = ["a", "b", "c", "d"];
const AT_LEAST_TWO = ["DIFF", "DIFF1", "ANDOR"];

type Bits = number[];

class Model {
  readonly #values = new Map<string, Bits>();

  /** The reply to a valid command, in wire form. */
  run([name = "", key = "", ...args]: readonly string[]): string {
    switch (name) {
      case "SETBIT":
        return integer(this.#setBit(key, Number(args[0]), Number(args[1])));
      case "GETBIT":
        return integer(this.#bits(key)[Number(args[0])] ?? 0);
      case "BITCOUNT":
        return integer(bitCount(this.#bits(key), args));
      case "BITPOS":
        return integer(bitPos(this.#values.get(key), args));
      case "BITOP":
        return this.#bitOp(key, args[0] ?? "", args.slice(1));
      case "SET":
        this.#values.set(key, toBits(args[0] ?? ""));
        return "+OK\r\n";
      case "GET":
        return bulk(this.#values.get(key));
      case "STRLEN":
        return integer(this.#bits(key).length / 8);
      case "GETRANGE":
        return bulk(byteRange(this.#bits(key), Number(args[0]), Number(args[1])));
      default:
        throw new Error(`the model has no ${name}`);
    }
  }

  #bits(key: string): Bits {
    return this.#values.get(key) ?? [];
  }

  #setBit(key: string, offset: number, bit: number): number {
    const bits = this.#bits(key);
    this.#values.set(key, bits);
    while (bits.length <= offset) bits.push(0, 0, 0, 0, 0, 0, 0, 0);
    const old = bits[offset] ?? 0;
    bits[offset] = bit;
    return old;
  }

  #bitOp(operation: string, target: string, keys: string[]): string {
    if (operation === "NOT" && keys.length !== 1) return error("BITOP NOT must be called with a single source key.");
    if (AT_LEAST_TWO.includes(operation) && keys.length < 2) {
      return error(`BITOP ${operation} must be called with at least two source keys.`);
    }
    const sources = keys.map((key) => this.#bits(key));
    const length = Math.max(...sources.map((bits) => bits.length));
    const result: Bits = [];
    for (let i = 0; i < length; i += 1) {
      const bits = sources.map((source) => source[i] ?? 0);
      result.push(combine(operation, bits) ? 1 : 0);
    }
    if (length === 0) this.#values.delete(target);
    else this.#values.set(target, result);
    return integer(length / 8);
  }
}

/** One bit of BITOP's result from the sources' bits at its place. */
function combine(operation: string, bits: readonly number[]): boolean {
  const [first = 0, ...others] = bits;
  const ones = bits.filter((bit) => bit === 1).length;
  const anyOther = others.includes(1);
  switch (operation) {
    case "AND":
      return ones === bits.length;
    case "OR":
      return ones > 0;
    case "XOR":
      return ones % 2 === 1;
    case "NOT":
      return first === 0;
    case "DIFF":
      return first === 1 && !anyOther;
    case "DIFF1":
      return first === 0 && anyOther;
    case "ANDOR":
      return first === 1 && anyOther;
    case "ONE":
      return ones === 1;
    default:
      throw new Error(`the model has no BITOP ${operation}`);
  }
}

/** Negative ends count from the end; both are cut to what there is. Undefined when nothing is left. */
function range(start: number, end: number, length: number): [number, number] | undefined {
  const from = Math.max(0, start < 0 ? length + start : start);
  const to = Math.min(length - 1, Math.max(0, end < 0 ? length + end : end));
  return from <= to ? [from, to] : undefined;
}

/** The bits that `start end [BYTE|BIT]` speaks of, as their first and last place. */
function bitRange(bits: Bits, start: string, end: string, unit: string): [number, number] | undefined {
  if (unit === "BIT") return range(Number(start), Number(end), bits.length);
  const bytes = range(Number(start), Number(end), bits.length / 8);
  return bytes && [bytes[0] * 8, bytes[1] * 8 + 7];
}

function bitCount(bits: Bits, [start = "0", end = "-1", unit = "BYTE"]: string[]): number {
  if (Number(start) < 0 && Number(end) < 0 && Number(start) > Number(end)) return 0;
  const found = bitRange(bits, start, end, unit);
  if (found === undefined) return 0;
  let count = 0;
  for (let i = found[0]; i <= found[1]; i += 1) count += bits[i] ?? 0;
  return count;
}

function bitPos(bits: Bits | undefined, [bit = "", start = "0", end, unit = "BYTE"]: string[]): number {
  if (bits === undefined) return bit === "1" ? -1 : 0;
  const found = bitRange(bits, start, end ?? "-1", unit);
  if (found === undefined) return -1;
  for (let i = found[0]; i <= found[1]; i += 1) if (bits[i] === Number(bit)) return i;
  // The value is followed by zeros without end, unless the caller has said where to stop.
  return bit === "0" && end === undefined ? bits.length : -1;
}

function byteRange(bits: Bits, start: number, end: number): Bits {
  if (start < 0 && end < 0 && start > end) return [];
  const found = range(start, end, bits.length / 8);
  return found === undefined ? [] : bits.slice(found[0] * 8, found[1] * 8 + 8);
}

function toBits(bytes: string): Bits {
  return [...bytes].flatMap((c) => [...c.charCodeAt(0).toString(2).padStart(8, "0")].map(Number));
}

function toBytes(bits: Bits): string {
  let bytes = "";
  for (let i = 0; i < bits.length; i += 8)
    bytes += String.fromCharCode(Number.parseInt(bits.slice(i, i + 8).join(""), 2));
  return bytes;
}

const integer = (n: number) => `:${n}\r\n`;
const error = (text: string) => `-ERR ${text}\r\n`;

function bulk(bits: Bits | undefined): string {
  if (bits === undefined) return "$-1\r\n";
  const bytes = toBytes(bits);
  return `$${bytes.length}\r\n${bytes}\r\n`;
}

const key = fc.constantFrom(...KEYS);
const bit = fc.constantFrom("0", "1");
const offset = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: BITS_MAX }),
  fc.constantFrom(7, 8, 65_535, 65_536),
);
const place = fc.oneof(fc.integer({ min: -20, max: 20 }), fc.integer({ min: -BITS_MAX, max: BITS_MAX })).map(String);
const value = fc
  .tuple(
    fc.array(fc.constantFrom("\x00", "\xff", "\x01", "\x80", "a", "\xaa"), { maxLength: 12 }),
    fc.constantFrom(1, 1, 1, 300),
  )
  .map(([bytes, times]) => bytes.join("").repeat(times));
const span = fc.oneof(
  fc.constant<string[]>([]),
  fc.tuple(place, place),
  fc.tuple(place, place, fc.constantFrom("BYTE", "BIT")),
);
const commandWith = (operations: readonly string[]): fc.Arbitrary<string[]> =>
  fc.oneof(
    { weight: 5, arbitrary: fc.tuple(fc.constant("SETBIT"), key, offset.map(String), bit) },
    { weight: 2, arbitrary: fc.tuple(fc.constant("GETBIT"), key, offset.map(String)) },
    { weight: 2, arbitrary: fc.tuple(fc.constant("SET"), key, value) },
    { weight: 2, arbitrary: fc.tuple(fc.constant("GET"), key) },
    { weight: 1, arbitrary: fc.tuple(fc.constant("STRLEN"), key) },
    { weight: 2, arbitrary: fc.tuple(fc.constant("GETRANGE"), key, place, place) },
    { weight: 3, arbitrary: fc.tuple(key, span).map(([k, s]) => ["BITCOUNT", k, ...s]) },
    {
      weight: 3,
      arbitrary: fc.tuple(key, bit, fc.oneof(span, fc.tuple(place))).map(([k, b, s]) => ["BITPOS", k, b, ...s]),
    },
    {
      weight: 6,
      arbitrary: fc
        .tuple(
          fc.constantFrom(...operations),
          fc.array(fc.constantFrom(...KEYS, "missing"), { minLength: 1, maxLength: 4 }),
          key,
        )
        .map(([operation, sources, target]) => ["BITOP", operation, target, ...sources]),
    },
  );

/** The model checks this server; a real Redis, where there is one, checks the model, as far as version 7 goes. */
const SUBJECTS = [
  {
    name: "this server",
    start: startOurs,
    operations: ["AND", "OR", "XOR", "NOT", "DIFF", "DIFF1", "ANDOR", "ONE"],
    skip: false,
  },
  {
    name: "redis-server",
    start: startRedis,
    operations: ["AND", "OR", "XOR", "NOT"],
    skip: redisMissing !== undefined,
  },
];

sayRedisMissing("the model compared with a live redis-server");

for (const { name, start, operations, skip } of SUBJECTS) {
  test.skipIf(skip)(`the model and ${name} answer alike (seed ${SEED})`, { timeout: 300_000 }, async () => {
    const target = await start();
    const client = await RawClient.connect(target.port);
    const lists = fc.array(commandWith(operations), { minLength: 1, maxLength: COMMANDS_MAX, size: "max" });
    try {
      await fc.assert(
        fc.asyncProperty(lists, (list) => compare(client, list)),
        { seed: SEED, numRuns: RUNS },
      );
    } finally {
      client.close();
      await target.stop();
    }
  });
}

async function compare(client: RawClient, list: readonly string[][]): Promise<void> {
  const model = new Model();
  // The whole state at the end, beside every reply on the way.
  const commands = [...list, ...KEYS.map((key) => ["GET", key])];
  const [flushed, ...actual] = await client.pipeline([["FLUSHALL"], ...commands]);
  expect(flushed).toBe("+OK\r\n");
  for (const [i, argv] of commands.entries()) {
    const expected = model.run(argv);
    if (actual[i] === expected) continue;
    const told = commands.slice(0, i + 1).map(formatArgv);
    expect.fail(`${told.join("\n")}\n  model:  ${formatBytes(expected)}\n  server: ${formatBytes(actual[i] ?? "")}`);
  }
}
