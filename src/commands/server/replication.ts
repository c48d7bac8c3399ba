/** ROLE, REPLICAOF, SLAVEOF: a server that is a master without replicas. */
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";

const BAD_PORT = new CommandError("ERR Invalid master port");
const NO_REPLICATION = new CommandError("ERR this server can't be a replica: replication is not supported");
const PORT_MAX = 65_535;

/** ROLE */
function role(_client: Client, _argv: Argv, reply: Reply): void {
  reply.array(3);
  reply.bulk("master");
  reply.integer(0);
  reply.array(0);
}

/** REPLICAOF host port | NO ONE, and SLAVEOF, its old name. */
function replicaof(_client: Client, argv: Argv, reply: Reply): void {
  if (argv.is(1, "NO") && argv.is(2, "ONE")) return reply.ok();
  const port = argv.integer(2);
  if (!(port >= 0 && port <= PORT_MAX)) throw BAD_PORT;
  throw NO_REPLICATION;
}

const REPLICAOF = {
  arity: 3,
  flags: ["admin", "noscript", "stale", "no_async_loading"],
  group: "server",
  complexity: "O(1)",
  differs: "takes NO ONE only",
  handler: replicaof,
} as const;

export const REPLICATION_COMMANDS: readonly Command[] = [
  {
    ...REPLICAOF,
    name: "replicaof",
    syntax: "args:(host-port:<host port:integer> | no-one:<NO ONE>)",
    since: "5.0.0",
    summary: "Makes the server a master, which it is.",
  },
  {
    name: "role",
    arity: 1,
    flags: ["noscript", "loading", "stale", "fast"],
    categories: ["admin", "dangerous"],
    group: "server",
    since: "2.8.12",
    complexity: "O(1)",
    summary: "That the server is a master, and has no replicas.",
    handler: role,
  },
  {
    ...REPLICAOF,
    name: "slaveof",
    syntax: "args:(host-port:<host port:integer> | no-one:<NO ONE>)",
    since: "1.0.0",
    summary: "The old name of REPLICAOF.",
  },
];
