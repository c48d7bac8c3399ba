/**
 * What happens to a request before its handler runs (Redis' processCommand): the row is found in the table and every check
 * that commands share is made here, in Redis' order.
 */
import { QUERY_BUFFER_BYTES_MAX } from "../config.js";
import type { Argv } from "../resp/argv.js";
import type { Mark, Reply } from "../resp/reply.js";
import { quotedArg } from "./args.js";
import { call, replyError } from "./call.js";
import type { Client } from "./client.js";
import type { Command } from "./command.js";
import { isScripting, NO_SCRIPTING } from "./scripting.js";

/** Bytes of a request that an unknown-command error repeats (Redis' figure). */
const QUOTED_BYTES_MAX = 128;

/** Commands that a transaction does not queue but runs at once. */
const UNQUEUED = new Set(["exec", "discard", "multi", "watch", "quit", "reset"]);

/** Runs one request of a client, or queues it, and writes its reply. */
export function execute(client: Client, argv: Argv, reply: Reply): void {
  client.lastActiveMs = client.server.keyspace.now;
  reply.protocol = client.protocol;
  if (client.replyMode === "on") return run(client, argv, reply);
  if (client.replyMode === "skip-next") client.replyMode = "skip";
  const mark = reply.mark();
  run(client, argv, reply);
  silence(client, reply, mark);
}

/** CLIENT REPLY OFF and SKIP: takes back what was written, unless the command has just switched replies on again. */
function silence(client: Client, reply: Reply, mark: Mark): void {
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
  const refusal = refuse(client, command, argv);
  if (refusal !== undefined) return reject(client, command, reply, refusal);
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
  if (!client.authenticated && !flags.includes("no_auth")) return "NOAUTH Authentication required.";
  const { failure } = client.server.saver;
  if (failure !== undefined && writes(client, command)) {
    return `MISCONF Errors writing to the database file: ${failure}`;
  }
  if (client.transaction !== undefined && flags.includes("no_multi")) {
    return "ERR Command not allowed inside a transaction";
  }
  return undefined;
}

/** Whether a command changes data; an EXEC does if anything in its queue does. */
function writes(client: Client, { name, flags }: Command): boolean {
  if (flags.includes("write")) return true;
  return name === "exec" && (client.transaction?.queue.some(({ command }) => command.flags.includes("write")) ?? false);
}

function queue(client: Client, command: Command, argv: Argv, reply: Reply): void {
  const transaction = client.transaction as NonNullable<Client["transaction"]>;
  for (let i = 0; i < argv.length; i++) transaction.queueBytes += argv.byteLength(i);
  if (transaction.queueBytes > QUERY_BUFFER_BYTES_MAX) {
    client.server.log.warning(
      `client ${client.id} closed: its transaction is longer than ${QUERY_BUFFER_BYTES_MAX} bytes`,
    );
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
