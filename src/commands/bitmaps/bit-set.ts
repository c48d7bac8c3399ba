/** BITADD and its like: a value as the set of its 1 bits, whose offsets are ids. Not in Redis; docs/set-commands.md says why they are here. */
import { BITSCAN_COUNT_MAX, LISTED_IDS, OFFSET_MAX } from "../../config.js";
import { Bitmap } from "../../keyspace/bitmap.js";
import { jaccard } from "../../keyspace/bitmap-op.js";
import type { Entry } from "../../keyspace/entry.js";
import type { Value } from "../../keyspace/value.js";
import type { Argv } from "../../resp/argv.js";
import { Reply } from "../../resp/reply.js";
import { clampRange, INVALID_CURSOR, integerArg, offsetArg, SYNTAX_ERROR } from "../args.js";
import { notify } from "../channels/notifications.js";
import type { Client } from "../client.js";
import { type Command, READ_KEY } from "../command.js";
import { lookupBitmap, lookupEntry, lookupRead } from "../lookup.js";

const BITSCAN_COUNT_DEFAULT = 10;

/** What there is not: as BITPOS says it. */
const NONE = -1;

/** BITADD key id [id ...] */
function bitadd(client: Client, argv: Argv, reply: Reply): void {
  const ids = idsArg(argv, 2);
  replyChanged(client, argv, reply, client.server.keyspace.addOffsets(client.database, argv.string(1), ids), "bitadd");
}

/** BITREM key id [id ...] */
function bitrem(client: Client, argv: Argv, reply: Reply): void {
  const ids = idsArg(argv, 2);
  const { keyspace } = client.server;
  const entry = keyspace.lookup(client.database, argv.string(1));
  replyChanged(client, argv, reply, entry === undefined ? 0 : keyspace.removeOffsets(entry, ids), "bitrem");
}

/** BITADDRANGE key first last */
function bitaddrange(client: Client, argv: Argv, reply: Reply): void {
  const first = offsetArg(argv, 2);
  const last = offsetArg(argv, 3);
  const { keyspace } = client.server;
  const added = first > last ? 0 : keyspace.addRange(client.database, argv.string(1), first, last);
  replyChanged(client, argv, reply, added, "bitadd");
}

/** BITREMRANGE key first last */
function bitremrange(client: Client, argv: Argv, reply: Reply): void {
  const first = offsetArg(argv, 2);
  const last = offsetArg(argv, 3);
  const { keyspace } = client.server;
  const entry = keyspace.lookup(client.database, argv.string(1));
  const removed = entry === undefined || first > last ? 0 : keyspace.removeRange(entry, first, last);
  replyChanged(client, argv, reply, removed, "bitrem");
}

/** Replies how many bits were changed, and tells of it where there are any. */
function replyChanged(client: Client, argv: Argv, reply: Reply, count: number, event: "bitadd" | "bitrem"): void {
  if (count > 0) notify(client, "$", event, argv.string(1));
  reply.integer(count);
}

/** BITCONTAINS key ALL | ANY id [id ...] */
function bitcontains(client: Client, argv: Argv, reply: Reply): void {
  const isAll = argv.is(2, "ALL");
  if (!isAll && !argv.is(2, "ANY")) throw SYNTAX_ERROR;
  const ids = idsArg(argv, 3);
  const entry = lookupEntry(client, argv.string(1));
  if (entry === undefined) return reply.integer(0);
  const { keyspace } = client.server;
  const has = (id: number) => keyspace.bitOf(entry, id) === 1;
  reply.integer((isAll ? ids.every(has) : ids.some(has)) ? 1 : 0);
}

/** BITMIN key */
export function bitmin(client: Client, argv: Argv, reply: Reply): void {
  reply.integer(idAt(lookupRead(client, argv.string(1)), 0));
}

/** BITMAX key */
export function bitmax(client: Client, argv: Argv, reply: Reply): void {
  reply.integer(idAt(lookupRead(client, argv.string(1)), -1));
}

/** BITSELECT key rank */
function bitselect(client: Client, argv: Argv, reply: Reply): void {
  const rank = integerArg(argv, 2);
  reply.integer(idAt(lookupRead(client, argv.string(1)), rank));
}

/** The id of a rank, which counts from the end where it is negative. */
function idAt(value: Value | undefined, rank: number): number {
  if (value === undefined) return NONE;
  const { cardinality } = value;
  const index = rank < 0 ? cardinality + rank : rank;
  return index < 0 || index >= cardinality ? NONE : value.select(index);
}

/** BITRANK key id */
function bitrank(client: Client, argv: Argv, reply: Reply): void {
  const id = offsetArg(argv, 2);
  const value = lookupRead(client, argv.string(1));
  reply.integer(value === undefined || value.getBit(id) === 0 ? NONE : value.countRange(0, id - 1));
}

/** BITRANGE key start stop [BYID] */
function bitrange(client: Client, argv: Argv, reply: Reply): void {
  const isById = argv.length > 4;
  if (argv.length > 5 || (isById && !argv.is(4, "BYID"))) throw SYNTAX_ERROR;
  const start = isById ? offsetArg(argv, 2) : integerArg(argv, 2);
  const stop = isById ? offsetArg(argv, 3) : integerArg(argv, 3);
  const entry = lookupEntry(client, argv.string(1));
  if (entry === undefined) return reply.array(0);
  const value = client.server.keyspace.value(entry);
  if (isById) return replyIds(client, reply, entry, value.countRange(0, start - 1), value.countRange(start, stop));
  const { first, last } = clampRange(start, stop, value.cardinality);
  replyIds(client, reply, entry, first, Math.max(last - first + 1, 0));
}

/** Writes the `count` ids of a value from one rank on: at once where they are few, else as the client reads them. */
export function replyIds(client: Client, reply: Reply, entry: Entry, rank: number, count: number): void {
  const { keyspace } = client.server;
  reply.array(count);
  if (count > LISTED_IDS) return reply.encoded(new ListedIds(keyspace.bitmap(entry).hold(), rank, count));
  for (const id of keyspace.value(entry).page(rank, count)) reply.integer(id);
}

/** BITSCAN key cursor [COUNT count]. The cursor is the first id that was not looked at. */
function bitscan(client: Client, argv: Argv, reply: Reply): void {
  const cursor = argv.integer(2);
  if (!(cursor >= 0 && cursor <= OFFSET_MAX)) throw INVALID_CURSOR;
  let count = BITSCAN_COUNT_DEFAULT;
  for (let i = 3; i < argv.length; i += 2) {
    if (i + 1 >= argv.length || !argv.is(i, "COUNT")) throw SYNTAX_ERROR;
    count = integerArg(argv, i + 1);
    if (count < 1) throw SYNTAX_ERROR;
  }
  const value = lookupRead(client, argv.string(1));
  const rank = value?.countRange(0, cursor - 1) ?? 0;
  const ids = value?.page(rank, Math.min(count, BITSCAN_COUNT_MAX)) ?? [];
  const isLast = rank + ids.length >= (value?.cardinality ?? 0);
  reply.array(2);
  reply.bulk(String(isLast ? 0 : (ids.at(-1) as number) + 1));
  reply.array(ids.length);
  for (const id of ids) reply.integer(id);
}

/** BITJACCARD key key */
function bitjaccard(client: Client, argv: Argv, reply: Reply): void {
  const missing = new Bitmap();
  const [a, b] = [1, 2].map((i) => lookupBitmap(client, argv.string(i)) ?? missing) as [Bitmap, Bitmap];
  reply.double(jaccard(a, b));
  missing.dispose();
}

/** BITSTAT key */
function bitstat(client: Client, argv: Argv, reply: Reply): void {
  const value = lookupRead(client, argv.string(1));
  if (value === undefined) return reply.nil();
  const { arrays, bitsets, runs } = value.containers;
  const fields: Record<string, number> = {
    "byte-length": value.byteLength,
    cardinality: value.cardinality,
    containers: arrays.containers + bitsets.containers + runs.containers,
  };
  for (const [kind, counted] of Object.entries({ array: arrays, bitset: bitsets, run: runs })) {
    fields[`${kind}-containers`] = counted.containers;
    fields[`${kind}-ids`] = counted.members;
    fields[`${kind}-bytes`] = counted.bytes;
  }
  const pairs = Object.entries(fields);
  reply.map(pairs.length);
  for (const [field, number] of pairs) {
    reply.bulk(field);
    reply.integer(number);
  }
}

/** BITOPTIMIZE key */
function bitoptimize(client: Client, argv: Argv, reply: Reply): void {
  const entry = lookupEntry(client, argv.string(1));
  reply.integer(entry === undefined ? 0 : client.server.keyspace.optimize(entry));
}

/** The arguments from `first` on as ids, in SETBIT's words where one is none. */
export function idsArg(argv: Argv, first: number): Uint32Array {
  const ids = new Uint32Array(argv.length - first);
  for (let i = 0; i < ids.length; i++) ids[i] = offsetArg(argv, first + i);
  return ids;
}

/** What lists are written with, one piece of one of them at a time. */
const pieces = new Reply();

/** Ids of a value as integer replies, as it was when the list was begun. */
class ListedIds implements Iterator<Uint8Array, void> {
  readonly #value: Bitmap;
  #rank: number;
  readonly #end: number;
  #isDone = false;

  /** The value is held for this list, which lets go of it. */
  constructor(value: Bitmap, rank: number, count: number) {
    this.#value = value;
    this.#rank = rank;
    this.#end = rank + count;
  }

  next(): IteratorResult<Uint8Array, void> {
    if (this.#rank >= this.#end) return this.return();
    const ids = this.#value.page(this.#rank, Math.min(LISTED_IDS, this.#end - this.#rank));
    this.#rank += ids.length;
    for (const id of ids) pieces.integer(id);
    return { done: false, value: pieces.take()[0] as Uint8Array };
  }

  return(): IteratorReturnResult<void> {
    this.#rank = this.#end;
    if (!this.#isDone) this.#value.dispose();
    this.#isDone = true;
    return { done: true, value: undefined };
  }
}

/** What the rows share. */
const SET: Pick<Command, "categories" | "group" | "since" | "differs"> = {
  categories: ["bitmap"],
  group: "bitmap",
  since: "1.0.0",
  differs: "not in Redis",
};

export const BIT_SET_COMMANDS: readonly Command[] = [
  {
    ...SET,
    name: "bitadd",
    arity: -3,
    syntax: "key id:integer...",
    flags: ["write", "denyoom"],
    keys: [{ flags: ["RW", "access", "insert"], first: 1, last: 0, step: 1 }],
    complexity:
      "O(N log N) for N ids, O(N) where they ascend, and O(C) over C containers of 65,536 bits where N is above 512",
    summary: "Sets the bits of ids and counts those that were 0.",
    handler: bitadd,
  },
  {
    ...SET,
    name: "bitaddrange",
    arity: 4,
    syntax: "key first:integer last:integer",
    flags: ["write", "denyoom"],
    keys: [{ flags: ["RW", "access", "insert"], first: 1, last: 0, step: 1 }],
    complexity: "O(C) over the containers of 65,536 bits of the value and of the range",
    summary: "Sets the bits of all ids of a range and counts those that were 0.",
    handler: bitaddrange,
  },
  {
    ...SET,
    name: "bitcontains",
    arity: -4,
    syntax: "key condition:(ALL | ANY) id:integer...",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "O(N log C) for N ids and C containers of 65,536 bits",
    summary: "Tells whether the bits of all ids, or of any, are 1.",
    handler: bitcontains,
  },
  {
    ...SET,
    name: "bitjaccard",
    arity: 3,
    syntax: "key1:key key2:key",
    flags: ["readonly"],
    keys: [{ flags: ["RO", "access"], first: 1, last: 1, step: 1 }],
    complexity: "O(C) over the containers of 65,536 bits that hold ones",
    summary: "Tells how alike two sets are: the ids in both as a part of those in either.",
    handler: bitjaccard,
  },
  {
    ...SET,
    name: "bitmax",
    arity: 2,
    syntax: "key",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "O(C) over C containers of 65,536 bits",
    summary: "Finds the largest id.",
    handler: bitmax,
  },
  {
    ...SET,
    name: "bitmin",
    arity: 2,
    syntax: "key",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "O(1)",
    summary: "Finds the smallest id.",
    handler: bitmin,
  },
  {
    ...SET,
    name: "bitoptimize",
    arity: 2,
    syntax: "key",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "O(B) in the bytes of the compressed value",
    summary: "Makes a value as small in memory as it gets and tells how many bytes that saves.",
    handler: bitoptimize,
  },
  {
    ...SET,
    name: "bitrange",
    arity: -4,
    syntax: "key start:integer stop:integer [BYID]",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "O(C+N) over C containers of 65,536 bits and N ids that are listed",
    summary: "Lists ids by their rank, or those between two ids.",
    handler: bitrange,
  },
  {
    ...SET,
    name: "bitrank",
    arity: 3,
    syntax: "key id:integer",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "O(C) over C containers of 65,536 bits",
    summary: "Tells how many ids are below an id that is in the set.",
    handler: bitrank,
  },
  {
    ...SET,
    name: "bitrem",
    arity: -3,
    syntax: "key id:integer...",
    flags: ["write"],
    keys: [{ flags: ["RW", "access", "delete"], first: 1, last: 0, step: 1 }],
    complexity:
      "O(N log N) for N ids, O(N) where they ascend, and O(C) over C containers of 65,536 bits where N is above 512",
    summary: "Clears the bits of ids and counts those that were 1.",
    handler: bitrem,
  },
  {
    ...SET,
    name: "bitremrange",
    arity: 4,
    syntax: "key first:integer last:integer",
    flags: ["write"],
    keys: [{ flags: ["RW", "access", "delete"], first: 1, last: 0, step: 1 }],
    complexity: "O(C) over the containers of 65,536 bits of the value and of the range",
    summary: "Clears the bits of all ids of a range and counts those that were 1.",
    handler: bitremrange,
  },
  {
    ...SET,
    name: "bitscan",
    arity: -3,
    syntax: "key cursor:integer [COUNT count:integer]",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "O(C+COUNT) a call, over C containers of 65,536 bits",
    summary: "Lists ids page by page.",
    handler: bitscan,
  },
  {
    ...SET,
    name: "bitselect",
    arity: 3,
    syntax: "key rank:integer",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "O(C) over C containers of 65,536 bits",
    summary: "Finds the id of a rank.",
    handler: bitselect,
  },
  {
    ...SET,
    name: "bitstat",
    arity: 2,
    syntax: "key",
    flags: ["readonly"],
    keys: [READ_KEY],
    complexity: "O(C) over C containers of 65,536 bits",
    summary: "Tells of the containers that a value is made of.",
    handler: bitstat,
  },
];
