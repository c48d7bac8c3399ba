/** INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT: values that are numbers, written as text. */
import { CommandError } from "../../errors.js";
import { Bitmap } from "../../keyspace/bitmap.js";
import { type Argv, INT64_CHARACTERS_MAX, int64 } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { bigintArg, NOT_AN_INTEGER } from "../args.js";
import { notify } from "../channels/notifications.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";
import { addLongDoubles, formatLongDouble, type LongDouble, parseLongDouble, TEXT_BYTES_MAX } from "./long-double.js";

const OVERFLOW = new CommandError("ERR increment or decrement would overflow");
const DECREMENT_OVERFLOW = new CommandError("ERR decrement would overflow");
const NOT_A_FLOAT = new CommandError("ERR value is not a valid float");
const NOT_FINITE = new CommandError("ERR increment would produce NaN or Infinity");

const INT64_MIN = -(2n ** 63n);

/** INCR key */
function incr(client: Client, argv: Argv, reply: Reply): void {
  add(client, argv, reply, 1n);
}

/** DECR key */
function decr(client: Client, argv: Argv, reply: Reply): void {
  add(client, argv, reply, -1n);
}

/** INCRBY key increment */
function incrby(client: Client, argv: Argv, reply: Reply): void {
  add(client, argv, reply, bigintArg(argv, 2));
}

/** DECRBY key decrement */
function decrby(client: Client, argv: Argv, reply: Reply): void {
  const decrement = bigintArg(argv, 2);
  if (decrement === INT64_MIN) throw DECREMENT_OVERFLOW;
  add(client, argv, reply, -decrement);
}

/** Adds to a key that is a signed 64-bit integer, or 0 if there is none. */
function add(client: Client, argv: Argv, reply: Reply, increment: bigint): void {
  const key = argv.string(1);
  const before = int64(textOf(client, key, INT64_CHARACTERS_MAX) ?? "0");
  if (before === undefined) throw NOT_AN_INTEGER;
  const after = before + increment;
  if (BigInt.asIntN(64, after) !== after) throw OVERFLOW;
  assignText(client, key, String(after));
  notify(client, "$", "incrby", key);
  reply.integer(after);
}

/** INCRBYFLOAT key increment */
function incrbyfloat(client: Client, argv: Argv, reply: Reply): void {
  const key = argv.string(1);
  const before = floatOf(textOf(client, key, TEXT_BYTES_MAX) ?? "0");
  const increment = floatOf(argv.byteLength(2) > TEXT_BYTES_MAX ? "" : argv.string(2));
  const after = addLongDoubles(before, increment);
  if (after === undefined) throw NOT_FINITE;
  const text = formatLongDouble(after);
  assignText(client, key, text);
  notify(client, "$", "incrbyfloat", key);
  reply.bulk(text);
}

function floatOf(text: string): LongDouble {
  const value = parseLongDouble(text);
  if (value === undefined) throw NOT_A_FLOAT;
  return value;
}

/** A key's value as latin1, the empty string where it is longer than any number; undefined without a key. Counts no hit or miss. */
function textOf(client: Client, key: string, bytesMax: number): string | undefined {
  const { keyspace } = client.server;
  const entry = keyspace.lookup(client.database, key);
  if (entry === undefined) return undefined;
  const value = keyspace.value(entry);
  return value.byteLength > bytesMax ? "" : value.bytes(0, value.byteLength).toString("latin1");
}

/** Makes a text the value of a key, which keeps its deadline. */
function assignText(client: Client, key: string, text: string): void {
  client.server.keyspace.setValue(client.database, key, Bitmap.fromBytes(Buffer.from(text, "latin1")));
}

const COUNTS = {
  flags: ["write", "denyoom", "fast"],
  categories: ["string"],
  keys: [{ flags: ["RW", "access", "update"], first: 1, last: 0, step: 1 }],
  group: "string",
  complexity: "O(1)",
} as const;

export const COUNTER_COMMANDS: readonly Command[] = [
  {
    ...COUNTS,
    name: "decr",
    arity: 2,
    syntax: "key",
    since: "1.0.0",
    summary: "Takes 1 from an integer.",
    handler: decr,
  },
  {
    ...COUNTS,
    name: "decrby",
    arity: 3,
    syntax: "key decrement:integer",
    since: "1.0.0",
    summary: "Takes an integer from an integer.",
    handler: decrby,
  },
  { ...COUNTS, name: "incr", arity: 2, syntax: "key", since: "1.0.0", summary: "Adds 1 to an integer.", handler: incr },
  {
    ...COUNTS,
    name: "incrby",
    arity: 3,
    syntax: "key increment:integer",
    since: "1.0.0",
    summary: "Adds an integer to an integer.",
    handler: incrby,
  },
  {
    ...COUNTS,
    name: "incrbyfloat",
    arity: 3,
    syntax: "key increment:double",
    since: "2.6.0",
    summary: "Adds a decimal number to one.",
    handler: incrbyfloat,
  },
];
