/**
 * `bitmapist-server import SOURCE [--db FILE | --to URL]`: brings keys from a running Redis, or from a file, into a database file or into a
 * running server.
 */
import { closeSync, openSync, readSync } from "node:fs";
import type { Command } from "commander";
import { Option } from "commander";
import { reasonOf, StartError } from "../errors.js";
import type { Source } from "../migrate/item.js";
import { toBytes } from "../options/kinds.js";
import { DEFAULT_OPTIONS } from "../options/table.js";
import { move, openRdbSource, openRedisSource, openRedisTarget, openStoreTarget } from "./moving.js";
import { addRedisFlags, isRedisUrl, type RedisFlags, shownUrl, URL_EXPLANATION } from "./redis-flags.js";

const EXPLANATION = `
SOURCE is a URL of a running Redis, or a file whose kind is seen by its first bytes.
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
}

/** A kind of file that can be imported. */
interface FileKind {
  /** Like "an RDB file". */
  name: string;
  /** Whether a file is of this kind, by its first HEAD_BYTES bytes, or all where it is shorter. */
  fits(head: Buffer, path: string): boolean;
  /** Opens it. What it needs is imported here and not above: native packages take their time, which serve does not have. */
  open(path: string, flags: ImportFlags): Promise<Source>;
}

const HEAD_BYTES = 4096;

/** The first that fits counts. */
const FILE_KINDS: readonly FileKind[] = [
  { name: "an RDB file", fits: (head) => head.toString("latin1", 0, 5) === "REDIS", open: openRdbSource },
];

/** Adds the subcommand to `program`. */
export function addImportCommand(program: Command): void {
  const command = program
    .command("import")
    .description("Bring keys from a running Redis or from a file into a database.")
    .argument("<source>", "redis://host:port/db, or a file")
    .option("--db <file>", "the database file, which is made where there is none", DEFAULT_OPTIONS.db)
    .addOption(new Option("--to <url>", "the running server that gets the keys").conflicts("db"))
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
      const { db, to, verify, dryRun } = flags;
      process.exitCode = await move({
        from: shownUrl(source),
        to: shownUrl(to ?? db),
        openTarget: async () => (to === undefined ? openStoreTarget(db) : openRedisTarget(to, flags)),
        openSource: async (there) =>
          isRedisUrl(source) ? openRedisSource(source, flags, there) : openFile(source, flags),
        verify,
        dryRun: dryRun === true,
        howToGoOn: isRedisUrl(source) ? "the same command with --resume goes on where it was" : "",
      });
    });
}

/** Opens a file as what its first bytes show it to be. What does not choose by --match itself is filtered. */
async function openFile(path: string, flags: ImportFlags): Promise<Source> {
  const head = headOf(path);
  const kind = FILE_KINDS.find(({ fits }) => fits(head, path));
  if (kind === undefined) {
    const known = FILE_KINDS.map(({ name }) => name).join(", ");
    throw new StartError(`${path} is no file that can be imported; those that can are: ${known}`);
  }
  const { FilteredSource } = await import("../migrate/filtered-source.js");
  const source = await kind.open(path, flags);
  return flags.match === undefined ? source : new FilteredSource(source, toBytes(flags.match));
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
