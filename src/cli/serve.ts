/**
 * `bitmapist-server [serve] [FILE]`: reads the options, starts the server and turns the system's signals into its methods.
 * Everything about a process (signals, exit codes, stderr) is here, so that Server can run inside a test.
 *
 * Exit codes: 0 after a shutdown, 1 for every failure, 130 (SIGINT) and 143 (SIGTERM) when a second signal cut it short.
 */
import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { reasonOf, StartError } from "../errors.js";
import { LineLog, type Log } from "../log.js";
import { apply, type Configuration, readConfigFile } from "../options/file.js";
import { NO_PORT, OptionError, toBytes } from "../options/kinds.js";
import { wordsOf } from "../options/line.js";
import {
  ALL_INTERFACES,
  DEFAULT_OPTIONS,
  nameOf,
  type OptionKey,
  ROWS,
  rowOf,
  type ServerOptions,
} from "../options/table.js";
import type { Server } from "../server.js";
import { tuneV8 } from "../v8-flags.js";
import { VERSION } from "../version.js";
import { type Address, isAllInterfaces, parseAddress } from "./address.js";

/** 128 plus the signal's number, as shells report it. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** npm passes a Ctrl-C on that the terminal has already sent to the server, so within this time two signals are one. */
const NPM_ECHO_MS = 250;

const EXAMPLES = `
Examples:
  bitmapist-server                                    localhost:6379, data in ./bitmapist.db
  bitmapist-server --addr :6379 --requirepass secret  all interfaces, clients must AUTH
  bitmapist-server bitmapist.conf --port 7000         options from a file in redis.conf's form, and others instead
  bitmapist-server --db /var/lib/bitmapist/data.db --bak /backup/data.db
                                                      kill -USR1 PID writes a copy to /backup/data.db
  bitmapist-server --db :memory: --addr [::1]:0       keeps nothing, free port on IPv6 localhost

Options may be written as for the Go bitmapist-server: -addr=:6379 -db=data.db -debug`;

/** The options that take all values up to the next option, by name. */
export const LIST_OPTIONS: ReadonlySet<string> = new Set(
  ROWS.filter(([, { isList }]) => isList === true).map(([key]) => nameOf(key)),
);

/** Values as they were given, each option's in their order; and the switches. */
type ServeFlags = { readonly [K in OptionKey]?: readonly string[] | true } & {
  readonly addr?: readonly Address[];
  readonly relaxed?: true;
  readonly withoutEffect?: readonly string[];
};

/** Adds the subcommand to `program`, as the one that runs when none is named. */
export function addServeCommand(program: Command): void {
  const serveCommand = program
    .command("serve", { isDefault: true })
    .description(
      "A server that speaks Redis' protocol and keeps bitmaps: compressed in memory, in one SQLite file on disk.",
    )
    .configureHelp({ commandUsage: () => "bitmapist-server [serve] [file] [options]" })
    .argument("[file]", "configuration file in redis.conf's form")
    .addOption(
      new Option(
        "--addr <host:port>",
        "bind and port in one; :PORT is all interfaces, HOST:0 a free port; may be given several times",
      ).argParser((text, given: Address[] = []) => [...given, parseAddress(text)]),
    );
  for (const [key] of ROWS) serveCommand.addOption(optionOf(key));
  serveCommand
    .addOption(new Option("--relaxed", "taken from the Go bitmapist-server, no effect").hideHelp())
    .addOption(
      new Option("--without-effect <name>", "an option of Redis that means nothing here").argParser(append).hideHelp(),
    )
    .version(`bitmapist-server ${VERSION}`, "-v, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", EXAMPLES)
    .allowExcessArguments()
    .action(async (file: string | undefined, flags: ServeFlags, command: Command) => {
      const [, excess] = command.args;
      if (excess !== undefined) command.error(`error: unexpected argument '${excess}'; see bitmapist-server --help`);
      const { options, withoutEffect } = configureOrExit(file, flags);
      const log = new LineLog(options.loglevel);
      if (flags.relaxed) log.notice("-relaxed has no effect: reads and writes are never delayed here");
      if (withoutEffect.size > 0) log.notice(`these have no effect here: ${[...withoutEffect].sort().join(", ")}`);
      process.exit(await serve(options, log, file === undefined ? undefined : resolve(file)));
    });
}

/** An option as commander has it. `debug` is a switch, as in the Go bitmapist-server. */
function optionOf(key: OptionKey): Option {
  const { placeholder, summary } = rowOf(key);
  if (key === "debug") return new Option("--debug", summary);
  return new Option(`--${nameOf(key)} ${placeholder}`, `${summary}${shownDefault(key)}`).argParser(append);
}

function append(text: string, given: readonly string[] = []): string[] {
  return [...given, text];
}

function shownDefault(key: OptionKey): string {
  const lines = rowOf(key)
    .lines(DEFAULT_OPTIONS[key])
    .filter((line) => line !== '""');
  return lines.length === 0 ? "" : ` (default: ${lines.join(", ")})`;
}

function configureOrExit(file: string | undefined, flags: ServeFlags): Configuration {
  try {
    return configure(file, flags);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}

/** The options of the file, and of the command line, which counts more. Throws StartError with what is wrong. */
function configure(file: string | undefined, flags: ServeFlags): Configuration {
  const configuration: Configuration = {
    options: { ...DEFAULT_OPTIONS },
    withoutEffect: new Set(flags.withoutEffect),
  };
  if (file !== undefined) readConfigFile(configuration, file);
  if (flags.addr !== undefined) applyAddresses(configuration.options, flags.addr);
  for (const [key] of ROWS) {
    const given = flags[key] ?? [];
    for (const text of given === true ? ["yes"] : given) applyFlag(configuration, key, text);
  }
  checkTogether(configuration.options);
  return configuration;
}

function applyFlag(configuration: Configuration, key: OptionKey, text: string): void {
  const { isList, placeholder } = rowOf(key);
  const word = toBytes(text);
  try {
    apply(configuration, nameOf(key), isList === true && word !== "" ? (wordsOf(word) ?? [word]) : [word]);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    const flag = `--${nameOf(key)} ${placeholder}`;
    throw new StartError(`error: option '${flag}' argument '${text}' is invalid. ${error.message}`, { cause: error });
  }
}

function applyAddresses(options: ServerOptions, addresses: readonly Address[]): void {
  const [first] = addresses;
  if (addresses.some(({ port }) => port !== first?.port)) {
    throw new StartError("error: all addresses of option '--addr <host:port>' must have the same port");
  }
  options.bind = addresses.flatMap(({ host }) => (host === undefined ? ALL_INTERFACES : [host]));
  options.port = first?.port ?? options.port;
}

/** What no option can know of itself. */
function checkTogether(options: ServerOptions): void {
  if (options.db === "") throw new StartError("error: option '--db <file>' is empty");
  if (options.bak !== "" && resolve(options.bak) === resolve(options.db)) {
    throw new StartError("error: option '--bak <file>' names the database itself; a copy needs a file of its own");
  }
  // Commands are logged as notices, which --debug asks to see whatever the level.
  if (options.debug && options.loglevel === "warning") options.loglevel = "notice";
}

/** Runs the server until it has stopped and returns the process' exit code. */
async function serve(options: ServerOptions, log: Log, configFile: string | undefined): Promise<number> {
  tuneV8();
  if (options.dir !== "") process.chdir(options.dir);
  exitOnUncaught(log);
  const signals = new Signals(options, log);
  try {
    // The loader of the roaring package looks for options of its own among the arguments, and would take --dir for one.
    process.argv.splice(2);
    // Loaded only now: the native packages take their time, and a SIGUSR1 meanwhile must find its listener.
    const { Server } = await import("../server.js");
    const server = await Server.start(options, log, { configFile });
    if (options.aclfile !== "" && options.requirepass !== "") {
      log.warning("--requirepass has no effect beside --aclfile: the file says what the default user's password is");
    }
    if (options.bind.some(isAllInterfaces) && server.users.isOpen && !options.protectedMode) {
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
    // A server outlives the terminal it was started from (Redis).
    process.on("SIGHUP", () => this.#renewTls());
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

  #renewTls(): void {
    if (this.#server === undefined || this.#options.tlsPort === NO_PORT) return;
    try {
      this.#server.renewTls();
      this.#log.notice("SIGHUP received, certificates read anew");
    } catch (error) {
      this.#log.warning(`SIGHUP received, but the certificates stay as they were: ${reasonOf(error)}`);
    }
  }

  async #backup(): Promise<void> {
    const { bak } = this.#options;
    if (bak === "") return this.#log.warning("SIGUSR1 received, but there is no --bak file to copy to");
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
