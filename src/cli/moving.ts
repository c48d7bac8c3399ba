/** What import and export share: the ends of a move, its progress, its summary and its exit code. */
import { statSync } from "node:fs";
import { MEMORY_DB } from "../config.js";
import { StartError } from "../errors.js";
import { MigrateError, type Source, type Target } from "../migrate/item.js";
import type { MoveReport } from "../migrate/move-report.js";
import { toBytes } from "../options/kinds.js";
import { summaryLines } from "./move-summary.js";
import { ProgressDisplay } from "./progress-display.js";
import { linkOptions, type RedisFlags } from "./redis-flags.js";

export interface Move {
  /** The ends, as they are shown: without passwords. */
  from: string;
  to: string;
  openTarget(): Promise<Target>;
  /** `target` is where the keys go; undefined where they go nowhere. */
  openSource(target: Target | undefined): Promise<Source>;
  verify: boolean;
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
    target = plan.dryRun ? undefined : await plan.openTarget();
    source = await plan.openSource(target);
    const mover = new Mover(source, target ?? new Nowhere(), { verify: plan.verify && target !== undefined });
    report = mover.report;
    const display = new ProgressDisplay(report, source);
    try {
      await mover.run();
    } finally {
      display.stop();
    }
    await target?.close();
    for (const line of summaryLines(report, plan)) out.write(`${line}\n`);
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

/** The database file, which is made where there is none. */
export async function openStoreTarget(db: string): Promise<Target> {
  return (await openStore(db)).target();
}

/** The keys of a database file that is there. */
export async function openStoreSource(db: string, { match = "*" }: SourceFlags): Promise<Source> {
  if (db !== MEMORY_DB && statSync(db, { throwIfNoEntry: false }) === undefined) {
    throw new StartError(`can't read ${db}: there is no such file`);
  }
  return (await openStore(db)).source(toBytes(match));
}

async function openStore(db: string) {
  const { Store } = await import("../store.js");
  return Store.open(db, tell);
}

export async function openRedisTarget(url: string, flags: RedisFlags): Promise<Target> {
  const { RedisTarget } = await import("../migrate/redis-target.js");
  return await RedisTarget.open(linkOptions(url, flags).link, tell);
}

/** The keys of a running server. What `target` has already is left out where the flags say so. */
export async function openRedisSource(url: string, flags: SourceFlags, target: Target | undefined): Promise<Source> {
  const { RedisSource } = await import("../migrate/redis-source.js");
  const { link, database } = linkOptions(url, flags);
  return await RedisSource.open({
    link,
    database,
    pattern: toBytes(flags.match ?? "*"),
    target,
    resume: flags.resume === true,
    onTrouble: tell,
  });
}

function tell(message: string): void {
  process.stderr.write(`${message}\n`);
}
