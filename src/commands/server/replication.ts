/** ROLE, REPLICAOF, SLAVEOF: this server as a master without replicas, or as a replica. Who follows the master is migrate's business. */
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";

const BAD_PORT = new CommandError("ERR Invalid master port");
const PORT_MAX = 65_535;

/** ROLE */
function role(client: Client, _argv: Argv, reply: Reply): void {
  const { master, state, offset } = client.server.replication;
  if (master === undefined) {
    reply.array(3);
    reply.bulk("master");
    reply.integer(offset);
    reply.array(0);
    return;
  }
  reply.array(5);
  reply.bulk("slave");
  reply.bulk(master.host);
  reply.integer(master.port);
  reply.bulk(state);
  reply.integer(state === "connected" ? offset : -1);
}

/** REPLICAOF host port | NO ONE, and SLAVEOF, its old name. */
function replicaof(client: Client, argv: Argv, reply: Reply): void {
  const { server } = client;
  const { master } = server.replication;
  if (argv.is(1, "NO") && argv.is(2, "ONE")) {
    if (master !== undefined) server.replicaOf(undefined);
    return reply.ok();
  }
  const host = argv.string(1);
  const port = argv.integer(2);
  if (!(port >= 0 && port <= PORT_MAX)) throw BAD_PORT;
  if (master?.host.toLowerCase() === host.toLowerCase() && master.port === port) {
    return reply.simple("OK Already connected to specified master");
  }
  server.replicaOf({ host, port });
  reply.ok();
}

const REPLICAOF = {
  arity: 3,
  flags: ["admin", "noscript", "stale", "no_async_loading"],
  syntax: "args:(host-port:<host port:integer> | no-one:<NO ONE>)",
  group: "server",
  complexity: "O(1)",
  differs: "of the master's keys only strings come here; see docs/replication.md",
  handler: replicaof,
} as const;

export const REPLICATION_COMMANDS: readonly Command[] = [
  {
    ...REPLICAOF,
    name: "replicaof",
    since: "5.0.0",
    summary: "Makes the server a replica of another, or a master again.",
  },
  {
    name: "role",
    arity: 1,
    flags: ["noscript", "loading", "stale", "fast"],
    categories: ["admin", "dangerous"],
    group: "server",
    since: "2.8.12",
    complexity: "O(1)",
    summary: "Whether the server is a master or a replica, and how far a replica is.",
    handler: role,
  },
  {
    ...REPLICAOF,
    name: "slaveof",
    since: "1.0.0",
    summary: "The old name of REPLICAOF.",
  },
];
