/** Opens the storage that `--db` names, and refuses what it must not touch. */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type AppendFsync, MEMORY_DB, READER_CACHE_KIB, WRITER_CACHE_KIB } from "../config.js";
import { StartError } from "../errors.js";
import type { DurableStorage, StorageEvents } from "./durable-storage.js";
import { lockFile } from "./lock.js";
import { MemoryStorage } from "./memory-storage.js";
import { type Connection, checkFile, checkSchemaVersion, connect, createSchema } from "./schema.js";
import { SqliteStorage } from "./sqlite-storage.js";

/** Throws StartError, with one line for the operator, when `path` can't or must not be used. */
export function openStorage(path: string, appendfsync: AppendFsync, events: StorageEvents): DurableStorage {
  if (path === MEMORY_DB) return new MemoryStorage();
  const folder = dirname(resolve(path));
  try {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new StartError(`can't write to the folder ${folder}: ${reason(cause)}`, { cause });
  }
  checkFile(path);
  for (const name of [path, `${path}-lock`]) {
    if (existsSync(name)) opening(path, () => accessSync(name, constants.R_OK | constants.W_OK));
  }
  const lock = opening(path, () => lockFile(path));
  try {
    opening(path, () => prepare(path));
    return opening(path, () => new SqliteStorage(path, lock, appendfsync, events));
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** Makes the schema where there is none, and puts the file into WAL mode. */
function prepare(path: string): void {
  const isNew = !existsSync(path) || statSync(path).size === 0;
  if (!isNew) checkVersion(path);
  const connection = connect(path, WRITER_CACHE_KIB);
  try {
    if (isNew || isEmpty(connection)) createSchema(connection);
    connection.pragma("journal_mode = WAL");
  } finally {
    connection.close();
  }
}

/** The version may be newer in the write-ahead log than in the file's header. Reading it so changes neither. */
function checkVersion(path: string): void {
  const connection = connect(path, READER_CACHE_KIB, { readonly: true });
  try {
    checkSchemaVersion(path, Number(connection.pragma("user_version", { simple: true })));
  } finally {
    connection.close();
  }
}

function isEmpty(connection: Connection): boolean {
  return connection.prepare("SELECT 1 FROM sqlite_schema").get() === undefined;
}

function opening<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    throw new StartError(`can't open the database ${path}: ${reason(cause)}`, { cause });
  }
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
