import { expect, onTestFinished, test } from "vitest";
import { MEMORY_DB } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import { KeyspaceTarget } from "../../../src/migrate/keyspace-target.js";
import { Store } from "../../../src/store.js";

function storeInMemory(): Store {
  const store = Store.open(MEMORY_DB, (message) => expect.fail(message));
  onTestFinished(() => store.close());
  return store;
}

test("an item takes the place of what was there, its deadline too", async () => {
  const { keyspace, saver } = storeInMemory();
  const target = new KeyspaceTarget(keyspace, saver);
  const put = async (deadline: number, members: number[]) => {
    const bitmap = Bitmap.fromMembers(Uint32Array.from(members), 1000);
    await target.put({ database: 3, key: "k\xff", bitmap, deadline });
    expect(await target.facts(3, "k\xff")).toEqual({ cardinality: members.length, byteLength: 1000, deadline });
  };
  await put(Date.now() + 3_600_000, [1, 2, 7999]);
  await put(NO_DEADLINE, [5]);
  await target.finish();
  const [, , , database] = keyspace.databases;
  const entry = database && keyspace.lookup(database, "k\xff");
  if (entry === undefined) return expect.fail("no key");
  expect(entry.deadline).toBe(NO_DEADLINE);
  expect([...keyspace.bitmap(entry).members]).toEqual([5]);
  expect(await target.facts(3, "other")).toBeUndefined();
});

test("a database that is not there is an error, and nothing is put", async () => {
  const { keyspace, saver } = storeInMemory();
  const item = { database: 16, key: "k", bitmap: new Bitmap(), deadline: NO_DEADLINE };
  await expect(new KeyspaceTarget(keyspace, saver).put(item)).rejects.toThrow(
    "there is no database 16 here, only 0 to 15",
  );
  expect(keyspace.isDirty).toBe(false);
});
