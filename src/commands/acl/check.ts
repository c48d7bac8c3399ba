/**
 * What a user may not do: a request is looked at before it is queued or run, and when EXEC runs it. Only clients come here that are not
 * `isUnrestricted`.
 */
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Client } from "../client.js";
import { type Command, keyUses } from "../command.js";
import type { KeyAccess, User } from "./user.js";

/** What is denied, and its name: the command, or the key or channel as it stands in the request. */
export interface Denial {
  what: "command" | "key" | "channel";
  object: string;
}

const NOPERM = {
  key: "NOPERM this user has no permissions to access one of the keys used as arguments",
  channel: "NOPERM this user has no permissions to access one of the channels used as arguments",
};

/** Why EXEC does not run a command that was queued (Redis' words). */
const REASONS = {
  command: "no permission to execute the command or subcommand",
  key: "no permission to touch the specified keys",
  channel: "no permission to access one of the channels used as arguments to the command",
};

/** What of a request the user may not do, undefined if all is allowed. */
export function denialOf(user: User, command: Command, argv: Argv): Denial | undefined {
  if (!user.mayRun(command, argv)) return { what: "command", object: command.name };
  const key = user.hasAllKeys ? undefined : deniedKey(user, command, argv);
  if (key !== undefined) return { what: "key", object: key };
  const channel = deniedChannel(user, command, argv);
  return channel === undefined ? undefined : { what: "channel", object: channel };
}

/** The first of a request's keys that the user may not use as the command does. */
function deniedKey(user: User, command: Command, argv: Argv): string | undefined {
  for (const { position, flags } of keyUsesOf(command, argv)) {
    if (flags.includes("not_key")) continue;
    const key = argv.string(position);
    if (!user.mayAccess(key, accessOf(flags))) return key;
  }
  return undefined;
}

/** The first of a request's channels that the user may not use. */
function deniedChannel(user: User, { channels }: Command, argv: Argv): string | undefined {
  if (channels === undefined) return undefined;
  const end = channels.last < 0 ? argv.length + channels.last : channels.last;
  for (let i = channels.first; i <= end && i < argv.length; i++) {
    const channel = argv.string(i);
    if (!user.mayUseChannel(channel, channels.arePatterns ?? false)) return channel;
  }
  return undefined;
}

/** Why this client may not run, or queue, this now, as an error reply; undefined where it may. What is denied goes into ACL LOG. */
export function refuseByAcl(client: Client, command: Command, argv: Argv): string | undefined {
  if (client.mustAuthenticate && !command.flags.includes("no_auth")) return "NOAUTH Authentication required.";
  const denial = denialOf(client.user, command, argv);
  if (denial === undefined) return undefined;
  client.server.aclLog.addDenial(client, denial);
  return denial.what === "command"
    ? `NOPERM this user has no permissions to run the '${denial.object}' command`
    : NOPERM[denial.what];
}

/** The same of a command that was queued, when EXEC comes to it. */
export function refuseQueued(client: Client, command: Command, argv: Argv): string | undefined {
  const denial = denialOf(client.user, command, argv);
  if (denial === undefined) return undefined;
  client.server.aclLog.addDenial(client, denial);
  return `NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: ${REASONS[denial.what]}`;
}

/** Arguments that do not say which keys they mean are for the handler to refuse. */
function keyUsesOf(command: Command, argv: Argv): ReturnType<typeof keyUses> {
  try {
    return keyUses(command, argv);
  } catch (error) {
    if (error instanceof CommandError) return [];
    throw error;
  }
}

/** What a key spec's flags ask of the user: RO, RW and OW say how the key itself is used, the others what is done with its value. */
function accessOf(flags: readonly string[]): KeyAccess {
  const has = (flag: string) => flags.includes(flag);
  return { reads: has("access"), writes: has("update") || has("insert") || has("delete") };
}
