/**
 * `bitmapist-server import SOURCE [--db FILE | --to URL]`: brings keys from a running Redis, or from a file, into a database file or into a
 * running server.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { type Command, Option } from "commander";
import { reasonOf, StartError } from "../errors.js";
import { BOLT_MAGIC } from "../migrate/bbolt.js";
import type { Source, There } from "../migrate/item.js";
import { toBytes } from "../options/kinds.js";
import { DEFAULT_OPTIONS } from "../options/table.js";
import {
  FILE_FORMATS,
  type FileFormatName,
  openFileSource,
  openGoBoltSource,
  openGoDatabaseSource,
  STANDARD_STREAM,
} from "./analyst-files.js";
import {
  move,
  openRdbSource,
  openRedisSource,
  openRedisTarget,
  openStoreSource,
  openStoreTarget,
  refuseMemory,
} from "./moving.js";
import { addRedisFlags, isRedisUrl, type RedisFlags, refuseIdleTls, shownUrl, URL_EXPLANATION } from "./redis-flags.js";
import { isSameFile } from "./same-file.js";

const EXPLANATION = `
SOURCE is a URL of a running Redis, or a file whose kind is seen by its first bytes: an RDB file, CSV or JSON lines of ids, a tar of Roaring
bitmaps, or a database of this server or of the Go bitmapist-server, which no server may have open. "-" is stdin, whose format must be
named. A bad line stops an import before any key of its file has moved.
${URL_EXPLANATION.trim()}
A key that is there already is replaced. --db is for a file that no server has open: give keys to a running server by --to.
--resume goes on after a break: keys that are there already with the same length, number of bits and deadline are not read again.
Exit codes: 0 everything was imported and verified, 1 it was not: stderr says why.`;

export interface ImportFlags extends RedisFlags {
  db: string;
  to?: string;
  match?: string;
  dryRun?: true;
  verify: boolean;
  resume?: true;
  format?: FileFormatName;
  merge?: true;
}

/** A kind of file that can be imported. */
interface FileKind {
  /** Like "an RDB file". */
  name: string;
  /** Whether a file is of this kind, by its first HEAD_BYTES bytes, or all where it is shorter. */
  fits(head: Buffer, path: string): boolean;
  /** Opens it. What it needs is imported here and not above: native packages take their time, which serve does not have. */
  open(path: string, flags: ImportFlags, there: There | undefined): Promise<Source>;
}

const HEAD_BYTES = 4096;

/** The first that fits counts. */
const FILE_KINDS: readonly FileKind[] = [
  {
    name: "an RDB file",
    fits: (head) => head.toString("latin1", 0, 5) === "REDIS",
    open: (path, _flags, there) => openRdbSource(path, there),
  },
  {
    name: "a tar of Roaring bitmaps",
    fits: (head) => head.toString("latin1", 257, 262) === "ustar",
    open: (path) => openFileSource(path, "roaring"),
  },
  {
    name: "a bbolt database of the Go server",
    fits: (head) => head.length > 20 && head.readUInt32LE(16) === BOLT_MAGIC,
    open: openGoBoltSource,
  },
  {
    name: "an SQLite database of this server or of the Go server",
    fits: (head) => head.toString("latin1", 0, 16) === "SQLite format 3\0",
    open: openDatabaseSource,
  },
  {
    name: "JSON lines",
    fits: (head) => /^\s*\{/.test(textOf(head)),
    open: (path) => openFileSource(path, "ndjson"),
  },
  {
    name: "a CSV file",
    fits: (head, path) => path.endsWith(".csv") || isCsvHeader(textOf(head)),
    open: (path) => openFileSource(path, "csv"),
  },
];

/** The bytes as text, without the mark that some programs put before it. */
function textOf(head: Buffer): string {
  return head.toString("utf8").replace(/^\ufeff/, "");
}

/** Whether a file begins with a line of column names, of which one is that of the keys. */
function isCsvHeader(head: string): boolean {
  const line = head.split(/\r?\n/, 1)[0] ?? "";
  return line.split(",").some((name) => /^"?key"?$/.test(name));
}

/** Adds the subcommand to `program`. */
export function addImportCommand(program: Command): void {
  const command = program
    .command("import")
    .description("Bring keys from a running Redis or from a file into a database.")
    .argument("<source>", "redis://host:port/db, or a file, or - for stdin")
    .option("--db <file>", "the database file, which is made where there is none", DEFAULT_OPTIONS.db)
    .addOption(new Option("--to <url>", "the running server that gets the keys").conflicts("db"))
    .addOption(new Option("--format <format>", "what the file is, where that is not to be seen").choices(FILE_FORMATS))
    .option("--merge", "add the ids to those that a key has already, instead of replacing it")
    .option("--match <pattern>", "only keys that match, as in SCAN")
    .option("--dry-run", "only read, and say what would be saved")
    .option("--no-verify", "do not compare each imported key with the source")
    .option("--resume", "leave out what is there already");
  addRedisFlags(command)
    .configureHelp({ commandUsage: () => "bitmapist-server import SOURCE [--db FILE | --to URL]" })
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", EXPLANATION)
    .action(async (source: string, flags: ImportFlags, command: Command) => {
      if (flags.resume === true && !isRedisUrl(source)) {
        command.error("error: option '--resume' is for a running Redis: a file is imported again from its beginning");
      }
      refuseContradictions(source, flags, command);
      const { db, to, verify, dryRun } = flags;
      process.exitCode = await move({
        from: shownUrl(source),
        to: shownUrl(to ?? db),
        openTarget: async () => (to === undefined ? openStoreTarget(db) : openRedisTarget(to, flags)),
        openSource: async (there) => {
          // What is added to a value must be whole.
          const taker = flags.merge === true ? there && { ...there, takePieces: async () => undefined } : there;
          const opened = isRedisUrl(source)
            ? await openRedisSource(source, flags, taker)
            : await openFile(source, flags, taker);
          return flags.merge === true ? await merging(opened, there) : opened;
        },
        verify,
        dryRun: dryRun === true,
        howToGoOn: isRedisUrl(source) ? "the same command with --resume goes on where it was" : "",
      });
    });
}

function refuseContradictions(source: string, flags: ImportFlags, command: Command): void {
  const { format, merge, to, db, dryRun, resume } = flags;
  if (to === undefined) refuseMemory(db, command);
  refuseIdleTls([source, to], flags, command);
  if (to === undefined && isSameFile(source, db)) command.error("error: argument 'source' names the database itself");
  if (resume === true && dryRun === true) {
    command.error("error: option '--resume' cannot be used with option '--dry-run', which does not look at the target");
  }
  if (format !== undefined && isRedisUrl(source)) {
    command.error("error: option '--format <format>' is for a file, not for a running Redis");
  }
  if (format === undefined && source === STANDARD_STREAM)
    command.error("error: for stdin --format must say what it is");
  if (merge === true && (to !== undefined || dryRun === true)) {
    command.error("error: option '--merge' is for a database file, not for --to or --dry-run");
  }
}

/** The items with what the target has already. */
async function merging(source: Source, there: There | undefined): Promise<Source> {
  const { canBeRead, MergingSource } = await import("../migrate/merging-source.js");
  if (there === undefined || !canBeRead(there)) throw new StartError("the target can't be read, as --merge needs it");
  return new MergingSource(source, there);
}

/** Opens a file as what --format or its first bytes say that it is. What does not choose by --match itself is filtered. */
async function openFile(path: string, flags: ImportFlags, there: There | undefined): Promise<Source> {
  const { FilteredSource } = await import("../migrate/filtered-source.js");
  const { format } = flags;
  const source =
    format === undefined ? await kindOf(path).open(path, flags, there) : await openFileSource(path, format);
  return flags.match === undefined ? source : new FilteredSource(source, toBytes(flags.match));
}

/** A database of this server, or of the Go server's later versions. */
async function openDatabaseSource(path: string, flags: ImportFlags): Promise<Source> {
  const { fileKind } = await import("../storage/schema.js");
  return fileKind(path).kind === "ours" ? openStoreSource(path, flags) : openGoDatabaseSource(path);
}

function kindOf(path: string): FileKind {
  const head = headOf(path);
  const kind = FILE_KINDS.find(({ fits }) => fits(head, path));
  if (kind !== undefined) return kind;
  const known = FILE_KINDS.map(({ name }) => name).join(", ");
  throw new StartError(`${path} is no file that can be imported; those that can are: ${known}`);
}

function headOf(path: string): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  try {
    const file = openSync(path, "r");
    try {
      return head.subarray(0, readSync(file, head, 0, HEAD_BYTES, 0));
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw new StartError(`can't read ${path}: ${reasonOf(cause)}`, { cause });
  }
}
