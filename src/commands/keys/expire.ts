/** EXPIRE and its kin: deadlines set, read and taken away. */
import { CommandError } from "../../errors.js";
import type { Entry } from "../../keyspace/entry.js";
import { NO_DEADLINE } from "../../keyspace/storage.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { quotedArg } from "../args.js";
import { notify } from "../channels/notifications.js";
import type { Client } from "../client.js";
import { CHANGE_KEY, type Command, type Handler, READ_KEY } from "../command.js";
import { lookupEntry } from "../lookup.js";
import { remove } from "../values.js";
import { deadlineArg } from "./deadline.js";

interface Conditions {
  nx: boolean;
  xx: boolean;
  gt: boolean;
  lt: boolean;
}

function conditions(argv: Argv): Conditions {
  const found = { nx: false, xx: false, gt: false, lt: false };
  for (let i = 3; i < argv.length; i++) {
    if (argv.is(i, "NX")) found.nx = true;
    else if (argv.is(i, "XX")) found.xx = true;
    else if (argv.is(i, "GT")) found.gt = true;
    else if (argv.is(i, "LT")) found.lt = true;
    else throw new CommandError(`ERR Unsupported option ${quotedArg(argv, i)}`);
  }
  if (found.nx && (found.xx || found.gt || found.lt)) {
    throw new CommandError("ERR NX and XX, GT or LT options at the same time are not compatible");
  }
  if (found.gt && found.lt) throw new CommandError("ERR GT and LT options at the same time are not compatible");
  return found;
}

function holds({ nx, xx, gt, lt }: Conditions, entry: Entry, deadline: number): boolean {
  if (nx && entry.volatile) return false;
  if (xx && !entry.volatile) return false;
  // A key without a deadline counts as one whose deadline is infinitely far.
  if (gt && deadline <= entry.deadline) return false;
  return !(lt && deadline >= entry.deadline);
}

/** EXPIRE key time [NX | XX | GT | LT], in its four forms. */
function expiring(name: string, unit: "s" | "ms", from: "now" | "epoch"): Handler {
  return (client, argv, reply) => {
    const { keyspace } = client.server;
    const when = conditions(argv);
    const deadline = deadlineArg(argv, 2, unit, from === "now" ? keyspace.now : 0, name);
    const key = argv.string(1);
    const entry = keyspace.lookup(client.database, key);
    if (entry === undefined || !holds(when, entry, deadline)) return reply.integer(0);
    if (keyspace.isPast(deadline)) {
      remove(client, key, entry);
      reply.integer(1);
    } else {
      // Redis replies first, which who listens to its own events sees.
      reply.integer(1);
      keyspace.setDeadline(entry, deadline);
      notify(client, "g", "expire", key);
    }
  };
}

/** TTL key, in its four forms: -2 without a key, -1 without a deadline. */
function remaining(unit: "s" | "ms", from: "now" | "epoch"): Handler {
  return (client: Client, argv: Argv, reply: Reply) => {
    const entry = lookupEntry(client, argv.string(1));
    if (entry === undefined) return reply.integer(-2);
    if (!entry.volatile) return reply.integer(-1);
    const time = from === "now" ? Math.max(entry.deadline - client.server.keyspace.now, 0) : entry.deadline;
    reply.integer(unit === "ms" ? time : Math.floor((time + 500) / 1000));
  };
}

/** PERSIST key */
function persist(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  const key = argv.string(1);
  const entry = keyspace.lookup(client.database, key);
  if (entry === undefined || entry.deadline === NO_DEADLINE) return reply.integer(0);
  keyspace.persist(entry);
  notify(client, "g", "persist", key);
  reply.integer(1);
}

const SETS = {
  arity: -3,
  flags: ["write", "fast"],
  categories: ["keyspace"],
  keys: [CHANGE_KEY],
  group: "generic",
  complexity: "O(1)",
} as const;
const READS = {
  arity: 2,
  flags: ["readonly", "fast"],
  categories: ["keyspace"],
  keys: [READ_KEY],
  group: "generic",
  complexity: "O(1)",
} as const;
const PASSING_TIME = ["nondeterministic_output"];

export const EXPIRE_COMMANDS: readonly Command[] = [
  {
    ...SETS,
    name: "expire",
    syntax: "key seconds:integer [condition:(NX | XX | GT | LT)@7.0.0]",
    since: "1.0.0",
    summary: "Lets a key expire after so many seconds.",
    handler: expiring("expire", "s", "now"),
  },
  {
    ...SETS,
    name: "expireat",
    syntax: "key unix-time-seconds:unix-time [condition:(NX | XX | GT | LT)@7.0.0]",
    since: "1.2.0",
    summary: "Lets a key expire at a time in seconds since the epoch.",
    handler: expiring("expireat", "s", "epoch"),
  },
  {
    ...READS,
    name: "expiretime",
    syntax: "key",
    since: "7.0.0",
    summary: "Tells when a key expires, in seconds since the epoch.",
    handler: remaining("s", "epoch"),
  },
  {
    ...SETS,
    arity: 2,
    name: "persist",
    syntax: "key",
    since: "2.2.0",
    summary: "Takes a key's deadline away.",
    handler: persist,
  },
  {
    ...SETS,
    name: "pexpire",
    syntax: "key milliseconds:integer [condition:(NX | XX | GT | LT)@7.0.0]",
    since: "2.6.0",
    summary: "Lets a key expire after so many milliseconds.",
    handler: expiring("pexpire", "ms", "now"),
  },
  {
    ...SETS,
    name: "pexpireat",
    syntax: "key unix-time-milliseconds:unix-time [condition:(NX | XX | GT | LT)@7.0.0]",
    since: "2.6.0",
    summary: "Lets a key expire at a time in milliseconds since the epoch.",
    handler: expiring("pexpireat", "ms", "epoch"),
  },
  {
    ...READS,
    name: "pexpiretime",
    syntax: "key",
    since: "7.0.0",
    summary: "Tells when a key expires, in milliseconds since the epoch.",
    handler: remaining("ms", "epoch"),
  },
  {
    ...READS,
    name: "pttl",
    syntax: "key",
    since: "2.6.0",
    tips: PASSING_TIME,
    summary: "Tells how many milliseconds a key has left.",
    handler: remaining("ms", "now"),
  },
  {
    ...READS,
    name: "ttl",
    syntax: "key",
    since: "1.0.0",
    tips: PASSING_TIME,
    summary: "Tells how many seconds a key has left.",
    handler: remaining("s", "now"),
  },
];
