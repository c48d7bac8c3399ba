/**
 * Repeats the commands that a master sends: those that change strings are run as a client's would be, by a client that may do everything and
 * is answered nothing. What is about keys of other types is passed over and counted. Knows nothing of the link that they come by.
 */
import { call } from "../commands/call.js";
import { Client, type Peer } from "../commands/client.js";
import type { Command } from "../commands/command.js";
import type { ServerContext } from "../commands/context.js";
import { REDIS_COMMAND_NAMES } from "../commands/redis-commands.js";
import { remove } from "../commands/values.js";
import type { Database } from "../keyspace/database.js";
import type { Argv } from "../resp/argv.js";
import { Reply } from "../resp/reply.js";
import { MigrateError } from "./item.js";
import { isOfOtherType, overwrittenKey } from "./other-types.js";

/** Of what changes no data this is repeated. */
const REPEATED = new Set(["ping", "select", "publish", "spublish"]);

/** They do nothing without their key. A master sends them only when they did something: then the key is of another type. */
const NEEDING_KEY = new Set([
  ...["expire", "expireat", "pexpire", "pexpireat", "persist"],
  ...["copy", "move", "rename", "renamenx"],
]);

/** First byte of a RESTORE's payload where it is a string. */
const STRING_TYPE = 0;

export class MasterCommands {
  readonly client: Client;
  readonly #server: ServerContext;
  readonly #reply = new Reply();
  /** Commands since MULTI. */
  #queue: Argv[] | undefined;
  readonly #warned = new Set<string>();

  constructor(server: ServerContext, peer: Peer) {
    this.#server = server;
    this.client = new Client(server, peer);
    this.client.isMaster = true;
    this.client.authenticated = true;
  }

  /** A transaction has begun and not ended. */
  get isInTransaction(): boolean {
    return this.#queue !== undefined;
  }

  /** Takes the next command. Throws MigrateError where the data can't be as the master's any more. */
  run(argv: Argv): void {
    const { keyspace } = this.#server;
    keyspace.tick();
    keyspace.seesExpired = true;
    try {
      this.#take(argv);
    } finally {
      keyspace.seesExpired = false;
    }
  }

  /** Forgets a transaction that has not ended: it comes again. */
  drop(): void {
    this.#queue = undefined;
    this.client.discardTransaction();
  }

  /** The database that the next command is about. */
  select(number: number): void {
    const database = this.#server.keyspace.databases[number];
    if (database === undefined) throw new MigrateError(`the master uses database ${number}, which is not here`);
    this.client.database = database;
  }

  #take(argv: Argv): void {
    const name = nameOf(argv);
    if (name === "multi") {
      this.#queue = [];
      this.#call(name, argv);
    } else if (name === "exec") {
      const queue = this.#queue ?? [];
      this.#queue = undefined;
      for (const queued of queue) this.#runOne(queued);
      this.#call(name, argv);
    } else if (this.#queue !== undefined) this.#queue.push(argv.copy());
    else this.#runOne(argv);
  }

  #runOne(argv: Argv): void {
    const name = nameOf(argv);
    const command = this.#server.commands.ownNamed(name);
    if (command === undefined || !isRepeated(command)) return this.#passOver(name, argv);
    if (NEEDING_KEY.has(name) && this.#isElsewhere(argv)) return this.#moveOther(name, argv);
    const failure = this.#call(name, argv);
    if (failure !== undefined) this.#failed(name, argv, failure);
  }

  /** Calls a command's handler. Returns the error that it replies, and undefined where it does what it is to do. */
  #call(name: string, argv: Argv): string | undefined {
    const { commands, stats } = this.#server;
    const command = commands.ownNamed(name) as Command;
    const counted = stats.of(command.name);
    const { failed } = counted;
    this.client.lastCommand = command.name;
    this.client.lastActiveMs = this.#server.keyspace.now;
    call(command, this.client, argv, this.#reply);
    if (counted.failed !== failed) return this.#reply.bytes().toString("latin1").trimEnd();
    this.#reply.rewind(0);
    return undefined;
  }

  #passOver(name: string, argv: Argv): void {
    const key = overwrittenKey(name, argv);
    if (key !== undefined) this.#delete(this.client.database, key);
    const isKnown = isOfOtherType(name);
    if (!isKnown) {
      this.#warn(
        name,
        `the master sends ${JSON.stringify(name)}, which can't be repeated: strings that it changes differ`,
      );
    }
    this.#server.replication.skip(isKnown || REDIS_COMMAND_NAMES.has(name) ? name : "unknown");
  }

  #isElsewhere(argv: Argv): boolean {
    return this.#server.keyspace.lookup(this.client.database, argv.string(1)) === undefined;
  }

  /** A key of another type has got another name or a copy, perhaps over a string; or its deadline. */
  #moveOther(name: string, argv: Argv): void {
    if (name === "rename" || name === "renamenx") this.#delete(this.client.database, argv.string(2));
    if (name === "copy") this.#delete(copyDatabase(this.client, argv), argv.string(2));
    this.#server.replication.skip(name);
  }

  /** The master could do what is not possible here. */
  #failed(name: string, argv: Argv, failure: string): void {
    if (name !== "restore" || argv.bytes(3)[0] === STRING_TYPE) {
      throw new MigrateError(`the master's ${name} can't be repeated here: ${failure}`);
    }
    this.#delete(this.client.database, argv.string(1));
    this.#server.replication.skip(name);
  }

  #delete(database: Database | undefined, key: string): void {
    if (database === undefined) return;
    const entry = this.#server.keyspace.lookup(database, key);
    if (entry !== undefined) remove(this.client, key, entry);
  }

  #warn(what: string, message: string): void {
    if (this.#warned.has(what)) return;
    this.#warned.add(what);
    this.#server.log.warning(message);
  }
}

/** A command's name in lower case. What nodes of a cluster send each other is RESTORE too. */
function nameOf(argv: Argv): string {
  const name = argv.string(0).toLowerCase();
  return name === "restore-asking" ? "restore" : name;
}

/** Commands that Redis does not have are not repeated: from a master they are a module's, about keys of its own type. */
function isRepeated({ flags, name }: Command): boolean {
  return (flags.includes("write") && REDIS_COMMAND_NAMES.has(name)) || REPEATED.has(name);
}

/** Where COPY copies to; undefined where that database is not here. */
function copyDatabase({ database, server }: Client, argv: Argv): Database | undefined {
  for (let i = 3; i < argv.length - 1; i++) {
    if (argv.is(i, "DB")) return server.keyspace.databases[argv.integer(i + 1)];
  }
  return database;
}
