/** SAVE, BGSAVE, LASTSAVE, SHUTDOWN, TIME, LOLWUT: the server as a whole. */
import { REDIS_VERSION } from "../../config.js";
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { SYNTAX_ERROR } from "../args.js";
import { replyError } from "../call.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";

const NO_SHUTDOWN = new CommandError("ERR No shutdown in progress.");
/** Redis' whole answer to a SAVE that failed. */
export const SAVE_FAILED = "ERR";
const SHUTDOWN_FAILED = "ERR Errors trying to SHUTDOWN. Check logs.";

/** SAVE: answers when everything acknowledged so far is committed. Others are served meanwhile. */
function save(client: Client, _argv: Argv, _reply: Reply): void {
  client.pending = {
    until: client.server.saver.save(),
    done: (reply) => reply.ok(),
    failed: (reply) => replyError(client, reply, SAVE_FAILED),
  };
}

/** BGSAVE [SCHEDULE] */
function bgsave(client: Client, argv: Argv, reply: Reply): void {
  if (argv.length > 2 || (argv.length === 2 && !argv.is(1, "SCHEDULE"))) throw SYNTAX_ERROR;
  client.server.saver.saveSoon();
  reply.simple("Background saving started");
}

/** LASTSAVE */
function lastsave(client: Client, _argv: Argv, reply: Reply): void {
  reply.integer(Math.floor(client.server.saver.lastSaveMs / 1000));
}

/** SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]: there is no reply but that it failed: the connection ends. */
function shutdown(client: Client, argv: Argv, _reply: Reply): void {
  const words = new Set<string>();
  for (let i = 1; i < argv.length; i++) words.add(argv.string(i).toUpperCase());
  const known = ["NOSAVE", "SAVE", "NOW", "FORCE", "ABORT"];
  const contradictory = words.has("NOSAVE") && words.has("SAVE");
  const abortsMore = words.has("ABORT") && words.size > 1;
  if (contradictory || abortsMore || [...words].some((word) => !known.includes(word))) throw SYNTAX_ERROR;
  if (words.has("ABORT")) throw NO_SHUTDOWN;
  client.server.log.notice(`SHUTDOWN asked for by client ${client.id} at ${client.peer.address}`);
  client.pending = {
    until: client.server.shutdown({ save: !words.has("NOSAVE") }),
    done: () => {},
    failed: (reply) => replyError(client, reply, SHUTDOWN_FAILED),
  };
}

/** TIME */
function time(client: Client, _argv: Argv, reply: Reply): void {
  const { now } = client.server.keyspace;
  reply.array(2);
  reply.bulk(String(Math.floor(now / 1000)));
  reply.bulk(String(Math.floor((now % 1000) * 1000)));
}

/** LOLWUT [VERSION version] */
function lolwut(client: Client, _argv: Argv, reply: Reply): void {
  reply.verbatim(`bitmapist-server ${client.server.version}: 130 GB are 300 MB.\nRedis ver. ${REDIS_VERSION}\n`);
}

export const SERVER_COMMANDS: readonly Command[] = [
  {
    name: "bgsave",
    arity: -1,
    syntax: "[SCHEDULE@3.2.2]",
    flags: ["admin", "noscript", "no_async_loading"],
    group: "server",
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Begins to commit what has changed.",
    differs: "takes some milliseconds, and is never refused for being under way",
    handler: bgsave,
  },
  {
    name: "lastsave",
    arity: 1,
    flags: ["loading", "stale", "fast"],
    categories: ["admin", "dangerous"],
    tips: ["nondeterministic_output"],
    group: "server",
    since: "1.0.0",
    complexity: "O(1)",
    summary: "When the last commit was.",
    differs: "commits come by themselves, as a rule each half second in which something changed",
    handler: lastsave,
  },
  {
    name: "lolwut",
    arity: -1,
    syntax: "[VERSION version:integer]",
    flags: ["readonly", "fast"],
    group: "server",
    since: "5.0.0",
    summary: "The version, with feeling.",
    differs: "no pictures",
    handler: lolwut,
  },
  {
    name: "save",
    arity: 1,
    flags: ["admin", "noscript", "no_async_loading", "no_multi"],
    group: "server",
    since: "1.0.0",
    complexity: "O(N) in what has changed since the last commit",
    summary: "Answers when everything so far is committed.",
    differs: "other clients are served meanwhile",
    handler: save,
  },
  {
    name: "shutdown",
    arity: -1,
    syntax: "[nosave_save:(NOSAVE | SAVE)] [NOW@7.0.0] [FORCE@7.0.0] [ABORT@7.0.0]",
    flags: ["admin", "noscript", "loading", "stale", "no_multi", "allow_busy"],
    group: "server",
    since: "1.0.0",
    complexity: "O(N) in what has changed since the last commit",
    summary: "Saves and ends the server.",
    differs: "is never slow enough for ABORT",
    handler: shutdown,
  },
  {
    name: "time",
    arity: 1,
    flags: ["loading", "stale", "fast"],
    tips: ["nondeterministic_output"],
    group: "server",
    since: "2.6.0",
    complexity: "O(1)",
    summary: "The server's clock.",
    differs: "to the millisecond",
    handler: time,
  },
];
