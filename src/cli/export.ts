/** `bitmapist-server export TARGET [--db FILE | --from URL]`: brings keys from a database file, or from a running server, to a running Redis or into files. */
import { type Command, Option } from "commander";
import type { Target } from "../migrate/item.js";
import { DEFAULT_OPTIONS } from "../options/table.js";
import { type Content, FILE_FORMATS, type FileFormatName, openFileTarget, STANDARD_STREAM } from "./analyst-files.js";
import { whyNoFile } from "./made-file.js";
import { move, openRdbTarget, openRedisSource, openRedisTarget, openStoreSource, refuseMemory } from "./moving.js";
import { addRedisFlags, isRedisUrl, type RedisFlags, refuseIdleTls, shownUrl, URL_EXPLANATION } from "./redis-flags.js";
import { isSameFile } from "./same-file.js";

const EXPLANATION = `
TARGET is a URL of a running Redis, or with --format a file, "-" or none for stdout. A file appears whole or not at all. A key that is there already is replaced; each is written beside its old value and takes its place whole.
${URL_EXPLANATION.trim()}
--db is for a file that no server has open: take the keys of a running server by --from.
Exit codes: 0 everything was exported and verified, 1 it was not: stderr says why.`;

export interface ExportFlags extends RedisFlags {
  db: string;
  from?: string;
  match?: string;
  dryRun?: true;
  verify: boolean;
  rdb?: string;
  format?: FileFormatName;
  statistics?: true;
}

/** Where the keys go. */
interface Way {
  /** As it is shown. */
  name: string;
  /** Why what is written is not compared with the source, where that is so of the way itself. */
  whyNotVerified?: string;
  isOnStdout?: boolean;
  /** What it needs is imported here and not above: native packages take their time, which serve does not have. */
  open(): Promise<Target>;
}

/** The way that the arguments name; a mistake ends the process with one line. */
function wayOf(target: string | undefined, flags: ExportFlags, command: Command): Way {
  const { rdb, format, statistics } = flags;
  if (format !== undefined)
    return fileWay(target ?? STANDARD_STREAM, format, statistics === true ? "statistics" : "ids", flags, command);
  if (statistics === true) command.error("error: option '--statistics' needs --format csv or --format ndjson");
  if (rdb !== undefined) {
    if (target !== undefined) command.error("error: option '--rdb <file>' cannot be used with argument 'target'");
    if (flags.from === undefined && isSameFile(flags.db, rdb)) {
      command.error("error: option '--rdb <file>' names the database itself");
    }
    refuseNoFile(rdb, command);
    return { name: rdb, open: () => openRdbTarget(rdb, flags) };
  }
  if (target === undefined) return command.error("error: missing required argument 'target'");
  if (isRedisUrl(target)) return { name: shownUrl(target), open: () => openRedisTarget(target, flags) };
  return command.error(`error: argument 'target' is '${target}', which is no URL of a Redis; a file needs --format`);
}

function fileWay(path: string, format: FileFormatName, content: Content, flags: ExportFlags, command: Command): Way {
  if (flags.rdb !== undefined)
    command.error("error: option '--rdb <file>' cannot be used with option '--format <format>'");
  if (isRedisUrl(path)) command.error("error: option '--format <format>' is for a file, not for a running Redis");
  if (content === "statistics" && format === "roaring") {
    command.error("error: option '--statistics' is for --format csv and --format ndjson");
  }
  if (flags.from === undefined && isSameFile(flags.db, path)) {
    command.error("error: argument 'target' names the database itself");
  }
  if (path !== STANDARD_STREAM) refuseNoFile(path, command);
  return {
    name: path === STANDARD_STREAM ? "stdout" : path,
    isOnStdout: path === STANDARD_STREAM,
    whyNotVerified: "a file of this format is not read back",
    open: () => openFileTarget(path, format, content),
  };
}

function refuseNoFile(path: string, command: Command): void {
  const why = whyNoFile(path);
  if (why !== undefined) command.error(`error: ${why}`);
}

/** Adds the subcommand to `program`. */
export function addExportCommand(program: Command): void {
  const command = program
    .command("export")
    .description("Bring keys from a database to a running Redis or into files.")
    .argument("[target]", "redis://host:port/db, or a file, - for stdout")
    .option("--db <file>", "the database file", DEFAULT_OPTIONS.db)
    .addOption(new Option("--from <url>", "the running server that has the keys").conflicts("db"))
    .option("--rdb <file>", "write an RDB file, which every Redis from 3.2 on loads; one that is there is replaced")
    .addOption(
      new Option("--format <format>", "write a file of ids: rows, JSON lines, or a tar of Roaring bitmaps").choices(
        FILE_FORMATS,
      ),
    )
    .option("--statistics", "with --format csv or ndjson: a line for each key, with figures and no ids")
    .option("--match <pattern>", "only keys that match, as in SCAN")
    .option("--dry-run", "only read, and say what would be written")
    .option("--no-verify", "do not compare each exported key with the source");
  addRedisFlags(command)
    .configureHelp({
      commandUsage: () =>
        "bitmapist-server export TARGET | --rdb FILE | --format FORMAT [FILE] [--db FILE | --from URL]",
    })
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", EXPLANATION)
    .action(async (target: string | undefined, flags: ExportFlags, command: Command) => {
      const way = wayOf(target, flags, command);
      const { db, from, verify, dryRun } = flags;
      if (from === undefined) refuseMemory(db, command);
      refuseIdleTls([from, target], flags, command);
      process.exitCode = await move({
        from: shownUrl(from ?? db),
        to: way.name,
        openTarget: () => way.open(),
        openSource: async (there) =>
          from === undefined ? openStoreSource(db, flags) : openRedisSource(from, flags, there),
        verify: verify && way.whyNotVerified === undefined,
        ...(way.whyNotVerified !== undefined && { whyNotVerified: way.whyNotVerified }),
        isOnStdout: way.isOnStdout === true,
        dryRun: dryRun === true,
        howToGoOn: "",
      });
    });
}
