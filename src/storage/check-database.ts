/** A whole check of one file, and its repair: opens what may be damaged in any way, and lets the process breathe meanwhile. */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import Database from "better-sqlite3";
import { WRITER_CACHE_KIB } from "../config.js";
import { reasonOf, StartError } from "../errors.js";
import { Check, type CheckEvents, type CheckSummary } from "./check.js";
import { isLocked } from "./lock.js";
import { isDamage, missingPages, ReadOnlyFile } from "./look.js";
import { Repair } from "./repair.js";
import { checkSchemaVersion, type FileKind, fileKind, SCHEMA_VERSION } from "./schema.js";

/** How long the thread is kept at a time, in milliseconds: signals wait for so long. */
const SLICE_MS = 50;

const NOTHING: CheckSummary = { keys: 0, bits: 0, damagedKeys: 0, otherDamage: 0 };

const NOT_OURS: Readonly<Record<Exclude<FileKind, "ours">, string>> = {
  empty: "it is empty",
  "no database": "it is no SQLite file, and nothing can be read from it",
  "another program's": "it is another program's SQLite database",
};

export interface DatabaseCheckEvents extends CheckEvents {
  /** A server has the file open: only what it has committed is seen. */
  onServed(): void;
  /** SQLite's own check, which nothing can interrupt, is over. */
  onStructureChecked(): void;
}

export interface CheckResult extends CheckSummary {
  /** What became of the repair, where one was asked for and something could be read. */
  repair: Pick<Repair, "keys" | "assigned"> | undefined;
}

/**
 * Checks `path`, and writes what can be saved into `out`, a new file. Throws StartError, in one line, when there is nothing to
 * check, or no way to.
 */
export async function checkDatabase(
  path: string,
  out: string | undefined,
  events: DatabaseCheckEvents,
): Promise<CheckResult> {
  refuseUnreadable(path);
  if (out !== undefined) Repair.refuse(out);
  const { kind } = fileKind(path);
  if (kind !== "ours") {
    events.onDamage(NOT_OURS[kind]);
    return { ...NOTHING, otherDamage: 1, repair: undefined };
  }
  if (isLocked(path)) events.onServed();
  const missing = missingPages(path);
  if (missing !== undefined)
    events.onDamage(`it is cut off: ${missing.found} of its ${missing.wanted} pages are there`);
  const result = await checkOpened(path, out, events);
  return { ...result, otherDamage: result.otherDamage + (missing === undefined ? 0 : 1) };
}

function refuseUnreadable(path: string): void {
  if (!existsSync(path)) throw new StartError(`${path} does not exist`);
  if (!statSync(path).isFile()) throw new StartError(`${path} is not a file`);
  try {
    accessSync(path, constants.R_OK);
  } catch (cause) {
    throw new StartError(`can't read ${path}: ${reasonOf(cause)}`, { cause });
  }
}

async function checkOpened(path: string, out: string | undefined, events: DatabaseCheckEvents): Promise<CheckResult> {
  let file: ReadOnlyFile | undefined;
  let repair: Repair | undefined;
  try {
    file = new ReadOnlyFile(path, { cacheKib: WRITER_CACHE_KIB, isDamaged: true });
    const { connection } = file;
    const version = Number(connection.pragma("user_version", { simple: true }));
    checkSchemaVersion(path, version);
    if (version < SCHEMA_VERSION) {
      throw new StartError(
        `${path} is of schema ${version}, whose values have no checksums: serve it once, and then check it`,
      );
    }
    // One commit is looked at, whatever a server writes meanwhile.
    connection.exec("BEGIN");
    const check = new Check(connection, events);
    check.structure();
    events.onStructureChecked();
    repair = out === undefined ? undefined : new Repair(out);
    await breathe(check.run(repair));
    repair?.finish();
    return { ...check.summary, repair };
  } catch (error) {
    if (!isDamage(error)) throw notChecked(error, path, repair && out);
    events.onDamage(`nothing can be read from it: ${error.message}`);
    return { ...NOTHING, otherDamage: 1, repair: undefined };
  } finally {
    repair?.discard();
    file?.close();
  }
}

/** The system did not do what was asked: there is no room for the new file, for example. Anything else is a bug. */
function notChecked(error: unknown, path: string, out: string | undefined): unknown {
  const isSystem = error instanceof Database.SqliteError || (error instanceof Error && "syscall" in error);
  if (!isSystem) return error;
  return new StartError(`can't ${out === undefined ? `read ${path}` : `write ${out}`}: ${error.message}`, {
    cause: error,
  });
}

async function breathe(steps: Generator<void>): Promise<void> {
  let endMs = performance.now() + SLICE_MS;
  for (const _ of steps) {
    if (performance.now() < endMs) continue;
    await nextTurn();
    endMs = performance.now() + SLICE_MS;
  }
}
