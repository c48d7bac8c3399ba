/** What a row of the command table is. The table (table.ts) is the only list of commands; the families write its rows. */
import type { Argv } from "../resp/argv.js";
import type { Reply } from "../resp/reply.js";
import type { Client } from "./client.js";

/** Redis' flags, in the order in which COMMAND INFO gives them. */
export const FLAGS = [
  "write",
  "readonly",
  "denyoom",
  "admin",
  "noscript",
  "loading",
  "stale",
  "skip_slowlog",
  "fast",
  "no_auth",
  "no_async_loading",
  "no_multi",
  "movablekeys",
  "allow_busy",
] as const;
export type Flag = (typeof FLAGS)[number];

/** Redis' ACL categories, in the order in which COMMAND INFO gives them. */
export const CATEGORIES = [
  "keyspace",
  "read",
  "write",
  "string",
  "bitmap",
  "admin",
  "fast",
  "slow",
  "dangerous",
  "connection",
  "transaction",
] as const;
export type Category = (typeof CATEGORIES)[number];

export type Group = "bitmap" | "cluster" | "connection" | "generic" | "server" | "string" | "transactions";

export type KeySpec = KeyRange | CountedKeys;

/** Arguments that are keys: from `first` on every `step`-th, up to `last`, which counts from `first` or, negative, from the end. */
export interface KeyRange {
  /** What is done with the keys: RO, RW, OW or RM, then access, update, insert, delete. */
  flags: readonly string[];
  first: number;
  last: number;
  step: number;
  notes?: string;
}

/** Keys behind a word and their number: `word numkeys key [key ...]`. */
export interface CountedKeys {
  /** As for a range, and `incomplete` where the command has keys that no spec tells of. */
  flags: readonly string[];
  word: string;
  notes?: string;
}

/**
 * Does a command: reads `argv`, looks up, changes, writes one reply. Synchronous, which makes each command atomic.
 * Throws CommandError before it has changed anything when the client asked for what can't be done.
 */
export type Handler = (client: Client, argv: Argv, reply: Reply) => void;

interface CommandFacts {
  /** Lower case; a subcommand's with its container's, like `client|id`. */
  name: string;
  /** Number of arguments with the name (and the subcommand's); -N means at least N. */
  arity: number;
  flags: readonly Flag[];
  /** Categories beyond those that follow from the flags. */
  categories?: readonly Category[];
  keys?: readonly KeySpec[];
  /** Finds the positions of the keys where they are not in ranges (`movablekeys`). Throws what the command itself would. */
  keysOf?: (argv: Argv) => number[];
  /** What is done with the keys of a request, where a spec has `variable_flags`: COMMAND GETKEYSANDFLAGS tells it. */
  keyFlags?: (argv: Argv) => readonly string[];
  tips?: readonly string[];
  group: Group;
  /** Redis' version that had it first. */
  since: string;
  complexity?: string;
  summary: string;
  /** Where it differs from Redis 7, for the documentation. */
  differs?: string;
}

/** A command, or a subcommand. */
export interface Command extends CommandFacts {
  handler: Handler;
  /** Why this client may not use it at all, as an error reply; undefined where it may. */
  refuses?: (client: Client) => string | undefined;
  /** It sees the time as of the last command before it that is not quick, or of the chunk in which its request came. */
  isQuick?: true;
  subcommands?: readonly Command[];
}

/** The categories of a command: those it names and those that follow from its flags, as Redis derives them. */
export function categoriesOf(command: Command): Category[] {
  const categories = new Set<Category>(command.categories);
  if (command.flags.includes("write")) categories.add("write");
  if (command.flags.includes("readonly")) categories.add("read");
  if (command.flags.includes("admin")) categories.add("admin").add("dangerous");
  categories.add(command.flags.includes("fast") ? "fast" : "slow");
  return CATEGORIES.filter((category) => categories.has(category));
}

/** Positions in `argv` of a command's keys, in the order of its key specs. */
export function keyPositions(command: Command, argv: Argv): number[] {
  return keysIn(command, argv).map(({ position }) => position);
}

/** The same with what is done with each key. Keys that are not in ranges are used as the command's first spec says. */
export function keysIn(command: Command, argv: Argv): { position: number; flags: readonly string[] }[] {
  if (command.keysOf !== undefined) {
    const flags = (command.keys?.[0]?.flags ?? []).filter((flag) => flag !== "incomplete");
    return command.keysOf(argv).map((position) => ({ position, flags }));
  }
  const keys: { position: number; flags: readonly string[] }[] = [];
  for (const { first, last, step, flags } of rangesOf(command)) {
    const end = last < 0 ? argv.length + last : first + last;
    for (let position = first; position <= end && position < argv.length; position += step) {
      keys.push({ position, flags: command.keyFlags?.(argv) ?? flags });
    }
  }
  return keys;
}

/** The key specs that are ranges. */
export function rangesOf(command: Command): KeyRange[] {
  return (command.keys ?? []).filter((spec) => "first" in spec);
}

/** Key specs that most commands share. */
export const READ_KEY: KeySpec = { flags: ["RO", "access"], first: 1, last: 0, step: 1 };
export const LOOK_AT_KEY: KeySpec = { flags: ["RO"], first: 1, last: 0, step: 1 };
export const LOOK_AT_KEYS: KeySpec = { flags: ["RO"], first: 1, last: -1, step: 1 };
/** A subcommand's key. */
export const LOOK_AT_SECOND_KEY: KeySpec = { flags: ["RO"], first: 2, last: 0, step: 1 };
export const CHANGE_KEY: KeySpec = { flags: ["RW", "update"], first: 1, last: 0, step: 1 };
