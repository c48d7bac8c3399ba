/**
 * Looking at a file without changing it: opening it to read only, and what can be seen of its damage before a server touches it.
 * A look takes milliseconds whatever the size of the file; check.ts reads all of it.
 */
import { existsSync, statSync } from "node:fs";
import Database from "better-sqlite3";
import { DATABASES, READER_CACHE_KIB } from "../config.js";
import { StartError } from "../errors.js";
import { isLogRow, logRows } from "./log.js";
import { realFile } from "./real-file.js";
import { type Connection, checkSchemaVersion, HEADER, readHeader, SCHEMA_VERSION } from "./schema.js";

const PAGE_BYTES_MAX = 65536;

/** A connection that can't write, and leaves no file beside the database that was not there before. */
export class ReadOnlyFile {
  readonly connection: Connection;
  readonly #path: string;
  readonly #hadWal: boolean;

  /** With `isDamaged` SQLite reads what it can of a file that it would refuse otherwise: one that is cut off. */
  constructor(path: string, { cacheKib, isDamaged = false }: { cacheKib: number; isDamaged?: boolean }) {
    this.#path = realFile(path);
    this.#hadWal = existsSync(`${this.#path}-wal`);
    this.connection = new Database(this.#path, { readonly: true });
    try {
      if (isDamaged) readDamaged(this.connection);
      this.connection.pragma(`cache_size = -${cacheKib}`);
      this.connection.pragma("temp_store = MEMORY");
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.connection.close();
    if (!this.#hadWal && walBytes(this.#path) === 0) removeEmptyWal(this.#path);
  }
}

function readDamaged(connection: Connection): void {
  connection.unsafeMode();
  connection.pragma("writable_schema = ON");
}

/**
 * To read a file in WAL mode SQLite makes the log's two files where they are missing, and only a connection that may write removes
 * them, as the last one that closes: so nobody else's can be removed, and with an empty log there is nothing to write.
 */
function removeEmptyWal(path: string): void {
  try {
    const connection = new Database(path, { fileMustExist: true, timeout: 0 });
    try {
      readDamaged(connection);
      connection.pragma("user_version");
    } finally {
      connection.close();
    }
  } catch {
    // It may be read and not written, or is too damaged for this: the two empty files stay, and hinder nobody.
  }
}

/** Size of the write-ahead log of a file; undefined when there is none. */
export function walBytes(path: string): number | undefined {
  return statSync(`${realFile(path)}-wal`, { throwIfNoEntry: false })?.size;
}

/** How many pages a file must have by its own header, and how many it has. undefined where the header can't be relied on. */
export function missingPages(path: string): { wanted: number; found: number } | undefined {
  // What the write-ahead log holds may make the file longer, and its header another one.
  if ((walBytes(path) ?? 0) > 0) return undefined;
  const header = readHeader(path);
  if (header.readUInt32BE(HEADER.changeCounter) !== header.readUInt32BE(HEADER.versionValidFor)) return undefined;
  const pageBytes = header.readUInt16BE(HEADER.pageBytes);
  const wanted = header.readUInt32BE(HEADER.pages);
  const found = Math.floor(statSync(path).size / (pageBytes === 1 ? PAGE_BYTES_MAX : pageBytes));
  return wanted > found ? { wanted, found } : undefined;
}

/** Throws StartError, in one line, when the file is damaged where a start would notice. The file stays as it is. */
export function refuseDamaged(path: string): void {
  const missing = missingPages(path);
  if (missing !== undefined)
    throw damaged(path, `it is cut off, ${missing.found} of ${missing.wanted} pages are there`);
  let file: ReadOnlyFile | undefined;
  try {
    file = new ReadOnlyFile(path, { cacheKib: READER_CACHE_KIB });
    // The version may be newer in the write-ahead log than in the file's header.
    const version = Number(file.connection.pragma("user_version", { simple: true }));
    checkSchemaVersion(path, version);
    look(path, file.connection, version);
  } catch (error) {
    if (isDamage(error)) throw damaged(path, error.message, error);
    throw error;
  } finally {
    file?.close();
  }
}

/** Whether SQLite found the file to be other than it was written. */
export function isDamage(error: unknown): error is InstanceType<typeof Database.SqliteError> {
  if (!(error instanceof Database.SqliteError)) return false;
  const { code } = error;
  // SQLITE_ERROR: a table or a column that must be there is missing.
  return code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB" || code === "SQLITE_ERROR";
}

/** Reads what a start reads. */
function look(path: string, connection: Connection, version: number): void {
  const rows = connection.prepare<[], Record<string, unknown>>(
    "SELECT number, slot, keys, volatile_keys FROM databases",
  );
  const numbers = new Set<unknown>();
  for (const row of rows.all()) if (Object.values(row).every(isCount)) numbers.add(row.number);
  for (let number = 0; number < DATABASES; number++) {
    if (!numbers.has(number)) throw damaged(path, `its table of databases has no database ${number}`);
  }
  connection.prepare("SELECT max(id) FROM keys").get();
  connection.prepare("SELECT deadline FROM keys WHERE deadline IS NOT NULL ORDER BY deadline LIMIT 1").get();
  if (version >= SCHEMA_VERSION) lookAtTables(path, connection);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function lookAtTables(path: string, connection: Connection): void {
  connection.prepare("SELECT (SELECT max(slot) FROM names), (SELECT max(slot) FROM new_names)").get();
  connection.prepare("SELECT max(chunk), (SELECT max(delta) FROM deltas) FROM chunks").get();
  connection.prepare("SELECT max(expression) FROM expressions").get();
  connection.prepare("SELECT total(delta_bytes) FROM keys WHERE delta_bytes > 0").get();
  connection.prepare("SELECT (SELECT max(id) FROM dropped_values), (SELECT max(slot) FROM dropped_slots)").get();
  for (const row of logRows(connection)) {
    if (!isLogRow(row)) throw damaged(path, `log row ${row.batch} is not what was written`);
  }
}

function damaged(path: string, what: string, cause?: unknown): StartError {
  return new StartError(
    `can't open the database ${path}: it is damaged (${what}) and was left untouched; bitmapist-server check ${path} tells more`,
    { cause },
  );
}
