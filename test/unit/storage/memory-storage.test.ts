/** The storage of `--db :memory:`. */
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { IDLE_MS } from "../../../src/config.js";
import type { Database } from "../../../src/keyspace/database.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { Saver } from "../../../src/keyspace/saver.js";
import { MemoryStorage } from "../../../src/storage/memory-storage.js";
import { checkFile, connect } from "../../../src/storage/schema.js";
import { temporaryFolder } from "./files.js";

describe("a storage in memory", () => {
  test("begins empty, with every database", async () => {
    const storage = new MemoryStorage();
    expect(storage.databases).toHaveLength(16);
    expect(storage.nextId).toBe(1);
    expect(storage.find(0, "a")).toBeUndefined();
    expect(storage.page(0, 0, 10)).toEqual([]);
    await storage.close();
  });

  test("takes what is saved, so that keys can leave the cache here too", async () => {
    const storage = new MemoryStorage();
    const clock = new ManualClock(0);
    const keyspace = new Keyspace(storage, clock, () => 0);
    const saver = new Saver(keyspace, storage, new ManualClock(0));
    const database = keyspace.databases[0] as Database;
    keyspace.setBit(database, "a", 12, 1);
    await saver.save();
    clock.advance(IDLE_MS + 1);
    keyspace.tick();
    keyspace.sweepIdle();
    expect(keyspace.residentKeys).toBe(0);
    expect(keyspace.setBit(database, "a", 12, 1)).toBe(1);
    await storage.close();
  });

  test("is copied to a file that a server can start from", async () => {
    const path = temporaryFolder()("copy.db");
    const storage = new MemoryStorage();
    const keyspace = new Keyspace(storage, new ManualClock(0), () => 0);
    keyspace.setBit(keyspace.databases[0] as Database, "a", 12, 1);
    await storage.write(keyspace.takeBatch());
    await storage.backup(path);
    expect(() => checkFile(path)).not.toThrow();
    const copy = connect(path, 100, { readonly: true });
    expect(copy.prepare("SELECT byte_length, cardinality FROM keys").get()).toEqual({ byte_length: 2, cardinality: 1 });
    copy.close();
    await storage.close();
  });

  test("rejects a backup that can't be made", async () => {
    const path = temporaryFolder()("missing/copy.db");
    const storage = new MemoryStorage();
    await expect(storage.backup(path)).rejects.toThrow();
    await storage.close();
  });
});
