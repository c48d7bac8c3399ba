/** PING, ECHO, QUIT, RESET, AUTH, HELLO: the connection itself. */
import { REDIS_VERSION } from "../../config.js";
import { CommandError } from "../../errors.js";
import type { Database } from "../../keyspace/database.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { DEFAULT_USER } from "../acl/users.js";
import { integerArg, quotedArg, SYNTAX_ERROR } from "../args.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";
import { checkName } from "./client-commands.js";

const NO_PASSWORD = new CommandError(
  "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
);
const WRONG_PASSWORD = new CommandError("WRONGPASS invalid username-password pair or user is disabled.");
const NO_PROTOCOL = new CommandError("NOPROTO unsupported protocol version");
const BAD_PROTOCOL = new CommandError("ERR Protocol version is not an integer or out of range");
const HELLO_UNAUTHENTICATED = new CommandError(
  "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
);

/** PING [message]: in RESP2 a subscriber gets the answer in the form of a message. */
function ping(client: Client, argv: Argv, reply: Reply): void {
  if (argv.length > 2) throw new CommandError("ERR wrong number of arguments for 'ping' command");
  if (client.subscriptions !== undefined && client.protocol === 2) {
    reply.array(2);
    reply.bulk("pong");
    reply.bulk(argv.length === 2 ? argv.bytes(1) : "");
  } else if (argv.length === 2) reply.bulk(argv.bytes(1));
  else reply.simple("PONG");
}

/** ECHO message */
function echo(_client: Client, argv: Argv, reply: Reply): void {
  reply.bulk(argv.bytes(1));
}

/** QUIT */
function quit(client: Client, _argv: Argv, reply: Reply): void {
  client.closing = true;
  reply.ok();
}

/** RESET: the connection as it was when it was new. */
function reset(client: Client, _argv: Argv, reply: Reply): void {
  client.discardTransaction();
  client.stopListening();
  client.database = client.server.keyspace.databases[0] as Database;
  client.name = "";
  client.protocol = 2;
  client.replyMode = "on";
  client.noEvict = false;
  client.logout();
  client.noTouch = false;
  reply.protocol = 2;
  reply.simple("RESET");
}

/** AUTH [username] password */
function auth(client: Client, argv: Argv, reply: Reply): void {
  if (argv.length > 3) throw SYNTAX_ERROR;
  if (argv.length === 2 && client.server.users.default.nopass) throw NO_PASSWORD;
  const name = argv.length === 3 ? argv.string(1) : DEFAULT_USER;
  login(client, argv, name, argv.bytes(argv.length - 1));
  reply.ok();
}

/** The same, unless logins from its address have failed too often. */
function login(client: Client, argv: Argv, name: string, password: Uint8Array): void {
  client.server.logins.attempt(client, () => authenticate(client, argv, name, password));
}

/** Logs the client in, or throws; ACL LOG tells of a failure, with the command that `argv` is of. */
function authenticate(client: Client, argv: Argv, name: string, password: Uint8Array): void {
  const user = client.server.users.get(name);
  if (user?.takes(password) === true) return client.login(user);
  client.server.aclLog.addFailedLogin(client, argv.string(0), name);
  throw WRONG_PASSWORD;
}

/** HELLO [protover [AUTH username password] [SETNAME clientname]] */
function hello(client: Client, argv: Argv, reply: Reply): void {
  let protocol: number = client.protocol;
  if (argv.length > 1) {
    protocol = integerArg(argv, 1, BAD_PROTOCOL);
    if (protocol !== 2 && protocol !== 3) throw NO_PROTOCOL;
  }
  for (let i = 2; i < argv.length; i++) {
    if (argv.is(i, "AUTH") && i + 2 < argv.length) {
      login(client, argv, argv.string(i + 1), argv.bytes(i + 2));
      i += 2;
    } else if (argv.is(i, "SETNAME") && i + 1 < argv.length) {
      client.name = checkName(argv.string(++i));
    } else throw new CommandError(`ERR Syntax error in HELLO option '${quotedArg(argv, i)}'`);
  }
  if (!client.authenticated) throw HELLO_UNAUTHENTICATED;
  client.protocol = protocol as 2 | 3;
  reply.protocol = client.protocol;
  reply.map(7);
  reply.bulk("server");
  reply.bulk("redis");
  reply.bulk("version");
  reply.bulk(REDIS_VERSION);
  reply.bulk("proto");
  reply.integer(client.protocol);
  reply.bulk("id");
  reply.integer(client.id);
  reply.bulk("mode");
  reply.bulk("standalone");
  reply.bulk("role");
  reply.bulk(client.server.replication.master === undefined ? "master" : "replica");
  reply.bulk("modules");
  reply.array(0);
}

/** A browser that was tricked into sending a request here: the connection ends without a word (Redis does the same). */
function securityWarning(client: Client): void {
  client.server.log.warning(
    `client ${client.id} at ${client.peer.address} closed: it speaks HTTP, which may be an attack through a browser`,
  );
  client.peer.destroy();
}

const CONNECTION = { categories: ["connection"], group: "connection" } as const;
const ANY_TIME = ["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"] as const;

export const CONNECTION_COMMANDS: readonly Command[] = [
  {
    ...CONNECTION,
    name: "auth",
    arity: -2,
    syntax: "[username@6.0.0] password",
    flags: ANY_TIME,
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Authenticates the connection.",
    handler: auth,
  },
  {
    ...CONNECTION,
    name: "echo",
    arity: 2,
    syntax: "message",
    flags: ["loading", "stale", "fast"],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Gives the message back.",
    handler: echo,
  },
  {
    ...CONNECTION,
    name: "hello",
    arity: -1,
    syntax: "[arguments:<protover:integer [AUTH username_password:<username password>] [SETNAME clientname]>]",
    flags: ANY_TIME,
    since: "6.0.0",
    complexity: "O(1)",
    summary: "Chooses the protocol, and may authenticate and name the connection.",
    handler: hello,
  },
  {
    ...CONNECTION,
    name: "ping",
    arity: -1,
    syntax: "[message]",
    flags: ["fast"],
    tips: ["request_policy:all_shards", "response_policy:all_succeeded"],
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Answers PONG, or the message.",
    handler: ping,
  },
  {
    ...CONNECTION,
    name: "quit",
    arity: -1,
    flags: ANY_TIME,
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Ends the connection.",
    handler: quit,
  },
  {
    ...CONNECTION,
    name: "reset",
    arity: 1,
    flags: ANY_TIME,
    since: "6.2.0",
    complexity: "O(1)",
    summary: "Puts the connection back as it was when it was new.",
    handler: reset,
  },
];

/** Not commands, but the first words of an HTTP request. They are in no listing. */
export const HTTP_WORDS: readonly Command[] = ["post", "host:"].map((name) => ({
  ...CONNECTION,
  name,
  arity: -1,
  flags: ["loading", "stale", "no_auth"],
  since: "3.2.7",
  summary: "Ends the connection.",
  handler: securityWarning,
}));
