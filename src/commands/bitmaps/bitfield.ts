/** BITFIELD, BITFIELD_RO: integers of any width at any place of a value. */
import { OFFSET_MAX } from "../../config.js";
import { CommandError } from "../../errors.js";
import { type Argv, INT64_CHARACTERS_MAX, int64 } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { BAD_OFFSET, bigintArg, quotedArg, SYNTAX_ERROR } from "../args.js";
import { notify } from "../channels/notifications.js";
import type { Client } from "../client.js";
import { type Command, READ_KEY } from "../command.js";
import { lookupEntry } from "../lookup.js";
import {
  cutToField,
  decodeField,
  encodeField,
  type FieldType,
  fieldType,
  incrementField,
  OVERFLOWS,
  type Overflow,
} from "./field.js";

const BAD_OVERFLOW = new CommandError("ERR Invalid OVERFLOW type specified");
const BAD_TYPE = new CommandError(
  "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
);
const READ_ONLY = new CommandError("ERR BITFIELD_RO only supports the GET subcommand");

/** How many words each operation has, its name included. */
const OPERATION_WORDS = { GET: 3, SET: 4, INCRBY: 4 } as const;
const OVERFLOW_WORDS = 2;

interface Operation {
  name: keyof typeof OPERATION_WORDS;
  type: FieldType;
  /** Of the field's most significant bit. */
  offset: number;
  /** What a SET writes, and what an INCRBY adds. */
  operand: bigint;
  overflow: Overflow;
}

/** BITFIELD key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] SET type offset value | INCRBY type offset increment ...] */
function bitfield(client: Client, argv: Argv, reply: Reply): void {
  const operations = parse(argv);
  const byteLength = writtenLength(operations);
  if (byteLength === 0) readFields(client, argv, reply, operations);
  else writeFields(client, argv, reply, operations, byteLength);
}

/** BITFIELD_RO key [GET type offset ...] */
function bitfieldRo(client: Client, argv: Argv, reply: Reply): void {
  const operations = parse(argv);
  if (writtenLength(operations) > 0) throw READ_ONLY;
  readFields(client, argv, reply, operations);
}

/** The operations of a request, each with the OVERFLOW that stands last before it. */
function parse(argv: Argv): Operation[] {
  const operations: Operation[] = [];
  let overflow: Overflow = "WRAP";
  for (let i = 2; i < argv.length; ) {
    const name = (Object.keys(OPERATION_WORDS) as Operation["name"][]).find((word) => argv.is(i, word));
    if (name === undefined && !argv.is(i, "OVERFLOW")) throw SYNTAX_ERROR;
    const words = name === undefined ? OVERFLOW_WORDS : OPERATION_WORDS[name];
    if (i + words > argv.length) throw SYNTAX_ERROR;
    if (name === undefined) {
      overflow = overflowArg(argv, i + 1);
    } else {
      const type = typeArg(argv, i + 1);
      const offset = fieldOffsetArg(argv, i + 2, type);
      operations.push({ name, type, offset, operand: name === "GET" ? 0n : bigintArg(argv, i + 3), overflow });
    }
    i += words;
  }
  return operations;
}

/** What a request does with its key. Like Redis it takes what it can't read for a change. */
function bitfieldKeyFlags(argv: Argv): readonly string[] {
  for (let i = 2; i < argv.length; ) {
    const words = argv.is(i, "GET") ? OPERATION_WORDS.GET : argv.is(i, "OVERFLOW") ? OVERFLOW_WORDS : Number.NaN;
    if (!(i + words <= argv.length)) return ["RW", "access", "update"];
    i += words;
  }
  return ["RO", "access"];
}

function overflowArg(argv: Argv, i: number): Overflow {
  const overflow = OVERFLOWS.find((word) => argv.is(i, word));
  if (overflow === undefined) throw BAD_OVERFLOW;
  return overflow;
}

/** A type as Redis reads it: a C string, which ends at its first NUL. */
function typeArg(argv: Argv, i: number): FieldType {
  const type = fieldType(quotedArg(argv, i));
  if (type === undefined) throw BAD_TYPE;
  return type;
}

/** An offset in bits, or behind a `#` in widths of the field: their product wraps around at 64 bits, as in Redis. */
function fieldOffsetArg(argv: Argv, i: number, { width }: FieldType): number {
  if (argv.byteLength(i) > INT64_CHARACTERS_MAX + 1) throw BAD_OFFSET;
  const text = argv.string(i);
  const isCounted = text.startsWith("#");
  const number = int64(isCounted ? text.slice(1) : text);
  if (number === undefined) throw BAD_OFFSET;
  const offset = isCounted ? BigInt.asIntN(64, number * BigInt(width)) : number;
  if (offset < 0n || offset > OFFSET_MAX) throw BAD_OFFSET;
  return Number(offset);
}

/** How long a value must be to hold all that is written, in bytes: 0 where nothing is. Redis would lengthen one beyond 512 MiB. */
function writtenLength(operations: readonly Operation[]): number {
  let last = -1;
  for (const { name, offset, type } of operations) if (name !== "GET") last = Math.max(last, offset + type.width - 1);
  if (last > OFFSET_MAX) throw BAD_OFFSET;
  return Math.floor(last / 8) + 1;
}

function readFields(client: Client, argv: Argv, reply: Reply, operations: readonly Operation[]): void {
  const { keyspace } = client.server;
  const entry = lookupEntry(client, argv.string(1));
  reply.array(operations.length);
  for (const { type, offset } of operations) {
    reply.integer(entry === undefined ? 0n : decodeField(type, keyspace.getBits(entry, offset, type.width)));
  }
}

/**
 * Does the operations one after the other on a value that is made at least `byteLength` bytes long first, even where all of them fail.
 * One that leaves its field as it is counts as a change if the value has become longer.
 */
function writeFields(
  client: Client,
  argv: Argv,
  reply: Reply,
  operations: readonly Operation[],
  byteLength: number,
): void {
  const { keyspace } = client.server;
  const key = argv.string(1);
  const { entry, isLonger } = keyspace.lengthen(client.database, key, byteLength);
  let hasChanged = false;
  reply.array(operations.length);
  for (const { name, type, offset, operand, overflow } of operations) {
    const before = decodeField(type, keyspace.getBits(entry, offset, type.width));
    if (name === "GET") {
      reply.integer(before);
      continue;
    }
    const after =
      name === "SET" ? cutToField(type, operand, overflow) : incrementField(type, before, operand, overflow);
    if (after === undefined) {
      reply.nil();
      continue;
    }
    reply.integer(name === "SET" ? before : after);
    if (!isLonger && after === before) continue;
    keyspace.setBits(entry, offset, type.width, encodeField(type, after));
    hasChanged = true;
  }
  if (hasChanged) notify(client, "$", "setbit", key);
}

export const BITFIELD_COMMANDS: readonly Command[] = [
  {
    name: "bitfield",
    arity: -2,
    syntax:
      "key [operation:(GET encoding_offset:<encoding offset:integer> | write:<[OVERFLOW wrap_sat_fail:(WRAP | SAT | FAIL)] write_operation:(SET encoding_offset_value:<encoding offset:integer value:integer> | INCRBY encoding_offset_increment:<encoding offset:integer increment:integer>)>)...]",
    flags: ["write", "denyoom"],
    categories: ["bitmap"],
    keys: [
      {
        flags: ["RW", "access", "update", "variable_flags"],
        first: 1,
        last: 0,
        step: 1,
        notes: "This command allows both access and modification of the key",
      },
    ],
    keyFlagsOf: bitfieldKeyFlags,
    group: "bitmap",
    since: "3.2.0",
    complexity: "O(B) in the bits of all fields",
    summary: "Reads, sets and increments integers of any width in a value.",
    differs: "what it writes must end within 512 MiB",
    handler: bitfield,
  },
  {
    name: "bitfield_ro",
    arity: -2,
    syntax: "key [GET... encoding_offset:<encoding offset:integer>]",
    flags: ["readonly", "fast"],
    categories: ["bitmap"],
    keys: [READ_KEY],
    group: "bitmap",
    since: "6.0.0",
    complexity: "O(B) in the bits of all fields",
    summary: "Reads integers of any width in a value.",
    handler: bitfieldRo,
  },
];
