/**
 * `bitmapist-server [serve]`: reads the options, starts the server and turns the system's signals into its methods.
 * Everything about a process (signals, exit codes, stderr) is here, so that Server can run inside a test.
 *
 * Exit codes: 0 after a shutdown, 1 for every failure, 130 (SIGINT) and 143 (SIGTERM) when a second signal cut it short.
 */
import { resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import {
  APPENDFSYNC,
  type AppendFsync,
  DEBUG_USERS,
  DEFAULT_OPTIONS,
  type DebugUsers,
  MEMORY_DB,
  type ServerOptions,
} from "../config.js";
import { reasonOf, StartError } from "../errors.js";
import { LineLog, LOG_LEVELS, type Log, type LogLevel } from "../log.js";
import { parseMemorySize } from "../memory-size.js";
import type { Server } from "../server.js";
import { VERSION } from "../version.js";
import { limitYoungSpace } from "../young-space.js";
import { type Address, isAllInterfaces, parseAddress } from "./address.js";

/** 128 plus the signal's number, as shells report it. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** npm passes a Ctrl-C on that the terminal has already sent to the server, so within this time two signals are one. */
const NPM_ECHO_MS = 250;

const EXAMPLES = `
Examples:
  bitmapist-server                                    localhost:6379, data in ./bitmapist.db
  bitmapist-server --addr :6379 --requirepass secret  all interfaces, clients must AUTH
  bitmapist-server --db /var/lib/bitmapist/data.db --bak /backup/data.db
                                                      kill -USR1 PID writes a copy to /backup/data.db
  bitmapist-server --db :memory: --addr [::1]:0       keeps nothing, free port on IPv6 localhost

Options may be written as for the Go bitmapist-server: -addr=:6379 -db=data.db -debug`;

interface ServeFlags {
  addr: Address;
  db: string;
  bak: string;
  appendfsync: AppendFsync;
  maxmemory: number;
  writeBuffer: number;
  requirepass: string;
  debug?: true;
  enableDebugCommand: DebugUsers;
  slowlogLogSlowerThan: number;
  slowlogMaxLen: number;
  latencyMonitorThreshold: number;
  latencyTracking: "yes" | "no";
  loglevel: LogLevel;
  relaxed?: true;
}

/** Adds the subcommand to `program`, as the one that runs when none is named. */
export function addServeCommand(program: Command): void {
  const defaults = DEFAULT_OPTIONS;
  program
    .command("serve", { isDefault: true })
    .description(
      "A server that speaks Redis' protocol and keeps bitmaps: compressed in memory, in one SQLite file on disk.",
    )
    .configureHelp({ commandUsage: () => "bitmapist-server [serve] [options]" })
    .addOption(
      new Option("--addr <host:port>", "address to listen on; :PORT is all interfaces")
        .default({ host: defaults.host, port: defaults.port } satisfies Address, `${defaults.host}:${defaults.port}`)
        .argParser(parseAddress),
    )
    .option("--db <file>", `database file, made if missing; ${MEMORY_DB} keeps nothing`, defaults.db)
    .addOption(new Option("--bak <file>", "where SIGUSR1 puts a consistent copy of the database").default("", "none"))
    .addOption(
      new Option("--appendfsync <when>", "when writes are forced to the disk")
        .choices(APPENDFSYNC)
        .default(defaults.appendfsync),
    )
    .addOption(
      new Option("--maxmemory <size>", "what keys and values in memory may take, e.g. 512mb; the file has the others")
        .default(defaults.maxmemory, "no bound")
        .argParser(memorySize),
    )
    .addOption(
      new Option("--write-buffer <size>", "uncommitted changes in memory at which writing clients are made to wait")
        .default(defaults.writeBuffer, "256mb")
        .argParser(memorySize),
    )
    .addOption(
      new Option("--requirepass <password>", "password clients must AUTH with").default(defaults.requirepass, "none"),
    )
    .option("--debug", "log every command")
    .addOption(
      new Option("--enable-debug-command <who>", "who may use DEBUG, which can stop the server for a time")
        .choices(DEBUG_USERS)
        .default(defaults.enableDebugCommand),
    )
    .addOption(
      new Option("--slowlog-log-slower-than <us>", "microseconds from which on SLOWLOG keeps a command; -1 for never")
        .default(defaults.slowlogLogSlowerThan)
        .argParser((text) => integerFrom(-1, text)),
    )
    .addOption(
      new Option("--slowlog-max-len <n>", "entries that SLOWLOG keeps")
        .default(defaults.slowlogMaxLen)
        .argParser((text) => integerFrom(0, text)),
    )
    .addOption(
      new Option(
        "--latency-monitor-threshold <ms>",
        "milliseconds from which on LATENCY keeps what took them; 0: never",
      )
        .default(defaults.latencyMonitorThreshold)
        .argParser((text) => integerFrom(0, text)),
    )
    .addOption(
      new Option("--latency-tracking <yes|no>", "whether there are histograms of how long commands take")
        .choices(["yes", "no"])
        .default(defaults.latencyTracking ? "yes" : "no"),
    )
    .addOption(
      new Option("--loglevel <level>", "least level that is logged").choices(LOG_LEVELS).default(defaults.loglevel),
    )
    .addOption(new Option("--relaxed", "taken from the Go bitmapist-server, no effect").hideHelp())
    .version(`bitmapist-server ${VERSION}`, "-v, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", EXAMPLES)
    .allowExcessArguments()
    .action(async (flags: ServeFlags, command: Command) => {
      const [excess] = command.args;
      if (excess !== undefined) command.error(`error: unexpected argument '${excess}'; see bitmapist-server --help`);
      const options = toServerOptions(flags, (message) => command.error(`error: ${message}`));
      const log = new LineLog(options.loglevel);
      if (flags.relaxed) log.notice("-relaxed has no effect: reads and writes are never delayed here");
      process.exit(await serve(options, log));
    });
}

function memorySize(text: string): number {
  const bytes = parseMemorySize(text);
  if (bytes === undefined) throw new InvalidArgumentError("It must be a size like 512mb or 1g.");
  return bytes;
}

function integerFrom(min: number, text: string): number {
  const number = Number(text);
  if (!/^-?[0-9]+$/.test(text) || !Number.isSafeInteger(number) || number < min) {
    throw new InvalidArgumentError(`It must be an integer of at least ${min}.`);
  }
  return number;
}

function toServerOptions(flags: ServeFlags, fail: (message: string) => never): ServerOptions {
  if (flags.db === "") fail("option '--db <file>' is empty");
  if (flags.bak !== "" && resolve(flags.bak) === resolve(flags.db)) {
    fail("option '--bak <file>' names the database itself; a copy needs a file of its own");
  }
  return {
    host: flags.addr.host,
    port: flags.addr.port,
    db: flags.db,
    bak: flags.bak === "" ? undefined : flags.bak,
    appendfsync: flags.appendfsync,
    maxmemory: flags.maxmemory,
    writeBuffer: flags.writeBuffer,
    requirepass: flags.requirepass,
    // Commands are logged as notices, which --debug asks to see whatever the level.
    loglevel: flags.debug && flags.loglevel === "warning" ? "notice" : flags.loglevel,
    debug: flags.debug ?? DEFAULT_OPTIONS.debug,
    enableDebugCommand: flags.enableDebugCommand,
    slowlogLogSlowerThan: flags.slowlogLogSlowerThan,
    slowlogMaxLen: flags.slowlogMaxLen,
    latencyMonitorThreshold: flags.latencyMonitorThreshold,
    latencyTracking: flags.latencyTracking === "yes",
  };
}

/** Runs the server until it has stopped and returns the process' exit code. */
async function serve(options: ServerOptions, log: Log): Promise<number> {
  limitYoungSpace();
  exitOnUncaught(log);
  const signals = new Signals(options, log);
  try {
    // Loaded only now: the native packages take their time, and a SIGUSR1 meanwhile must find its listener.
    const { Server } = await import("../server.js");
    const server = await Server.start(options, log);
    if (isAllInterfaces(options.host) && options.requirepass === "") {
      log.warning(
        "listening on all interfaces without a password: anyone who reaches this port can read and delete the data",
      );
    }
    signals.attach(server);
    return await server.stopped;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    log.warning(error.message);
    return 1;
  }
}

/** What the process' signals do, from before the server exists until the process ends. */
class Signals {
  readonly #options: ServerOptions;
  readonly #log: Log;
  #server: Server | undefined;
  #stopRequestedMs: number | undefined;
  #backupRunning = false;

  constructor(options: ServerOptions, log: Log) {
    this.#options = options;
    this.#log = log;
    process.on("SIGINT", () => this.#stop("SIGINT"));
    process.on("SIGTERM", () => this.#stop("SIGTERM"));
    // Without a listener Node would open its debugger's port on this signal.
    process.on("SIGUSR1", () => void this.#backup());
    // As Redis does: a server outlives the terminal it was started from.
    process.on("SIGHUP", () => {});
  }

  /** Hands over the running server; a signal that came during the start takes effect now. */
  attach(server: Server): void {
    this.#server = server;
    if (this.#stopRequestedMs !== undefined) void this.#shutdown(server);
  }

  #stop(signal: "SIGINT" | "SIGTERM"): void {
    const nowMs = performance.now();
    if (this.#stopRequestedMs !== undefined) {
      if (isRunByNpm() && nowMs - this.#stopRequestedMs < NPM_ECHO_MS) return;
      this.#log.warning(`${signal} received while shutting down, exiting at once`);
      process.exit(EXIT_CODES[signal]);
    }
    this.#stopRequestedMs = nowMs;
    this.#log.notice(`${signal} received, shutting down`);
    if (this.#server !== undefined) void this.#shutdown(this.#server);
  }

  async #shutdown(server: Server): Promise<void> {
    try {
      await server.shutdown();
    } catch (error) {
      // Nothing was closed, so the next signal is a first one again.
      this.#stopRequestedMs = undefined;
      this.#log.warning(
        `can't save, so the server goes on (SHUTDOWN NOSAVE stops it all the same): ${reasonOf(error)}`,
      );
    }
  }

  async #backup(): Promise<void> {
    const { bak } = this.#options;
    if (bak === undefined) return this.#log.warning("SIGUSR1 received, but there is no --bak file to copy to");
    if (this.#server === undefined)
      return this.#log.warning("SIGUSR1 received before the server was ready, no copy made");
    if (this.#backupRunning) return this.#log.notice("SIGUSR1 received, but a copy is being made already");
    this.#backupRunning = true;
    const startMs = performance.now();
    try {
      await this.#server.backup();
      this.#log.notice(`backup written to ${bak} in ${Math.round(performance.now() - startMs)} ms`);
    } catch (error) {
      this.#log.warning(`backup to ${bak} failed: ${reasonOf(error)}`);
    } finally {
      this.#backupRunning = false;
    }
  }
}

/** A bug leaves the memory in doubt, while the file is whole at every moment: say what happened and end. */
function exitOnUncaught(log: Log): void {
  process.on("uncaughtException", (error: unknown) => {
    log.warning(`uncaught, exiting: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.exit(1);
  });
  // A reader of the log that went away is no reason to stop.
  process.stderr.on("error", () => {});
}

function isRunByNpm(): boolean {
  return ["start", "npx"].includes(process.env.npm_lifecycle_event ?? "");
}
