/** ACL and its subcommands: who may do what. */
import { randomBytes } from "node:crypto";
import { ACL_LOG_REPLY_ENTRIES, GENPASS_BITS, GENPASS_BITS_MAX } from "../../config.js";
import { CommandError, reasonOf } from "../../errors.js";
import { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { integerArg, quotedArg } from "../args.js";
import type { Client } from "../client.js";
import { CATEGORIES, type Command, categoriesOf } from "../command.js";
import { helpHandler } from "../help.js";
import { type Denial, denialOf } from "./check.js";
import { readUsers, writeUsers } from "./file.js";
import { RuleError } from "./users.js";

const BAD_BITS = new CommandError(
  `ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to ${GENPASS_BITS_MAX}`,
);
const NO_FILE = new CommandError(
  "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.",
);
const SAVE_FAILED = new CommandError(
  "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
);

/** Redis' words for a subcommand that takes one argument more at most. */
function checkAtMost(argv: Argv, length: number): void {
  if (argv.length <= length) return;
  throw new CommandError(
    `ERR unknown subcommand or wrong number of arguments for '${quotedArg(argv, 1)}'. Try ACL HELP.`,
  );
}

/** ACL CAT [category] */
function cat(client: Client, argv: Argv, reply: Reply): void {
  checkAtMost(argv, 3);
  let listed: readonly string[] = CATEGORIES;
  if (argv.length === 3) {
    const category = CATEGORIES.find((name) => argv.is(2, name.toUpperCase()));
    if (category === undefined) throw new CommandError(`ERR Unknown category '${quotedArg(argv, 2)}'`);
    const rows = client.server.commands.ownNamedAll.filter((row) => categoriesOf(row).includes(category));
    listed = rows.map(({ name }) => name);
  }
  replyList(reply, listed);
}

/** ACL DELUSER username [username ...] */
function deluser(client: Client, argv: Argv, reply: Reply): void {
  reply.integer(client.server.users.delete(strings(argv, 2), client));
}

/** ACL DRYRUN username command [arg ...] */
function dryrun(client: Client, argv: Argv, reply: Reply): void {
  const { users, commands } = client.server;
  const user = users.get(argv.string(2));
  if (user === undefined) throw new CommandError(`ERR User '${quotedArg(argv, 2)}' not found`);
  const request = argv.slice(3);
  const command = commands.find(request);
  if (command === undefined || commands.ownNamed(command.name) === undefined) {
    throw new CommandError(`ERR Command '${quotedArg(request, 0)}' not found`);
  }
  const { arity, name } = command;
  if (arity > 0 ? request.length !== arity : request.length < -arity) {
    throw new CommandError(`ERR wrong number of arguments for '${name}' command`);
  }
  const denial = denialOf(user, command, request);
  if (denial === undefined) reply.ok();
  else reply.bulk(describeDenial(denial));
}

function describeDenial({ what, object }: Denial): string {
  return what === "command"
    ? `This user has no permissions to run the '${object}' command`
    : `This user has no permissions to access the '${object}' ${what}`;
}

/** ACL GENPASS [bits]: so many random bits, rounded up to whole hexadecimal digits. */
function genpass(_client: Client, argv: Argv, reply: Reply): void {
  checkAtMost(argv, 3);
  const bits = argv.length === 3 ? integerArg(argv, 2) : GENPASS_BITS;
  if (bits <= 0 || bits > GENPASS_BITS_MAX) throw BAD_BITS;
  const digits = Math.ceil(bits / 4);
  reply.bulk(
    randomBytes(Math.ceil(digits / 2))
      .toString("hex")
      .slice(0, digits),
  );
}

/** ACL GETUSER username */
function getuser(client: Client, argv: Argv, reply: Reply): void {
  const user = client.server.users.get(argv.string(2));
  if (user === undefined) return reply.nil();
  reply.map(6);
  reply.bulk("flags");
  reply.set(user.flags.length);
  for (const flag of user.flags) reply.bulk(flag);
  reply.bulk("passwords");
  replyList(reply, user.passwords);
  reply.bulk("commands");
  reply.bulk(user.commandRules);
  reply.bulk("keys");
  reply.bulk(user.keyPatterns);
  reply.bulk("channels");
  reply.bulk(user.channelPatterns);
  reply.bulk("selectors");
  reply.array(0);
}

/** ACL LIST */
function list({ server }: Client, _argv: Argv, reply: Reply): void {
  replyList(
    reply,
    server.users.all.map((user) => user.describe()),
  );
}

/** ACL LOAD */
function load(client: Client, _argv: Argv, reply: Reply): void {
  const { settings, users } = client.server;
  if (settings.aclfile === "") throw NO_FILE;
  try {
    users.replace(readUsers(settings.aclfile, users), client);
  } catch (error) {
    throw error instanceof CommandError ? new CommandError(`ERR ${error.message}`, { cause: error }) : error;
  }
  reply.ok();
}

/** ACL LOG [count | RESET] */
function log(client: Client, argv: Argv, reply: Reply): void {
  checkAtMost(argv, 3);
  const { aclLog, keyspace } = client.server;
  if (argv.length === 3 && argv.is(2, "RESET")) {
    aclLog.reset();
    return reply.ok();
  }
  const entries = aclLog.newest(argv.length === 3 ? integerArg(argv, 2) : ACL_LOG_REPLY_ENTRIES);
  reply.array(entries.length);
  for (const { count, reason, context, object, username, atMs, clientInfo } of entries) {
    reply.map(7);
    reply.bulk("count");
    reply.integer(count);
    const texts = { reason, context, object, username };
    for (const [field, text] of Object.entries(texts)) {
      reply.bulk(field);
      reply.bulk(text);
    }
    reply.bulk("age-seconds");
    reply.double((keyspace.now - atMs) / 1000);
    reply.bulk("client-info");
    reply.bulk(clientInfo);
  }
}

/** ACL SAVE */
function save({ server }: Client, _argv: Argv, reply: Reply): void {
  const { settings, users } = server;
  if (settings.aclfile === "") throw NO_FILE;
  try {
    writeUsers(settings.aclfile, users);
  } catch (error) {
    server.log.warning(`can't write the users to ${settings.aclfile}: ${reasonOf(error)}`);
    throw SAVE_FAILED;
  }
  reply.ok();
}

/** ACL SETUSER username [rule ...]: all of the rules, or none. */
function setuser(client: Client, argv: Argv, reply: Reply): void {
  try {
    client.server.users.set(argv.string(2), strings(argv, 3));
  } catch (error) {
    if (!(error instanceof RuleError)) throw error;
    const rule = quotedArg(Argv.of(error.rule), 0);
    throw new CommandError(`ERR Error in ACL SETUSER modifier '${rule}': ${error.message}`, { cause: error });
  }
  reply.ok();
}

/** ACL USERS */
function users({ server }: Client, _argv: Argv, reply: Reply): void {
  replyList(
    reply,
    server.users.all.map(({ name }) => name),
  );
}

/** ACL WHOAMI */
function whoami(client: Client, _argv: Argv, reply: Reply): void {
  reply.bulk(client.user.name);
}

function strings(argv: Argv, from: number): string[] {
  return Array.from({ length: argv.length - from }, (_, i) => argv.string(from + i));
}

function replyList(reply: Reply, texts: readonly string[]): void {
  reply.array(texts.length);
  for (const text of texts) reply.bulk(text);
}

const ADMIN = { flags: ["admin", "noscript", "loading", "stale"], group: "server", since: "6.0.0" } as const;
const OPEN = { ...ADMIN, flags: ["noscript", "loading", "stale"] } as const;
const O1 = "O(1)";
const ON_USERS = "O(N) in the number of users";

const help = helpHandler("acl", () => SUBCOMMANDS);

const SUBCOMMANDS: readonly Command[] = [
  {
    ...OPEN,
    name: "acl|cat",
    arity: -2,
    syntax: "[categoryname]",
    complexity: "O(1), or O(N) in the number of commands",
    summary: "The categories, or the commands of one.",
    handler: cat,
  },
  {
    ...ADMIN,
    name: "acl|deluser",
    arity: -3,
    syntax: "username...",
    complexity: "O(1) a user",
    summary: "Deletes users, and ends their connections.",
    handler: deluser,
  },
  {
    ...ADMIN,
    name: "acl|dryrun",
    arity: -4,
    syntax: "username command [arg...]",
    since: "7.0.0",
    complexity: O1,
    summary: "Whether a user may run a command.",
    handler: dryrun,
  },
  {
    ...OPEN,
    name: "acl|genpass",
    arity: -2,
    syntax: "[bits:integer]",
    complexity: O1,
    summary: "A password made by chance.",
    handler: genpass,
  },
  {
    ...ADMIN,
    name: "acl|getuser",
    arity: 3,
    syntax: "username",
    complexity: O1,
    summary: "The rules of a user.",
    handler: getuser,
  },
  {
    ...OPEN,
    name: "acl|help",
    arity: 2,
    flags: ["loading", "stale"],
    complexity: O1,
    summary: "What there is.",
    handler: help,
  },
  {
    ...ADMIN,
    name: "acl|list",
    arity: 2,
    complexity: ON_USERS,
    summary: "All users, as the file of users holds them.",
    handler: list,
  },
  {
    ...ADMIN,
    name: "acl|load",
    arity: 2,
    complexity: ON_USERS,
    summary: "Reads the file of users.",
    handler: load,
  },
  {
    ...ADMIN,
    name: "acl|log",
    arity: -2,
    syntax: "[operation:(count:integer | RESET)]",
    complexity: "O(N) in the number of entries",
    summary: "What was denied, and logins that failed.",
    handler: log,
  },
  {
    ...ADMIN,
    name: "acl|save",
    arity: 2,
    complexity: ON_USERS,
    summary: "Writes the file of users.",
    handler: save,
  },
  {
    ...ADMIN,
    name: "acl|setuser",
    arity: -3,
    syntax: "username [rule...]",
    complexity: "O(N) in the number of rules",
    summary: "Makes or changes a user.",
    handler: setuser,
  },
  { ...ADMIN, name: "acl|users", arity: 2, complexity: ON_USERS, summary: "The users' names.", handler: users },
  { ...OPEN, name: "acl|whoami", arity: 2, complexity: O1, summary: "The connection's user.", handler: whoami },
];

export const ACL_COMMANDS: readonly Command[] = [
  {
    name: "acl",
    arity: -2,
    flags: [],
    group: "server",
    since: "6.0.0",
    complexity: "Depends on subcommand.",
    summary: "Who may do what.",
    differs: "without selectors; LIST and GETUSER show the rules of commands as they were given, as since Redis 7.2",
    handler: help,
    subcommands: SUBCOMMANDS,
  },
];
