/** OBJECT: what can be told of a value beside its bytes. */
import { CommandError } from "../../errors.js";
import type { Entry } from "../../keyspace/entry.js";
import type { Value } from "../../keyspace/value.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import type { Client } from "../client.js";
import { type Command, type Handler, LOOK_AT_SECOND_KEY } from "../command.js";
import { helpHandler } from "../help.js";
import { peekEntry } from "../lookup.js";

const NO_LFU = new CommandError(
  "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
);

/** Longest string that Redis keeps in one piece with its object (OBJ_ENCODING_EMBSTR_SIZE_LIMIT). */
const EMBSTR_BYTES_MAX = 44;
/** Integers below this are there once in Redis, for all keys (OBJ_SHARED_INTEGERS), and say that so many refer to them. */
const SHARED_INTEGERS = 10_000;
const SHARED_REFCOUNT = 2 ** 31 - 1;

/** A subcommand that tells something of a key, and nil where there is none. */
function ofKey(tell: (client: Client, entry: Entry, reply: Reply) => void): Handler {
  return (client: Client, argv: Argv, reply: Reply) => {
    const entry = peekEntry(client, argv.string(2));
    if (entry === undefined) reply.nil();
    else tell(client, entry, reply);
  };
}

/** OBJECT ENCODING key: what Redis keeps a string as that was SET to these bytes. */
const encoding = ofKey(({ server }, entry, reply) => {
  const value = server.keyspace.value(entry);
  if (value.byteLength > EMBSTR_BYTES_MAX) reply.bulk("raw");
  else reply.bulk(integerOf(value) === undefined ? "embstr" : "int");
});

/** OBJECT REFCOUNT key */
const refcount = ofKey(({ server }, entry, reply) => {
  const integer = integerOf(server.keyspace.value(entry));
  const isShared = integer !== undefined && integer >= 0 && integer < SHARED_INTEGERS;
  reply.integer(isShared ? SHARED_REFCOUNT : 1);
});

/** OBJECT IDLETIME key: in seconds. */
const idletime = ofKey(({ server }, entry, reply) => {
  reply.integer(Math.floor(server.keyspace.idleMs(entry) / 1000));
});

/** OBJECT FREQ key */
const freq = ofKey(() => {
  throw NO_LFU;
});

/** The canonical decimal integer of 64 bits that a value is, if it is one. */
function integerOf(value: Value): bigint | undefined {
  if (value.byteLength > EMBSTR_BYTES_MAX) return undefined;
  const text = value.bytes(0, value.byteLength).toString("latin1");
  if (!/^-?[0-9]+$/.test(text)) return undefined;
  const integer = BigInt.asIntN(64, BigInt(text));
  return String(integer) === text ? integer : undefined;
}

const SUBCOMMAND = {
  arity: 3,
  flags: ["readonly"],
  categories: ["keyspace"],
  keys: [LOOK_AT_SECOND_KEY],
  tips: ["nondeterministic_output"],
  group: "generic",
  since: "2.2.3",
  complexity: "O(1)",
} as const;

const help = helpHandler("object", () => SUBCOMMANDS);

const SUBCOMMANDS: readonly Command[] = [
  {
    ...SUBCOMMAND,
    name: "object|encoding",
    syntax: "key",
    summary: "What Redis would keep the value as: int, embstr or raw.",
    handler: encoding,
  },
  {
    ...SUBCOMMAND,
    name: "object|freq",
    syntax: "key",
    since: "4.0.0",
    summary: "How often the key was used, which is not counted.",
    handler: freq,
  },
  {
    name: "object|help",
    arity: 2,
    flags: ["loading", "stale"],
    categories: ["keyspace"],
    group: "generic",
    since: "6.2.0",
    complexity: "O(1)",
    summary: "What there is.",
    handler: help,
  },
  {
    ...SUBCOMMAND,
    name: "object|idletime",
    syntax: "key",
    summary: "How many seconds the key was not used.",
    handler: idletime,
  },
  {
    ...SUBCOMMAND,
    name: "object|refcount",
    syntax: "key",
    summary: "How many Redis would have refer to the value.",
    handler: refcount,
  },
];

export const OBJECT_COMMANDS: readonly Command[] = [
  {
    name: "object",
    arity: -2,
    flags: [],
    group: "generic",
    since: "2.2.3",
    complexity: "Depends on subcommand.",
    summary: "About how a value is kept.",
    differs:
      "ENCODING and REFCOUNT say what Redis says of a value that was SET, also after SETBIT and BITOP, where it says raw and 1; IDLETIME is 300 for a key that has left memory, and EXISTS, TTL and TYPE are uses too",
    handler: help,
    subcommands: SUBCOMMANDS,
  },
];
