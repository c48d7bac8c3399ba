/**
 * What commands about other types than strings do to strings. Here such keys are not, so that their commands are passed over; but some put
 * their result over a key whatever it holds, or give a key of another type a string's name, and then that string is no more.
 */
import { REDIS_COMMAND_NAMES } from "../commands/redis-commands.js";
import type { Argv } from "../resp/argv.js";

/** What may have changed any key. Masters send what scripts do, but for some before Redis 5. */
const SCRIPTS = new Set(["eval", "evalsha", "fcall"]);

/** Where the key stands that is overwritten. */
const DESTINATIONS: ReadonlyMap<string, number> = new Map([
  ...["geosearchstore", "sdiffstore", "sinterstore", "sunionstore"].map((name) => [name, 1] as const),
  ...["zdiffstore", "zinterstore", "zrangestore", "zunionstore"].map((name) => [name, 1] as const),
  // A HyperLogLog is a string that only these commands know how to change: one that is not as the master's is better not there.
  ...["pfadd", "pfcount", "pfmerge"].map((name) => [name, 1] as const),
]);

/** Commands whose destination stands behind STORE: the options that have arguments, with their number, and where options begin. */
const STORING: Readonly<Record<string, { first: number; options: Readonly<Record<string, number>> }>> = {
  sort: { first: 2, options: { BY: 1, GET: 1, LIMIT: 2, STORE: 1 } },
  georadius: { first: 6, options: { COUNT: 1, STORE: 1, STOREDIST: 1 } },
  georadiusbymember: { first: 5, options: { COUNT: 1, STORE: 1, STOREDIST: 1 } },
};

/** Commands of Redis 7.4 about the deadlines of hashes' fields: REDIS_COMMAND_NAMES are those of 7.0. */
const FIELD_DEADLINES = new Set(["hexpire", "hexpireat", "hpersist", "hpexpire", "hpexpireat"]);

/** Whether it is known what the command does, which is nothing to strings but what `overwrittenKey` says. */
export function isOfOtherType(name: string): boolean {
  return (REDIS_COMMAND_NAMES.has(name) && !SCRIPTS.has(name)) || FIELD_DEADLINES.has(name);
}

/** The key of its database that a command of other types may have put something else over; undefined where there is none. */
export function overwrittenKey(name: string, argv: Argv): string | undefined {
  const position = DESTINATIONS.get(name) ?? storePosition(name, argv);
  return position === undefined || position >= argv.length ? undefined : argv.string(position);
}

function storePosition(name: string, argv: Argv): number | undefined {
  const storing = STORING[name];
  if (storing === undefined) return undefined;
  let position: number | undefined;
  for (let i = storing.first; i < argv.length; i++) {
    const option = Object.keys(storing.options).find((each) => argv.is(i, each));
    if (option?.startsWith("STORE") === true) position = i + 1;
    if (option !== undefined) i += storing.options[option] as number;
  }
  return position;
}
