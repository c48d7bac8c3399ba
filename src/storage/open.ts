/** Opens the storage that `--db` names, and refuses what it must not touch. */
import { accessSync, constants, existsSync, rmSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type AppendFsync, MEMORY_DB, WRITER_CACHE_KIB } from "../config.js";
import { reasonOf, StartError } from "../errors.js";
import type { DurableStorage, StorageEvents } from "./durable-storage.js";
import { lockFile } from "./lock.js";
import { isDamage, refuseDamaged } from "./look.js";
import { MemoryStorage } from "./memory-storage.js";
import { migrate } from "./migrate.js";
import { realFile } from "./real-file.js";
import { checkFile, connect, createSchema } from "./schema.js";
import { SqliteStorage } from "./sqlite-storage.js";
import { publish } from "./whole-file.js";

/** Throws StartError, with one line for the operator, when `path` can't or must not be used. */
export function openStorage(path: string, appendfsync: AppendFsync, events: StorageEvents): DurableStorage {
  if (path === MEMORY_DB) return new MemoryStorage(events);
  const folder = dirname(resolve(path));
  try {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new StartError(`can't write to the folder ${folder}: ${reasonOf(cause)}`, { cause });
  }
  checkFile(path);
  for (const name of [path, `${path}-lock`]) {
    if (existsSync(name)) opening(path, () => accessSync(name, constants.R_OK | constants.W_OK));
  }
  // Before the lock, which would leave its file.
  if (!isNew(path)) opening(path, () => refuseDamaged(path));
  const lock = opening(path, () => lockFile(path));
  try {
    opening(path, () => prepare(path));
    return opening(path, () => new SqliteStorage(path, lock, appendfsync, events));
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** Makes the file where there is none, and brings an older one forward. */
function prepare(path: string): void {
  if (isNew(path)) return create(path);
  const connection = connect(path, WRITER_CACHE_KIB);
  try {
    connection.pragma("journal_mode = WAL");
    migrate(connection);
  } finally {
    connection.close();
  }
}

/** Makes an empty database under another name and renames it, so that the file is whole whenever the power fails. */
function create(path: string): void {
  const file = realFile(path);
  const unfinished = `${file}-new`;
  for (const suffix of ["", "-journal", "-wal", "-shm"]) rmSync(`${unfinished}${suffix}`, { force: true });
  const connection = connect(unfinished, WRITER_CACHE_KIB);
  try {
    createSchema(connection);
    connection.pragma("journal_mode = WAL");
  } finally {
    connection.close();
  }
  publish(file, unfinished);
}

function isNew(path: string): boolean {
  return !existsSync(path) || statSync(path).size === 0;
}

function opening<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    const advice = isDamage(cause) ? `; bitmapist-server check ${path} tells more` : "";
    throw new StartError(`can't open the database ${path}: ${reasonOf(cause)}${advice}`, { cause });
  }
}
