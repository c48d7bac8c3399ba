/** STRLEN, GETRANGE, SUBSTR, SETRANGE, APPEND: parts of a value as a string of bytes. */
import { BULK_BYTES_MAX } from "../../config.js";
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { clampRange, integerArg } from "../args.js";
import { notify } from "../channels/notifications.js";
import type { Client } from "../client.js";
import { CHANGE_KEY, type Command, LOOK_AT_KEY, READ_KEY } from "../command.js";
import { lookupRead } from "../lookup.js";
import { replyBytes } from "../values.js";

const OFFSET_OUT_OF_RANGE = new CommandError("ERR offset is out of range");
const TOO_LONG = new CommandError("ERR string exceeds maximum allowed size (proto-max-bulk-len)");

/** STRLEN key */
function strlen(client: Client, argv: Argv, reply: Reply): void {
  reply.integer(lookupRead(client, argv.string(1))?.byteLength ?? 0);
}

/** GETRANGE key start end, and SUBSTR */
function getrange(client: Client, argv: Argv, reply: Reply): void {
  const start = integerArg(argv, 2);
  const end = integerArg(argv, 3);
  const bitmap = lookupRead(client, argv.string(1));
  if (bitmap === undefined || (start < 0 && end < 0 && start > end)) return reply.bulk("");
  const { first, last } = clampRange(start, end, bitmap.byteLength);
  if (first > last) return reply.bulk("");
  replyBytes(reply, bitmap, first, last - first + 1);
}

/** SETRANGE key offset value: zeros fill what lies between the end and `offset`. Nothing is written, and no key made, by an empty value. */
function setrange(client: Client, argv: Argv, reply: Reply): void {
  const offset = integerArg(argv, 2);
  if (offset < 0) throw OFFSET_OUT_OF_RANGE;
  const length = lengthOf(client, argv.string(1));
  if (argv.byteLength(3) === 0) return reply.integer(length);
  reply.integer(write(client, argv, offset, length, "setrange"));
}

/** APPEND key value: an empty value makes a key too. */
function append(client: Client, argv: Argv, reply: Reply): void {
  const length = lengthOf(client, argv.string(1));
  reply.integer(write(client, argv, length, length, "append"));
}

/** Length of a key's value in bytes, 0 without a key. Counts no hit or miss: it is asked to write, as with Redis' lookupKeyWrite. */
function lengthOf(client: Client, key: string): number {
  const { keyspace } = client.server;
  const entry = keyspace.lookup(client.database, key);
  return entry === undefined ? 0 : keyspace.value(entry).byteLength;
}

/** Writes the last argument over a value of `length` bytes from byte `offset` on, and gives the length it has then. */
function write(client: Client, argv: Argv, offset: number, length: number, event: string): number {
  const bytes = argv.bytes(argv.length - 1);
  const end = offset + bytes.length;
  if (end > BULK_BYTES_MAX) throw TOO_LONG;
  client.server.keyspace.setRange(client.database, argv.string(1), offset, bytes);
  notify(client, "$", event, argv.string(1));
  return Math.max(length, end);
}

const SUBSTRING = {
  arity: 4,
  flags: ["readonly"],
  categories: ["string"],
  keys: [READ_KEY],
  group: "string",
  complexity: "O(N) in the length of the reply",
  summary: "Gives a part of the value as a string of bytes.",
  handler: getrange,
} as const;

export const SUBSTRING_COMMANDS: readonly Command[] = [
  {
    name: "append",
    arity: 3,
    syntax: "key value",
    flags: ["write", "denyoom", "fast"],
    categories: ["string"],
    keys: [{ flags: ["RW", "insert"], first: 1, last: 0, step: 1 }],
    group: "string",
    since: "2.0.0",
    complexity: "O(N) in the length of what is added",
    summary: "Adds bytes to the end of the value and gives its length.",
    handler: append,
  },
  { ...SUBSTRING, name: "getrange", syntax: "key start:integer end:integer", since: "2.4.0" },
  {
    name: "setrange",
    arity: 4,
    syntax: "key offset:integer value",
    flags: ["write", "denyoom"],
    categories: ["string"],
    keys: [CHANGE_KEY],
    group: "string",
    since: "2.2.0",
    complexity: "O(N) in the length of what is written",
    summary: "Writes bytes over a part of the value and gives its length.",
    handler: setrange,
  },
  {
    name: "strlen",
    arity: 2,
    syntax: "key",
    flags: ["readonly", "fast"],
    categories: ["string"],
    keys: [LOOK_AT_KEY],
    group: "string",
    since: "2.2.0",
    complexity: "O(1)",
    summary: "Gives the value's length in bytes.",
    handler: strlen,
  },
  {
    ...SUBSTRING,
    name: "substr",
    syntax: "key start:integer end:integer",
    since: "1.0.0",
    summary: "Gives a part of the value, as GETRANGE.",
  },
];
