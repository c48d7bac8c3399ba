/** Commands about keys whatever they hold: DEL, EXISTS, KEYS, SCAN, RENAME, COPY, MOVE and the like. */

import { setTimeout } from "node:timers/promises";
import { KEYS_AT_ONCE_MAX, KEYS_PIECE_BYTES, KEYS_SLICE_MS, SCAN_COUNT_MAX } from "../../config.js";
import type { Entry } from "../../keyspace/entry.js";
import { compileGlob } from "../../keyspace/glob.js";
import type { Argv } from "../../resp/argv.js";
import { Reply } from "../../resp/reply.js";
import {
  databaseArg,
  INVALID_CURSOR,
  integerArg,
  NO_SUCH_KEY,
  NOT_AN_INTEGER,
  SAME_OBJECT,
  SYNTAX_ERROR,
} from "../args.js";
import { INTERNAL_ERROR, replyError } from "../call.js";
import { notify } from "../channels/notifications.js";
import type { Client } from "../client.js";
import { type Command, LOOK_AT_KEY, LOOK_AT_KEYS } from "../command.js";
import { lookupEntry } from "../lookup.js";
import { remove } from "../values.js";

/** Redis' cursors are unsigned 64-bit numbers; ours are below 2^53. */
const CURSOR_MAX = 2n ** 64n - 1n;
const SCAN_COUNT_DEFAULT = 10;

/** DEL key [key ...], and UNLINK */
function del(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  let deleted = 0;
  for (let i = 1; i < argv.length; i++) {
    const key = argv.string(i);
    const entry = keyspace.lookup(client.database, key);
    if (entry === undefined) continue;
    remove(client, key, entry);
    deleted++;
  }
  reply.integer(deleted);
}

/** EXISTS key [key ...]: a key named twice counts twice. */
function exists(client: Client, argv: Argv, reply: Reply): void {
  let found = 0;
  for (let i = 1; i < argv.length; i++) if (lookupEntry(client, argv.string(i)) !== undefined) found++;
  reply.integer(found);
}

/** TOUCH key [key ...]: uses them, also for a client with NO-TOUCH. */
function touch(client: Client, argv: Argv, reply: Reply): void {
  let found = 0;
  for (let i = 1; i < argv.length; i++) {
    const key = argv.string(i);
    // The look-up below is no use of the key then.
    if (client.noTouch) client.server.keyspace.lookup(client.database, key);
    if (lookupEntry(client, key) !== undefined) found++;
  }
  reply.integer(found);
}

/** TYPE key */
function type(client: Client, argv: Argv, reply: Reply): void {
  reply.simple(lookupEntry(client, argv.string(1)) === undefined ? "none" : "string");
}

/** KEYS pattern: of a large database in slices, so that others are served meanwhile; inside a transaction it is one. */
function keys(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  const matches = compileGlob(argv.string(1));
  const found = new EncodedKeys();
  const pages = keyspace.keyPages(client.database, matches);
  if (client.database.size <= KEYS_AT_ONCE_MAX || client.transaction !== undefined) {
    for (const page of pages) found.add(page);
    reply.array(found.count);
    for (const slice of found.slices()) reply.raw(slice);
    return;
  }
  let isWanted = true;
  const collect = async () => {
    let end = performance.now() + KEYS_SLICE_MS;
    for (const page of pages) {
      found.add(page);
      if (performance.now() < end) continue;
      // Not setImmediate: it would go on at the end of a turn, before the replies that wait there.
      await setTimeout(0);
      if (!isWanted) return;
      end = performance.now() + KEYS_SLICE_MS;
    }
  };
  client.pending = {
    until: collect(),
    done: (later) => {
      later.array(found.count);
      later.encoded(found.slices());
    },
    failed: (later) => replyError(client, later, INTERNAL_ERROR),
    cancel: () => {
      isWanted = false;
    },
  };
}

/** Keys as they will be sent. Kept as strings until they are counted, they would outlive the collector's young space. */
class EncodedKeys {
  count = 0;
  readonly #reply = new Reply();
  readonly #slices: Uint8Array[] = [];

  add(keys: readonly string[]): void {
    this.count += keys.length;
    for (const key of keys) this.#reply.bulk(key);
    if (this.#reply.size >= KEYS_PIECE_BYTES) this.#take();
  }

  slices(): Iterator<Uint8Array> & Iterable<Uint8Array> {
    this.#take();
    return this.#slices.values();
  }

  #take(): void {
    for (const segment of this.#reply.take()) if (segment instanceof Uint8Array) this.#slices.push(segment);
  }
}

function replyKeys(reply: Reply, found: readonly string[]): void {
  reply.array(found.length);
  for (const key of found) reply.bulk(key);
}

/** SCAN cursor [MATCH pattern] [COUNT count] [TYPE type] */
function scan(client: Client, argv: Argv, reply: Reply): void {
  const cursor = cursorArg(argv, 1);
  let count = SCAN_COUNT_DEFAULT;
  let matches = (_key: string) => true;
  let ofType = true;
  for (let i = 2; i < argv.length; i += 2) {
    if (i + 1 >= argv.length) throw SYNTAX_ERROR;
    if (argv.is(i, "COUNT")) count = integerArg(argv, i + 1, NOT_AN_INTEGER);
    else if (argv.is(i, "MATCH")) matches = compileGlob(argv.string(i + 1));
    else if (argv.is(i, "TYPE")) ofType = argv.is(i + 1, "STRING");
    else throw SYNTAX_ERROR;
    if (count < 1) throw SYNTAX_ERROR;
  }
  const page = client.server.keyspace.scan(client.database, cursor, Math.min(count, SCAN_COUNT_MAX), matches);
  reply.array(2);
  reply.bulk(String(page.cursor));
  replyKeys(reply, ofType ? page.keys : []);
}

/** A cursor as Redis reads it with strtoul: nothing, or digits with zeros or a sign before them; a NUL ends it. */
function cursorArg(argv: Argv, i: number): number {
  const text = argv.string(i).split("\0", 1)[0] as string;
  if (text === "") return 0;
  if (!/^[+-]?[0-9]+$/.test(text)) throw INVALID_CURSOR;
  const value = BigInt(text.replace(/^[+-]/, ""));
  if (value > CURSOR_MAX) throw INVALID_CURSOR;
  return Number(text.startsWith("-") ? BigInt.asUintN(64, -value) : value);
}

/** RENAME key newkey */
function rename(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  const key = argv.string(1);
  const newKey = argv.string(2);
  const entry = keyspace.lookup(client.database, key);
  if (entry === undefined) throw NO_SUCH_KEY;
  if (key !== newKey) {
    const target = keyspace.lookup(client.database, newKey);
    if (target !== undefined) keyspace.delete(target);
    giveName(client, key, entry, newKey);
  }
  reply.ok();
}

/** RENAMENX key newkey */
function renamenx(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  const key = argv.string(1);
  const newKey = argv.string(2);
  const entry = keyspace.lookup(client.database, key);
  if (entry === undefined) throw NO_SUCH_KEY;
  if (keyspace.lookup(client.database, newKey) !== undefined) return reply.integer(0);
  giveName(client, key, entry, newKey);
  reply.integer(1);
}

/** Gives a key another name, which nothing has. */
function giveName(client: Client, key: string, entry: Entry, newKey: string): void {
  client.server.keyspace.rename(entry, client.database, newKey);
  notify(client, "g", "rename_from", key);
  notify(client, "g", "rename_to", newKey);
}

/** MOVE key db */
function move(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  const target = databaseArg(client, argv, 2);
  if (target === client.database) throw SAME_OBJECT;
  const key = argv.string(1);
  const entry = keyspace.lookup(client.database, key);
  if (entry === undefined || keyspace.lookup(target, key) !== undefined) return reply.integer(0);
  keyspace.rename(entry, target, key);
  notify(client, "g", "move_from", key);
  notify(client, "g", "move_to", key, target);
  reply.integer(1);
}

/** COPY source destination [DB destination-db] [REPLACE] */
function copy(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  let target = client.database;
  let replace = false;
  for (let i = 3; i < argv.length; i++) {
    if (argv.is(i, "REPLACE")) replace = true;
    else if (argv.is(i, "DB") && i + 1 < argv.length) target = databaseArg(client, argv, ++i);
    else throw SYNTAX_ERROR;
  }
  const key = argv.string(1);
  const newKey = argv.string(2);
  if (target === client.database && key === newKey) throw SAME_OBJECT;
  const entry = lookupEntry(client, key);
  if (entry === undefined) return reply.integer(0);
  const existing = keyspace.lookup(target, newKey);
  if (existing !== undefined) {
    if (!replace) return reply.integer(0);
    keyspace.delete(existing);
  }
  keyspace.copy(entry, target, newKey);
  notify(client, "g", "copy_to", newKey, target);
  reply.integer(1);
}

/** DBSIZE */
function dbsize(client: Client, _argv: Argv, reply: Reply): void {
  reply.integer(client.database.size);
}

/** RANDOMKEY */
function randomkey(client: Client, _argv: Argv, reply: Reply): void {
  const key = client.server.keyspace.randomKey(client.database);
  if (key === undefined) reply.nil();
  else reply.bulk(key);
}

const SUMMED = ["request_policy:multi_shard", "response_policy:agg_sum"];
const KEYSPACE = { categories: ["keyspace"], group: "generic" } as const;

export const KEY_COMMANDS: readonly Command[] = [
  {
    ...KEYSPACE,
    name: "copy",
    arity: -3,
    syntax: "source:key destination:key [DB destination-db:integer] [REPLACE]",
    flags: ["write", "denyoom"],
    keys: [
      { flags: ["RO", "access"], first: 1, last: 0, step: 1 },
      { flags: ["OW", "update"], first: 2, last: 0, step: 1 },
    ],
    since: "6.2.0",
    complexity: "O(N) in the size of the compressed value",
    summary: "Copies a key with its deadline.",
    handler: copy,
  },
  {
    ...KEYSPACE,
    name: "dbsize",
    arity: 1,
    flags: ["readonly", "fast"],
    tips: ["request_policy:all_shards", "response_policy:agg_sum"],
    group: "server",
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Counts the keys of the database.",
    handler: dbsize,
  },
  {
    ...KEYSPACE,
    name: "del",
    arity: -2,
    syntax: "key...",
    flags: ["write"],
    keys: [{ flags: ["RM", "delete"], first: 1, last: -1, step: 1 }],
    tips: SUMMED,
    since: "1.0.0",
    complexity: "O(N) in the number of keys",
    summary: "Deletes keys and counts those that were there.",
    handler: del,
  },
  {
    ...KEYSPACE,
    name: "exists",
    arity: -2,
    syntax: "key...",
    flags: ["readonly", "fast"],
    keys: [LOOK_AT_KEYS],
    tips: SUMMED,
    since: "1.0.0",
    complexity: "O(N) in the number of keys",
    summary: "Counts the named keys that exist.",
    handler: exists,
  },
  {
    ...KEYSPACE,
    name: "keys",
    arity: 2,
    syntax: "pattern",
    flags: ["readonly"],
    categories: ["keyspace", "dangerous"],
    tips: ["request_policy:all_shards", "nondeterministic_output_order"],
    since: "1.0.0",
    complexity: "O(N) in the number of keys of the database",
    summary: "Lists all keys that match a pattern.",
    differs: "of more than 10,000 keys others are served meanwhile: keys that come or go then may be listed or not",
    handler: keys,
  },
  {
    ...KEYSPACE,
    name: "move",
    arity: 3,
    syntax: "key db:integer",
    flags: ["write", "fast"],
    keys: [{ flags: ["RW", "access", "update"], first: 1, last: 0, step: 1 }],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Moves a key to another database.",
    handler: move,
  },
  {
    ...KEYSPACE,
    name: "randomkey",
    arity: 1,
    flags: ["readonly"],
    tips: ["request_policy:all_shards", "nondeterministic_output"],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Gives some key.",
    handler: randomkey,
  },
  {
    ...KEYSPACE,
    name: "rename",
    arity: 3,
    syntax: "key newkey:key",
    flags: ["write"],
    keys: [
      { flags: ["RW", "access", "delete"], first: 1, last: 0, step: 1 },
      { flags: ["OW", "update"], first: 2, last: 0, step: 1 },
    ],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Gives a key another name, over whatever has it.",
    handler: rename,
  },
  {
    ...KEYSPACE,
    name: "renamenx",
    arity: 3,
    syntax: "key newkey:key",
    flags: ["write", "fast"],
    keys: [
      { flags: ["RW", "access", "delete"], first: 1, last: 0, step: 1 },
      { flags: ["OW", "insert"], first: 2, last: 0, step: 1 },
    ],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Gives a key another name if nothing has it.",
    handler: renamenx,
  },
  {
    ...KEYSPACE,
    name: "scan",
    arity: -2,
    syntax: "cursor:integer [MATCH pattern] [COUNT count:integer] [TYPE type@6.0.0]",
    flags: ["readonly"],
    tips: ["nondeterministic_output", "request_policy:special"],
    since: "2.8.0",
    complexity: "O(COUNT) a call",
    summary: "Lists the keys page by page.",
    differs: `pages are in the order of a hash of the key; one call looks at ${SCAN_COUNT_MAX} keys at most; a cursor stays valid over restarts`,
    handler: scan,
  },
  {
    ...KEYSPACE,
    name: "touch",
    arity: -2,
    syntax: "key...",
    flags: ["readonly", "fast"],
    keys: [LOOK_AT_KEYS],
    tips: SUMMED,
    since: "3.2.1",
    complexity: "O(N) in the number of keys",
    summary: "Marks keys as used and counts those that exist.",
    handler: touch,
  },
  {
    ...KEYSPACE,
    name: "type",
    arity: 2,
    syntax: "key",
    flags: ["readonly", "fast"],
    keys: [LOOK_AT_KEY],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Tells what a key holds: string, or none without one.",
    handler: type,
  },
  {
    ...KEYSPACE,
    name: "unlink",
    arity: -2,
    syntax: "key...",
    flags: ["write", "fast"],
    keys: [{ flags: ["RM", "delete"], first: 1, last: -1, step: 1 }],
    tips: SUMMED,
    since: "4.0.0",
    complexity: "O(N) in the number of keys",
    summary: "Deletes keys, as DEL.",
    handler: del,
  },
];
