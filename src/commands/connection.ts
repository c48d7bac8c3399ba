/** PING, ECHO, QUIT, RESET, AUTH, HELLO: the connection itself. */
import { createHash, timingSafeEqual } from "node:crypto";
import { REDIS_VERSION } from "../config.js";
import { CommandError } from "../errors.js";
import type { Database } from "../keyspace/database.js";
import type { Argv } from "../resp/argv.js";
import type { Reply } from "../resp/reply.js";
import { integerArg, quotedArg, SYNTAX_ERROR } from "./args.js";
import type { Client } from "./client.js";
import { checkName } from "./client-commands.js";
import type { Command } from "./command.js";

const NO_PASSWORD = new CommandError(
  "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
);
const WRONG_PASSWORD = new CommandError("WRONGPASS invalid username-password pair or user is disabled.");
const NO_PROTOCOL = new CommandError("NOPROTO unsupported protocol version");
const BAD_PROTOCOL = new CommandError("ERR Protocol version is not an integer or out of range");
const HELLO_UNAUTHENTICATED = new CommandError(
  "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
);

/** PING [message] */
function ping(_client: Client, argv: Argv, reply: Reply): void {
  if (argv.length > 2) throw new CommandError("ERR wrong number of arguments for 'ping' command");
  if (argv.length === 2) reply.bulk(argv.bytes(1));
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
  client.database = client.server.keyspace.databases[0] as Database;
  client.name = "";
  client.protocol = 2;
  client.replyMode = "on";
  client.noEvict = false;
  client.authenticated = client.server.settings.requirepass === "";
  reply.protocol = 2;
  reply.simple("RESET");
}

/** AUTH [username] password */
function auth(client: Client, argv: Argv, reply: Reply): void {
  if (argv.length > 3) throw SYNTAX_ERROR;
  if (argv.length === 2 && client.server.settings.requirepass === "") throw NO_PASSWORD;
  const user = argv.length === 3 ? argv.string(1) : "default";
  client.server.logins.attempt(client, () => authenticate(client, user, argv.bytes(argv.length - 1)));
  reply.ok();
}

/** There is one user, `default`. Without a password set, it takes any (as Redis' `nopass`). */
function authenticate(client: Client, user: string, password: Uint8Array): void {
  const { requirepass } = client.server.settings;
  if (user !== "default" || (requirepass !== "" && !samePassword(password, requirepass))) throw WRONG_PASSWORD;
  client.authenticated = true;
}

/** Compares in a time that tells nothing: digests are of one length, whatever the passwords are. */
function samePassword(given: Uint8Array, expected: string): boolean {
  const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
  return timingSafeEqual(digest(given), digest(Buffer.from(expected, "latin1")));
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
      const [user, password] = [argv.string(i + 1), argv.bytes(i + 2)];
      client.server.logins.attempt(client, () => authenticate(client, user, password));
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
  reply.bulk("master");
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
    flags: ANY_TIME,
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Authenticates the connection.",
    differs: "there is one user, default",
    handler: auth,
  },
  {
    ...CONNECTION,
    name: "echo",
    arity: 2,
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
