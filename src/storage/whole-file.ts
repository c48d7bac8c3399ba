/**
 * A file that appears under its name whole or not at all: it is made under another name, synced, and renamed. The other name
 * has the number of the process that makes it, so that what a kill left behind can be told from what is being made.
 */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { StartError } from "../errors.js";
import { isLocked } from "./lock.js";
import { sync } from "./sync.js";

/** The name under which this process makes `target`. */
export function temporaryName(target: string): string {
  return `${target}.${process.pid}.tmp`;
}

/** Removes what this process has made of `target` so far. */
export function removeTemporary(target: string): void {
  for (const suffix of ["", "-journal"]) rmSync(`${temporaryName(target)}${suffix}`, { force: true });
}

/** Throws StartError when a database must not be put in the place of `target`. */
export function checkTarget(target: string): void {
  if (isLocked(target)) throw new StartError(`${target} is in use by a bitmapist-server`);
  // SQLite would take it for the new file's log, and apply it. Not that of where a link leads: the link itself is replaced.
  if ((statSync(`${target}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) {
    throw new StartError(
      `${target}-wal is there: it belongs to another database of this name and would spoil the new one`,
    );
  }
}

/** Removes what processes that are gone have left of `target`. Returns the names. */
export function removeLeftovers(target: string): string[] {
  const folder = dirname(target);
  if (!existsSync(folder)) return [];
  const leftovers = readdirSync(folder)
    .filter((name) => isLeftover(name, basename(target)))
    .map((name) => join(folder, name));
  for (const name of leftovers) rmSync(name, { force: true });
  return leftovers;
}

function isLeftover(name: string, target: string): boolean {
  if (!name.startsWith(`${target}.`)) return false;
  const pid = /^(\d+)\.tmp(?:-journal)?$/.exec(name.slice(target.length + 1))?.[1];
  return pid !== undefined && Number(pid) !== process.pid && !isRunning(Number(pid));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is somebody else's.
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Gives the file that was made as `made` its name, when all of it is on the disk. */
export function publish(target: string, made = temporaryName(target)): void {
  sync(made);
  renameSync(made, target);
  sync(dirname(target));
}
