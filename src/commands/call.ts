/** Runs one command's handler. Execute calls it for a client's request, EXEC for each command of its queue. */
import { nanoseconds } from "../clock.js";
import { CommandError, DamagedError } from "../errors.js";
import type { Argv } from "../resp/argv.js";
import type { Reply } from "../resp/reply.js";
import type { Client } from "./client.js";
import type { Command } from "./command.js";
import { REDACTED, secretArguments } from "./secrets.js";

/** What a client is told when the fault is ours or the disk's; the log has the rest. */
export const INTERNAL_ERROR = "ERR internal error, see the server's log";

/** The value that the command needs is not what was written to the file; other keys are not concerned. */
const DAMAGED = "ERR the value is damaged in the database file, see the server's log and bitmapist-server check";

/** Calls the handler, counts and times the call, and replies with the error if it throws. */
export function call(command: Command, client: Client, argv: Argv, reply: Reply): void {
  const { stats, timing, keyspace, log, debug, monitors } = client.server;
  const mark = reply.mark();
  if (debug) log.notice(`client ${client.id}: ${describe(command, argv)}`);
  const counted = stats.of(command.name);
  const begun = timing.skips(counted) ? 0 : nanoseconds();
  keyspace.workSince = 0;
  let hasFailed = false;
  try {
    command.handler(client, argv, reply);
  } catch (error) {
    hasFailed = true;
    reply.rewind(mark);
    replyFailure(client, reply, command.name, error);
  }
  if (monitors.isOn) monitors.show(client, command, argv);
  // As in Redis after it has run, so that INFO does not count itself.
  stats.commands++;
  counted.calls++;
  if (hasFailed) counted.failed++;
  const since = begun === 0 ? keyspace.workSince : begun;
  if (since !== 0) timing.ran(client, command, argv, counted, since);
}

/** Writes as an error reply what a handler has thrown; the log has what is not the client's fault. */
export function replyFailure(client: Client, reply: Reply, name: string, error: unknown): void {
  const { log } = client.server;
  if (error instanceof CommandError) {
    replyError(client, reply, error.message);
  } else if (error instanceof DamagedError) {
    log.warning(`command ${name} failed: ${error.message}`);
    replyError(client, reply, DAMAGED);
  } else {
    log.warning(`command ${name} failed: ${error instanceof Error ? error.stack : String(error)}`);
    replyError(client, reply, INTERNAL_ERROR);
  }
}

/** Writes an error reply and counts it. */
export function replyError(client: Client, reply: Reply, message: string): void {
  client.server.stats.countError(message);
  reply.error(message);
}

const DESCRIBED_ARGUMENTS_MAX = 16;
const DESCRIBED_BYTES_MAX = 64;

/** A request for the log: its first arguments, their first bytes; passwords are not shown. */
function describe({ name }: Command, argv: Argv): string {
  const secret = secretArguments(name, argv);
  const shown: string[] = [];
  for (let i = 0; i < Math.min(argv.length, DESCRIBED_ARGUMENTS_MAX); i++) {
    const text = secret.has(i) ? REDACTED : argv.bytes(i).subarray(0, DESCRIBED_BYTES_MAX).toString("latin1");
    shown.push(JSON.stringify(text));
  }
  if (argv.length > DESCRIBED_ARGUMENTS_MAX) shown.push(`... ${argv.length - DESCRIBED_ARGUMENTS_MAX} more`);
  return shown.join(" ");
}
