/** DUMP and RESTORE: values on their way to and from a Redis. */
import { REPLY_SLICE_BYTES } from "../../config.js";
import { CommandError } from "../../errors.js";
import type { Bitmap } from "../../keyspace/bitmap.js";
import { BitmapBuilder } from "../../keyspace/bitmap-builder.js";
import { NO_DEADLINE } from "../../keyspace/storage.js";
import { DumpPayload, isWhole, restored } from "../../rdb/dump-payload.js";
import { RdbError } from "../../rdb/string.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { integerArg, NOT_AN_INTEGER, SYNTAX_ERROR } from "../args.js";
import { notify } from "../channels/notifications.js";
import type { Client } from "../client.js";
import { type Command, READ_KEY } from "../command.js";
import { lookupRead } from "../lookup.js";
import { remove } from "../values.js";
import { keptDeadline } from "./deadline.js";

const BUSY_KEY = new CommandError("BUSYKEY Target key name already exists.");
const BAD_IDLETIME = new CommandError("ERR Invalid IDLETIME value, must be >= 0");
const BAD_FREQ = new CommandError("ERR Invalid FREQ value, must be >= 0 and <= 255");
const BAD_TTL = new CommandError("ERR Invalid TTL value, must be >= 0");
const BAD_PAYLOAD = new CommandError("ERR DUMP payload version or checksum are wrong");
const BAD_FORMAT = new CommandError("ERR Bad data format");

const FREQ_MAX = 255;

/** DUMP key */
function dump(client: Client, argv: Argv, reply: Reply): void {
  const value = lookupRead(client, argv.string(1));
  if (value === undefined) return reply.nil();
  const payload = new DumpPayload(value);
  if (payload.byteLength > REPLY_SLICE_BYTES) return reply.stream(payload.byteLength, payload);
  const pieces: Buffer[] = [];
  for (let next = payload.next(); next.done !== true; next = payload.next()) pieces.push(next.value);
  reply.bulk(Buffer.concat(pieces));
}

/** RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds | FREQ frequency] */
function restore(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  const options = restoreOptions(argv);
  const { seesExpired } = keyspace;
  // What it replaces Redis deletes without a look at its deadline: nobody is told that it has expired.
  if (options.replace) keyspace.seesExpired = true;
  try {
    put(client, argv, options);
  } finally {
    keyspace.seesExpired = seesExpired;
  }
  reply.ok();
}

interface RestoreOptions {
  replace: boolean;
  absolute: boolean;
  idleSeconds: number | undefined;
}

function put(client: Client, argv: Argv, { replace, absolute, idleSeconds }: RestoreOptions): void {
  const { keyspace } = client.server;
  const key = argv.string(1);
  const existing = keyspace.lookup(client.database, key);
  if (!replace && existing !== undefined) throw BUSY_KEY;
  const deadline = restoredDeadline(argv, keyspace.now, absolute);
  if (!isWhole(argv.bytes(3))) throw BAD_PAYLOAD;
  const bitmap = restoredBitmap(argv.bytes(3));
  if (keyspace.isPast(deadline)) {
    bitmap.dispose();
    if (existing !== undefined) remove(client, key, existing);
    return;
  }
  const entry = keyspace.setValue(client.database, key, bitmap);
  // In Redis the key was deleted and is a new one.
  if (existing !== undefined) notify(client, "n", "new", key);
  if (entry.deadline !== deadline) keyspace.setDeadline(entry, deadline);
  if (idleSeconds !== undefined) keyspace.setIdleMs(entry, idleSeconds * 1000);
  notify(client, "g", "restore", key);
}

function restoreOptions(argv: Argv): RestoreOptions {
  const options: RestoreOptions = { replace: false, absolute: false, idleSeconds: undefined };
  let hasFreq = false;
  for (let i = 4; i < argv.length; i++) {
    const hasValue = i + 1 < argv.length;
    if (argv.is(i, "REPLACE")) options.replace = true;
    else if (argv.is(i, "ABSTTL")) options.absolute = true;
    else if (argv.is(i, "IDLETIME") && hasValue && !hasFreq) {
      options.idleSeconds = integerArg(argv, ++i);
      if (options.idleSeconds < 0) throw BAD_IDLETIME;
    } else if (argv.is(i, "FREQ") && hasValue && options.idleSeconds === undefined) {
      // As in a Redis without an LFU policy it has no effect.
      const freq = integerArg(argv, ++i);
      if (freq < 0 || freq > FREQ_MAX) throw BAD_FREQ;
      hasFreq = true;
    } else throw SYNTAX_ERROR;
  }
  return options;
}

/** RESTORE's ttl, in milliseconds, as a deadline: 0 is none. Beyond 64 bits it wraps into the past, as in Redis. */
function restoredDeadline(argv: Argv, nowMs: number, absolute: boolean): number {
  const ttl = argv.bigint(2);
  if (ttl === undefined) throw NOT_AN_INTEGER;
  if (ttl < 0n) throw BAD_TTL;
  if (ttl === 0n) return NO_DEADLINE;
  return keptDeadline(absolute ? ttl : BigInt.asIntN(64, ttl + BigInt(nowMs)));
}

function restoredBitmap(payload: Buffer): Bitmap {
  try {
    return restored(payload, new BitmapBuilder());
  } catch (error) {
    throw error instanceof RdbError ? BAD_FORMAT : error;
  }
}

export const DUMP_COMMANDS: readonly Command[] = [
  {
    name: "dump",
    arity: 2,
    syntax: "key",
    flags: ["readonly"],
    categories: ["keyspace"],
    keys: [READ_KEY],
    tips: ["nondeterministic_output"],
    group: "generic",
    since: "2.6.0",
    complexity: "O(N) in the value's length",
    summary: "Gives the value in Redis' own format, for RESTORE.",
    differs: "what is compressed is so in other pieces, which any Redis restores",
    handler: dump,
  },
  {
    name: "restore",
    arity: -4,
    syntax:
      "key ttl:integer serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] [IDLETIME seconds:integer@5.0.0] [FREQ frequency:integer@5.0.0]",
    flags: ["write", "denyoom"],
    categories: ["keyspace", "dangerous"],
    keys: [{ flags: ["OW", "update"], first: 1, last: 0, step: 1 }],
    group: "generic",
    since: "2.6.0",
    complexity: "O(N) in the value's length",
    summary: "Makes a key of what DUMP gave.",
    differs: "takes Redis 7.2's payloads too; those of other types are Bad data format",
    handler: restore,
  },
];
