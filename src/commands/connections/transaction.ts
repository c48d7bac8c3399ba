/** MULTI, EXEC, DISCARD, WATCH, UNWATCH. Queueing itself is execute's work. */
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { refuseQueued } from "../acl/check.js";
import { call, replyError } from "../call.js";
import type { Client } from "../client.js";
import { type Command, LOOK_AT_KEYS } from "../command.js";

const NESTED = new CommandError("ERR MULTI calls can not be nested");
const EXEC_WITHOUT_MULTI = new CommandError("ERR EXEC without MULTI");
const DISCARD_WITHOUT_MULTI = new CommandError("ERR DISCARD without MULTI");
const WATCH_INSIDE_MULTI = new CommandError("ERR WATCH inside MULTI is not allowed");
const POISONED = new CommandError("EXECABORT Transaction discarded because of previous errors.");

/** MULTI */
function multi(client: Client, _argv: Argv, reply: Reply): void {
  if (client.transaction !== undefined) throw NESTED;
  client.transaction = { queue: [], queueBytes: 0, poisoned: false };
  reply.ok();
}

/** EXEC */
function exec(client: Client, _argv: Argv, reply: Reply): void {
  const { transaction } = client;
  if (transaction === undefined) throw EXEC_WITHOUT_MULTI;
  const { watchFailed } = client;
  client.unwatch();
  if (transaction.poisoned || watchFailed) {
    client.discardTransaction();
    if (transaction.poisoned) throw POISONED;
    return reply.nilArray();
  }
  reply.array(transaction.queue.length);
  // The client is in its transaction until the end, and CLIENT INFO says so.
  for (const { command, argv } of transaction.queue) {
    const refusal = client.isUnrestricted ? undefined : refuseQueued(client, command, argv);
    if (refusal === undefined) call(command, client, argv, reply);
    else replyError(client, reply, refusal);
  }
  client.discardTransaction();
}

/** DISCARD */
function discard(client: Client, _argv: Argv, reply: Reply): void {
  if (client.transaction === undefined) throw DISCARD_WITHOUT_MULTI;
  client.discardTransaction();
  reply.ok();
}

/** WATCH key [key ...] */
function watch(client: Client, argv: Argv, reply: Reply): void {
  if (client.transaction !== undefined) throw WATCH_INSIDE_MULTI;
  for (let i = 1; i < argv.length; i++) client.watch(argv.string(i));
  reply.ok();
}

/** UNWATCH */
function unwatch(client: Client, _argv: Argv, reply: Reply): void {
  client.unwatch();
  reply.ok();
}

const TRANSACTION = { categories: ["transaction"], group: "transactions" } as const;

export const TRANSACTION_COMMANDS: readonly Command[] = [
  {
    ...TRANSACTION,
    name: "discard",
    arity: 1,
    flags: ["noscript", "loading", "stale", "fast", "allow_busy"],
    since: "2.0.0",
    complexity: "O(N) in the number of queued commands",
    summary: "Drops the transaction.",
    handler: discard,
  },
  {
    ...TRANSACTION,
    name: "exec",
    arity: 1,
    flags: ["noscript", "loading", "stale", "skip_slowlog"],
    since: "1.2.0",
    complexity: "That of the queued commands",
    summary: "Runs the transaction as one.",
    handler: exec,
  },
  {
    ...TRANSACTION,
    name: "multi",
    arity: 1,
    flags: ["noscript", "loading", "stale", "fast", "allow_busy"],
    since: "1.2.0",
    complexity: "O(1)",
    summary: "Begins a transaction: what follows is queued.",
    handler: multi,
  },
  {
    ...TRANSACTION,
    name: "unwatch",
    arity: 1,
    flags: ["noscript", "loading", "stale", "fast", "allow_busy"],
    since: "2.2.0",
    complexity: "O(1)",
    summary: "Forgets all watched keys.",
    handler: unwatch,
  },
  {
    ...TRANSACTION,
    name: "watch",
    arity: -2,
    syntax: "key...",
    flags: ["noscript", "loading", "stale", "fast", "allow_busy"],
    keys: [LOOK_AT_KEYS],
    since: "2.2.0",
    complexity: "O(1) a key",
    summary: "Lets EXEC refuse when one of the keys has changed by then.",
    handler: watch,
  },
];
