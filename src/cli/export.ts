/** `bitmapist-server export TARGET [--db FILE | --from URL]`: brings keys from a database file, or from a running server, to a running Redis or into files. */
import { type Command, Option } from "commander";
import type { Target } from "../migrate/item.js";
import { DEFAULT_OPTIONS } from "../options/table.js";
import { isSameFile } from "./backup.js";
import { move, openRdbTarget, openRedisSource, openRedisTarget, openStoreSource } from "./moving.js";
import { addRedisFlags, isRedisUrl, type RedisFlags, shownUrl, URL_EXPLANATION } from "./redis-flags.js";

const EXPLANATION = `
TARGET is a URL of a running Redis. A key that is there already is replaced; each is written beside its old value and takes its place whole.
${URL_EXPLANATION.trim()}
--db is for a file that no server has open: take the keys of a running server by --from.
Exit codes: 0 everything was exported and verified, 1 it was not: stderr says why.`;

export interface ExportFlags extends RedisFlags {
  db: string;
  from?: string;
  match?: string;
  dryRun?: true;
  verify: boolean;
  resume?: true;
  rdb?: string;
}

/** Where the keys go. */
interface Way {
  /** As it is shown. */
  name: string;
  /** What it needs is imported here and not above: native packages take their time, which serve does not have. */
  open(): Promise<Target>;
}

/** The way that the arguments name; a mistake ends the process with one line. */
function wayOf(target: string | undefined, flags: ExportFlags, command: Command): Way {
  const { rdb } = flags;
  if (rdb !== undefined) {
    if (target !== undefined) command.error("error: option '--rdb <file>' cannot be used with argument 'target'");
    if (flags.from === undefined && isSameFile(flags.db, rdb)) {
      command.error("error: option '--rdb <file>' names the database itself");
    }
    return { name: rdb, open: () => openRdbTarget(rdb, flags) };
  }
  if (target === undefined) return command.error("error: missing required argument 'target'");
  if (isRedisUrl(target)) return { name: shownUrl(target), open: () => openRedisTarget(target, flags) };
  return command.error(`error: argument 'target' is '${target}', which is no URL of a Redis`);
}

/** Adds the subcommand to `program`. */
export function addExportCommand(program: Command): void {
  const command = program
    .command("export")
    .description("Bring keys from a database to a running Redis or into files.")
    .argument("[target]", "redis://host:port/db")
    .option("--db <file>", "the database file", DEFAULT_OPTIONS.db)
    .addOption(new Option("--from <url>", "the running server that has the keys").conflicts("db"))
    .option("--rdb <file>", "write an RDB file, which every Redis from 3.2 on loads; one that is there is replaced")
    .option("--match <pattern>", "only keys that match, as in SCAN")
    .option("--dry-run", "only read, and say what would be written")
    .option("--no-verify", "do not compare each exported key with the source");
  addRedisFlags(command)
    .configureHelp({ commandUsage: () => "bitmapist-server export TARGET | --rdb FILE [--db FILE | --from URL]" })
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", EXPLANATION)
    .action(async (target: string | undefined, flags: ExportFlags, command: Command) => {
      const way = wayOf(target, flags, command);
      const { db, from, verify, dryRun } = flags;
      process.exitCode = await move({
        from: shownUrl(from ?? db),
        to: way.name,
        openTarget: () => way.open(),
        openSource: async (there) =>
          from === undefined ? openStoreSource(db, flags) : openRedisSource(from, flags, there),
        verify,
        dryRun: dryRun === true,
        howToGoOn: "",
      });
    });
}
