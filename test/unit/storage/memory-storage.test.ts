/** The storage of `--db :memory:`. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { FOLD_IDLE_MS, IDLE_MS } from "../../../src/config.js";
import type { Database } from "../../../src/keyspace/database.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { Saver } from "../../../src/keyspace/saver.js";
import { MemoryStorage } from "../../../src/storage/memory-storage.js";
import { checkFile, connect } from "../../../src/storage/schema.js";
import { temporaryFolder } from "../../support/temporary-folder.js";
import { keyBytes } from "../keyspace/bytes.js";
import { NO_EVENTS } from "./files.js";

afterEach(() => {
  vi.useRealTimers();
});

function setUp() {
  let keyspace: Keyspace | undefined;
  const storage = new MemoryStorage({ ...NO_EVENTS, onSettled: (batch) => keyspace?.settled(batch) });
  const clock = new ManualClock(0);
  keyspace = new Keyspace(storage, clock, () => 0);
  const made = keyspace;
  const evict = () => {
    clock.advance(IDLE_MS + 200);
    made.tick();
    for (let i = 0; i < 5; i++) made.residency.cycle(clock.now());
  };
  const saver = new Saver(made, storage, clock);
  return { storage, keyspace: made, saver, database: made.databases[0] as Database, evict };
}

describe("a storage in memory", () => {
  test("begins empty, with every database", async () => {
    const storage = new MemoryStorage(NO_EVENTS);
    expect(storage.databases).toHaveLength(16);
    expect(storage.nextId).toBe(1);
    expect(storage.find(0, "a")).toBeUndefined();
    expect(storage.page(0, 0, 10)).toEqual([]);
    await storage.close();
  });

  test("takes what is saved, so that keys can leave the cache here too", async () => {
    const { storage, keyspace, database, saver, evict } = setUp();
    keyspace.setBit(database, keyBytes("a"), 12, 1);
    await saver.save();
    evict();
    expect(keyspace.residency.keys).toBe(0);
    expect(keyspace.setBit(database, keyBytes("a"), 12, 1)).toBe(1);
    await storage.close();
  });

  test("lets a key go whose bits changed once they are where reading finds them, which takes a moment", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "performance"] });
    const { storage, keyspace, database, saver, evict } = setUp();
    keyspace.setBit(database, keyBytes("a"), 12, 1);
    await saver.save();
    keyspace.setBit(database, keyBytes("a"), 13, 1);
    await saver.save();
    evict();
    expect([keyspace.residency.keys, storage.figures.logRows]).toEqual([1, 1]);
    vi.advanceTimersByTime(FOLD_IDLE_MS);
    expect([storage.figures.logRows, storage.figures.logBytes]).toEqual([0, 0]);
    evict();
    expect(keyspace.residency.keys).toBe(0);
    expect(keyspace.setBit(database, keyBytes("a"), 13, 1)).toBe(1);
    keyspace.setBit(database, keyBytes("a"), 14, 1);
    await saver.save();
    storage.settleSoon();
    vi.advanceTimersByTime(1);
    expect(storage.figures.logRows).toBe(0);
    await storage.close();
  });

  test("is copied to a file that a server can start from", async () => {
    const path = temporaryFolder()("copy.db");
    const storage = new MemoryStorage(NO_EVENTS);
    const keyspace = new Keyspace(storage, new ManualClock(0), () => 0);
    keyspace.setBit(keyspace.databases[0] as Database, keyBytes("a"), 12, 1);
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
    const storage = new MemoryStorage(NO_EVENTS);
    await expect(storage.backup(path)).rejects.toThrow();
    await storage.close();
  });
});
