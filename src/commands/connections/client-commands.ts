/** CLIENT and its subcommands. */
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { integerArg, quotedArg, SYNTAX_ERROR } from "../args.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";
import { helpHandler } from "../help.js";
import { timeoutArg } from "../server/wait.js";
import type { PauseKind } from "./pause.js";

const BAD_NAME = new CommandError("ERR Client names cannot contain spaces, newlines or special characters.");
const NO_SUCH_CLIENT = new CommandError("ERR No such client");
const BAD_CLIENT_ID = new CommandError("ERR client-id should be greater than 0");
const BAD_LISTED_ID = new CommandError("ERR Invalid client ID");
const BAD_MAXAGE = new CommandError("ERR maxage is not an integer or out of range");
const MAXAGE_NOT_POSITIVE = new CommandError("ERR maxage should be greater than 0");
const BAD_PAUSE = new CommandError("ERR CLIENT PAUSE mode must be WRITE or ALL");
const LATE_TIMEOUT = new CommandError("ERR timeout is out of range");
const BAD_REASON = new CommandError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
const NO_TRACKING = new CommandError("ERR client tracking is not supported by this server");
const NOT_TRACKING = new CommandError(
  "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
);
const CLIENT_TYPES = ["normal", "master", "replica", "slave", "pubsub"];

/** A connection's name: printable ASCII without spaces (Redis' rule). Returns it, or throws. */
export function checkName(name: string): string {
  if (!/^[!-~]*$/.test(name)) throw BAD_NAME;
  return name;
}

/** CLIENT ID */
function id(client: Client, _argv: Argv, reply: Reply): void {
  reply.integer(client.id);
}

/** CLIENT GETNAME */
function getname(client: Client, _argv: Argv, reply: Reply): void {
  if (client.name === "") reply.nil();
  else reply.bulk(client.name);
}

/** CLIENT SETNAME connection-name */
function setname(client: Client, argv: Argv, reply: Reply): void {
  client.name = checkName(argv.string(2));
  reply.ok();
}

/** CLIENT SETINFO LIB-NAME name | LIB-VER version (Redis 7.2) */
function setinfo(client: Client, argv: Argv, reply: Reply): void {
  const value = argv.string(3);
  const attribute = argv.string(2).toLowerCase();
  if (attribute !== "lib-name" && attribute !== "lib-ver") {
    throw new CommandError(`ERR Unrecognized option '${quotedArg(argv, 2)}'`);
  }
  if (!/^[!-~]*$/.test(value)) {
    throw new CommandError(`ERR ${attribute} cannot contain spaces, newlines or special characters.`);
  }
  if (attribute === "lib-name") client.libName = value;
  else client.libVersion = value;
  reply.ok();
}

/** CLIENT REPLY ON | OFF | SKIP */
function replyMode(client: Client, argv: Argv, reply: Reply): void {
  if (argv.is(2, "ON")) {
    client.replyMode = "on";
    reply.ok();
  } else if (argv.is(2, "OFF")) client.replyMode = "off";
  else if (argv.is(2, "SKIP")) {
    if (client.replyMode !== "off") client.replyMode = "skip-next";
  } else throw SYNTAX_ERROR;
}

/** CLIENT NO-EVICT ON | OFF: there is nothing to evict a client for; the flag is kept and shown. */
function noEvict(client: Client, argv: Argv, reply: Reply): void {
  if (argv.is(2, "ON")) client.noEvict = true;
  else if (argv.is(2, "OFF")) client.noEvict = false;
  else throw SYNTAX_ERROR;
  reply.ok();
}

/** CLIENT NO-TOUCH ON | OFF (Redis 7.2): whether the keys that it reads are used by that. */
function noTouch(client: Client, argv: Argv, reply: Reply): void {
  if (argv.is(2, "ON")) client.noTouch = true;
  else if (argv.is(2, "OFF")) client.noTouch = false;
  else throw SYNTAX_ERROR;
  reply.ok();
}

/** CLIENT PAUSE timeout [WRITE | ALL] */
function pause(client: Client, argv: Argv, reply: Reply): void {
  if (argv.length > 4) throw badArguments("PAUSE");
  let kind: PauseKind = "all";
  if (argv.length === 4) {
    if (argv.is(3, "WRITE")) kind = "write";
    else if (!argv.is(3, "ALL")) throw BAD_PAUSE;
  }
  const ms = timeoutArg(argv, 2);
  if (ms + client.server.keyspace.now >= 2 ** 63) throw LATE_TIMEOUT;
  client.server.pause.begin(kind, ms);
  reply.ok();
}

/** CLIENT UNPAUSE */
function unpause(client: Client, _argv: Argv, reply: Reply): void {
  client.server.pause.end();
  reply.ok();
}

/** CLIENT UNBLOCK client-id [TIMEOUT | ERROR]: ends a WAIT or WAITAOF. */
function unblock(client: Client, argv: Argv, reply: Reply): void {
  if (argv.length > 4) throw badArguments("UNBLOCK");
  const reason = argv.length === 4 && argv.is(3, "ERROR") ? "error" : "timeout";
  if (argv.length === 4 && reason === "timeout" && !argv.is(3, "TIMEOUT")) throw BAD_REASON;
  const end = client.server.clients.get(integerArg(argv, 2))?.pending?.unblock;
  end?.(reason);
  reply.integer(end === undefined ? 0 : 1);
}

/** CLIENT TRACKING ON | OFF ...: there is no tracking, so that only OFF can be had. */
function tracking(_client: Client, argv: Argv, reply: Reply): void {
  if (argv.is(2, "ON")) throw NO_TRACKING;
  if (argv.length > 3 || !argv.is(2, "OFF")) throw SYNTAX_ERROR;
  reply.ok();
}

/** CLIENT TRACKINGINFO */
function trackinginfo(_client: Client, _argv: Argv, reply: Reply): void {
  reply.map(3);
  reply.bulk("flags");
  reply.set(1);
  reply.bulk("off");
  reply.bulk("redirect");
  reply.integer(-1);
  reply.bulk("prefixes");
  reply.array(0);
}

/** CLIENT GETREDIR */
function getredir(_client: Client, _argv: Argv, reply: Reply): void {
  reply.integer(-1);
}

/** CLIENT CACHING YES | NO */
function caching(): void {
  throw NOT_TRACKING;
}

function badArguments(subcommand: string): CommandError {
  const text = `ERR unknown subcommand or wrong number of arguments for '${subcommand}'. Try CLIENT HELP.`;
  return new CommandError(text);
}

/** CLIENT INFO */
function info(client: Client, _argv: Argv, reply: Reply): void {
  reply.verbatim(`${describeClient(client)}\n`);
}

/** CLIENT LIST [TYPE type | ID id [id ...]] */
function list(client: Client, argv: Argv, reply: Reply): void {
  let listed = [...client.server.clients.values()];
  if (argv.length === 4 && argv.is(2, "TYPE")) {
    const type = typeArg(argv, 3);
    listed = listed.filter((each) => typeOf(each) === type);
  } else if (argv.length > 3 && argv.is(2, "ID")) {
    const ids: number[] = [];
    for (let i = 3; i < argv.length; i++) ids.push(idArg(argv, i, BAD_LISTED_ID));
    listed = ids.flatMap((wanted) => client.server.clients.get(wanted) ?? []);
  } else if (argv.length !== 2) throw SYNTAX_ERROR;
  reply.verbatim(listed.map((each) => `${describeClient(each)}\n`).join(""));
}

/** Of the types that CLIENT LIST and KILL know there are three here. */
function typeOf({ isMaster, subscriptions }: Client): string {
  if (isMaster) return "master";
  return subscriptions === undefined ? "normal" : "pubsub";
}

/** How long a client is connected, in whole seconds. */
function ageOf(client: Client): number {
  return secondsSince(client, client.createdMs);
}

function secondsSince({ server }: Client, ms: number): number {
  return Math.max(Math.floor((server.keyspace.now - ms) / 1000), 0);
}

/** A client's letters in CLIENT LIST, in Redis' order. */
function flagsOf(client: Client): string {
  const letters = {
    O: client.isMonitor,
    M: client.isMaster,
    P: client.subscriptions !== undefined,
    x: client.transaction !== undefined,
    b: client.pending?.isBlocking === true,
    c: client.closing,
    e: client.noEvict,
    T: client.noTouch,
  };
  const set = Object.entries(letters).flatMap(([letter, isSet]) => (isSet ? letter : []));
  return set.join("") || "N";
}

/** A client as CLIENT LIST shows it, with Redis 7.2's fields. Sizes that have no meaning here are 0. */
export function describeClient(client: Client): string {
  const { peer, subscriptions, transaction } = client;
  const fields = {
    id: client.id,
    addr: peer.address,
    laddr: peer.localAddress,
    fd: 0,
    name: client.name,
    age: ageOf(client),
    idle: secondsSince(client, client.lastActiveMs),
    flags: flagsOf(client),
    db: client.database.number,
    sub: subscriptions?.[""].size ?? 0,
    psub: subscriptions?.p.size ?? 0,
    ssub: subscriptions?.s.size ?? 0,
    multi: transaction === undefined ? -1 : transaction.queue.length,
    qbuf: peer.queryBufferBytes,
    "qbuf-free": 0,
    "argv-mem": 0,
    "multi-mem": transaction?.queueBytes ?? 0,
    rbs: 0,
    rbp: 0,
    obl: 0,
    oll: 0,
    omem: peer.replyBytes,
    "tot-mem": peer.queryBufferBytes + peer.replyBytes,
    events: "r",
    cmd: client.lastCommand,
    user: client.isMaster ? "(superuser)" : client.user.name,
    redir: -1,
    resp: client.protocol,
    "lib-name": client.libName,
    "lib-ver": client.libVersion,
  };
  return Object.entries(fields)
    .map(([field, value]) => `${field}=${value}`)
    .join(" ");
}

/** What a client must be like for CLIENT KILL. */
type Filter = (candidate: Client) => boolean;

/** CLIENT KILL addr | [ID id] [TYPE type] [USER name] [ADDR addr] [LADDR addr] [SKIPME yes | no] [MAXAGE seconds] (Redis 7.4's) */
function kill(client: Client, argv: Argv, reply: Reply): void {
  const clients = [...client.server.clients.values()];
  if (argv.length === 3) {
    const found = clients.find(({ peer }) => peer.address === argv.string(2));
    if (found === undefined) throw NO_SUCH_CLIENT;
    end(found, client);
    return reply.ok();
  }
  const { filters, skipMe } = killFilters(client, argv);
  const isMeant = (each: Client) => filters.every((filter) => filter(each));
  const found = clients.filter((each) => !(skipMe && each === client) && isMeant(each));
  for (const each of found) end(each, client);
  reply.integer(found.length);
}

/** A filter that is given again takes the place of the earlier one. */
function killFilters(client: Client, argv: Argv): { filters: Filter[]; skipMe: boolean } {
  const filters = new Map<string, Filter>();
  let skipMe = true;
  for (let i = 2; i < argv.length; i += 2) {
    if (i + 1 >= argv.length) throw SYNTAX_ERROR;
    const value = argv.string(i + 1);
    if (argv.is(i, "ID")) {
      const wanted = idArg(argv, i + 1, BAD_CLIENT_ID);
      filters.set("id", (each) => each.id === wanted);
    } else if (argv.is(i, "TYPE")) {
      const type = typeArg(argv, i + 1);
      filters.set("type", (each) => typeOf(each) === type);
    } else if (argv.is(i, "MAXAGE")) {
      const seconds = integerArg(argv, i + 1, BAD_MAXAGE);
      if (seconds <= 0) throw MAXAGE_NOT_POSITIVE;
      filters.set("maxage", (each) => ageOf(each) >= seconds);
    } else if (argv.is(i, "ADDR")) filters.set("addr", (each) => each.peer.address === value);
    else if (argv.is(i, "LADDR")) filters.set("laddr", (each) => each.peer.localAddress === value);
    else if (argv.is(i, "USER")) {
      if (client.server.users.get(value) === undefined) throw new CommandError(`ERR No such user '${value}'`);
      filters.set("user", (each) => each.user.name === value);
    } else if (argv.is(i, "SKIPME") && (argv.is(i + 1, "YES") || argv.is(i + 1, "NO"))) skipMe = argv.is(i + 1, "YES");
    else throw SYNTAX_ERROR;
  }
  return { filters: [...filters.values()], skipMe };
}

/** Ends a connection: one's own after its reply, another's at once. */
function end(victim: Client, self: Client): void {
  if (victim === self) victim.closing = true;
  else victim.peer.destroy();
}

function idArg(argv: Argv, i: number, error: CommandError): number {
  const value = argv.integer(i);
  if (!(value > 0)) throw error;
  return value;
}

function typeArg(argv: Argv, i: number): string {
  const type = argv.string(i).toLowerCase();
  if (!CLIENT_TYPES.includes(type)) throw new CommandError(`ERR Unknown client type '${quotedArg(argv, i)}'`);
  return type;
}

const SUBCOMMAND = {
  flags: ["noscript", "loading", "stale"],
  categories: ["connection"],
  group: "connection",
  complexity: "O(1)",
} as const;
const ADMIN = {
  ...SUBCOMMAND,
  flags: ["admin", "noscript", "loading", "stale"],
  complexity: "O(N) in the number of connections",
} as const;
const CHANGING = ["nondeterministic_output"];

const help = helpHandler("client", () => SUBCOMMANDS);

const SUBCOMMANDS: readonly Command[] = [
  {
    ...SUBCOMMAND,
    name: "client|caching",
    arity: 3,
    syntax: "mode:(YES | NO)",
    since: "6.0.0",
    summary: "An error, since there is no client tracking.",
    handler: caching,
  },
  {
    ...SUBCOMMAND,
    name: "client|getname",
    arity: 2,
    since: "2.6.9",
    summary: "The connection's name.",
    handler: getname,
  },
  {
    ...SUBCOMMAND,
    name: "client|getredir",
    arity: 2,
    since: "6.0.0",
    summary: "Whom the messages of client tracking go to: nobody.",
    handler: getredir,
  },
  {
    ...SUBCOMMAND,
    name: "client|help",
    arity: 2,
    flags: ["loading", "stale"],
    since: "5.0.0",
    summary: "What there is.",
    handler: help,
  },
  { ...SUBCOMMAND, name: "client|id", arity: 2, since: "5.0.0", summary: "The connection's number.", handler: id },
  {
    ...SUBCOMMAND,
    name: "client|info",
    arity: 2,
    tips: CHANGING,
    since: "6.2.0",
    summary: "All about the connection.",
    handler: info,
  },
  {
    ...ADMIN,
    name: "client|kill",
    arity: -3,
    syntax:
      "filter:(ip:port~2.8.12 | new-format:([ID client-id:integer@2.8.12] | [TYPE normal_master_slave_pubsub:(NORMAL | MASTER@3.2.0 | SLAVE | REPLICA@5.0.0 | PUBSUB)@2.8.12] | [USER username] | [ADDR ip:port] | [LADDR ip:port@6.2.0] | [SKIPME yes/no])...)",
    since: "2.4.0",
    summary: "Ends connections.",
    handler: kill,
  },
  {
    ...ADMIN,
    name: "client|list",
    arity: -2,
    syntax:
      "[TYPE normal_master_replica_pubsub:(NORMAL | MASTER | REPLICA | PUBSUB)@5.0.0] [ID id:<client-id:integer...>@6.2.0]",
    tips: CHANGING,
    since: "2.4.0",
    summary: "All connections.",
    handler: list,
  },
  {
    ...ADMIN,
    name: "client|no-evict",
    arity: 3,
    syntax: "enabled:(ON | OFF)",
    since: "7.0.0",
    summary: "Marks the connection as not to be evicted.",
    handler: noEvict,
  },
  {
    ...SUBCOMMAND,
    name: "client|no-touch",
    arity: 3,
    syntax: "enabled:(ON | OFF)",
    since: "7.2.0",
    summary: "Lets keys that the connection reads not be used by that.",
    handler: noTouch,
  },
  {
    ...ADMIN,
    name: "client|pause",
    arity: -3,
    syntax: "timeout:integer [mode:(WRITE | ALL)@6.2.0]",
    since: "3.0.0",
    complexity: "O(1)",
    summary: "Lets the commands of all connections wait, or those that write.",
    handler: pause,
  },
  {
    ...SUBCOMMAND,
    name: "client|reply",
    arity: 3,
    syntax: "on_off_skip:(ON | OFF | SKIP)",
    since: "3.2.0",
    summary: "Switches replies off and on.",
    handler: replyMode,
  },
  {
    ...SUBCOMMAND,
    name: "client|setinfo",
    arity: 4,
    syntax: "attr:(LIB-NAME libname | LIB-VER libver)",
    since: "7.2.0",
    summary: "The client library's name and version.",
    handler: setinfo,
  },
  {
    ...SUBCOMMAND,
    name: "client|setname",
    arity: 3,
    syntax: "connection-name",
    since: "2.6.9",
    summary: "Names the connection.",
    handler: setname,
  },
  {
    ...SUBCOMMAND,
    name: "client|tracking",
    arity: -3,
    syntax: "status:(ON | OFF) [REDIRECT client-id:integer] [PREFIX... prefix] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
    since: "6.0.0",
    summary: "An error for ON, since there is no client tracking.",
    handler: tracking,
  },
  {
    ...SUBCOMMAND,
    name: "client|trackinginfo",
    arity: 2,
    since: "6.2.0",
    summary: "The state of client tracking: off.",
    handler: trackinginfo,
  },
  {
    ...ADMIN,
    name: "client|unblock",
    arity: -3,
    syntax: "client-id:integer [timeout_error:(TIMEOUT | ERROR)]",
    since: "5.0.0",
    complexity: "O(1)",
    summary: "Ends a wait of another connection.",
    handler: unblock,
  },
  {
    ...ADMIN,
    name: "client|unpause",
    arity: 2,
    since: "6.2.0",
    summary: "Ends the pause.",
    handler: unpause,
  },
];

export const CLIENT_COMMANDS: readonly Command[] = [
  {
    name: "client",
    arity: -2,
    flags: [],
    group: "connection",
    since: "2.4.0",
    complexity: "Depends on subcommand.",
    summary: "About connections.",
    differs:
      "there is no client tracking; with Redis 7.2's SETINFO and NO-TOUCH and 7.4's KILL MAXAGE; PAUSE refuses a time beyond 64 bits",
    handler: help,
    subcommands: SUBCOMMANDS,
  },
];
