/** COMMAND and its subcommands: the table, told to clients. */
import { CommandError } from "../../errors.js";
import { compileGlob } from "../../keyspace/glob.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { SYNTAX_ERROR } from "../args.js";
import type { Client } from "../client.js";
import { CATEGORIES, type Command, categoriesOf, FLAGS, type KeySpec, keyUses, rangesOf } from "../command.js";
import { helpHandler } from "../help.js";
import { type Argument, parseSyntax } from "../syntax.js";

const INVALID_COMMAND = new CommandError("ERR Invalid command specified");
const NO_KEYS = new CommandError("ERR The command has no key arguments");
const INVALID_ARGUMENTS = new CommandError("ERR Invalid arguments specified for command");
const WRONG_ARGUMENTS = new CommandError("ERR Invalid number of arguments specified for command");

/** COMMAND */
function command(client: Client, _argv: Argv, reply: Reply): void {
  const { rows } = client.server.commands;
  reply.array(rows.length);
  for (const row of rows) replyInfo(reply, row);
}

/** COMMAND INFO [command-name ...] */
function info(client: Client, argv: Argv, reply: Reply): void {
  if (argv.length === 2) return command(client, argv, reply);
  reply.array(argv.length - 2);
  for (let i = 2; i < argv.length; i++) {
    const row = client.server.commands.named(argv.string(i));
    if (row === undefined) reply.nil();
    else replyInfo(reply, row);
  }
}

function replyInfo(reply: Reply, row: Command): void {
  const [first] = rangesOf(row);
  reply.array(10);
  reply.bulk(row.name);
  reply.integer(row.arity);
  replySet(reply, flagsOf(row));
  reply.integer(first?.first ?? 0);
  reply.integer(first === undefined ? 0 : lastKey(row));
  reply.integer(first?.step ?? 0);
  replySet(
    reply,
    categoriesOf(row).map((category) => `@${category}`),
  );
  reply.array(row.tips?.length ?? 0);
  for (const tip of row.tips ?? []) reply.bulk(tip);
  reply.array(row.keys?.length ?? 0);
  for (const spec of row.keys ?? []) replyKeySpec(reply, spec);
  reply.array(row.subcommands?.length ?? 0);
  for (const subcommand of row.subcommands ?? []) replyInfo(reply, subcommand);
}

function flagsOf(row: Command): string[] {
  return FLAGS.filter((flag) => row.flags.includes(flag));
}

function replySet(reply: Reply, words: readonly string[]): void {
  reply.set(words.length);
  for (const word of words) reply.simple(word);
}

/** The last key's position in the old form, which knows one range only: that of all key specs together. */
function lastKey(row: Command): number {
  const last = rangesOf(row).at(-1);
  if (last === undefined) return 0;
  return last.last < 0 ? last.last : last.first + last.last;
}

function replyKeySpec(reply: Reply, spec: KeySpec): void {
  reply.map(spec.notes === undefined ? 3 : 4);
  if (spec.notes !== undefined) {
    reply.bulk("notes");
    reply.bulk(spec.notes);
  }
  reply.bulk("flags");
  replySet(reply, spec.flags);
  if ("first" in spec) {
    replySearch(reply, "begin_search", "index", { index: spec.first });
    replySearch(reply, "find_keys", "range", { lastkey: spec.last, keystep: spec.step, limit: 0 });
  } else {
    replySearch(reply, "begin_search", "keyword", { keyword: spec.word, startfrom: 1 });
    replySearch(reply, "find_keys", "keynum", { keynumidx: 0, firstkey: 1, keystep: 1 });
  }
}

function replySearch(reply: Reply, step: string, type: string, spec: Record<string, number | string>): void {
  const facts = Object.entries(spec);
  reply.bulk(step);
  reply.map(2);
  reply.bulk("type");
  reply.bulk(type);
  reply.bulk("spec");
  reply.map(facts.length);
  for (const [fact, value] of facts) {
    reply.bulk(fact);
    if (typeof value === "number") reply.integer(value);
    else reply.bulk(value);
  }
}

/** COMMAND COUNT */
function count(client: Client, _argv: Argv, reply: Reply): void {
  reply.integer(client.server.commands.rows.length);
}

/** COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern] */
function list(client: Client, argv: Argv, reply: Reply): void {
  const matches = argv.length === 2 ? () => true : listFilter(argv);
  const { rows } = client.server.commands;
  // Unfiltered, Redis lists commands without their subcommands.
  const candidates = argv.length === 2 ? rows : rows.flatMap((row) => [row, ...(row.subcommands ?? [])]);
  const listed = candidates.filter(matches);
  reply.array(listed.length);
  for (const { name } of listed) reply.bulk(name);
}

function listFilter(argv: Argv): (row: Command) => boolean {
  if (argv.length !== 5 || !argv.is(2, "FILTERBY")) throw SYNTAX_ERROR;
  const value = argv.string(4);
  if (argv.is(3, "MODULE")) return () => false;
  if (argv.is(3, "ACLCAT")) {
    const category = CATEGORIES.find((name) => name === value.toLowerCase());
    return (row) => category !== undefined && categoriesOf(row).includes(category);
  }
  if (argv.is(3, "PATTERN")) {
    const matches = compileGlob(value.toLowerCase());
    return (row) => matches(row.name);
  }
  throw SYNTAX_ERROR;
}

/** COMMAND DOCS [command-name ...] */
function docs(client: Client, argv: Argv, reply: Reply): void {
  const { commands } = client.server;
  if (argv.length === 2) return replyDocs(reply, commands.rows);
  const named: Command[] = [];
  for (let i = 2; i < argv.length; i++) {
    const row = commands.named(argv.string(i));
    if (row !== undefined) named.push(row);
  }
  replyDocs(reply, named);
}

function replyDocs(reply: Reply, rows: readonly Command[]): void {
  reply.map(rows.length);
  for (const row of rows) {
    reply.bulk(row.name);
    const facts = { summary: row.summary, since: row.since, group: row.group, complexity: row.complexity };
    const known = Object.entries(facts).filter(([, value]) => value !== undefined);
    reply.map(known.length + (row.syntax === undefined ? 0 : 1) + (row.subcommands === undefined ? 0 : 1));
    for (const [fact, value] of known) {
      reply.bulk(fact);
      reply.bulk(value as string);
    }
    if (row.syntax !== undefined) {
      reply.bulk("arguments");
      replyArguments(reply, parseSyntax(row.syntax));
    }
    if (row.subcommands === undefined) continue;
    reply.bulk("subcommands");
    replyDocs(reply, row.subcommands);
  }
}

function replyArguments(reply: Reply, list: readonly Argument[]): void {
  reply.array(list.length);
  for (const { name, type, keySpec, token, since, deprecatedSince, flags, arguments: inner } of list) {
    const facts = { name, type, key_spec_index: keySpec, token, since, deprecated_since: deprecatedSince };
    const known = Object.entries(facts).filter(([, value]) => value !== undefined);
    reply.map(known.length + (flags.length === 0 ? 0 : 1) + (inner === undefined ? 0 : 1));
    for (const [fact, value] of known) {
      reply.bulk(fact);
      if (typeof value === "number") reply.integer(value);
      else reply.bulk(value as string);
    }
    if (flags.length > 0) {
      reply.bulk("flags");
      replySet(reply, flags);
    }
    if (inner === undefined) continue;
    reply.bulk("arguments");
    replyArguments(reply, inner);
  }
}

/** COMMAND GETKEYS command [arg ...] */
function getkeys(client: Client, argv: Argv, reply: Reply): void {
  const { request, keys } = keysOfRequest(client, argv);
  reply.array(keys.length);
  for (const { position } of keys) reply.bulk(request.bytes(position));
}

/** COMMAND GETKEYSANDFLAGS command [arg ...] */
function getkeysandflags(client: Client, argv: Argv, reply: Reply): void {
  const { request, keys } = keysOfRequest(client, argv);
  reply.array(keys.length);
  for (const { position, flags } of keys) {
    reply.array(2);
    reply.bulk(request.bytes(position));
    replySet(reply, flags);
  }
}

/** The request that stands behind COMMAND and its subcommand, and its keys. Throws where it has none, or is none. */
function keysOfRequest(client: Client, argv: Argv): { request: Argv; keys: ReturnType<typeof keyUses> } {
  const { commands } = client.server;
  const request = argv.slice(2);
  const row = commands.find(request);
  if (row === undefined || commands.ownNamed(row.name) === undefined) throw INVALID_COMMAND;
  if (row.keys === undefined) throw NO_KEYS;
  if (row.arity > 0 ? request.length !== row.arity : request.length < -row.arity) throw WRONG_ARGUMENTS;
  try {
    return { request, keys: keyUses(row, request) };
  } catch (error) {
    throw error instanceof CommandError ? INVALID_ARGUMENTS : error;
  }
}

const SUBCOMMAND = {
  flags: ["loading", "stale"],
  categories: ["connection"],
  group: "server",
  complexity: "O(N) in the number of commands",
} as const;
const UNORDERED = ["nondeterministic_output_order"];

const help = helpHandler("command", () => SUBCOMMANDS);

const SUBCOMMANDS: readonly Command[] = [
  {
    ...SUBCOMMAND,
    name: "command|count",
    arity: 2,
    since: "2.8.13",
    summary: "How many commands there are.",
    handler: count,
  },
  {
    ...SUBCOMMAND,
    name: "command|docs",
    arity: -2,
    syntax: "[command-name...]",
    tips: UNORDERED,
    since: "7.0.0",
    summary: "What commands do.",
    handler: docs,
  },
  {
    ...SUBCOMMAND,
    name: "command|getkeys",
    arity: -4,
    since: "2.8.13",
    summary: "The keys in a request.",
    handler: getkeys,
  },
  {
    ...SUBCOMMAND,
    name: "command|getkeysandflags",
    arity: -4,
    since: "7.0.0",
    summary: "The keys in a request, and what it does with them.",
    handler: getkeysandflags,
  },
  { ...SUBCOMMAND, name: "command|help", arity: 2, since: "5.0.0", summary: "What there is.", handler: help },
  {
    ...SUBCOMMAND,
    name: "command|info",
    arity: -2,
    syntax: "[command-name...]",
    tips: UNORDERED,
    since: "2.8.13",
    summary: "The table's rows.",
    handler: info,
  },
  {
    ...SUBCOMMAND,
    name: "command|list",
    arity: -2,
    syntax: "[FILTERBY filterby:(MODULE module-name | ACLCAT category | PATTERN pattern)]",
    tips: UNORDERED,
    since: "7.0.0",
    summary: "The commands' names.",
    handler: list,
  },
];

export const COMMAND_COMMANDS: readonly Command[] = [
  {
    ...SUBCOMMAND,
    name: "command",
    arity: -1,
    tips: UNORDERED,
    since: "2.8.13",
    summary: "All commands.",
    differs: "lists the commands that are here; DOCS has no history",
    handler: command,
    subcommands: SUBCOMMANDS,
  },
];
