/**
 * One server per file. The lock is an exclusive SQLite transaction on an empty database beside the file, held as long as the
 * process lives: the operating system gives it back when the process ends, however it ends. Outside readers of the file
 * itself are not hindered by it.
 */
import { existsSync } from "node:fs";
import Database from "better-sqlite3";
import { StartError } from "../errors.js";
import { realFile } from "./real-file.js";
import type { Connection } from "./schema.js";

/** Takes the lock for `path`, or throws StartError when another server has it. Close the connection to give it back. */
export function lockFile(path: string): Connection {
  const lock = new Database(lockName(path), { timeout: 0 });
  try {
    lock.pragma("journal_mode = MEMORY");
    lock.exec("BEGIN EXCLUSIVE");
    return lock;
  } catch (cause) {
    lock.close();
    if (isBusy(cause)) throw new StartError(`${path} is in use by another bitmapist-server`, { cause });
    throw cause;
  }
}

/** Whether a server has `path` open at this moment. Takes nothing and makes no file. */
export function isLocked(path: string): boolean {
  if (!existsSync(lockName(path))) return false;
  const lock = new Database(lockName(path), { readonly: true, timeout: 0 });
  try {
    lock.pragma("schema_version");
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    throw error;
  } finally {
    lock.close();
  }
}

/** A file has one lock, whatever name it is opened by. */
function lockName(path: string): string {
  return `${realFile(path)}-lock`;
}

function isBusy(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code === "SQLITE_BUSY";
}
