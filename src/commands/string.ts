/** GET, SET, STRLEN, GETRANGE, MGET, MSET: values as strings of bytes. */
import { REPLY_SLICE_BYTES } from "../config.js";
import { CommandError } from "../errors.js";
import { Bitmap } from "../keyspace/bitmap.js";
import { NO_DEADLINE } from "../keyspace/storage.js";
import type { Value } from "../keyspace/value.js";
import type { Argv } from "../resp/argv.js";
import type { Reply } from "../resp/reply.js";
import { clampRange, integerArg, SYNTAX_ERROR } from "./args.js";
import type { Client } from "./client.js";
import { type Command, LOOK_AT_KEY, READ_KEY } from "./command.js";
import { deadlineArg } from "./deadline.js";
import { lookupRead } from "./lookup.js";

/** Writes bytes `start`..`start + length - 1` of a value as a bulk: at once if they are few, else in slices. */
function replyBytes(reply: Reply, value: Value, start: number, length: number): void {
  if (length <= REPLY_SLICE_BYTES) reply.bulk(value.bytes(start, length));
  else reply.stream(length, value.slices(start, length));
}

function replyValue(reply: Reply, value: Value | undefined): void {
  if (value === undefined) reply.nil();
  else replyBytes(reply, value, 0, value.byteLength);
}

/** GET key */
function get(client: Client, argv: Argv, reply: Reply): void {
  replyValue(reply, lookupRead(client, argv.string(1)));
}

/** STRLEN key */
function strlen(client: Client, argv: Argv, reply: Reply): void {
  reply.integer(lookupRead(client, argv.string(1))?.byteLength ?? 0);
}

/** GETRANGE key start end */
function getrange(client: Client, argv: Argv, reply: Reply): void {
  const start = integerArg(argv, 2);
  const end = integerArg(argv, 3);
  const bitmap = lookupRead(client, argv.string(1));
  if (bitmap === undefined || (start < 0 && end < 0 && start > end)) return reply.bulk("");
  const { first, last } = clampRange(start, end, bitmap.byteLength);
  if (first > last) return reply.bulk("");
  replyBytes(reply, bitmap, first, last - first + 1);
}

/** MGET key [key ...] */
function mget(client: Client, argv: Argv, reply: Reply): void {
  reply.array(argv.length - 1);
  for (let i = 1; i < argv.length; i++) replyValue(reply, lookupRead(client, argv.string(i)));
}

/** MSET key value [key value ...] */
function mset(client: Client, argv: Argv, reply: Reply): void {
  if (argv.length % 2 === 0) throw new CommandError("ERR wrong number of arguments for 'mset' command");
  for (let i = 1; i < argv.length; i += 2) assign(client, argv.string(i), Bitmap.fromBytes(argv.bytes(i + 1)));
  reply.ok();
}

/** Makes `bitmap` the value of a key, which does not expire afterwards unless `keepTtl`. */
function assign(client: Client, key: string, bitmap: Bitmap, options: { keepTtl?: boolean } = {}): void {
  const { keyspace } = client.server;
  const entry = keyspace.setValue(client.database, key, bitmap);
  if (entry.volatile && options.keepTtl !== true) keyspace.persist(entry);
}

interface SetOptions {
  condition?: "NX" | "XX";
  get: boolean;
  keepTtl: boolean;
  /** Position of the time, and what kind it is. The same option given again takes the place of the earlier one. */
  expire?: { i: number; option: keyof typeof EXPIRE_OPTIONS };
}

const EXPIRE_OPTIONS = {
  EX: { unit: "s", absolute: false },
  PX: { unit: "ms", absolute: false },
  EXAT: { unit: "s", absolute: true },
  PXAT: { unit: "ms", absolute: true },
} as const;

/** SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT time | PXAT time | KEEPTTL] */
function set(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  const options = setOptions(argv);
  const key = argv.string(1);
  const deadline = options.expire === undefined ? NO_DEADLINE : setDeadline(client, argv, options.expire);
  const before = options.get ? lookupRead(client, key) : undefined;
  if (options.get) replyValue(reply, before);
  const exists = options.condition !== undefined && keyspace.lookup(client.database, key) !== undefined;
  if ((options.condition === "NX" && exists) || (options.condition === "XX" && !exists)) {
    if (!options.get) reply.nil();
    return;
  }
  assign(client, key, Bitmap.fromBytes(argv.bytes(2)), options);
  const entry = keyspace.lookup(client.database, key);
  if (entry !== undefined && deadline !== NO_DEADLINE) keyspace.setDeadline(entry, deadline);
  if (!options.get) reply.ok();
}

function setOptions(argv: Argv): SetOptions {
  const options: SetOptions = { get: false, keepTtl: false };
  for (let i = 3; i < argv.length; i++) {
    const expire = (Object.keys(EXPIRE_OPTIONS) as (keyof typeof EXPIRE_OPTIONS)[]).find((name) => argv.is(i, name));
    if (argv.is(i, "NX") && options.condition !== "XX") options.condition = "NX";
    else if (argv.is(i, "XX") && options.condition !== "NX") options.condition = "XX";
    else if (argv.is(i, "GET")) options.get = true;
    else if (argv.is(i, "KEEPTTL") && options.expire === undefined) options.keepTtl = true;
    else if (expire !== undefined && mayExpire(options, expire) && i + 1 < argv.length) {
      options.expire = { i: ++i, option: expire };
    } else throw SYNTAX_ERROR;
  }
  return options;
}

function mayExpire({ expire, keepTtl }: SetOptions, option: keyof typeof EXPIRE_OPTIONS): boolean {
  return !keepTtl && (expire === undefined || expire.option === option);
}

function setDeadline(client: Client, argv: Argv, expire: NonNullable<SetOptions["expire"]>): number {
  const { unit, absolute } = EXPIRE_OPTIONS[expire.option];
  return deadlineArg(argv, expire.i, unit, absolute ? 0 : client.server.keyspace.now, "set", { positive: true });
}

export const STRING_COMMANDS: readonly Command[] = [
  {
    name: "get",
    arity: 2,
    flags: ["readonly", "fast"],
    categories: ["string"],
    keys: [READ_KEY],
    group: "string",
    since: "1.0.0",
    complexity: "O(N) in the value's length",
    summary: "Gives the value as a string of bytes.",
    handler: get,
  },
  {
    name: "getrange",
    arity: 4,
    flags: ["readonly"],
    categories: ["string"],
    keys: [READ_KEY],
    group: "string",
    since: "2.4.0",
    complexity: "O(N) in the length of the reply",
    summary: "Gives a part of the value as a string of bytes.",
    handler: getrange,
  },
  {
    name: "mget",
    arity: -2,
    flags: ["readonly", "fast"],
    categories: ["string"],
    keys: [{ ...READ_KEY, last: -1 }],
    tips: ["request_policy:multi_shard"],
    group: "string",
    since: "1.0.0",
    complexity: "O(N) in the length of the reply",
    summary: "Gives the values of several keys.",
    handler: mget,
  },
  {
    name: "mset",
    arity: -3,
    flags: ["write", "denyoom"],
    categories: ["string"],
    keys: [{ flags: ["OW", "update"], first: 1, last: -1, step: 2 }],
    tips: ["request_policy:multi_shard", "response_policy:all_succeeded"],
    group: "string",
    since: "1.0.1",
    complexity: "O(N) in the length of the values",
    summary: "Sets several keys.",
    handler: mset,
  },
  {
    name: "set",
    arity: -3,
    flags: ["write", "denyoom"],
    categories: ["string"],
    keys: [
      {
        flags: ["RW", "access", "update", "variable_flags"],
        first: 1,
        last: 0,
        step: 1,
        notes: "RW and ACCESS due to the optional `GET` argument",
      },
    ],
    group: "string",
    since: "1.0.0",
    complexity: "O(N) in the value's length",
    summary: "Sets a key to a string of bytes.",
    handler: set,
  },
  {
    name: "strlen",
    arity: 2,
    flags: ["readonly", "fast"],
    categories: ["string"],
    keys: [LOOK_AT_KEY],
    group: "string",
    since: "2.2.0",
    complexity: "O(1)",
    summary: "Gives the value's length in bytes.",
    handler: strlen,
  },
];
