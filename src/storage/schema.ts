/**
 * The SQLite file: what is in it, and whether a file is one of ours. It is made for people too: `sqlite3 FILE` shows
 * keys, lengths, cardinalities and deadlines, and the bitmaps are in Roaring's portable format.
 */
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import Database from "better-sqlite3";
import { DATABASES } from "../config.js";
import { StartError } from "../errors.js";

export type Connection = Database.Database;

/** `PRAGMA application_id` of our files: "BMap". */
export const APPLICATION_ID = 0x424d6170;

/** `PRAGMA user_version`: the newest layout that this code knows. Older ones are brought forward by migrate.ts. */
export const SCHEMA_VERSION = 4;

/**
 * `keys` is small; `chunks` and `deltas`, or `expressions`, hold what may be large (values.ts says how) and are read by id. `hash` is
 * keyHash(key), by which `names` finds a key and SCAN goes. A key belongs to a slot, and `databases` says which logical
 * database a slot is (FLUSHDB and SWAPDB change that). `deadline` is in milliseconds since the epoch, NULL for never. `log`
 * holds bits that are not in chunks or deltas yet; byte_length and cardinality are without them too. What is in `dropped_*`
 * only waits to be removed; a slot also while rows come under it that are to replace a database, until it is that database, and
 * one below 0 while a key's value comes in pieces.
 */
const TABLES = `
  CREATE TABLE databases (
    slot INTEGER PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    keys INTEGER NOT NULL,
    volatile_keys INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE keys (
    id INTEGER PRIMARY KEY,
    slot INTEGER NOT NULL,
    hash INTEGER NOT NULL,
    key BLOB NOT NULL,
    byte_length INTEGER NOT NULL,
    cardinality INTEGER NOT NULL,
    deadline INTEGER,
    chunk_bytes INTEGER NOT NULL,
    delta_bytes INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX keys_by_deadline ON keys (deadline, id) WHERE deadline IS NOT NULL;
`;

/** What schema 2 brought, for new files and for the migration. */
export const VALUE_TABLES = `
  CREATE INDEX keys_with_deltas ON keys (delta_bytes) WHERE delta_bytes > 0;
  CREATE TABLE chunks (
    chunk INTEGER PRIMARY KEY,
    portable BLOB NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE deltas (
    delta INTEGER PRIMARY KEY,
    ones BLOB NOT NULL,
    zeros BLOB NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE log (
    batch INTEGER PRIMARY KEY,
    words BLOB NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE dropped_values (id INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE dropped_slots (slot INTEGER PRIMARY KEY) STRICT;
`;

/**
 * What schema 4 brought: values that are what BITOP makes of other rows' values, by their ids (expression.ts). Such a value has no chunk, and
 * the rows that it is made of stay as they are as long as it is here. A checksum as of a chunk.
 */
export const EXPRESSION_TABLE = `
  CREATE TABLE expressions (
    id INTEGER PRIMARY KEY,
    expression TEXT NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
`;

const ADD_NAME = "INSERT INTO new_names (slot, hash, id) VALUES (new.slot, new.hash, new.id);";

const REMOVE_NAME = `
    DELETE FROM new_names WHERE slot = old.slot AND hash = old.hash AND id = old.id;
    DELETE FROM names WHERE slot = old.slot AND hash = old.hash AND id = old.id;`;

/**
 * What schema 3 brought: the index of the keys, in two parts. A new key goes into `new_names`, which is small, and many of them
 * together into `names` (names.ts): one by one each would rewrite a page of its own there. The triggers keep both true.
 */
export const NAME_TABLES = `
  ${nameTable("names")}
  ${nameTable("new_names")}
  CREATE TRIGGER key_added AFTER INSERT ON keys BEGIN
    ${ADD_NAME}
  END;
  CREATE TRIGGER key_deleted AFTER DELETE ON keys BEGIN
    ${REMOVE_NAME}
  END;
  CREATE TRIGGER key_renamed AFTER UPDATE OF slot, hash ON keys BEGIN
    ${REMOVE_NAME}
    ${ADD_NAME}
  END;
`;

function nameTable(table: string): string {
  return `
    CREATE TABLE ${table} (
      slot INTEGER NOT NULL,
      hash INTEGER NOT NULL,
      id INTEGER NOT NULL,
      PRIMARY KEY (slot, hash, id)
    ) STRICT, WITHOUT ROWID;`;
}

/** Both parts of the index, to be asked as one. */
export const ALL_NAMES = "SELECT slot, hash, id FROM names UNION ALL SELECT slot, hash, id FROM new_names";

/**
 * For people. A key that is no text, or would disturb a terminal, is shown as SQL writes bytes: X'00FF'. `redis_bytes` is the least
 * that Redis takes for the key: the string, the key, and about 70 bytes of objects and table (docs/looking-into-the-file.md).
 */
export const VIEWS = `
  CREATE VIEW bitmaps AS
    SELECT
      databases.number AS database,
      CASE
        WHEN instr(key, X'00') > 0
          OR CAST(key AS TEXT) GLOB '*[' || char(1, 45, 31, 127, 45, 159, 65533) || ']*'
        THEN 'X''' || hex(key) || ''''
        ELSE CAST(key AS TEXT)
      END AS key,
      cardinality,
      byte_length,
      chunk_bytes + delta_bytes AS disk_bytes,
      byte_length + length(key) + 70 AS redis_bytes,
      strftime('%Y-%m-%d %H:%M:%f', deadline / 1000.0, 'unixepoch') AS expires,
      id,
      (SELECT expression FROM expressions WHERE expressions.id = keys.id) AS expression
    FROM keys JOIN databases USING (slot);
`;

const MAGIC = "SQLite format 3\0";
const HEADER_BYTES = 100;

/** Offsets in the header of every SQLite file (SQLite's "Database File Format", 1.3). */
export const HEADER = {
  pageBytes: 16,
  changeCounter: 24,
  pages: 28,
  userVersion: 60,
  applicationId: 68,
  versionValidFor: 92,
} as const;

/** The header, read without opening the file as a database; zeros where the file is shorter. */
export function readHeader(path: string): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const file = openSync(path, "r");
  try {
    readSync(file, header, 0, HEADER_BYTES, 0);
  } finally {
    closeSync(file);
  }
  return header;
}

/** What a file is, by its header alone: it is not opened as a database. */
export type FileKind = "empty" | "no database" | "another program's" | "ours";

export function fileKind(path: string): { kind: FileKind; version: number } {
  if (statSync(path).size === 0) return { kind: "empty", version: 0 };
  const header = readHeader(path);
  const version = header.readUInt32BE(HEADER.userVersion);
  if (header.toString("latin1", 0, MAGIC.length) !== MAGIC) return { kind: "no database", version };
  const isOurs = header.readUInt32BE(HEADER.applicationId) === APPLICATION_ID;
  return { kind: isOurs ? "ours" : "another program's", version };
}

/**
 * Looks at a file without opening it as a database, so that one that is not ours stays as it is to the byte.
 * Throws StartError when it is no SQLite file, another program's, or of a newer version. Missing and empty files are fine.
 */
export function checkFile(path: string): void {
  if (!existsSync(path) || statSync(path).size === 0) return;
  if (!statSync(path).isFile()) throw new StartError(`${path} is not a file`);
  const { kind, version } = fileKind(path);
  if (kind === "no database") {
    throw new StartError(
      `${path} is not a bitmapist-server database (no SQLite file); it was left untouched. ` +
        `If it should be one: bitmapist-server check ${path}`,
    );
  }
  if (kind !== "ours") throw new StartError(`${path} is another program's SQLite database; it was left untouched`);
  checkSchemaVersion(path, version);
}

/** Throws StartError when a file's schema is newer than what this code knows. */
export function checkSchemaVersion(path: string, version: number): void {
  if (version > SCHEMA_VERSION) {
    throw new StartError(
      `${path} was written by a newer bitmapist-server (schema ${version}, this one knows ${SCHEMA_VERSION}); it was left untouched`,
    );
  }
}

/** Creates the tables in a new database, in one transaction. */
export function createSchema(connection: Connection): void {
  connection.transaction(() => {
    connection.exec(TABLES + VALUE_TABLES + NAME_TABLES + EXPRESSION_TABLE + VIEWS);
    const insert = connection.prepare("INSERT INTO databases (slot, number, keys, volatile_keys) VALUES (?, ?, 0, 0)");
    for (let number = 0; number < DATABASES; number++) insert.run(number, number);
    connection.pragma(`application_id = ${APPLICATION_ID}`);
    connection.pragma(`user_version = ${SCHEMA_VERSION}`);
  })();
}

/** Opens a connection to a database that exists, or is made by this. `cacheKib` is its page cache. */
export function connect(path: string, cacheKib: number, options: { readonly?: boolean } = {}): Connection {
  const connection = new Database(path, options);
  connection.pragma(`cache_size = -${cacheKib}`);
  connection.pragma("temp_store = MEMORY");
  return connection;
}
