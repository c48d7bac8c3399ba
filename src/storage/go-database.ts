/**
 * The rows of the Go bitmapist-server's own database, in the versions of it that keep it in SQLite:
 * `bitmaps(name TEXT, expireat INTEGER, bytes BLOB)`, in nanoseconds and in Roaring's portable format. Only reads.
 */
import Database from "better-sqlite3";
import { reasonOf, StartError } from "../errors.js";

export interface GoDatabaseRow {
  key: Buffer;
  portable: Buffer;
  /** Wall-clock nanoseconds, 0 for never. */
  expireAt: bigint;
}

export interface GoDatabase {
  rows(): Iterable<GoDatabaseRow>;
  close(): void;
}

/** Throws StartError where the file is no such database. */
export function openGoDatabase(path: string): GoDatabase {
  let file: Database.Database;
  try {
    file = new Database(path, { readonly: true, fileMustExist: true });
    file.defaultSafeIntegers();
  } catch (cause) {
    throw new StartError(`can't read ${path}: ${reasonOf(cause)}`, { cause });
  }
  try {
    const select = file.prepare<[], GoDatabaseRow>(
      "SELECT CAST(COALESCE(name, '') AS BLOB) AS key, CAST(COALESCE(bytes, '') AS BLOB) AS portable, COALESCE(CAST(expireat AS INTEGER), 0) AS expireAt FROM bitmaps ORDER BY rowid",
    );
    return { rows: () => told(path, select.iterate()), close: () => file.close() };
  } catch (cause) {
    file.close();
    // Even when its write-ahead log is gone, the file says that it has one, and SQLite makes that for whoever reads it.
    if (cause instanceof Database.SqliteError && /^SQLITE_(CANTOPEN|READONLY)/.test(cause.code)) {
      const advice = "SQLite makes files beside it: its folder must be one that you may write in";
      throw new StartError(`can't read ${path}: ${reasonOf(cause)} (${advice})`, { cause });
    }
    throw new StartError(`${path} is an SQLite file of another program: ${reasonOf(cause)}`, { cause });
  }
}

/** Damage to the file is found while it is read. */
function* told(path: string, rows: Iterable<GoDatabaseRow>): Generator<GoDatabaseRow, void> {
  try {
    yield* rows;
  } catch (cause) {
    if (!(cause instanceof Database.SqliteError)) throw cause;
    throw new StartError(`can't read ${path}: ${reasonOf(cause)}`, { cause });
  }
}
