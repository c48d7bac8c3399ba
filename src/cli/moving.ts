/** What import and export share: the ends of a move, its progress, its summary and its exit code. */
import { accessSync, constants, existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "commander";
import { MEMORY_DB } from "../config.js";
import { reasonOf, StartError } from "../errors.js";
import { MigrateError, type Source, type Target, type There } from "../migrate/item.js";
import type { MoveReport } from "../migrate/move-report.js";
import { toBytes } from "../options/kinds.js";
import { limitYoungSpace, tuneV8 } from "../v8-flags.js";
import { madeFile } from "./made-file.js";
import { summaryLines } from "./move-summary.js";
import { ProgressDisplay } from "./progress-display.js";
import { linkOptions, type RedisFlags } from "./redis-flags.js";

export interface Move {
  /** The ends, as they are shown: without passwords. */
  from: string;
  to: string;
  /** Opens the source. `there` can be asked while it is read; undefined where the keys go nowhere. */
  openSource(there: There | undefined): Promise<Source>;
  openTarget(): Promise<Target>;
  verify: boolean;
  /** Why not, where that is not what --no-verify says. */
  whyNotVerified?: string;
  /** Only reads. */
  dryRun: boolean;
  /** A sentence for who is told that the move broke off; may be empty. */
  howToGoOn: string;
  /** The data go to stdout, so that nothing else may. */
  isOnStdout?: boolean;
}

interface SourceFlags extends RedisFlags {
  match?: string;
  resume?: true;
}

/** Moves everything, tells of it, and returns the exit code: 0 when all is well, 1 when it could not be done or was not whole. */
export async function move(plan: Move): Promise<number> {
  const { Mover } = await import("../migrate/mover.js");
  const { Nowhere } = await import("../migrate/nowhere.js");
  let target: Target | undefined;
  let source: Source | undefined;
  let report: MoveReport | undefined;
  const out = plan.isOnStdout === true ? process.stderr : process.stdout;
  try {
    const there: There = {
      get isFinal() {
        return target?.isFinal === true;
      },
      facts: async (database, key) => await target?.facts(database, key),
      current: async (database, key) => await target?.current?.(database, key),
      takePieces: async () => await target?.takePieces?.(),
    };
    source = await plan.openSource(plan.dryRun ? undefined : there);
    // Only now: where the source is nowhere, no file is made.
    target = plan.dryRun ? undefined : await plan.openTarget();
    const mover = new Mover(source, target ?? new Nowhere(), { verify: plan.verify && target !== undefined });
    report = mover.report;
    tuneV8();
    const display = new ProgressDisplay(report, source);
    try {
      await mover.run();
    } finally {
      display.stop();
    }
    await target?.close();
    // Who does not read the summary still has the exit code.
    out.on("error", () => {});
    out.write(`${summaryLines(report, plan).join("\n")}\n`);
    return report.mismatches === 0 ? 0 : 1;
  } catch (error) {
    const { message } = await expected(error);
    await target?.close().catch(() => {});
    process.stderr.write(`error: ${[message, brokenOff(report, plan)].filter((text) => text !== "").join("; ")}\n`);
    return 1;
  } finally {
    await source?.close();
  }
}

/** Ends the process where `db` is no file. */
export function refuseMemory(db: string, command: Command): void {
  if (db === MEMORY_DB)
    command.error(`error: option '--db <file>' must be a file: ${MEMORY_DB} is nowhere but in a server`);
}

/** How far it came, where it had begun. */
function brokenOff(report: MoveReport | undefined, { howToGoOn, dryRun }: Move): string {
  if (report === undefined) return "";
  const done = `broken off after ${report.keys} keys`;
  return dryRun || howToGoOn === "" ? done : `${done}; ${howToGoOn}`;
}

async function expected(error: unknown): Promise<Error> {
  const { LinkClosed, LinkError } = await import("../migrate/redis-link.js");
  for (const kind of [StartError, MigrateError, LinkError, LinkClosed]) if (error instanceof kind) return error;
  throw error;
}

/** The database file. Where there is none, it is made when the source has turned out to be good. */
export async function openStoreTarget(db: string): Promise<Target> {
  if (existsSync(db)) return (await openStore(db)).target();
  try {
    accessSync(dirname(db), constants.W_OK);
  } catch (cause) {
    throw new StartError(`can't make ${db}: ${reasonOf(cause)}`, { cause });
  }
  const { LaterTarget } = await import("../migrate/later-target.js");
  return new LaterTarget(async () => (await openStore(db)).target());
}

/** The keys of a database file that is there. */
export async function openStoreSource(db: string, { match = "*" }: SourceFlags): Promise<Source> {
  if (!existsSync(db)) {
    throw new StartError(`can't read ${db}: there is no such file`);
  }
  return (await openStore(db)).source(toBytes(match));
}

async function openStore(db: string) {
  const { Store } = await import("../store.js");
  const store = Store.open(db, tell);
  // Its thread, which has started by now, takes the flag back.
  limitYoungSpace();
  return store;
}

export async function openRedisTarget(url: string, flags: RedisFlags): Promise<Target> {
  const { RedisTarget } = await import("../migrate/redis-target.js");
  const { link, database } = linkOptions(url, flags);
  return await RedisTarget.open({ link, into: database, onTrouble: tell });
}

/** The keys of a running server. What is there already is left out where the flags say so. */
export async function openRedisSource(url: string, flags: SourceFlags, there: There | undefined): Promise<Source> {
  const { RedisSource } = await import("../migrate/redis-source.js");
  const { link, database } = linkOptions(url, flags);
  return await RedisSource.open({
    link,
    database,
    pattern: toBytes(flags.match ?? "*"),
    target: there,
    resume: flags.resume === true,
    onTrouble: tell,
  });
}

/** An RDB file. */
export async function openRdbSource(path: string, there: There | undefined): Promise<Source> {
  const { RdbSource } = await import("../migrate/rdb-source.js");
  return await RdbSource.open(path, { onTrouble: tell, takePieces: async () => await there?.takePieces?.() });
}

/** The RDB file that is made in the place of `path`. */
export async function openRdbTarget(path: string, { verify }: { verify: boolean }): Promise<Target> {
  const { RdbTarget } = await import("../migrate/rdb-target.js");
  return await RdbTarget.open(await madeFile(path), { verify });
}

function tell(message: string): void {
  process.stderr.write(`${message}\n`);
}
