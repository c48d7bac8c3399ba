/** SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP. */
import { CommandError } from "../../errors.js";
import { Bitmap } from "../../keyspace/bitmap.js";
import { BITOPS, type BitOp, bitopCardinality, bitop as combine } from "../../keyspace/bitmap-op.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { bitArg, clampRange, integerArg, offsetArg, SYNTAX_ERROR } from "../args.js";
import { notify } from "../channels/notifications.js";
import type { Client } from "../client.js";
import { type Command, READ_KEY } from "../command.js";
import { lookupBit, lookupBitmap, lookupCardinality, lookupRead } from "../lookup.js";
import { assign, remove } from "../values.js";

const BAD_BIT_ARGUMENT = new CommandError("ERR The bit argument must be 1 or 0.");
const BAD_LIMIT = new CommandError("ERR LIMIT can't be negative");
const NOT_HAS_ONE_SOURCE = new CommandError("ERR BITOP NOT must be called with a single source key.");

/** SETBIT key offset value */
export function setbit(client: Client, argv: Argv, reply: Reply): void {
  const offset = offsetArg(argv, 2);
  const bit = bitArg(argv, 3);
  const { keyspace, notifications } = client.server;
  const { changes } = keyspace;
  const before = keyspace.setBit(client.database, argv.place(1), offset, bit);
  if (notifications.isOn && keyspace.changes !== changes) notify(client, "$", "setbit", argv.string(1));
  reply.integer(before);
}

/** GETBIT key offset */
export function getbit(client: Client, argv: Argv, reply: Reply): void {
  const offset = offsetArg(argv, 2);
  reply.integer(lookupBit(client, argv.place(1), offset) ?? 0);
}

/** BITCOUNT key [start end [BYTE | BIT]] */
function bitcount(client: Client, argv: Argv, reply: Reply): void {
  if (argv.length === 2) return reply.integer(lookupCardinality(client, argv.place(1)) ?? 0);
  const bitmap = lookupRead(client, argv.string(1));
  // Redis 7.0 answers for a missing key before it looks at the range.
  if (bitmap === undefined) return reply.integer(0);
  if (argv.length !== 4 && argv.length !== 5) throw SYNTAX_ERROR;
  const start = integerArg(argv, 2);
  const end = integerArg(argv, 3);
  if (start < 0 && end < 0 && start > end) return reply.integer(0);
  const inBits = argv.length === 5 && unitArg(argv, 4) === "BIT";
  const { first, last } = clampRange(start, end, inBits ? bitmap.byteLength * 8 : bitmap.byteLength);
  reply.integer(inBits ? bitmap.countRange(first, last) : bitmap.countRange(first * 8, last * 8 + 7));
}

/** BITPOS key bit [start [end [BYTE | BIT]]] */
function bitpos(client: Client, argv: Argv, reply: Reply): void {
  const bit = integerArg(argv, 2);
  if (bit !== 0 && bit !== 1) throw BAD_BIT_ARGUMENT;
  const bitmap = lookupRead(client, argv.string(1));
  // A missing key is an endless row of zeros, whatever the range says.
  if (bitmap === undefined) return reply.integer(bit === 1 ? -1 : 0);
  if (argv.length > 6) throw SYNTAX_ERROR;
  const start = argv.length > 3 ? integerArg(argv, 3) : 0;
  const inBits = argv.length === 6 && unitArg(argv, 5) === "BIT";
  const end = argv.length > 4 ? integerArg(argv, 4) : -1;
  const { first, last } = clampRange(start, end, inBits ? bitmap.byteLength * 8 : bitmap.byteLength);
  if (first > last) return reply.integer(-1);
  const lastBit = inBits ? last : last * 8 + 7;
  const position = bitmap.position(bit, inBits ? first : first * 8, lastBit);
  // Looking for a 0 without an end, the zeros behind the string count too.
  if (position === -1 && bit === 0 && argv.length <= 4) return reply.integer(lastBit + 1);
  reply.integer(position);
}

function unitArg(argv: Argv, i: number): "BYTE" | "BIT" {
  if (argv.is(i, "BIT")) return "BIT";
  if (argv.is(i, "BYTE")) return "BYTE";
  throw SYNTAX_ERROR;
}

/** BITOP AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE destkey key [key ...] */
function bitop(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  const result = withSources(client, argv, 3, argv.length, combine);
  const destination = argv.string(2);
  const { byteLength } = result;
  if (byteLength > 0) {
    assign(client, destination, result);
  } else {
    result.dispose();
    const entry = keyspace.lookup(client.database, destination);
    if (entry !== undefined) remove(client, destination, entry);
  }
  reply.integer(byteLength);
}

/** BITOPCARD AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE key [key ...] [LIMIT limit] */
function bitopcard(client: Client, argv: Argv, reply: Reply): void {
  const limit = hasLimit(argv) ? integerArg(argv, argv.length - 1, BAD_LIMIT) : 0;
  if (limit < 0) throw BAD_LIMIT;
  // 0 is no limit, as in SINTERCARD.
  const count = (op: BitOp, sources: Bitmap[]) => bitopCardinality(op, sources, limit === 0 ? undefined : limit);
  reply.integer(withSources(client, argv, 2, endOfCounted(argv), count));
}

/** Where the keys of a BITOPCARD end: with one before them, LIMIT and what follows at the end are none. */
function endOfCounted(argv: Argv): number {
  return hasLimit(argv) ? argv.length - 2 : argv.length;
}

function hasLimit(argv: Argv): boolean {
  return argv.length > 4 && argv.is(argv.length - 2, "LIMIT");
}

/** Reads a BITOP's operation, and its source keys, which are the arguments `first`..`end - 1`. */
function withSources<T>(
  client: Client,
  argv: Argv,
  first: number,
  end: number,
  use: (op: BitOp, sources: Bitmap[]) => T,
): T {
  const op = BITOPS.find((name) => argv.is(1, name));
  if (op === undefined) throw SYNTAX_ERROR;
  checkSources(op, end - first);
  const missing = new Bitmap();
  const sources: Bitmap[] = [];
  for (let i = first; i < end; i++) sources.push(lookupBitmap(client, argv.string(i)) ?? missing);
  const result = use(op, sources);
  missing.dispose();
  return result;
}

function checkSources(op: BitOp, sources: number): void {
  if (op === "NOT" && sources !== 1) throw NOT_HAS_ONE_SOURCE;
  if ((op === "DIFF" || op === "DIFF1" || op === "ANDOR") && sources < 2) {
    throw new CommandError(`ERR BITOP ${op} must be called with at least two source keys.`);
  }
}

export const BITMAP_COMMANDS: readonly Command[] = [
  {
    name: "bitcount",
    arity: -2,
    syntax: "key [index:<start:integer end:integer [index_unit:(BYTE | BIT)@7.0.0]>]",
    flags: ["readonly"],
    categories: ["bitmap"],
    keys: [READ_KEY],
    group: "bitmap",
    since: "2.6.0",
    complexity: "O(1) for the whole value, O(C) for a range over C containers of 65,536 bits",
    summary: "Counts the bits that are 1.",
    handler: bitcount,
  },
  {
    name: "bitop",
    arity: -4,
    syntax: "operation destkey:key key...",
    flags: ["write", "denyoom"],
    categories: ["bitmap"],
    keys: [
      { flags: ["OW", "update"], first: 2, last: 0, step: 1 },
      { flags: ["RO", "access"], first: 3, last: -1, step: 1 },
    ],
    group: "bitmap",
    since: "2.6.0",
    complexity: "O(C) over the containers of 65,536 bits that hold ones",
    summary: "Combines values bit by bit and stores the result.",
    differs: "has Redis 8.2's DIFF, DIFF1, ANDOR and ONE too",
    handler: bitop,
  },
  {
    name: "bitopcard",
    arity: -3,
    syntax: "operation:(AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE) key... [LIMIT limit:integer]",
    flags: ["readonly", "movablekeys"],
    categories: ["bitmap"],
    keys: [{ flags: ["RO", "access", "incomplete"], first: 2, last: 0, step: 1 }],
    keysOf: (argv) => Array.from({ length: endOfCounted(argv) - 2 }, (_, i) => i + 2),
    group: "bitmap",
    since: "1.0.0",
    complexity: "O(C) over the containers of 65,536 bits that hold ones",
    summary: "Counts the bits that a BITOP would set, up to a limit.",
    differs: "not in Redis",
    handler: bitopcard,
  },
  {
    name: "bitpos",
    arity: -3,
    syntax: "key bit:integer [index:<start:integer [end_index:<end:integer [index_unit:(BYTE | BIT)@7.0.0]>]>]",
    flags: ["readonly"],
    categories: ["bitmap"],
    keys: [READ_KEY],
    group: "bitmap",
    since: "2.8.7",
    complexity: "O(C log C) over C containers of 65,536 bits",
    summary: "Finds the first bit that is 1, or 0.",
    handler: bitpos,
  },
  {
    name: "getbit",
    arity: 3,
    syntax: "key offset:integer",
    flags: ["readonly", "fast"],
    categories: ["bitmap"],
    keys: [READ_KEY],
    group: "bitmap",
    since: "2.2.0",
    complexity: "O(log C) for C containers of 65,536 bits",
    summary: "Reads one bit.",
    handler: getbit,
    isQuick: true,
  },
  {
    name: "setbit",
    arity: 4,
    syntax: "key offset:integer value:integer",
    flags: ["write", "denyoom"],
    categories: ["bitmap"],
    keys: [{ flags: ["RW", "access", "update"], first: 1, last: 0, step: 1 }],
    group: "bitmap",
    since: "2.2.0",
    complexity: "O(log C) for C containers of 65,536 bits",
    summary: "Sets or clears one bit and gives its old value.",
    handler: setbit,
    isQuick: true,
  },
];
