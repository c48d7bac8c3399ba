/** WAIT and WAITAOF: how safe are my writes? There are no replicas; the local file answers for itself. */
import { MEMORY_DB } from "../../config.js";
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { integerArg } from "../args.js";
import { replyError } from "../call.js";
import type { Client, Pending } from "../client.js";
import type { Command } from "../command.js";

const TIMEOUT_NOT_AN_INTEGER = new CommandError("ERR timeout is not an integer or out of range");
const TIMEOUT_NEGATIVE = new CommandError("ERR timeout is negative");
const LOCAL_OUT_OF_RANGE = new CommandError("ERR value is out of range, value must between 0 and 1");
const NOT_POSITIVE = new CommandError("ERR value is out of range, must be positive");
const NOTHING_LOCAL = new CommandError("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");

const WAIT_ON_REPLICA = new CommandError(
  "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.",
);
const WAITAOF_ON_REPLICA = new CommandError(
  "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated.",
);

const UNBLOCKED = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

/** Longest time a timer can be set for, in milliseconds: 24 days. A longer wait has no end. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** WAIT numreplicas timeout */
function wait(client: Client, argv: Argv, reply: Reply): void {
  if (client.server.replication.master !== undefined) throw WAIT_ON_REPLICA;
  const replicas = integerArg(argv, 1);
  const timeoutMs = timeoutArg(argv, 2);
  if (replicas <= 0 || client.transaction !== undefined) return reply.integer(0);
  const never = new Promise<void>(() => {});
  waitAtMost(client, never, timeoutMs, (later) => later.integer(0));
}

/** WAITAOF numlocal numreplicas timeout */
function waitaof(client: Client, argv: Argv, reply: Reply): void {
  const { saver, keyspace, db, replication } = client.server;
  const local = integerArg(argv, 1);
  if (local < 0 || local > 1) throw LOCAL_OUT_OF_RANGE;
  const replicas = integerArg(argv, 2);
  if (replicas < 0) throw NOT_POSITIVE;
  const timeoutMs = timeoutArg(argv, 3);
  if (replication.master !== undefined) throw WAITAOF_ON_REPLICA;
  if (local === 1 && db === MEMORY_DB) throw NOTHING_LOCAL;
  const { changes } = keyspace;
  const answer = (to: Reply) => {
    to.array(2);
    to.integer(db !== MEMORY_DB && saver.syncedChanges >= changes ? 1 : 0);
    to.integer(0);
  };
  const isEnough = replicas === 0 && (local === 0 || saver.syncedChanges >= changes);
  if (isEnough || client.transaction !== undefined) return answer(reply);
  const synced = local === 1 ? saver.synced() : Promise.resolve();
  const until = replicas === 0 ? synced : synced.then(() => new Promise<void>(() => {}));
  waitAtMost(client, until, timeoutMs, answer);
}

/** A time to wait, in milliseconds. */
export function timeoutArg(argv: Argv, i: number): number {
  const timeoutMs = integerArg(argv, i, TIMEOUT_NOT_AN_INTEGER);
  if (timeoutMs < 0) throw TIMEOUT_NEGATIVE;
  return timeoutMs;
}

/** Lets the client wait for `until`, or for the time to pass (0: for ever), and answers either way. */
function waitAtMost(client: Client, until: Promise<void>, timeoutMs: number, answer: (reply: Reply) => void): void {
  let timer: NodeJS.Timeout | undefined;
  let reason: "timeout" | "error" = "timeout";
  let unblock: Pending["unblock"];
  const timeout = new Promise<void>((resolve) => {
    if (timeoutMs > 0 && timeoutMs <= TIMER_MS_MAX) timer = setTimeout(resolve, timeoutMs);
    unblock = (why) => {
      reason = why;
      resolve();
    };
  });
  const cancel = () => clearTimeout(timer);
  const done = (reply: Reply) => {
    cancel();
    if (reason === "error") replyError(client, reply, UNBLOCKED);
    else answer(reply);
  };
  const pending = { until: Promise.race([until, timeout]), done, failed: done, cancel, isBlocking: true };
  client.pending = { ...pending, unblock: unblock as NonNullable<Pending["unblock"]> };
}

export const WAIT_COMMANDS: readonly Command[] = [
  {
    name: "wait",
    arity: 3,
    syntax: "numreplicas:integer timeout:integer",
    flags: ["noscript"],
    categories: ["connection"],
    tips: ["request_policy:all_shards", "response_policy:agg_min"],
    group: "generic",
    since: "3.0.0",
    complexity: "O(1)",
    summary: "Waits for replicas, of which there are none.",
    handler: wait,
  },
  {
    name: "waitaof",
    arity: 4,
    syntax: "numlocal:integer numreplicas:integer timeout:integer",
    flags: ["noscript"],
    categories: ["connection"],
    tips: ["request_policy:all_shards", "response_policy:agg_min"],
    group: "generic",
    since: "7.2.0",
    complexity: "O(1)",
    summary: "Waits until what was written so far is safe on the disk.",
    differs: "from Redis 7.2; numlocal 1 begins a commit at once",
    handler: waitaof,
  },
];
