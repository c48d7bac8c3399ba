/**
 * The entry of the command line: the list of subcommands (one file each in cli/), and how mistakes are told.
 * Every usage error is one line on stderr and exit code 1 (2 of check, whose 1 means damage).
 */
import { Command } from "commander";
import { addBackupCommand } from "./cli/backup.js";
import { addCheckCommand } from "./cli/check.js";
import { addExportCommand } from "./cli/export.js";
import { type FlagNames, translateGoFlags } from "./cli/go-flags.js";
import { addImportCommand } from "./cli/import.js";
import { addServeCommand, LIST_OPTIONS } from "./cli/serve.js";
import { isWithoutEffect } from "./options/table.js";

const program = new Command("bitmapist-server")
  // --help and --version belong to the subcommands; without one they reach serve, the default.
  .helpOption(false)
  .helpCommand(false)
  .configureOutput({ outputError: (text, write) => write(`${text.trim().replace(/\n+/g, " ")}\n`) });
addServeCommand(program);
addCheckCommand(program);
addBackupCommand(program);
addImportCommand(program);
addExportCommand(program);

await program.parseAsync(translate(process.argv.slice(2)), { from: "user" });

function translate(args: string[]): string[] {
  try {
    return translateGoFlags(args, flagNames());
  } catch (error) {
    return program.error(`error: ${(error as Error).message}`);
  }
}

/** All subcommands' options, long and short. */
function flagNames(): FlagNames {
  const valued = new Set<string>();
  const switches = new Set(["h", "help"]);
  for (const option of program.commands.flatMap((command) => command.options)) {
    for (const flag of [option.short, option.long]) {
      if (flag) (option.required ? valued : switches).add(flag.replace(/^-+/, ""));
    }
  }
  return { valued, lists: LIST_OPTIONS, isWithoutEffect, switches };
}
