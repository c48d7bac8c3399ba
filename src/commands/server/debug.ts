/** DEBUG: what tests need of a server, and nobody else. Who may use it is said at the start (`enable-debug-command`). */
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { quotedArg } from "../args.js";
import { replyError } from "../call.js";
import type { Client } from "../client.js";
import type { Command, Handler } from "../command.js";
import { helpHandler } from "../help.js";
import { SAVE_FAILED } from "./server-commands.js";

const NOT_ALLOWED =
  'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.';
const NOT_IN_TRANSACTION = new CommandError("ERR Command not allowed inside a transaction");

/** Bytes of a subcommand that the error for an unknown one repeats (Redis' figure). */
const QUOTED_BYTES_MAX = 128;
/** Of this machine, or a unix socket, whose address is its path. */
const LOCAL_ADDRESS = /^(?:(?:127\.0\.0\.1|\[::1\]):[0-9]+$|\/)/;

/** Redis looks at the argument only as far as it is a number, and takes 0 for none. */
function looseNumber(argv: Argv, i: number): number {
  const number = Number.parseFloat(argv.string(i));
  return Number.isFinite(number) ? number : 0;
}

/** DEBUG SLEEP seconds: nobody is served meanwhile. */
function sleep(_client: Client, argv: Argv, reply: Reply): void {
  const never = new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(never, 0, 0, Math.max(looseNumber(argv, 2), 0) * 1000);
  reply.ok();
}

/** DEBUG SET-ACTIVE-EXPIRE 0 | 1 */
function setActiveExpire(client: Client, argv: Argv, reply: Reply): void {
  client.server.keyspace.expiresActively = Math.trunc(looseNumber(argv, 2)) !== 0;
  reply.ok();
}

/** DEBUG RELOAD: answers when all is saved and nothing is in memory, but for what has changed meanwhile. */
function reload(client: Client, _argv: Argv, _reply: Reply): void {
  if (client.transaction !== undefined) throw NOT_IN_TRANSACTION;
  const { keyspace, saver } = client.server;
  client.pending = {
    until: saver.settle().then(() => keyspace.residency.forgetClean()),
    done: (reply) => reply.ok(),
    failed: (reply) => replyError(client, reply, SAVE_FAILED),
  };
}

interface Subcommand {
  name: string;
  /** Number of arguments with both words. */
  arity: number;
  summary: string;
  handler: Handler;
}

/** Not subcommands in the command table: Redis' COMMAND does not tell of them. */
const SUBCOMMANDS: readonly Subcommand[] = [
  { name: "debug|help", arity: 2, summary: "What there is.", handler: helpHandler("debug", () => SUBCOMMANDS) },
  { name: "debug|reload", arity: 2, summary: "Saves, and lets everything leave memory.", handler: reload },
  {
    name: "debug|set-active-expire",
    arity: 3,
    summary: "Whether expired keys that nobody asks for are deleted: 0 or 1.",
    handler: setActiveExpire,
  },
  { name: "debug|sleep", arity: 3, summary: "Stops the server for so many seconds.", handler: sleep },
];

/** DEBUG subcommand [arg ...] */
function debug(client: Client, argv: Argv, reply: Reply): void {
  const name = `debug|${argv.string(1).toLowerCase()}`;
  const subcommand = SUBCOMMANDS.find((each) => each.name === name && each.arity === argv.length);
  if (subcommand === undefined) {
    const word = quotedArg(argv, 1, QUOTED_BYTES_MAX);
    throw new CommandError(`ERR unknown subcommand or wrong number of arguments for '${word}'. Try DEBUG HELP.`);
  }
  subcommand.handler(client, argv, reply);
}

export const DEBUG_COMMANDS: readonly Command[] = [
  {
    name: "debug",
    arity: -2,
    flags: ["admin", "noscript", "loading", "stale"],
    group: "server",
    since: "1.0.0",
    complexity: "Depends on subcommand.",
    summary: "For tests of the server.",
    differs: "has HELP, RELOAD, SET-ACTIVE-EXPIRE and SLEEP; RELOAD has no options, and is not for transactions",
    refuses: ({ peer, server: { enableDebugCommand: users } }) => {
      const mayUse = users === "yes" || (users === "local" && LOCAL_ADDRESS.test(peer.address));
      return mayUse ? undefined : NOT_ALLOWED;
    },
    handler: debug,
  },
];
