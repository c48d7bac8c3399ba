/**
 * `bitmapist-server backup TARGET [--db FILE | --addr HOST:PORT]`: a consistent copy of a database, while a server runs on it or not.
 * It appears under its name whole or not at all.
 */
import { isUtf8 } from "node:buffer";
import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { MEMORY_DB } from "../config.js";
import { reasonOf, StartError } from "../errors.js";
import type { LinkReply, RedisLink } from "../migrate/redis-link.js";
import { DEFAULT_OPTIONS } from "../options/table.js";
import { type Address, parseAddress } from "./address.js";
import { isSameFile } from "./same-file.js";
import { beforeSignalsEnd } from "./signals.js";

const EXPLANATION = `
--db copies what is committed, whether or not a server has the file open; of a running server's writes the last second may be
missing. --addr asks the server on this machine to commit everything first, and where its file is.
A password may also be in the environment as REDISCLI_AUTH.`;

interface BackupFlags {
  db: string;
  addr?: Address;
  password: string;
}

/** Adds the subcommand to `program`. */
export function addBackupCommand(program: Command): void {
  program
    .command("backup")
    .description("Write a consistent copy of a database, while a server runs on it or not.")
    .argument("<target>", "the copy; one that is there is replaced")
    .option("--db <file>", "the database file", DEFAULT_OPTIONS.db)
    .addOption(
      new Option("--addr <host:port>", "the server whose database is copied, after it has committed everything")
        .argParser(parseAddress)
        .conflicts("db"),
    )
    .addOption(new Option("--password <password>", "the server's password").default("", "none").env("REDISCLI_AUTH"))
    .configureHelp({ commandUsage: () => "bitmapist-server backup TARGET [--db FILE | --addr HOST:PORT]" })
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", EXPLANATION)
    .action(async (target: string, flags: BackupFlags, command: Command) => {
      if (flags.addr === undefined && command.getOptionValueSource("password") === "cli") {
        command.error("error: option '--password <password>' is for a server's, which --addr names");
      }
      process.exitCode = await run(target, flags);
    });
}

async function run(target: string, flags: BackupFlags): Promise<number> {
  try {
    const source = flags.addr === undefined ? flags.db : await committedFile(flags.addr, flags.password);
    await copy(source, target);
    return 0;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    return 1;
  }
}

async function copy(source: string, target: string): Promise<void> {
  refuseUnreadable(source, "");
  if (isSameFile(source, target)) {
    throw new StartError(`${target} is the database itself: a copy needs a file of its own`);
  }
  // Loaded only now: the native packages take their time, which serve, the usual subcommand, does not have.
  const { checkFile } = await import("../storage/schema.js");
  const { backupInThread } = await import("../storage/backup-thread.js");
  const { checkTarget, removeLeftovers, removeTemporary } = await import("../storage/whole-file.js");
  checkFile(source);
  checkTarget(target);
  for (const name of removeLeftovers(target))
    process.stderr.write(`removed ${name}, which a backup that was killed left\n`);
  const startMs = performance.now();
  const takeBack = beforeSignalsEnd(() => removeTemporary(target));
  try {
    await backupInThread(source, target);
  } catch (cause) {
    throw new StartError(`can't copy ${source} to ${target}: ${reasonOf(cause)}`, { cause });
  } finally {
    takeBack();
  }
  const ms = Math.round(performance.now() - startMs);
  process.stdout.write(`${target}: copy of ${source}, ${statSync(target).size} bytes, ${ms} ms\n`);
}

function refuseUnreadable(path: string, where: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (cause) {
    throw new StartError(`can't read ${path}${where}: ${reasonOf(cause)}`, { cause });
  }
}

/** Lets the server commit everything that it has acknowledged, and returns its file. */
async function committedFile(addr: Address, password: string): Promise<string> {
  const { LinkClosed, LinkError, RedisLink } = await import("../migrate/redis-link.js");
  const host = addr.host ?? "localhost";
  const name = `${host}:${addr.port}`;
  let link: RedisLink | undefined;
  try {
    link = await RedisLink.connect({ host, port: addr.port, password });
    await link.ask("SAVE");
    return await fileOf(link, name);
  } catch (error) {
    if (error instanceof LinkClosed) throw new StartError(error.message, { cause: error });
    if (error instanceof LinkError) throw new StartError(`${name} answers: ${error.message}`, { cause: error });
    throw error;
  } finally {
    link?.close();
  }
}

async function fileOf(link: RedisLink, name: string): Promise<string> {
  const { isLocked } = await import("../storage/lock.js");
  const dir = parameter(await link.ask("CONFIG", "GET", "dir"));
  const file = parameter(await link.ask("CONFIG", "GET", "dbfilename"));
  if (file === "")
    throw new StartError(`${name} keeps its data in memory only (${MEMORY_DB}): there is no file to copy`);
  const path = join(dir, file);
  const advice = "run this where the server runs";
  // A file of the same name may be here, and another server's.
  if (!link.isLocal) throw new StartError(`${name} is on another machine, and its file ${path} too: ${advice}`);
  refuseUnreadable(path, `, the file of ${name}; ${advice}`);
  if (!isLocked(path))
    throw new StartError(`no server has ${path} open here, so it is not the file of ${name}: ${advice}`);
  return path;
}

/** The value in CONFIG GET's reply to one name. */
function parameter(reply: LinkReply): string {
  const value = Array.isArray(reply) ? reply[1] : undefined;
  if (!Buffer.isBuffer(value)) return "";
  return value.toString(isUtf8(value) ? "utf8" : "latin1");
}
