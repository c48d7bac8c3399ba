/** Files of older schemas, made by the servers of their time (fixtures/fill.mjs), are brought forward whole or not at all. */
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Bitmap } from "../../../src/keyspace/bitmap.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import { migrate } from "../../../src/storage/migrate.js";
import { type Connection, connect, createSchema, SCHEMA_VERSION } from "../../../src/storage/schema.js";
import { temporaryFolder } from "../../support/temporary-folder.js";
import { StorageInHand } from "../keyspace/sqlite.js";
import { expectTidy, rowCounts } from "./file-checks.js";
import { Store } from "./store.js";

/** What the server that filled the fixture said of a key. */
interface Told {
  key: string;
  strlen: number;
  bitcount: number;
  sha256: string;
  pexpiretime: number;
}

const FIXTURES = fileURLToPath(new URL("../../fixtures/", import.meta.url));
const CACHE_KIB = 4096;
const SLICE_BYTES = 1024 * 1024;

function fixture(name: string): { connection: Connection; told: { db: number; dbsize: number; keys: Told[] }[] } {
  const path = temporaryFolder()("old.db");
  copyFileSync(`${FIXTURES}${name}.db`, path);
  return { connection: connect(path, CACHE_KIB), told: JSON.parse(readFileSync(`${FIXTURES}${name}.json`, "utf8")) };
}

function sha256(bitmap: Bitmap): string {
  const hash = createHash("sha256");
  for (let at = 0; at < bitmap.byteLength; at += SLICE_BYTES) {
    hash.update(bitmap.bytes(at, Math.min(SLICE_BYTES, bitmap.byteLength - at)));
  }
  return hash.digest("hex");
}

/** Everything that SQLite's tables hold, and what they are. */
function dump(connection: Connection): string {
  const tables = connection
    .prepare<[], { name: string; sql: string }>("SELECT name, sql FROM sqlite_schema ORDER BY name")
    .all();
  const hash = createHash("sha256").update(JSON.stringify(tables));
  for (const { name, sql } of tables) {
    if (!/^CREATE TABLE/.test(sql)) continue;
    for (const row of connection.prepare(`SELECT * FROM ${name} ORDER BY 1`).raw().all() as unknown[][]) {
      for (const value of row) hash.update(value instanceof Buffer ? value : `${value},`);
    }
  }
  return `${connection.pragma("user_version", { simple: true })} ${hash.digest("hex")}`;
}

describe.each([1, 2, 3])("a file of schema %i", (version) => {
  test("has all its keys, as the server that made it told them, and takes new ones", () => {
    const { connection, told } = fixture(`schema-${version}`);
    expect(connection.pragma("user_version", { simple: true })).toBe(version);
    migrate(connection);
    expect(connection.pragma("user_version", { simple: true })).toBe(SCHEMA_VERSION);
    expectTidy(connection);
    const storage = new StorageInHand(connection);
    const keyspace = new Keyspace(storage, { now: () => 0 }, () => 0);
    const sizes = keyspace.databases.filter(({ size }) => size > 0).map(({ number, size }) => [number, size]);
    expect(sizes).toEqual(told.map(({ db, dbsize }) => [db, dbsize]));
    for (const { db, keys } of told) {
      const database = keyspace.databases[db] as (typeof keyspace.databases)[0];
      expect(keyspace.keys(database, () => true).sort()).toEqual(keys.map(({ key }) => key).sort());
      for (const { key, strlen, bitcount, sha256: sha, pexpiretime } of keys) {
        const stored = storage.find(database.contents.slot, key);
        if (stored === undefined) throw new Error(`no key ${key}`);
        const bitmap = storage.load(stored.id);
        expect([key, bitmap.byteLength, bitmap.cardinality]).toEqual([key, strlen, bitcount]);
        expect([key, stored.deadline]).toEqual([key, pexpiretime === -1 ? NO_DEADLINE : pexpiretime]);
        // Half a gigabyte of zeros takes too long.
        if (strlen < 2 ** 29) expect([key, sha256(bitmap)]).toEqual([key, sha]);
        else expect([bitmap.getBit(5), bitmap.getBit(2 ** 32 - 1)]).toEqual([1, 1]);
        bitmap.dispose();
      }
    }
    // Large values are in several chunks now.
    expect(rowCounts(connection).chunks).toBeGreaterThan(rowCounts(connection).keys ?? 0);
    const store = new Store(storage);
    store.touch("in five:3", 1000);
    store.put("new", "n");
    store.flush();
    store.storage.writer.tidy();
    expectTidy(connection);
    expect(store.readHome("in five:3").length).toBe(126);
    connection.close();
  });

  test("has the tables and the columns of a new file", () => {
    const { connection } = fixture(`schema-${version}`);
    migrate(connection);
    const fresh = connect(":memory:", CACHE_KIB);
    createSchema(fresh);
    const columns = (of: Connection) =>
      of
        .prepare(
          `SELECT tables.type, tables.name, columns.name, columns.type, columns."notnull", columns.pk
           FROM sqlite_schema AS tables LEFT JOIN pragma_table_info(tables.name) AS columns
           ORDER BY tables.name, columns.cid`,
        )
        .raw()
        .all();
    expect(columns(connection)).toEqual(columns(fresh));
    expect(connection.pragma("application_id")).toEqual(fresh.pragma("application_id"));
    fresh.close();
    connection.close();
  });

  test("stays as it is when a table is in the way", () => {
    const { connection } = fixture(`schema-${version}`);
    connection.exec(`CREATE TABLE ${version < 3 ? "new_names" : "expressions"} (theirs)`);
    const before = dump(connection);
    expect(() => migrate(connection)).toThrow();
    expect(dump(connection)).toBe(before);
    connection.close();
  });
});

describe("a file of schema 1", () => {
  test.each([
    ["a value that is no bitmap", "UPDATE bitmaps SET portable = zeroblob(200000) WHERE id = 150"],
    [
      "a value that is cut off",
      "UPDATE bitmaps SET portable = substr(portable, 1, 140000) WHERE length(portable) > 200000",
    ],
    [
      "a failing disk in the middle",
      "CREATE TRIGGER full AFTER UPDATE ON keys WHEN old.id = 200 BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    ],
    ["a table that is in the way", "CREATE TABLE log (theirs)"],
  ])("stays as it is, every byte of its tables, when the migration fails at %s", (_what, sql) => {
    const { connection } = fixture("schema-1");
    connection.exec(sql);
    const before = dump(connection);
    expect(() => migrate(connection)).toThrow();
    expect(connection.inTransaction).toBe(false);
    expect(dump(connection)).toBe(before);
    expect(before).toMatch(/^1 /);
    connection.close();
  });
});

describe("a file of this schema", () => {
  test("is left as it is", () => {
    const store = new Store();
    store.put("a", "a");
    store.flush();
    store.bit("a", 99);
    store.flush();
    const before = dump(store.connection);
    migrate(store.connection);
    expect(dump(store.connection)).toBe(before);
  });
});

test("a schema that nobody knows the way from is refused, and the file stays as it is", () => {
  const { connection } = fixture("schema-1");
  connection.pragma("user_version = 0");
  const before = dump(connection);
  expect(() => migrate(connection)).toThrow("no way from schema 0");
  expect(dump(connection)).toBe(before);
  connection.close();
});
