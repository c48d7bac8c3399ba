/**
 * CONFIG: the options as clients see and change them. Which there are is options/table.ts' business, and what a change does is
 * settings.ts'.
 */
import { CommandError, reasonOf } from "../../errors.js";
import { compileGlob } from "../../keyspace/glob.js";
import { rewriteConfigFile } from "../../options/file.js";
import { OptionError } from "../../options/kinds.js";
import { FACTS, keyOf, NAMES, nameOf, type OptionKey, ROWS, rowOf, type ServerOptions } from "../../options/table.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { quotedArg, SYNTAX_ERROR } from "../args.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";
import { helpHandler } from "../help.js";
import { changeSettings, SettingFailed } from "./settings.js";

const NO_FILE = new CommandError("ERR The server is running without a config file");

/** What CONFIG GET knows, in the order of the names. */
const PARAMETERS: readonly string[] = [...NAMES, ...FACTS.keys()].sort();

/** The option that CONFIG knows under this name. */
function optionKey(name: string): OptionKey | undefined {
  const key = keyOf(name);
  return key === undefined || rowOf(key).isStartOnly === true ? undefined : key;
}

/** The value of a parameter as bytes; undefined where there is none of this name. */
function shown(settings: ServerOptions, name: string): string | undefined {
  const key = optionKey(name);
  return key === undefined ? FACTS.get(name)?.get(settings) : rowOf(key).show(settings[key]);
}

/** CONFIG GET pattern [pattern ...]: a name without wildcards comes back as it was written. */
function get(client: Client, argv: Argv, reply: Reply): void {
  const { settings } = client.server;
  const found = new Map<string, { shownAs: string; value: string }>();
  const add = (name: string, shownAs: string) => {
    const value = found.has(name) ? undefined : shown(settings, name);
    if (value !== undefined) found.set(name, { shownAs, value });
  };
  for (let i = 2; i < argv.length; i++) {
    const pattern = argv.string(i);
    const isName = !/[[*?]/.test(pattern);
    if (isName) {
      add(pattern.toLowerCase(), pattern);
      continue;
    }
    const matches = compileGlob(pattern.toLowerCase());
    for (const name of PARAMETERS) if (matches(name)) add(name, name);
  }
  reply.map(found.size);
  for (const { shownAs, value } of found.values()) {
    reply.bulk(shownAs);
    reply.bulk(value);
  }
}

/** CONFIG SET parameter value [parameter value ...]: all of them, or none. */
function set(client: Client, argv: Argv, reply: Reply): void {
  if (argv.length % 2 === 1) throw SYNTAX_ERROR;
  const { server } = client;
  const values = new Map<string, string>();
  for (let i = 2; i < argv.length; i += 2) {
    const name = argv.string(i).toLowerCase();
    const key = optionKey(name);
    if (key === undefined && !FACTS.has(name)) {
      throw new CommandError(`ERR Unknown option or number of arguments for CONFIG SET - '${quotedArg(argv, i)}'`);
    }
    if (values.has(name)) throw failed(name, "duplicate parameter");
    const refusal = key === undefined ? FACTS.get(name)?.refusal : IMMUTABLE[key];
    if (refusal !== undefined) throw failed(name, refusal);
    values.set(name, argv.string(i + 1));
  }
  const changes: Partial<ServerOptions> = {};
  for (const [name, value] of values) Object.assign(changes, parse(server.settings, name, value));
  try {
    changeSettings(server, changes);
  } catch (error) {
    if (error instanceof SettingFailed) throw failed(nameOf(error.key), error.message);
    throw error;
  }
  reply.ok();
}

const IMMUTABLE: { readonly [K in OptionKey]?: string } = Object.fromEntries(
  ROWS.filter(([, row]) => row.isMutable !== true).map(([key]) => [key, "can't set immutable config"]),
);

/** What the new value changes. Throws what is wrong with it. */
function parse(settings: ServerOptions, name: string, value: string): Partial<ServerOptions> {
  const key = optionKey(name);
  if (key === undefined) {
    const only = shown(settings, name);
    // Redis lets clients change it, and tools do: the value that it has is accepted.
    if (value !== only) throw failed(name, `only '${only}' is possible here`);
    return {};
  }
  try {
    return { [key]: rowOf(key).parse([value], settings[key]) };
  } catch (error) {
    if (error instanceof OptionError) throw failed(name, error.message);
    throw error;
  }
}

function failed(name: string, reason: string): CommandError {
  return new CommandError(`ERR CONFIG SET failed (possibly related to argument '${name}') - ${reason}`);
}

/** CONFIG REWRITE: users are written too where they have no file of their own (Redis). */
function rewrite(client: Client, _argv: Argv, reply: Reply): void {
  const { configFile, log, settings, users } = client.server;
  if (configFile === undefined) throw NO_FILE;
  try {
    const user = settings.aclfile === "" ? users.all : settings.user;
    rewriteConfigFile(configFile, { ...settings, user });
  } catch (error) {
    log.warning(`CONFIG REWRITE of ${configFile} failed: ${reasonOf(error)}`);
    throw new CommandError(`ERR Rewriting config file: ${reasonOf(error).replace(/[\r\n]+/g, " ")}`);
  }
  log.notice("CONFIG REWRITE executed with success.");
  reply.ok();
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
    syntax: "parameter:<parameter>...",
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
    name: "config|rewrite",
    arity: 2,
    since: "2.8.0",
    summary: "Makes the configuration file say what holds now.",
    handler: rewrite,
  },
  {
    ...SUBCOMMAND,
    name: "config|set",
    arity: -4,
    syntax: "parameter_value:<parameter value>...",
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
    differs: "knows the parameters of docs/configuration.md; SET changes those that it calls settable",
    handler: help,
    subcommands: SUBCOMMANDS,
  },
];
