/** A copy is whole or not there at all. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { backup } from "../../../src/storage/backup.js";
import { APPLICATION_ID, checkFile, connect, createSchema, SCHEMA_VERSION } from "../../../src/storage/schema.js";
import { temporaryFolder } from "../../support/temporary-folder.js";
import { keyBytes } from "../keyspace/bytes.js";
import { StorageInHand } from "../keyspace/sqlite.js";
import { expectTidy, rowCounts } from "./file-checks.js";
import { noise, Store } from "./store.js";

const CACHE_KIB = 100;

/** A database on disk in WAL mode, with one key of 3 bits. */
function source(path: string): StorageInHand {
  const connection = connect(path, CACHE_KIB);
  createSchema(connection);
  connection.pragma("journal_mode = WAL");
  const storage = new StorageInHand(connection);
  add(storage, "key");
  return storage;
}

function add(storage: StorageInHand, key: string): void {
  const keyspace = new Keyspace(storage.reopened(), { now: () => 0 }, () => 0);
  for (const offset of [1, 100, 4_000_000_000]) {
    keyspace.setBit(keyspace.databases[0] as (typeof keyspace.databases)[0], keyBytes(key), offset, 1);
  }
  storage.apply(keyspace.takeBatch());
}

function keysIn(path: string): string[] {
  const connection = connect(path, CACHE_KIB, { readonly: true });
  const keyspace = new Keyspace(new StorageInHand(connection), { now: () => 0 }, () => 0);
  const [database] = keyspace.databases as [(typeof keyspace.databases)[0]];
  const keys = keyspace.keys(database, () => true);
  for (const key of keys) {
    const entry = keyspace.lookup(database, key);
    expect(entry && keyspace.bitmap(entry).cardinality).toBe(3);
  }
  expect(database.size).toBe(keys.length);
  connection.close();
  return keys.sort();
}

const siblings = (path: string) => readdirSync(dirname(path)).sort();

describe("a backup", () => {
  test("holds all that was committed and is a database of ours", () => {
    const file = temporaryFolder();
    const storage = source(file("data.db"));
    backup(storage.connection, file("copy.db"));
    expect(keysIn(file("copy.db"))).toEqual(["key"]);
    expect(() => checkFile(file("copy.db"))).not.toThrow();
    const copy = connect(file("copy.db"), CACHE_KIB);
    expect(copy.pragma("application_id", { simple: true })).toBe(APPLICATION_ID);
    expect(copy.pragma("user_version", { simple: true })).toBe(SCHEMA_VERSION);
    expect(copy.pragma("integrity_check", { simple: true })).toBe("ok");
    copy.close();
    storage.close();
  });

  test("is one file, with nothing left beside it", () => {
    const file = temporaryFolder();
    mkdirSync(file("copies"));
    const storage = source(file("data.db"));
    backup(storage.connection, file("copies/copy.db"));
    expect(siblings(file("copies/copy.db"))).toEqual(["copy.db"]);
    storage.close();
  });

  test("is in order: its chunks alone are the whole truth, whatever the log holds, which stays as it is", () => {
    const file = temporaryFolder();
    const store = new Store(source(file("data.db")).reopened());
    const large = noise(300_000);
    store.put("large", large);
    store.put("gone", large);
    store.put("other", large, 3);
    store.flush();
    store.touch("large", 7);
    store.flush();
    store.storage.settle();
    store.touch("large", 2_000_000);
    store.bit("key", 17);
    store.delete("gone");
    store.keyspace.flush(store.database(3));
    store.flush();
    const rows = () => rowCounts(store.connection);
    const before = rows();
    expect(before).toMatchObject({ log: 1, deltas: 1, dropped_values: 1, dropped_slots: 1 });
    backup(store.connection, file("copy.db"));
    expect(rows()).toEqual(before);
    const copy = connect(file("copy.db"), CACHE_KIB);
    expectTidy(copy);
    expect(rowCounts(copy).keys).toBe(2);
    const copied = new Store(new StorageInHand(copy));
    expect(copied.readHome("large").toString("latin1")).toBe(store.read("large").toString("latin1"));
    expect(copied.row("key")).toMatchObject({ cardinality: 4, length: 500_000_001 });
    copied.storage.close();
    store.storage.close();
  });

  test("replaces an older one, or whatever file has its name", () => {
    const file = temporaryFolder();
    const storage = source(file("data.db"));
    backup(storage.connection, file("copy.db"));
    add(storage, "second");
    backup(storage.connection, file("copy.db"));
    expect(keysIn(file("copy.db"))).toEqual(["key", "second"]);
    writeFileSync(file("text"), "some text");
    backup(storage.connection, file("text"));
    expect(keysIn(file("text"))).toEqual(["key", "second"]);
    storage.close();
  });

  test("of a database in memory is one too", () => {
    const file = temporaryFolder();
    const storage = new StorageInHand();
    add(storage, "key");
    backup(storage.connection, file("copy.db"));
    expect(keysIn(file("copy.db"))).toEqual(["key"]);
    storage.close();
  });

  test("takes the place of what a backup left that was killed", () => {
    const file = temporaryFolder();
    const storage = source(file("data.db"));
    writeFileSync(file(`copy.db.${process.pid}.tmp`), "half a copy");
    backup(storage.connection, file("copy.db"));
    expect(keysIn(file("copy.db"))).toEqual(["key"]);
    expect(existsSync(file(`copy.db.${process.pid}.tmp`))).toBe(false);
    storage.close();
  });
});

describe("a backup that can't be made leaves nothing", () => {
  test("in a folder that is not there", () => {
    const file = temporaryFolder();
    const storage = source(file("data.db"));
    expect(() => backup(storage.connection, file("missing/copy.db"))).toThrow();
    expect(existsSync(file("missing"))).toBe(false);
    storage.close();
  });

  test("where its folder is a file", () => {
    const file = temporaryFolder();
    const storage = source(file("data.db"));
    writeFileSync(file("file"), "a file");
    expect(() => backup(storage.connection, file("file/copy.db"))).toThrow();
    expect(readFileSync(file("file"), "utf8")).toBe("a file");
    storage.close();
  });

  test("where its name is a folder, which stays", () => {
    const file = temporaryFolder();
    mkdirSync(file("copies/copy.db"), { recursive: true });
    writeFileSync(file("copies/copy.db/inside"), "");
    const storage = source(file("data.db"));
    expect(() => backup(storage.connection, file("copies/copy.db"))).toThrow();
    expect(siblings(file("copies/copy.db"))).toEqual(["copy.db"]);
    expect(readdirSync(file("copies/copy.db"))).toEqual(["inside"]);
    storage.close();
  });

  test("of a database that is damaged, and an older copy stays", () => {
    const file = temporaryFolder();
    const storage = source(file("data.db"));
    backup(storage.connection, file("copy.db"));
    // Pages that do not belong together: the table of keys is no b-tree any more.
    storage.connection.pragma("wal_checkpoint(TRUNCATE)");
    storage.close();
    const bytes = readFileSync(file("data.db"));
    bytes.fill(0x5a, 4096, bytes.length);
    writeFileSync(file("data.db"), bytes);
    const damaged = connect(file("data.db"), CACHE_KIB);
    expect(() => backup(damaged, file("copy.db"))).toThrow();
    damaged.close();
    expect(keysIn(file("copy.db"))).toEqual(["key"]);
    expect(siblings(file("copy.db")).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});
