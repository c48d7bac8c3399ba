/**
 * The composition root: opens the storage, makes the keyspace, listens, does the background work, and takes it all down again.
 * The only file that knows all others. It runs in a test as well as in a process; signals and exit codes are the CLI's.
 */
import { randomBytes } from "node:crypto";
import { type Clock, type Random, systemClock } from "./clock.js";
import { readUsers } from "./commands/acl/file.js";
import { AclLog } from "./commands/acl/log.js";
import { LoginLimit } from "./commands/acl/login-limit.js";
import { Users } from "./commands/acl/users.js";
import { Notifications } from "./commands/channels/notifications.js";
import { PubSub } from "./commands/channels/pubsub.js";
import type { Client } from "./commands/client.js";
import type { CommandTable } from "./commands/command-table.js";
import { Pause } from "./commands/connections/pause.js";
import type { ServerContext, Settings } from "./commands/context.js";
import { HeapWatch } from "./commands/monitoring/heap-watch.js";
import { type MemoryMarks, noteMemory } from "./commands/monitoring/memory.js";
import { Monitors } from "./commands/monitoring/monitor.js";
import { Stats } from "./commands/monitoring/stats.js";
import { Timing } from "./commands/monitoring/timing.js";
import { Replication } from "./commands/replication.js";
import { limitRequests } from "./commands/server/settings.js";
import { COMMAND_TABLE } from "./commands/table.js";
import { type AppendFsync, CLIENT_SWEEP_MS, CLOSE_GRACE_MS, CRON_INTERVAL_MS, type DebugUsers } from "./config.js";
import { CommandError, reasonOf, StartError } from "./errors.js";
import { Keyspace } from "./keyspace/keyspace.js";
import { Saver } from "./keyspace/saver.js";
import type { Log } from "./log.js";
import { Replica } from "./migrate/replica.js";
import { type SlurpFrom, Slurps } from "./migrate/slurp.js";
import { Listener } from "./net/listener.js";
import { type Master, NO_PORT } from "./options/kinds.js";
import { ALL_INTERFACES, type ServerOptions } from "./options/table.js";
import { AUTHENTICATED_LIMITS, UNAUTHENTICATED_LIMITS } from "./resp/request-parser.js";
import type { DurableStorage } from "./storage/durable-storage.js";
import { openStorage } from "./storage/open.js";
import { VERSION } from "./version.js";

/** What a server has beside its options; a test passes in clock and random. */
export interface ServerSurroundings {
  /** Where options came from, and where CONFIG REWRITE puts them. */
  configFile?: string | undefined;
  clock?: Clock;
  random?: Random;
}

const RUN_ID_BYTES = 20;

/** The process' memory is looked at once in so many runs of the background work: that takes some 50 µs. */
const MEMORY_LOOK_CRONS = 10;

export class Server implements ServerContext {
  readonly version = VERSION;
  readonly runId = randomBytes(RUN_ID_BYTES).toString("hex");
  readonly pid = process.pid;
  readonly commands: CommandTable;
  readonly clients = new Map<number, Client>();
  readonly users: Users;
  readonly aclLog = new AclLog();
  readonly pubsub = new PubSub();
  readonly monitors = new Monitors();
  readonly notifications: Notifications;
  readonly pause: Pause;
  readonly stats = new Stats();
  readonly timing: Timing;
  readonly memoryMarks: MemoryMarks = { startup: 0, peak: 0, purgedMs: Number.NEGATIVE_INFINITY };
  readonly startedMs: number;
  readonly db: string;
  readonly debug: boolean;
  readonly enableDebugCommand: DebugUsers;
  readonly settings: Settings;
  readonly configFile: string | undefined;
  readonly requestLimits = {
    authenticated: { ...AUTHENTICATED_LIMITS },
    unauthenticated: { ...UNAUTHENTICATED_LIMITS },
  };
  readonly logins = new LoginLimit();
  readonly log: Log;
  readonly keyspace: Keyspace;
  readonly saver: Saver;
  readonly storage: DurableStorage;
  readonly replication: Replication;
  port: number;
  /** Resolves with the process' exit code when the server has stopped, for whatever reason. */
  readonly stopped: Promise<number>;

  readonly #listener: Listener;
  readonly #replica: Replica;
  readonly #slurps: Slurps;
  readonly #heapWatch = new HeapWatch();
  #resolveStopped: (exitCode: number) => void = () => {};
  #cron: NodeJS.Timeout | undefined;
  #cronFailure = "";
  #sweptMs = 0;
  #crons = 0;
  #clientId = 0;
  #stopping: Promise<void> | undefined;

  /** Opens the database and listens. Throws StartError, with one line for the operator, when either can't be. */
  static async start(options: ServerOptions, log: Log, surroundings: ServerSurroundings = {}): Promise<Server> {
    const server = new Server(options, log, surroundings);
    try {
      server.settings.port = await server.#listener.listen();
      server.port = Math.max(server.settings.port, 0);
    } catch (error) {
      await server.storage.close();
      throw error;
    }
    server.saver.start();
    server.memoryMarks.startup = noteMemory(server).used;
    server.#cron = setInterval(() => server.#runCron(), CRON_INTERVAL_MS);
    const keys = server.keyspace.databases.reduce((sum, { size }) => sum + size, 0);
    log.notice(
      `bitmapist-server ${VERSION} ready on ${places(server.settings)}; ` +
        `${keys} keys in ${options.db}, appendfsync ${options.appendfsync}, pid ${process.pid}`,
    );
    if (options.replicaof !== undefined) server.replicaOf(options.replicaof);
    return server;
  }

  private constructor(
    options: ServerOptions,
    log: Log,
    { clock = systemClock, random = Math.random, configFile }: ServerSurroundings,
  ) {
    this.commands = COMMAND_TABLE.renamed(options.renameCommand);
    this.users = new Users(this.commands, this.clients);
    this.log = log;
    this.settings = { ...options };
    this.#defineUsers();
    this.configFile = configFile;
    this.port = options.port;
    this.db = options.db;
    this.debug = options.debug;
    this.timing = new Timing(options);
    this.enableDebugCommand = options.enableDebugCommand;
    this.stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
    this.storage = openStorage(options.db, options.appendfsync, {
      onSettled: (batch) => {
        this.keyspace.settled(batch);
        this.saver.settled();
      },
      onWarning: (message) => log.warning(message),
      onWriteFailed: (reason) => this.#writeFailed(reason),
      onWritten: () => this.#written(),
      onDied: (error) => this.#storageDied(error),
    });
    this.keyspace = new Keyspace(this.storage, clock, random);
    this.keyspace.residency.maxBytes = options.maxmemory;
    this.saver = new Saver(this.keyspace, this.storage, clock, options.writeBuffer);
    this.pause = new Pause(this.keyspace);
    this.notifications = new Notifications(this.pubsub, this.keyspace);
    this.notifications.ask(options.notifyKeyspaceEvents);
    this.aclLog.entriesMax = options.acllogMaxLen;
    this.startedMs = this.keyspace.now;
    limitRequests(this);
    this.replication = new Replication(this.settings);
    this.#replica = new Replica(this);
    this.#listener = new Listener(this);
    this.#slurps = new Slurps(this);
  }

  /** A file of users has the last word on `default` too: as in Redis, `requirepass` counts for nothing beside it. */
  #defineUsers(): void {
    const { aclPubsubDefault, aclfile, requirepass, user } = this.settings;
    this.users.pubsubDefault = aclPubsubDefault;
    this.users.requirepass = requirepass;
    if (aclfile !== "" && user.length > 0) {
      throw new StartError(
        "users are either in a file, which aclfile names, or given one by one, by user; here they are in both",
      );
    }
    try {
      for (const { name, rules } of user) this.users.define(name, rules);
      if (aclfile !== "") this.users.replace(readUsers(aclfile, this.users));
    } catch (error) {
      throw error instanceof CommandError ? new StartError(error.message, { cause: error }) : error;
    }
  }

  nextClientId(): number {
    return ++this.#clientId;
  }

  setAppendfsync(appendfsync: AppendFsync): void {
    this.settings.appendfsync = appendfsync;
    this.storage.setAppendfsync(appendfsync);
  }

  replicaOf(master: Master | undefined): void {
    if (master !== undefined) this.#slurps.stop();
    this.#replica.follow(master);
  }

  renewTls(): void {
    this.#listener.renewTls();
  }

  trimHeap(): void {
    this.storage.trimHeap();
  }

  slurp(from: SlurpFrom): Promise<void> {
    return this.#slurps.run(from);
  }

  /** Copies everything acknowledged so far to the file of `--bak`. Rejects with the reason when it can't be. */
  async backup(): Promise<void> {
    const { bak } = this.settings;
    if (bak === "") throw new Error("there is no --bak FILE to copy to");
    await this.saver.save();
    await this.storage.backup(bak);
  }

  /**
   * Saves, ends all connections and stops. When saving fails the server goes on instead, since what it holds would be lost,
   * and the promise rejects with the reason; `save: false` stops all the same.
   */
  async shutdown({ save } = { save: true }): Promise<void> {
    this.#stopping ??= this.#stop(save).catch((error) => {
      this.#stopping = undefined;
      throw error;
    });
    await this.#stopping;
  }

  async #stop(save: boolean): Promise<void> {
    // The first save may fail, and then nothing has been closed yet; the second has only the last moment's writes to do.
    if (save) await this.saver.save();
    await this.#replica.stop();
    this.#slurps.stop();
    await this.#listener.stop();
    await this.#listener.closeAll(CLOSE_GRACE_MS);
    clearInterval(this.#cron);
    this.saver.stop();
    if (save) await this.saver.save();
    await this.storage.close({ discard: !save });
    this.log.notice("bye");
    this.#resolveStopped(0);
  }

  #runCron(): void {
    try {
      this.#sweepClients();
      this.#expireCycle();
      this.#evictionCycle();
      this.saver.noticeChanges();
      this.stats.sampleRates(performance.now());
      if (this.#crons++ % MEMORY_LOOK_CRONS === 0) this.#lookAtMemory();
      this.#cronFailure = "";
    } catch (error) {
      // A file that can't be read answers each of its keys with an error; the server itself goes on. Said once, not 10 times a second.
      const failure = reasonOf(error);
      if (failure !== this.#cronFailure) this.log.warning(`background work failed: ${failure}`);
      this.#cronFailure = failure;
    }
  }

  #lookAtMemory(): void {
    if (this.#heapWatch.isTrimDue(noteMemory(this), performance.now())) this.trimHeap();
  }

  #sweepClients(): void {
    const { now } = this.keyspace;
    if (now >= this.#sweptMs && now - this.#sweptMs < CLIENT_SWEEP_MS) return;
    this.#sweptMs = now;
    this.#listener.sweep(now);
  }

  #expireCycle(): void {
    const begunMs = performance.now();
    if (!this.keyspace.expireCycle()) this.stats.expireCyclesCut++;
    const tookMs = performance.now() - begunMs;
    this.stats.expireCycleMs += tookMs;
    this.timing.took("expire-cycle", Math.floor(tookMs), this.keyspace.now);
  }

  #evictionCycle(): void {
    const begunMs = performance.now();
    this.keyspace.residency.cycle(this.keyspace.now);
    this.timing.took("eviction-cycle", Math.floor(performance.now() - begunMs), this.keyspace.now);
  }

  #writeFailed(reason: string): void {
    if (this.saver.failure === undefined) {
      this.log.warning(`can't write to ${this.db}: ${reason}; writes are refused until it works again`);
    }
    this.saver.failed(reason);
  }

  #written(): void {
    if (this.saver.failure !== undefined) this.log.notice(`${this.db} can be written again`);
    this.saver.succeeded();
  }

  /** Without its writer the server would only pretend to save: it stops. */
  #storageDied(error: Error): void {
    this.log.warning(`the storage died, the server stops: ${error.stack ?? error.message}`);
    clearInterval(this.#cron);
    this.saver.stop();
    void this.#replica.stop();
    this.#slurps.stop();
    void this.#listener.stop();
    void this.#listener.closeAll(0);
    this.#resolveStopped(1);
  }
}

/** Where a server listens, for its log. */
function places({ bind, port, tlsPort, unixsocket }: ServerOptions): string {
  const all = [bind.join(" ") === ALL_INTERFACES.join(" ") ? "all interfaces" : bind.join(" ")];
  if (unixsocket !== "") all.push(unixsocket);
  if (tlsPort !== NO_PORT) all.push(`TLS port ${tlsPort}`);
  if (port !== NO_PORT) all.push(`port ${port}`);
  return all.join(", ");
}
