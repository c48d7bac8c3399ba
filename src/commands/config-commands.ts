/** CONFIG GET, SET, RESETSTAT, for the parameters that exist here and the few that clients ask for. */
import { basename, dirname, resolve } from "node:path";
import {
  APPENDFSYNC,
  BULK_BYTES_MAX,
  CLIENTS_MAX,
  DATABASES,
  MEMORY_DB,
  QUERY_BUFFER_BYTES_MAX,
  TCP_BACKLOG,
  TCP_KEEPALIVE_MS,
} from "../config.js";
import { CommandError } from "../errors.js";
import { compileGlob } from "../keyspace/glob.js";
import { LOG_LEVELS } from "../log.js";
import { parseMemorySize } from "../memory-size.js";
import { Argv } from "../resp/argv.js";
import type { Reply } from "../resp/reply.js";
import { quotedArg, SYNTAX_ERROR } from "./args.js";
import type { Client } from "./client.js";
import type { Command } from "./command.js";
import type { ServerContext } from "./context.js";
import { helpHandler } from "./help.js";

interface Parameter {
  get(server: ServerContext): string;
  /** Absent where only a restart changes it. Returns a function that makes the change, or throws what is wrong with the value. */
  set?(server: ServerContext, value: string): () => void;
}

const fixed = (value: string | number): Parameter => ({ get: () => String(value) });

/** One that Redis lets clients change, and that has one value here: setting that is accepted, as tools do it. */
const single = (value: string | number): Parameter => ({
  get: () => String(value),
  set: (_server, given) => {
    if (given !== String(value)) throw new CommandError(`only '${value}' is possible here`);
    return () => {};
  },
});

function choice<T extends string>(choices: readonly T[], value: string): T {
  const chosen = choices.find((each) => each === value.toLowerCase());
  if (chosen === undefined) throw new CommandError(`argument(s) must be one of the following: ${choices.join(", ")}`);
  return chosen;
}

/** An integer, in the words of Redis' errors; beyond 2^53 the nearest one that a number can be. */
function integer(value: string, min: number): number {
  const number = Argv.of(value).bigint(0);
  if (number === undefined) throw new CommandError("argument couldn't be parsed into an integer");
  if (number < min) throw new CommandError(`argument must be between ${min} and ${2n ** 63n - 1n} inclusive`);
  return Number(number);
}

/** Percentiles, as words with blanks between. */
function percentiles(value: string): number[] {
  const words = value.split(" ").filter((word) => word !== "");
  const numbers = words.map(Number);
  if (numbers.some(Number.isNaN)) throw new CommandError("Invalid latency-tracking-info-percentiles parameters");
  if (numbers.some((number) => number < 0 || number > 100)) {
    throw new CommandError("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
  }
  return numbers;
}

function memorySize(value: string): number {
  const bytes = parseMemorySize(value);
  if (bytes === undefined) throw new CommandError("argument must be a memory value");
  return bytes;
}

const PARAMETERS: ReadonlyMap<string, Parameter> = new Map(
  Object.entries<Parameter>({
    appendfsync: {
      get: (server) => server.settings.appendfsync,
      set: (server, value) => {
        const chosen = choice(APPENDFSYNC, value);
        return () => server.setAppendfsync(chosen);
      },
    },
    // What is written is always on disk after a second: Redis calls that an append-only file.
    appendonly: { get: (server) => (server.db === MEMORY_DB ? "no" : "yes") },
    bind: { get: (server) => server.host ?? "* -::*" },
    "client-query-buffer-limit": single(QUERY_BUFFER_BYTES_MAX),
    databases: fixed(DATABASES),
    dbfilename: { get: (server) => (server.db === MEMORY_DB ? "" : basename(server.db)) },
    dir: { get: (server) => (server.db === MEMORY_DB ? "" : dirname(resolve(server.db))) },
    "enable-debug-command": { get: (server) => server.enableDebugCommand },
    "latency-monitor-threshold": {
      get: ({ timing }) => String(timing.thresholdMs),
      set: ({ timing }, value) => {
        const ms = integer(value, 0);
        return () => {
          timing.thresholdMs = ms;
        };
      },
    },
    "latency-tracking": {
      get: ({ timing }) => (timing.tracksLatencies ? "yes" : "no"),
      set: ({ timing }, value) => {
        const word = value.toLowerCase();
        if (word !== "yes" && word !== "no") throw new CommandError("argument must be 'yes' or 'no'");
        return () => {
          timing.tracksLatencies = word === "yes";
        };
      },
    },
    "latency-tracking-info-percentiles": {
      get: ({ timing }) => timing.infoPercentiles.join(" "),
      set: ({ timing }, value) => {
        const wanted = percentiles(value);
        return () => {
          timing.infoPercentiles = wanted;
        };
      },
    },
    loglevel: {
      get: (server) => server.log.level,
      set: (server, value) => {
        const chosen = choice(LOG_LEVELS, value);
        return () => {
          server.log.level = chosen;
        };
      },
    },
    maxclients: single(CLIENTS_MAX),
    maxmemory: {
      get: (server) => String(server.keyspace.residency.maxBytes),
      set: (server, value) => {
        const bytes = memorySize(value);
        return () => {
          server.keyspace.residency.maxBytes = bytes;
        };
      },
    },
    "maxmemory-policy": single("noeviction"),
    port: { get: (server) => String(server.port) },
    "proto-max-bulk-len": single(BULK_BYTES_MAX),
    requirepass: {
      get: (server) => server.settings.requirepass,
      set: (server, value) => () => {
        server.settings.requirepass = value;
      },
    },
    save: single(""),
    "slave-read-only": single("yes"),
    "slowlog-log-slower-than": {
      get: ({ timing }) => String(timing.slowerThanUs),
      set: ({ timing }, value) => {
        const us = integer(value, -1);
        return () => {
          timing.slowerThanUs = us;
        };
      },
    },
    "slowlog-max-len": {
      get: ({ timing }) => String(timing.slowlog.lengthMax),
      set: ({ timing }, value) => {
        const length = integer(value, 0);
        return () => {
          timing.slowlog.lengthMax = length;
        };
      },
    },
    "tcp-backlog": fixed(TCP_BACKLOG),
    "tcp-keepalive": single(TCP_KEEPALIVE_MS / 1000),
    timeout: single(0),
    // Redis has no such parameter: its log is written, if not synced, before the reply.
    "write-buffer": {
      get: (server) => String(server.saver.bufferBytesMax),
      set: (server, value) => {
        const bytes = memorySize(value);
        return () => {
          server.saver.bufferBytesMax = bytes;
        };
      },
    },
  }),
);

/** CONFIG GET pattern [pattern ...]: a name without wildcards comes back as it was written. */
function get(client: Client, argv: Argv, reply: Reply): void {
  const found = new Map<string, string>();
  const add = (parameter: string, shownAs: string) => {
    if (PARAMETERS.has(parameter) && !found.has(parameter)) found.set(parameter, shownAs);
  };
  for (let i = 2; i < argv.length; i++) {
    const pattern = argv.string(i);
    const isName = !/[[*?]/.test(pattern);
    if (isName) {
      add(pattern.toLowerCase(), pattern);
      continue;
    }
    const matches = compileGlob(pattern.toLowerCase());
    for (const parameter of PARAMETERS.keys()) if (matches(parameter)) add(parameter, parameter);
  }
  reply.map(found.size);
  for (const [parameter, shownAs] of found) {
    reply.bulk(shownAs);
    reply.bulk((PARAMETERS.get(parameter) as Parameter).get(client.server));
  }
}

/** CONFIG SET parameter value [parameter value ...]: all of them, or none. */
function set(client: Client, argv: Argv, reply: Reply): void {
  if (argv.length % 2 === 1) throw SYNTAX_ERROR;
  const changes = new Map<string, () => void>();
  for (let i = 2; i < argv.length; i += 2) {
    const given = argv.string(i);
    const name = given.toLowerCase();
    const parameter = PARAMETERS.get(name);
    if (parameter === undefined) {
      throw new CommandError(`ERR Unknown option or number of arguments for CONFIG SET - '${quotedArg(argv, i)}'`);
    }
    if (changes.has(name)) throw failed(name, "duplicate parameter");
    if (parameter.set === undefined) throw failed(name, "can't set immutable config");
    changes.set(name, prepare(client.server, name, parameter.set, argv.string(i + 1)));
  }
  for (const change of changes.values()) change();
  reply.ok();
}

function prepare(
  server: ServerContext,
  name: string,
  setter: NonNullable<Parameter["set"]>,
  value: string,
): () => void {
  try {
    return setter(server, value);
  } catch (error) {
    if (error instanceof CommandError) throw failed(name, error.message);
    throw error;
  }
}

function failed(name: string, reason: string): CommandError {
  return new CommandError(`ERR CONFIG SET failed (possibly related to argument '${name}') - ${reason}`);
}

/** CONFIG RESETSTAT */
function resetstat(client: Client, _argv: Argv, reply: Reply): void {
  client.server.stats.reset();
  client.server.keyspace.expiredKeys = 0;
  client.server.keyspace.residency.evicted = 0;
  client.server.saver.stalls.reset();
  reply.ok();
}

const SUBCOMMAND = { flags: ["admin", "noscript", "loading", "stale"], group: "server", complexity: "O(N)" } as const;

const help = helpHandler("config", () => SUBCOMMANDS);

const SUBCOMMANDS: readonly Command[] = [
  {
    ...SUBCOMMAND,
    name: "config|get",
    arity: -3,
    since: "2.0.0",
    summary: "Parameters that match a pattern.",
    handler: get,
  },
  {
    ...SUBCOMMAND,
    name: "config|help",
    arity: 2,
    flags: ["loading", "stale"],
    since: "5.0.0",
    summary: "What there is.",
    handler: help,
  },
  {
    ...SUBCOMMAND,
    name: "config|resetstat",
    arity: 2,
    since: "2.0.0",
    summary: "Sets INFO's counters to 0.",
    handler: resetstat,
  },
  {
    ...SUBCOMMAND,
    name: "config|set",
    arity: -4,
    tips: ["request_policy:all_nodes", "response_policy:all_succeeded"],
    since: "2.0.0",
    summary: "Changes parameters.",
    handler: set,
  },
];

export const CONFIG_COMMANDS: readonly Command[] = [
  {
    name: "config",
    arity: -2,
    flags: [],
    group: "server",
    since: "2.0.0",
    complexity: "Depends on subcommand.",
    summary: "About the configuration.",
    differs: "knows the parameters that exist here; REWRITE is missing",
    handler: help,
    subcommands: SUBCOMMANDS,
  },
];
