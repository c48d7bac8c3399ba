/**
 * R.SETBIT and its like: commands of the redis-roaring module, as far as they can reply what they reply there. For its clients; the same is
 * done by SETBIT, BITADD and so on. docs/set-commands.md says which are missing, and why.
 */
import { Bitmap } from "../../keyspace/bitmap.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { offsetArg } from "../args.js";
import { notify } from "../channels/notifications.js";
import type { Client } from "../client.js";
import { type Command, READ_KEY } from "../command.js";
import { lookupEntry } from "../lookup.js";
import { assign } from "../values.js";
import { bitmax, bitmin, idsArg, replyIds } from "./bit-set.js";
import { getbit, setbit } from "./bitmap.js";

/** R.SETINTARRAY key id [id ...] */
function setintarray(client: Client, argv: Argv, reply: Reply): void {
  assign(client, argv.string(1), Bitmap.fromOffsets(idsArg(argv, 2)));
  reply.ok();
}

/** R.APPENDINTARRAY key id [id ...] */
function appendintarray(client: Client, argv: Argv, reply: Reply): void {
  const added = client.server.keyspace.addOffsets(client.database, argv.string(1), idsArg(argv, 2));
  if (added > 0) notify(client, "$", "bitadd", argv.string(1));
  reply.ok();
}

/** R.DELETEINTARRAY key id [id ...] */
function deleteintarray(client: Client, argv: Argv, reply: Reply): void {
  const ids = idsArg(argv, 2);
  const { keyspace } = client.server;
  const entry = keyspace.lookup(client.database, argv.string(1));
  if (entry !== undefined && keyspace.removeOffsets(entry, ids) > 0) notify(client, "$", "bitrem", argv.string(1));
  reply.ok();
}

/** R.GETINTARRAY key */
function getintarray(client: Client, argv: Argv, reply: Reply): void {
  replyRanks(client, argv, reply, 0, Number.POSITIVE_INFINITY);
}

/** R.RANGEINTARRAY key start end: by rank, both included. */
function rangeintarray(client: Client, argv: Argv, reply: Reply): void {
  const start = offsetArg(argv, 2);
  const end = offsetArg(argv, 3);
  replyRanks(client, argv, reply, start, end);
}

function replyRanks(client: Client, argv: Argv, reply: Reply, start: number, end: number): void {
  const entry = lookupEntry(client, argv.string(1));
  if (entry === undefined) return reply.array(0);
  const { cardinality } = client.server.keyspace.value(entry);
  replyIds(client, reply, entry, start, Math.max(Math.min(end, cardinality - 1) - start + 1, 0));
}

/** What the rows share. */
const MODULE: Pick<Command, "categories" | "group" | "since" | "differs"> = {
  categories: ["bitmap"],
  group: "bitmap",
  since: "1.0.0",
  differs: "of the redis-roaring module, with this server's errors",
};

export const ROARING_MODULE_COMMANDS: readonly Command[] = [
  {
    ...MODULE,
    name: "r.appendintarray",
    arity: -3,
    syntax: "key id:integer...",
    flags: ["write", "denyoom"],
    keys: [{ flags: ["RW", "insert"], first: 1, last: 0, step: 1 }],
    complexity: "that of BITADD",
    summary: "Adds ids, as BITADD, and says OK.",
    handler: appendintarray,
  },
  {
    ...MODULE,
    name: "r.deleteintarray",
    arity: -3,
    syntax: "key id:integer...",
    flags: ["write"],
    keys: [{ flags: ["RW", "delete"], first: 1, last: 0, step: 1 }],
    complexity: "that of BITREM",
    summary: "Removes ids, as BITREM, and says OK.",
    handler: deleteintarray,
  },
  {
    ...MODULE,
    name: "r.getbit",
    arity: 3,
    syntax: "key offset:integer",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "O(log C) for C containers of 65,536 bits",
    summary: "Gives one bit, as GETBIT.",
    handler: getbit,
  },
  {
    ...MODULE,
    name: "r.getintarray",
    arity: 2,
    syntax: "key",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "O(N) in the number of ids",
    summary: "Lists all ids.",
    handler: getintarray,
  },
  {
    ...MODULE,
    name: "r.max",
    arity: 2,
    syntax: "key",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "that of BITMAX",
    summary: "Finds the largest id, as BITMAX.",
    handler: bitmax,
  },
  {
    ...MODULE,
    name: "r.min",
    arity: 2,
    syntax: "key",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "that of BITMIN",
    summary: "Finds the smallest id, as BITMIN.",
    handler: bitmin,
  },
  {
    ...MODULE,
    name: "r.rangeintarray",
    arity: 4,
    syntax: "key start:integer end:integer",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "that of BITRANGE",
    summary: "Lists ids by their rank, as BITRANGE.",
    handler: rangeintarray,
  },
  {
    ...MODULE,
    name: "r.setbit",
    arity: 4,
    syntax: "key offset:integer value:integer",
    flags: ["write", "denyoom"],
    keys: [{ flags: ["RW", "access", "update"], first: 1, last: 0, step: 1 }],
    complexity: "O(log C) for C containers of 65,536 bits",
    summary: "Sets or clears one bit and gives its old value, as SETBIT.",
    handler: setbit,
  },
  {
    ...MODULE,
    name: "r.setintarray",
    arity: -3,
    syntax: "key id:integer...",
    flags: ["write", "denyoom"],
    keys: [{ flags: ["OW", "update"], first: 1, last: 0, step: 1 }],
    complexity: "that of BITADD",
    summary: "Makes a value of ids, in place of the one there is.",
    handler: setintarray,
  },
];
