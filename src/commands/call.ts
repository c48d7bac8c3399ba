/** Runs one command's handler. Execute calls it for a client's request, EXEC for each command of its queue. */
import { CommandError, DamagedError } from "../errors.js";
import type { Argv } from "../resp/argv.js";
import type { Reply } from "../resp/reply.js";
import type { Client } from "./client.js";
import type { Command } from "./command.js";

/** What a client is told when the fault is ours or the disk's; the log has the rest. */
export const INTERNAL_ERROR = "ERR internal error, see the server's log";

/** The value that the command needs is not what was written to the file; other keys are not concerned. */
const DAMAGED = "ERR the value is damaged in the database file, see the server's log and bitmapist-server check";

/** Calls the handler, counts the call, and replies with the error if it throws. */
export function call(command: Command, client: Client, argv: Argv, reply: Reply): void {
  const { stats, log, debug, monitors } = client.server;
  const mark = reply.mark();
  stats.count(command.name);
  if (debug) log.notice(`client ${client.id}: ${describe(command, argv)}`);
  try {
    command.handler(client, argv, reply);
  } catch (error) {
    reply.rewind(mark);
    if (error instanceof CommandError) {
      replyError(client, reply, error.message);
    } else if (error instanceof DamagedError) {
      log.warning(`command ${command.name} failed: ${error.message}`);
      replyError(client, reply, DAMAGED);
    } else {
      log.warning(`command ${command.name} failed: ${error instanceof Error ? error.stack : String(error)}`);
      replyError(client, reply, INTERNAL_ERROR);
    }
  }
  if (monitors.isOn) monitors.show(client, command, argv);
}

/** Writes an error reply and counts it. */
export function replyError(client: Client, reply: Reply, message: string): void {
  client.server.stats.errorReplies++;
  reply.error(message);
}

const DESCRIBED_ARGUMENTS_MAX = 16;
const DESCRIBED_BYTES_MAX = 64;

/** A request for the log: its first arguments, their first bytes; passwords are not shown. */
function describe({ name }: Command, argv: Argv): string {
  if (name === "auth" || name === "hello" || name === "config|set" || name === "acl|setuser")
    return `${argv.string(0)} (redacted)`;
  const shown: string[] = [];
  for (let i = 0; i < Math.min(argv.length, DESCRIBED_ARGUMENTS_MAX); i++) {
    shown.push(JSON.stringify(argv.bytes(i).subarray(0, DESCRIBED_BYTES_MAX).toString("latin1")));
  }
  if (argv.length > DESCRIBED_ARGUMENTS_MAX) shown.push(`... ${argv.length - DESCRIBED_ARGUMENTS_MAX} more`);
  return shown.join(" ");
}
