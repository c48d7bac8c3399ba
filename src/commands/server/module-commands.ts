/** MODULE: there are none, and none can be loaded, as in a Redis whose configuration does not allow it. */
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";
import { helpHandler } from "../help.js";

const NOT_ALLOWED = new CommandError(
  'ERR MODULE command not allowed. If the enable-module-command option is set to "local", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.',
);

/** MODULE LIST */
function list(_client: Client, _argv: Argv, reply: Reply): void {
  reply.array(0);
}

/** MODULE LOAD, LOADEX, UNLOAD */
function refuse(): void {
  throw NOT_ALLOWED;
}

const SUBCOMMAND = {
  flags: ["admin", "noscript", "no_async_loading"],
  group: "server",
  since: "4.0.0",
  complexity: "O(1)",
} as const;

const help = helpHandler("module", () => SUBCOMMANDS);

const SUBCOMMANDS: readonly Command[] = [
  {
    ...SUBCOMMAND,
    name: "module|help",
    arity: 2,
    flags: ["loading", "stale"],
    since: "5.0.0",
    summary: "What there is.",
    handler: help,
  },
  {
    ...SUBCOMMAND,
    name: "module|list",
    arity: 2,
    flags: ["admin", "noscript"],
    tips: ["nondeterministic_output_order"],
    summary: "The modules: there are none.",
    handler: list,
  },
  {
    ...SUBCOMMAND,
    name: "module|load",
    arity: -3,
    syntax: "path [arg...]",
    summary: "Refuses to load a module.",
    handler: refuse,
  },
  {
    ...SUBCOMMAND,
    name: "module|loadex",
    arity: -3,
    syntax: "path [CONFIG... configs:<name value>] [ARGS args:<arg>...]",
    since: "7.0.0",
    summary: "Refuses to load a module.",
    handler: refuse,
  },
  {
    ...SUBCOMMAND,
    name: "module|unload",
    arity: 3,
    syntax: "name",
    summary: "Refuses to unload a module.",
    handler: refuse,
  },
];

export const MODULE_COMMANDS: readonly Command[] = [
  {
    name: "module",
    arity: -2,
    flags: [],
    group: "server",
    since: "4.0.0",
    complexity: "Depends on subcommand.",
    summary: "About modules.",
    differs: "there are no modules; LOAD, LOADEX and UNLOAD answer what Redis answers where it is not allowed",
    handler: help,
    subcommands: SUBCOMMANDS,
  },
];
