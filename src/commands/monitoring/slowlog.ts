/** SLOWLOG: the commands that took long, with their arguments. */
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { integerArg, quotedArg } from "../args.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";
import { helpHandler } from "../help.js";
import { REDACTED, secretArguments } from "../secrets.js";

const BAD_COUNT = new CommandError("ERR count should be greater than or equal to -1");

/** Arguments that an entry keeps, and bytes of each (Redis' figures). */
const ARGUMENTS_MAX = 32;
const ARGUMENT_BYTES_MAX = 128;

/** Bytes of a subcommand that the error for too many arguments repeats (Redis' figure). */
const QUOTED_BYTES_MAX = 128;

/** Entries that GET gives when it is not told how many. */
const LISTED = 10;

interface SlowlogEntry {
  id: number;
  /** In seconds since the Unix epoch. */
  time: number;
  us: number;
  /** As they came, in latin1, cut. */
  args: string[];
  address: string;
  clientName: string;
}

/** The slow commands of a server, the last one first. */
export class Slowlog {
  /** `slowlog-max-len`. A lower one takes effect with the next entry, as in Redis. */
  lengthMax: number;
  #entries: SlowlogEntry[] = [];
  #nextId = 0;

  constructor(lengthMax: number) {
    this.lengthMax = lengthMax;
  }

  get entries(): readonly SlowlogEntry[] {
    return this.#entries;
  }

  add({ name, peer, server }: Client, command: string, argv: Argv, us: number): void {
    const time = Math.floor(server.keyspace.now / 1000);
    const args = shownArguments(command, argv);
    this.#entries.unshift({ id: this.#nextId++, time, us, args, address: peer.address, clientName: name });
    if (this.#entries.length > this.lengthMax) this.#entries.length = this.lengthMax;
  }

  reset(): void {
    this.#entries = [];
  }
}

function shownArguments(command: string, argv: Argv): string[] {
  const secret = secretArguments(command, argv);
  const kept = argv.length > ARGUMENTS_MAX ? ARGUMENTS_MAX - 1 : argv.length;
  const args: string[] = [];
  for (let i = 0; i < kept; i++) args.push(secret.has(i) ? REDACTED : shownArgument(argv.bytes(i)));
  if (kept < argv.length) args.push(`... (${argv.length - kept} more arguments)`);
  return args;
}

function shownArgument(bytes: Buffer): string {
  const shown = bytes.toString("latin1", 0, Math.min(bytes.length, ARGUMENT_BYTES_MAX));
  const rest = bytes.length - shown.length;
  return rest === 0 ? shown : `${shown}... (${rest} more bytes)`;
}

/** SLOWLOG GET [count]: -1 for all. */
function get({ server: { timing } }: Client, argv: Argv, reply: Reply): void {
  if (argv.length > 3) {
    const word = quotedArg(argv, 1, QUOTED_BYTES_MAX);
    throw new CommandError(`ERR unknown subcommand or wrong number of arguments for '${word}'. Try SLOWLOG HELP.`);
  }
  const count = argv.length === 2 ? LISTED : integerArg(argv, 2, BAD_COUNT);
  if (count < -1) throw BAD_COUNT;
  const { entries } = timing.slowlog;
  const listed = count === -1 ? entries : entries.slice(0, count);
  reply.array(listed.length);
  for (const { id, time, us, args, address, clientName } of listed) {
    reply.array(6);
    reply.integer(id);
    reply.integer(time);
    reply.integer(us);
    reply.array(args.length);
    for (const arg of args) reply.bulk(arg);
    reply.bulk(address);
    reply.bulk(clientName);
  }
}

/** SLOWLOG LEN */
function len({ server: { timing } }: Client, _argv: Argv, reply: Reply): void {
  reply.integer(timing.slowlog.entries.length);
}

/** SLOWLOG RESET */
function reset({ server: { timing } }: Client, _argv: Argv, reply: Reply): void {
  timing.slowlog.reset();
  reply.ok();
}

const SUBCOMMAND = { arity: 2, flags: ["admin", "loading", "stale"], group: "server", since: "2.2.12" } as const;

const help = helpHandler("slowlog", () => SUBCOMMANDS);

const SUBCOMMANDS: readonly Command[] = [
  {
    ...SUBCOMMAND,
    name: "slowlog|get",
    arity: -2,
    syntax: "[count:integer]",
    tips: ["request_policy:all_nodes", "nondeterministic_output"],
    complexity: "O(N) in the number of entries given",
    summary: "The commands that took long, the last one first.",
    handler: get,
  },
  {
    ...SUBCOMMAND,
    name: "slowlog|help",
    flags: ["loading", "stale"],
    since: "6.2.0",
    complexity: "O(1)",
    summary: "What there is.",
    handler: help,
  },
  {
    ...SUBCOMMAND,
    name: "slowlog|len",
    tips: ["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
    complexity: "O(1)",
    summary: "How many entries there are.",
    handler: len,
  },
  {
    ...SUBCOMMAND,
    name: "slowlog|reset",
    tips: ["request_policy:all_nodes", "response_policy:all_succeeded"],
    complexity: "O(N) in the number of entries",
    summary: "Forgets all entries.",
    handler: reset,
  },
];

export const SLOWLOG_COMMANDS: readonly Command[] = [
  {
    name: "slowlog",
    arity: -2,
    flags: [],
    group: "server",
    since: "2.2.12",
    complexity: "Depends on subcommand.",
    summary: "About commands that took long.",
    differs:
      "a pipeline's commands are not all timed: those that read the file are, the first one where pipelines are shorter than 8, and of commands that take less than 10 µs one call in 64; all are with `slowlog-log-slower-than` below 1000; what a command waits for (SAVE, KEYS of many keys) does not count",
    handler: help,
    subcommands: SUBCOMMANDS,
  },
];
