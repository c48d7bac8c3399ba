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
  "pubsub",
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

/** Redis' ACL categories, in the order in which COMMAND INFO gives them: also those of which there is no command here. */
export const CATEGORIES = [
  "keyspace",
  "read",
  "write",
  "set",
  "sortedset",
  "list",
  "hash",
  "string",
  "bitmap",
  "hyperloglog",
  "geo",
  "stream",
  "pubsub",
  "admin",
  "fast",
  "slow",
  "blocking",
  "dangerous",
  "connection",
  "transaction",
  "scripting",
] as const;
export type Category = (typeof CATEGORIES)[number];

export type Group = "bitmap" | "cluster" | "connection" | "generic" | "pubsub" | "server" | "string" | "transactions";

export type KeySpec = KeyRange | CountedKeys;

/** Arguments that are keys: from `first` on every `step`-th, up to `last`, which counts from `first` or, negative, from the end. */
export interface KeyRange {
  /** What is done with the keys: RO, RW, OW or RM, then access, update, insert, delete; not_key where they are none. */
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

/** Arguments that are channels, or patterns of them: from `first` to `last`, which counts from the end when it is negative. */
export interface ChannelRange {
  first: number;
  last: number;
  arePatterns?: boolean;
}

/** A key of a request: where it stands, and the flags of its key spec. */
export interface KeyUse {
  position: number;
  flags: readonly string[];
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
  /** Its arguments, for COMMAND DOCS (syntax.ts). Of a container, and without arguments, there is none. */
  syntax?: string;
  flags: readonly Flag[];
  /** Categories beyond those that follow from the flags. */
  categories?: readonly Category[];
  keys?: readonly KeySpec[];
  /** Finds the positions of the keys where they are not in ranges (`movablekeys`). Throws what the command itself would. */
  keysOf?: (argv: Argv) => number[];
  /** What a request does with its keys where that depends on it (`variable_flags`): the flags for this one. */
  keyFlagsOf?: (argv: Argv) => readonly string[];
  /** Channels that the user must be allowed to use (ACL). */
  channels?: ChannelRange;
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
  if (command.flags.includes("pubsub")) categories.add("pubsub");
  if (command.flags.includes("admin")) categories.add("admin").add("dangerous");
  categories.add(command.flags.includes("fast") ? "fast" : "slow");
  return CATEGORIES.filter((category) => categories.has(category));
}

/** Positions in `argv` of a command's keys, in the order of its key specs. */
export function keyPositions(command: Command, argv: Argv): number[] {
  return keyUses(command, argv).map(({ position }) => position);
}

/** The keys of a request, in the order of the command's key specs. Throws what the command itself would where they can't be told. */
export function keyUses(command: Command, argv: Argv): KeyUse[] {
  const ownFlags = command.keyFlagsOf?.(argv);
  // Keys that are not in ranges are all used alike.
  if (command.keysOf !== undefined) {
    const flags = (ownFlags ?? command.keys?.[0]?.flags ?? []).filter((flag) => flag !== "incomplete");
    return command.keysOf(argv).map((position) => ({ position, flags }));
  }
  const uses: KeyUse[] = [];
  for (const { first, last, step, flags } of rangesOf(command)) {
    const end = last < 0 ? argv.length + last : first + last;
    for (let i = first; i <= end && i < argv.length; i += step) uses.push({ position: i, flags: ownFlags ?? flags });
  }
  return uses;
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
