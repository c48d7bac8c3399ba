/** SCAN's guarantee: what is there from the first page to the last is seen, whatever happens around it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { IDLE_MS } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import type { Database } from "../../../src/keyspace/database.js";
import { HASH_MAX } from "../../../src/keyspace/hash.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { randomOf } from "./bytes.js";
import { scanned } from "./model.js";
import { StorageInHand } from "./sqlite.js";

function setUp(seed = 1) {
  const storage = new StorageInHand();
  const clock = new ManualClock(1_000_000);
  const keyspace = new Keyspace(storage, clock, randomOf(seed));
  const database = keyspace.databases[0] as Database;
  const commit = () => storage.commit(keyspace);
  const create = (...keys: string[]) => {
    for (const key of keys) keyspace.create(database, key, new Bitmap());
  };
  const drop = (...keys: string[]) => {
    for (const key of keys) {
      const entry = keyspace.lookup(database, key);
      if (entry !== undefined) keyspace.delete(entry);
    }
  };
  return { storage, clock, keyspace, database, commit, create, drop };
}

const named = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

test("keys that stay are seen exactly once while others come and go, are committed and leave memory", () => {
  const between = fc.record({
    created: fc.array(fc.nat(60), { maxLength: 8 }),
    dropped: fc.array(fc.nat(60), { maxLength: 8 }),
    next: fc.constantFrom("nothing", "take", "write", "commit", "evict"),
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.array(between, { minLength: 5, maxLength: 40, size: "max" }),
      fc.integer({ min: 0, max: 40 }),
      (count, events, committedKeys) => {
        const { storage, clock, keyspace, database, commit, create, drop } = setUp();
        const staying = named("stays", 40);
        create(...staying.slice(0, committedKeys));
        commit();
        create(...staying.slice(committedKeys));
        const seen: string[] = [];
        const everKnown = new Set(staying);
        let batch: ReturnType<Keyspace["takeBatch"]> | undefined;
        let isWritten = false;
        let turn = 0;
        let cursor = 0;
        do {
          const page = keyspace.scan(database, cursor, count);
          seen.push(...page.keys);
          expect(page.cursor === 0 || page.cursor > cursor).toBe(true);
          cursor = page.cursor;
          const { created, dropped, next } = events[turn++ % events.length] as (typeof events)[number];
          drop(...dropped.map((i) => `comes${i}`));
          for (const i of created) {
            everKnown.add(`comes${i}`);
            if (keyspace.lookup(database, `comes${i}`) === undefined) create(`comes${i}`);
          }
          if (next === "take" && batch === undefined) [batch, isWritten] = [keyspace.takeBatch(), false];
          if (next === "write" && batch !== undefined && !isWritten) {
            storage.apply(batch);
            isWritten = true;
          }
          if (next === "commit" && batch !== undefined) {
            if (!isWritten) storage.apply(batch);
            keyspace.committed(batch);
            storage.settle();
            storage.reportSettled(keyspace);
            batch = undefined;
          }
          if (next === "evict") {
            clock.advance(IDLE_MS + 200);
            keyspace.tick();
            keyspace.residency.cycle(clock.now());
          }
        } while (cursor !== 0);
        expect(seen.filter((key) => key.startsWith("stays")).sort()).toEqual([...staying].sort());
        expect(seen.every((key) => everKnown.has(key))).toBe(true);
        expect(new Set(seen).size).toBe(seen.length);
        storage.close();
      },
    ),
    { numRuns: 60 },
  );
});

describe("one page", () => {
  test("has about COUNT keys, whether they are in the file or not", () => {
    const { keyspace, database, commit, create } = setUp();
    create(...named("file", 100));
    commit();
    create(...named("memory", 100));
    for (const count of [1, 10, 50]) expect(keyspace.scan(database, 0, count).keys).toHaveLength(count);
    expect(keyspace.scan(database, 0, 1000).keys).toHaveLength(200);
    expect(keyspace.scan(database, 0, 1000).cursor).toBe(0);
  });

  test("of a database without keys is empty and the last", () => {
    const { keyspace, database, commit, create, drop } = setUp();
    expect(keyspace.scan(database, 0, 10)).toEqual({ cursor: 0, keys: [] });
    create("a", "b");
    commit();
    drop("a", "b");
    expect(scanned(keyspace, database, 1)).toEqual([]);
  });

  test("may be empty in the middle: the cursor goes on", () => {
    const { keyspace, database, commit, create, drop } = setUp();
    const keys = named("k", 50);
    create(...keys);
    commit();
    drop(...keys.slice(0, 49));
    expect(scanned(keyspace, database, 1)).toEqual(["k49"]);
  });

  test("from a cursor past every hash is empty and the last", () => {
    const { keyspace, database, create } = setUp();
    create("a");
    for (const cursor of [HASH_MAX + 1, 2 ** 53, 2 ** 64 - 1]) {
      expect(keyspace.scan(database, cursor, 10)).toEqual({ cursor: 0, keys: [] });
    }
  });

  test("leaves out keys whose deadline has passed, of the file and of memory", () => {
    const { clock, keyspace, database, commit, create } = setUp();
    create("file", "memory", "stays");
    for (const key of ["file", "memory"]) {
      const entry = keyspace.lookup(database, key);
      if (entry !== undefined) keyspace.setDeadline(entry, clock.now() + 10);
      if (key === "file") commit();
    }
    clock.advance(10);
    keyspace.tick();
    expect(scanned(keyspace, database, 1).sort()).toEqual(["file", "memory", "stays"]);
    clock.advance(1);
    keyspace.tick();
    expect(scanned(keyspace, database, 1)).toEqual(["stays"]);
    expect(keyspace.keys(database, () => true)).toEqual(["stays"]);
    expect(keyspace.randomKey(database)).toBe("stays");
  });

  test("lets an expired key die once that is in the file but not yet known to be there", () => {
    const { storage, clock, keyspace, database, create } = setUp();
    create("a", "stays");
    const entry = keyspace.lookup(database, "a");
    if (entry !== undefined) keyspace.setDeadline(entry, clock.now() + 1);
    const batch = keyspace.takeBatch();
    storage.apply(batch);
    clock.advance(2);
    keyspace.tick();
    expect(scanned(keyspace, database, 10)).toEqual(["stays"]);
    expect([database.size, database.volatileSize, keyspace.expiredKeys]).toEqual([1, 0, 1]);
    keyspace.committed(batch);
    expect(scanned(keyspace, database, 10)).toEqual(["stays"]);
    expect(database.size).toBe(1);
  });
});

test("KEYS goes over as many keys as there are, beyond one read", () => {
  const { keyspace, database, commit, create, drop } = setUp();
  const keys = named("k", 9000);
  create(...keys);
  commit();
  drop("k0", "k8999");
  create("new");
  expect(keyspace.keys(database, () => true).sort()).toEqual([...keys.slice(1, -1), "new"].sort());
});

test("RANDOMKEY gives each key now and then", () => {
  const { keyspace, database, commit, create } = setUp(7);
  create(...named("file", 10));
  commit();
  create(...named("memory", 10));
  const given = new Set(Array.from({ length: 2000 }, () => keyspace.randomKey(database)));
  expect(given.size).toBe(20);
});

test("RANDOMKEY of a database whose keys have all expired gives none, though they are still counted", () => {
  const { clock, keyspace, database, commit, create } = setUp();
  create("a");
  const entry = keyspace.lookup(database, "a");
  if (entry !== undefined) keyspace.setDeadline(entry, clock.now() + 1);
  commit();
  clock.advance(2);
  keyspace.tick();
  expect(database.size).toBe(1);
  expect(keyspace.randomKey(database)).toBeUndefined();
});
