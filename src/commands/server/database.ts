/** SELECT, SWAPDB, FLUSHDB, FLUSHALL: whole databases. */
import { DATABASES } from "../../config.js";
import { CommandError } from "../../errors.js";
import type { Database } from "../../keyspace/database.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { databaseArg, intArg, SYNTAX_ERROR } from "../args.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";

const INVALID_FIRST = new CommandError("ERR invalid first DB index");
const INVALID_SECOND = new CommandError("ERR invalid second DB index");
const OUT_OF_RANGE = new CommandError("ERR DB index is out of range");

/** SELECT index */
function select(client: Client, argv: Argv, reply: Reply): void {
  client.database = databaseArg(client, argv, 1);
  reply.ok();
}

/** SWAPDB index1 index2 */
function swapdb(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  const numbers = [
    intArg(argv, 1, INVALID_FIRST, INVALID_FIRST),
    intArg(argv, 2, INVALID_SECOND, INVALID_SECOND),
  ] as const;
  if (numbers.some((number) => number < 0 || number >= DATABASES)) throw OUT_OF_RANGE;
  keyspace.swap(keyspace.databases[numbers[0]] as Database, keyspace.databases[numbers[1]] as Database);
  reply.ok();
}

/** FLUSHDB [ASYNC | SYNC]: both are at once here. */
function flushdb(client: Client, argv: Argv, reply: Reply): void {
  checkFlushMode(argv);
  client.server.keyspace.flush(client.database);
  reply.ok();
}

/** FLUSHALL [ASYNC | SYNC] */
function flushall(client: Client, argv: Argv, reply: Reply): void {
  const { keyspace } = client.server;
  checkFlushMode(argv);
  for (const database of keyspace.databases) keyspace.flush(database);
  reply.ok();
}

function checkFlushMode(argv: Argv): void {
  if (argv.length === 1) return;
  if (argv.length > 2 || !(argv.is(1, "ASYNC") || argv.is(1, "SYNC"))) throw SYNTAX_ERROR;
}

const FLUSH_TIPS = ["request_policy:all_shards", "response_policy:all_succeeded"];

export const DATABASE_COMMANDS: readonly Command[] = [
  {
    name: "flushall",
    arity: -1,
    syntax: "[async:(ASYNC@4.0.0 | SYNC@6.2.0)]",
    flags: ["write"],
    categories: ["keyspace", "dangerous"],
    tips: FLUSH_TIPS,
    group: "server",
    since: "1.0.0",
    complexity: "O(N) in the number of keys in memory",
    summary: "Deletes all keys of all databases.",
    handler: flushall,
  },
  {
    name: "flushdb",
    arity: -1,
    syntax: "[async:(ASYNC@4.0.0 | SYNC@6.2.0)]",
    flags: ["write"],
    categories: ["keyspace", "dangerous"],
    tips: FLUSH_TIPS,
    group: "server",
    since: "1.0.0",
    complexity: "O(N) in the number of keys in memory",
    summary: "Deletes all keys of the database.",
    handler: flushdb,
  },
  {
    name: "select",
    arity: 2,
    syntax: "index:integer",
    flags: ["loading", "stale", "fast"],
    categories: ["connection"],
    group: "connection",
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Chooses the connection's database, 0 to 15.",
    handler: select,
  },
  {
    name: "swapdb",
    arity: 3,
    syntax: "index1:integer index2:integer",
    flags: ["write", "fast"],
    categories: ["keyspace", "dangerous"],
    group: "server",
    since: "4.0.0",
    complexity: "O(N) in the number of keys in memory",
    summary: "Exchanges what two databases hold.",
    handler: swapdb,
  },
];
