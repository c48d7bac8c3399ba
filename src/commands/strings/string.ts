/** GET, SET, MGET, MSET and their kin: values as strings of bytes, whole. */
import { CommandError } from "../../errors.js";
import { Bitmap } from "../../keyspace/bitmap.js";
import type { Entry } from "../../keyspace/entry.js";
import { NO_DEADLINE } from "../../keyspace/storage.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { SYNTAX_ERROR } from "../args.js";
import { notify } from "../channels/notifications.js";
import type { Client } from "../client.js";
import { type Command, type Handler, READ_KEY } from "../command.js";
import { deadlineArg } from "../keys/deadline.js";
import { lookupEntry, lookupRead } from "../lookup.js";
import { assign, remove, replyValue } from "../values.js";

/** GET key */
function get(client: Client, argv: Argv, reply: Reply): void {
  replyValue(reply, lookupRead(client, argv.string(1)));
}

/** GETDEL key */
function getdel(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  const key = argv.string(1);
  const entry = lookupEntry(client, key);
  if (entry === undefined) return reply.nil();
  replyValue(reply, keyspace.value(entry));
  remove(client, key, entry);
}

/** GETSET key value */
function getset(client: Client, argv: Argv, reply: Reply): void {
  const key = argv.string(1);
  replyValue(reply, lookupRead(client, key));
  assign(client, key, Bitmap.fromBytes(argv.bytes(2)));
}

/** MGET key [key ...] */
function mget(client: Client, argv: Argv, reply: Reply): void {
  reply.array(argv.length - 1);
  for (let i = 1; i < argv.length; i++) replyValue(reply, lookupRead(client, argv.string(i)));
}

/** MSET key value [key value ...] */
function mset(client: Client, argv: Argv, reply: Reply): void {
  checkPairs(argv, "mset");
  assignPairs(client, argv);
  reply.ok();
}

/** MSETNX key value [key value ...]: all of them, or none where one of the keys exists. */
function msetnx(client: Client, argv: Argv, reply: Reply): void {
  checkPairs(argv, "msetnx");
  for (let i = 1; i < argv.length; i += 2) if (exists(client, argv.string(i))) return reply.integer(0);
  assignPairs(client, argv);
  reply.integer(1);
}

function checkPairs(argv: Argv, command: string): void {
  if (argv.length % 2 === 0) throw new CommandError(`ERR wrong number of arguments for '${command}' command`);
}

function assignPairs(client: Client, argv: Argv): void {
  for (let i = 1; i < argv.length; i += 2) assign(client, argv.string(i), Bitmap.fromBytes(argv.bytes(i + 1)));
}

/** Whether there is such a key, for those who write: it counts as no hit or miss. */
function exists(client: Client, key: string): boolean {
  return client.server.keyspace.lookup(client.database, key) !== undefined;
}

const EXPIRE_OPTIONS = {
  EX: { unit: "s", absolute: false },
  PX: { unit: "ms", absolute: false },
  EXAT: { unit: "s", absolute: true },
  PXAT: { unit: "ms", absolute: true },
} as const;

/** Position of a time, and what kind it is. */
interface ExpireOption {
  i: number;
  option: keyof typeof EXPIRE_OPTIONS;
}

/**
 * What argument `i` announces: undefined where that is no time, where no argument follows, or where one of another kind came `before`.
 * The same kind given again takes the place of the earlier one.
 */
function expireOption(argv: Argv, i: number, before: ExpireOption | undefined): ExpireOption | undefined {
  const option = (Object.keys(EXPIRE_OPTIONS) as ExpireOption["option"][]).find((name) => argv.is(i, name));
  if (option === undefined || i + 1 >= argv.length || (before ?? { option }).option !== option) return undefined;
  return { i: i + 1, option };
}

/** The deadline that an option of `command` gives; NO_DEADLINE without one. */
function deadlineOf(client: Client, argv: Argv, expire: ExpireOption | undefined, command: string): number {
  if (expire === undefined) return NO_DEADLINE;
  const { unit, absolute } = EXPIRE_OPTIONS[expire.option];
  return deadlineArg(argv, expire.i, unit, absolute ? 0 : client.server.keyspace.now, command, { positive: true });
}

/** Gives a key a deadline. */
function expireAt(client: Client, key: string, entry: Entry, deadline: number): void {
  client.server.keyspace.setDeadline(entry, deadline);
  notify(client, "g", "expire", key);
}

interface SetOptions {
  condition?: "NX" | "XX";
  get: boolean;
  keepTtl: boolean;
  expire?: ExpireOption;
}

/** SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT time | PXAT time | KEEPTTL] */
function set(client: Client, argv: Argv, reply: Reply): void {
  const options = setOptions(argv);
  const key = argv.string(1);
  const deadline = deadlineOf(client, argv, options.expire, "set");
  if (options.get) replyValue(reply, lookupRead(client, key));
  if (options.condition !== undefined && exists(client, key) !== (options.condition === "XX")) {
    if (!options.get) reply.nil();
    return;
  }
  const entry = assign(client, key, Bitmap.fromBytes(argv.bytes(2)), options);
  if (deadline !== NO_DEADLINE) expireAt(client, key, entry, deadline);
  if (!options.get) reply.ok();
}

/** What a request does with its key. */
function setKeyFlags(argv: Argv): readonly string[] {
  for (let i = 3; i < argv.length; i++) if (argv.is(i, "GET")) return ["RW", "access", "update"];
  return ["OW", "update"];
}

function setOptions(argv: Argv): SetOptions {
  const options: SetOptions = { get: false, keepTtl: false };
  for (let i = 3; i < argv.length; i++) {
    const expire = options.keepTtl ? undefined : expireOption(argv, i, options.expire);
    if (argv.is(i, "NX") && options.condition !== "XX") options.condition = "NX";
    else if (argv.is(i, "XX") && options.condition !== "NX") options.condition = "XX";
    else if (argv.is(i, "GET")) options.get = true;
    else if (argv.is(i, "KEEPTTL") && options.expire === undefined) options.keepTtl = true;
    else if (expire !== undefined) {
      options.expire = expire;
      i = expire.i;
    } else throw SYNTAX_ERROR;
  }
  return options;
}

/** SETEX key seconds value, and PSETEX key milliseconds value */
function setex(name: string, option: ExpireOption["option"]): Handler {
  return (client, argv, reply) => {
    const deadline = deadlineOf(client, argv, { i: 2, option }, name);
    const key = argv.string(1);
    expireAt(client, key, assign(client, key, Bitmap.fromBytes(argv.bytes(3))), deadline);
    reply.ok();
  };
}

/** SETNX key value */
function setnx(client: Client, argv: Argv, reply: Reply): void {
  const key = argv.string(1);
  if (exists(client, key)) return reply.integer(0);
  assign(client, key, Bitmap.fromBytes(argv.bytes(2)));
  reply.integer(1);
}

/** GETEX key [EX seconds | PX milliseconds | EXAT time | PXAT time | PERSIST] */
function getex(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  const { expire, persist } = getexOptions(argv);
  const key = argv.string(1);
  const entry = lookupEntry(client, key);
  // Redis looks at the time only where there is a key.
  if (entry === undefined) return reply.nil();
  const deadline = deadlineOf(client, argv, expire, "getex");
  replyValue(reply, keyspace.value(entry));
  if (keyspace.isPast(deadline)) remove(client, key, entry);
  else if (deadline !== NO_DEADLINE) expireAt(client, key, entry, deadline);
  else if (persist && entry.volatile) {
    keyspace.persist(entry);
    notify(client, "g", "persist", key);
  }
}

function getexOptions(argv: Argv): { expire?: ExpireOption; persist: boolean } {
  const options: { expire?: ExpireOption; persist: boolean } = { persist: false };
  for (let i = 2; i < argv.length; i++) {
    const expire = options.persist ? undefined : expireOption(argv, i, options.expire);
    if (argv.is(i, "PERSIST") && options.expire === undefined) options.persist = true;
    else if (expire !== undefined) {
      options.expire = expire;
      i = expire.i;
    } else throw SYNTAX_ERROR;
  }
  return options;
}

const SETS_WITH_TIME = {
  arity: 4,
  flags: ["write", "denyoom"],
  categories: ["string"],
  keys: [{ flags: ["OW", "update"], first: 1, last: 0, step: 1 }],
  group: "string",
  complexity: "O(N) in the value's length",
} as const;

export const STRING_COMMANDS: readonly Command[] = [
  {
    name: "get",
    arity: 2,
    syntax: "key",
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
    name: "getdel",
    arity: 2,
    syntax: "key",
    flags: ["write", "fast"],
    categories: ["string"],
    keys: [{ flags: ["RW", "access", "delete"], first: 1, last: 0, step: 1 }],
    group: "string",
    since: "6.2.0",
    complexity: "O(N) in the value's length",
    summary: "Gives the value and deletes the key.",
    handler: getdel,
  },
  {
    name: "getex",
    arity: -2,
    syntax:
      "key [expiration:(EX seconds:integer | PX milliseconds:integer | EXAT unix-time-seconds:unix-time | PXAT unix-time-milliseconds:unix-time | PERSIST)]",
    flags: ["write", "fast"],
    categories: ["string"],
    keys: [
      {
        flags: ["RW", "access", "update"],
        first: 1,
        last: 0,
        step: 1,
        notes: "RW and UPDATE because it changes the TTL",
      },
    ],
    group: "string",
    since: "6.2.0",
    complexity: "O(N) in the value's length",
    summary: "Gives the value, and the key a deadline or none.",
    handler: getex,
  },
  {
    name: "getset",
    arity: 3,
    syntax: "key value",
    flags: ["write", "denyoom", "fast"],
    categories: ["string"],
    keys: [{ flags: ["RW", "access", "update"], first: 1, last: 0, step: 1 }],
    group: "string",
    since: "1.0.0",
    complexity: "O(N) in the values' lengths",
    summary: "Sets a key and gives its old value.",
    handler: getset,
  },
  {
    name: "mget",
    arity: -2,
    syntax: "key...",
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
    syntax: "key_value:<key value>...",
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
    name: "msetnx",
    arity: -3,
    syntax: "key_value:<key value>...",
    flags: ["write", "denyoom"],
    categories: ["string"],
    keys: [{ flags: ["OW", "insert"], first: 1, last: -1, step: 2 }],
    tips: ["request_policy:multi_shard", "response_policy:agg_min"],
    group: "string",
    since: "1.0.1",
    complexity: "O(N) in the length of the values",
    summary: "Sets several keys if none of them exists.",
    handler: msetnx,
  },
  {
    ...SETS_WITH_TIME,
    name: "psetex",
    syntax: "key milliseconds:integer value",
    since: "2.6.0",
    summary: "Sets a key that expires after so many milliseconds.",
    handler: setex("psetex", "PX"),
  },
  {
    name: "set",
    arity: -3,
    syntax:
      "key value [condition:(NX | XX)@2.6.12] [GET@6.2.0] [expiration:(EX seconds:integer@2.6.12 | PX milliseconds:integer@2.6.12 | EXAT unix-time-seconds:unix-time@6.2.0 | PXAT unix-time-milliseconds:unix-time@6.2.0 | KEEPTTL@6.0.0)]",
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
    keyFlagsOf: setKeyFlags,
    group: "string",
    since: "1.0.0",
    complexity: "O(N) in the value's length",
    summary: "Sets a key to a string of bytes.",
    handler: set,
  },
  {
    ...SETS_WITH_TIME,
    name: "setex",
    syntax: "key seconds:integer value",
    since: "2.0.0",
    summary: "Sets a key that expires after so many seconds.",
    handler: setex("setex", "EX"),
  },
  {
    name: "setnx",
    arity: 3,
    syntax: "key value",
    flags: ["write", "denyoom", "fast"],
    categories: ["string"],
    keys: [{ flags: ["OW", "insert"], first: 1, last: 0, step: 1 }],
    group: "string",
    since: "1.0.0",
    complexity: "O(N) in the value's length",
    summary: "Sets a key if it does not exist.",
    handler: setnx,
  },
];
