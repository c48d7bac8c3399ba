/**
 * The composition root: opens the storage, makes the keyspace, listens, does the background work, and takes it all down again.
 * The only file that knows all others. It runs in a test as well as in a process; signals and exit codes are the CLI's.
 */
import { randomBytes } from "node:crypto";
import { type Clock, type Random, systemClock } from "./clock.js";
import type { Client } from "./commands/client.js";
import type { ServerContext, Settings } from "./commands/context.js";
import { type MemoryMarks, noteMemory } from "./commands/memory.js";
import { Stats } from "./commands/stats.js";
import { COMMAND_TABLE } from "./commands/table.js";
import { Timing } from "./commands/timing.js";
import { type AppendFsync, CLOSE_GRACE_MS, CRON_INTERVAL_MS, type DebugUsers, type ServerOptions } from "./config.js";
import { reasonOf } from "./errors.js";
import { Keyspace } from "./keyspace/keyspace.js";
import { Saver } from "./keyspace/saver.js";
import type { Log } from "./log.js";
import { Listener } from "./net/listener.js";
import type { DurableStorage } from "./storage/durable-storage.js";
import { openStorage } from "./storage/open.js";
import { VERSION } from "./version.js";

/** What a test passes in. */
export interface ServerDependencies {
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
  readonly commands = COMMAND_TABLE;
  readonly clients = new Map<number, Client>();
  readonly stats = new Stats();
  readonly timing: Timing;
  readonly memoryMarks: MemoryMarks = { startup: 0, peak: 0 };
  readonly startedMs: number;
  readonly host: string | undefined;
  readonly db: string;
  readonly debug: boolean;
  readonly enableDebugCommand: DebugUsers;
  readonly settings: Settings;
  readonly log: Log;
  readonly keyspace: Keyspace;
  readonly saver: Saver;
  readonly storage: DurableStorage;
  port: number;
  /** Resolves with the process' exit code when the server has stopped, for whatever reason. */
  readonly stopped: Promise<number>;

  readonly #options: ServerOptions;
  readonly #listener: Listener;
  #resolveStopped: (exitCode: number) => void = () => {};
  #cron: NodeJS.Timeout | undefined;
  #cronFailure = "";
  #crons = 0;
  #clientId = 0;
  #stopping: Promise<void> | undefined;

  /** Opens the database and listens. Throws StartError, with one line for the operator, when either can't be. */
  static async start(options: ServerOptions, log: Log, dependencies: ServerDependencies = {}): Promise<Server> {
    const server = new Server(options, log, dependencies);
    try {
      server.port = await server.#listener.listen(options.host, options.port);
    } catch (error) {
      await server.storage.close();
      throw error;
    }
    server.saver.start();
    server.memoryMarks.startup = noteMemory(server).used;
    server.#cron = setInterval(() => server.#runCron(), CRON_INTERVAL_MS);
    const keys = server.keyspace.databases.reduce((sum, { size }) => sum + size, 0);
    log.notice(
      `bitmapist-server ${VERSION} ready on ${options.host ?? "all interfaces"}, port ${server.port}; ` +
        `${keys} keys in ${options.db}, appendfsync ${options.appendfsync}, pid ${process.pid}`,
    );
    return server;
  }

  private constructor(
    options: ServerOptions,
    log: Log,
    { clock = systemClock, random = Math.random }: ServerDependencies,
  ) {
    this.#options = options;
    this.log = log;
    this.host = options.host;
    this.port = options.port;
    this.db = options.db;
    this.debug = options.debug;
    this.timing = new Timing(options);
    this.enableDebugCommand = options.enableDebugCommand;
    const requirepass = Buffer.from(options.requirepass, "utf8").toString("latin1");
    this.settings = { appendfsync: options.appendfsync, requirepass };
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
    this.startedMs = this.keyspace.now;
    this.#listener = new Listener(this);
  }

  nextClientId(): number {
    return ++this.#clientId;
  }

  setAppendfsync(appendfsync: AppendFsync): void {
    this.settings.appendfsync = appendfsync;
    this.storage.setAppendfsync(appendfsync);
  }

  /** Copies everything acknowledged so far to the file of `--bak`. Rejects with the reason when it can't be. */
  async backup(): Promise<void> {
    const { bak } = this.#options;
    if (bak === undefined) throw new Error("there is no --bak FILE to copy to");
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
      this.#expireCycle();
      this.#evictionCycle();
      this.saver.noticeChanges();
      this.stats.sampleRates(performance.now());
      if (this.#crons++ % MEMORY_LOOK_CRONS === 0) noteMemory(this);
      this.#cronFailure = "";
    } catch (error) {
      // A file that can't be read answers each of its keys with an error; the server itself goes on. Said once, not 10 times a second.
      const failure = reasonOf(error);
      if (failure !== this.#cronFailure) this.log.warning(`background work failed: ${failure}`);
      this.#cronFailure = failure;
    }
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
    void this.#listener.stop();
    void this.#listener.closeAll(0);
    this.#resolveStopped(1);
  }
}
