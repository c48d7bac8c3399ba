/** The same as keyspace-model, with a hash of three values: keys of one hash must not be lost or torn apart. */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import type { Database } from "../../../src/keyspace/database.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { Duel, scanned, step } from "./model.js";
import { StorageInHand } from "./sqlite.js";

// The largest value is HASH_MAX itself: the end of an iteration must not be taken for its beginning.
vi.mock("../../../src/keyspace/hash.js", () => {
  const HASH_MAX = 2 ** 52 - 1;
  const HASHES = [0, 17, HASH_MAX];
  return { HASH_MAX, keyHash: (key: string) => HASHES[(key.length + (key.charCodeAt(0) || 0)) % 3] };
});

test("keys of the same hash are told apart in random programs", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 120, size: "max" }), fc.integer(), (program, seed) => {
      new Duel(seed).run(program);
    }),
    { numRuns: 150 },
  );
});

test("a page holds all keys of its last hash, those of the file and those not yet in it", () => {
  const storage = new StorageInHand();
  const keyspace = new Keyspace(storage, new ManualClock(0), () => 0.5);
  const database = keyspace.databases[0] as Database;
  const names = Array.from({ length: 40 }, (_, i) => `k${String(i).padStart(2, "0")}`);
  for (const name of names.slice(0, 20)) keyspace.create(database, name, new Bitmap());
  storage.commit(keyspace);
  for (const name of names.slice(20)) keyspace.create(database, name, new Bitmap());
  const page = keyspace.scan(database, 0, 1);
  expect(page.keys.sort()).toEqual(names);
  expect(scanned(keyspace, database, 7).sort()).toEqual(names);
});
