/**
 * One server per file. The lock is an exclusive SQLite transaction on an empty database beside the file, held as long as the
 * process lives: the operating system gives it back when the process ends, however it ends. Outside readers of the file
 * itself are not hindered by it.
 */
import { existsSync, realpathSync } from "node:fs";
import Database from "better-sqlite3";
import { StartError } from "../errors.js";
import type { Connection } from "./schema.js";

/** Takes the lock for `path`, or throws StartError when another server has it. Close the connection to give it back. */
export function lockFile(path: string): Connection {
  // A file has one lock, whatever name it is opened by.
  const file = existsSync(path) ? realpathSync(path) : path;
  const lock = new Database(`${file}-lock`, { timeout: 0 });
  try {
    lock.pragma("journal_mode = MEMORY");
    lock.exec("BEGIN EXCLUSIVE");
    return lock;
  } catch (cause) {
    lock.close();
    if (cause instanceof Database.SqliteError && cause.code === "SQLITE_BUSY") {
      throw new StartError(`${path} is in use by another bitmapist-server`, { cause });
    }
    throw cause;
  }
}
