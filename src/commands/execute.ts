/**
 * What happens to a request before its handler runs (Redis' processCommand): the row is found in the table and every check
 * that commands share is made here, in Redis' order.
 */
import type { Argv } from "../resp/argv.js";
import type { Mark, Reply } from "../resp/reply.js";
import { refuseByAcl } from "./acl/check.js";
import { quotedArg } from "./args.js";
import { call, replyError } from "./call.js";
import type { Client } from "./client.js";
import type { Command, Flag } from "./command.js";
import { isScripting, NO_SCRIPTING } from "./server/scripting.js";

/** Bytes of a request that an unknown-command error repeats (Redis' figure). */
const QUOTED_BYTES_MAX = 128;

/** Commands that a transaction does not queue but runs at once. */
const UNQUEUED = new Set(["exec", "discard", "multi", "watch", "quit", "reset"]);

/** All that a client may do in RESP2 while it has subscriptions: it could not tell other replies from messages. */
const OF_SUBSCRIBERS = new Set([
  ...["subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"],
  ...["ping", "quit", "reset"],
]);

const PUBLISHING = new Set(["publish", "spublish"]);

/** Runs one request of a client, or queues it, and writes its reply. */
export function execute(client: Client, argv: Argv, reply: Reply): void {
  client.lastActiveMs = client.server.keyspace.now;
  reply.protocol = client.protocol;
  if (client.replyMode === "on") return run(client, argv, reply);
  if (client.replyMode === "skip-next") client.replyMode = "skip";
  const mark = reply.mark();
  const pushes: Uint8Array[] = [];
  client.heldPushes = pushes;
  try {
    run(client, argv, reply);
  } finally {
    client.heldPushes = undefined;
  }
  silence(client, reply, mark);
  for (const message of pushes) client.push(message);
}

/** CLIENT REPLY OFF and SKIP: takes back what was written, unless the command has just switched replies on again. */
function silence(client: Client, reply: Reply, mark: Mark): void {
  // It has not been run yet.
  if (client.pending?.again !== undefined) return;
  if (client.replyMode !== "on") {
    reply.rewind(mark);
    if (client.pending !== undefined) client.pending = { ...client.pending, done: () => {}, failed: () => {} };
  }
  if (client.replyMode === "skip") client.replyMode = "on";
}

function run(client: Client, argv: Argv, reply: Reply): void {
  const { commands, keyspace } = client.server;
  const command = commands.find(argv);
  if (command?.isQuick === true) keyspace.step();
  else keyspace.tick();
  if (command === undefined) return reject(client, undefined, reply, unknownCommand(commands.container(argv), argv));
  client.lastCommand = command.name;
  const refusal = refuse(client, command, argv);
  if (refusal !== undefined) return reject(client, command, reply, refusal);
  if (client.server.pause.kind !== undefined && isPaused(client, command)) return postpone(client, argv);
  if (client.transaction !== undefined && !UNQUEUED.has(command.name)) {
    queue(client, command, argv, reply);
    return;
  }
  call(command, client, argv, reply);
}

/** A request that could not be run, or queued, spoils the transaction it stands in; an EXEC ends it. */
function reject(client: Client, command: Command | undefined, reply: Reply, message: string): void {
  if (client.transaction !== undefined) client.transaction.poisoned = true;
  if (command !== undefined) client.server.stats.of(command.name).rejected++;
  if (command?.name !== "exec") return replyError(client, reply, message);
  client.discardTransaction();
  replyError(client, reply, `EXECABORT Transaction discarded because of: ${message.replace(/^ERR /, "")}`);
}

/** Why a command can't be run now, as an error reply; undefined when it can. */
function refuse(client: Client, command: Command, argv: Argv): string | undefined {
  const { arity, flags, name } = command;
  if (arity > 0 ? argv.length !== arity : argv.length < -arity) {
    return `ERR wrong number of arguments for '${name}' command`;
  }
  const refusal = command.refuses?.(client);
  if (refusal !== undefined) return refusal;
  if (client.transaction !== undefined && flags.includes("no_multi")) {
    return "ERR Command not allowed inside a transaction";
  }
  if (!client.isUnrestricted) {
    const denial = refuseByAcl(client, command, argv);
    if (denial !== undefined) return denial;
  }
  const { failure } = client.server.saver;
  if (failure !== undefined && writes(client, command)) {
    return `MISCONF Errors writing to the database file: ${failure}`;
  }
  const { master, isLoading } = client.server.replication;
  if (master !== undefined && client.server.settings.replicaReadOnly && writes(client, command)) {
    return "READONLY You can't write against a read only replica.";
  }
  if (client.subscriptions !== undefined && client.protocol === 2 && !OF_SUBSCRIBERS.has(name)) {
    return `ERR Can't execute '${name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`;
  }
  if (master !== undefined && mustBeFresh(client) && consistsOf(client, command, lacks("stale"))) {
    return "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
  }
  if (isLoading && consistsOf(client, command, lacks("loading"))) {
    return "LOADING Redis is loading the dataset in memory";
  }
  // To Redis a monitor is a kind of replica, also in its words.
  if (client.isMonitor && consistsOf(client, command, usesKeyspace)) {
    return "ERR Replica can't interact with the keyspace";
  }
  return undefined;
}

/** Whether a command changes data; an EXEC does if anything in its queue does. */
function writes(client: Client, command: Command): boolean {
  return consistsOf(client, command, ({ flags }) => flags.includes("write"));
}

/** Whether a command, or for an EXEC one in its queue, is of a kind. */
function consistsOf(client: Client, command: Command, isOfKind: (command: Command) => boolean): boolean {
  if (isOfKind(command)) return true;
  return command.name === "exec" && (client.transaction?.queue.some((queued) => isOfKind(queued.command)) ?? false);
}

/** Whether a replica refuses to answer from what it has: its master is not there. */
function mustBeFresh({ server: { replication, settings } }: Client): boolean {
  return replication.state !== "connected" && !settings.replicaServeStaleData;
}

function lacks(flag: Flag): (command: Command) => boolean {
  return ({ flags }) => !flags.includes(flag);
}

function usesKeyspace({ name, flags }: Command): boolean {
  return flags.includes("readonly") || flags.includes("write") || PUBLISHING.has(name);
}

/** Whether CLIENT PAUSE makes a command wait. PUBLISH counts as a change: Redis sends it to its replicas. */
function isPaused(client: Client, command: Command): boolean {
  if (client.isMonitor) return false;
  if (client.server.pause.kind === "all") return true;
  return consistsOf(client, command, ({ name, flags }) => flags.includes("write") || PUBLISHING.has(name));
}

/** Lets a request wait until the pause is over. */
function postpone(client: Client, argv: Argv): void {
  const nothing = () => {};
  const { until, cancel } = client.server.pause.wait();
  client.pending = { until, cancel, again: argv.copy(), done: nothing, failed: nothing, isBlocking: true };
}

function queue(client: Client, command: Command, argv: Argv, reply: Reply): void {
  const transaction = client.transaction as NonNullable<Client["transaction"]>;
  for (let i = 0; i < argv.length; i++) transaction.queueBytes += argv.byteLength(i);
  const { log, settings } = client.server;
  if (transaction.queueBytes > settings.clientQueryBufferLimit) {
    log.warning(`client ${client.id} closed: its transaction is longer than ${settings.clientQueryBufferLimit} bytes`);
    client.peer.destroy();
    return;
  }
  // A transaction that is refused anyway need not be kept.
  if (!transaction.poisoned) transaction.queue.push({ command, argv: argv.copy() });
  reply.queued();
}

/** Redis' words for a command, or a subcommand, that the table does not have. */
function unknownCommand(container: Command | undefined, argv: Argv): string {
  if (container !== undefined) {
    return `ERR unknown subcommand '${quotedArg(argv, 1, QUOTED_BYTES_MAX)}'. Try ${container.name.toUpperCase()} HELP.`;
  }
  const name = quotedArg(argv, 0, QUOTED_BYTES_MAX);
  if (isScripting(name)) return `ERR unknown command '${name}': ${NO_SCRIPTING}`;
  let args = "";
  for (let i = 1; i < argv.length && args.length < QUOTED_BYTES_MAX; i++) {
    args += `'${quotedArg(argv, i, QUOTED_BYTES_MAX - args.length)}' `;
  }
  return `ERR unknown command '${name}', with args beginning with: ${args}`;
}
