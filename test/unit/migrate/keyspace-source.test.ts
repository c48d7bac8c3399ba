import { expect, test } from "vitest";
import type { Bitmap } from "../../../src/keyspace/bitmap.js";
import { compileGlob } from "../../../src/keyspace/glob.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import { MigrateError } from "../../../src/migrate/item.js";
import { KeyspaceSource } from "../../../src/migrate/keyspace-source.js";
import { Store } from "../storage/store.js";

interface Given {
  database: number;
  key: string;
  deadline: number;
  bytes: string;
}

async function given(store: Store, pattern = "*"): Promise<Given[]> {
  const items: Given[] = [];
  for await (const { bitmap, ...rest } of new KeyspaceSource(store.keyspace, compileGlob(pattern)).items()) {
    items.push({ ...rest, bytes: stringOf(bitmap) });
  }
  return items.sort((a, b) => a.database - b.database || (a.key < b.key ? -1 : 1));
}

function stringOf(bitmap: Bitmap): string {
  const bytes = bitmap.bytes(0, bitmap.byteLength).toString("latin1");
  bitmap.dispose();
  return bytes;
}

test("every key of every database is given with its value and its deadline, and leaves memory as it was", async () => {
  const before = new Store();
  const expected: Given[] = [];
  for (let i = 0; i < 300; i++) {
    const [key, database, bytes] = [`k${i}`, i % 3, `${"\0".repeat(i % 7)}${i}\0`];
    before.put(key, bytes, database);
    if (i % 5 === 0) before.expire(key, 1000 + i, database);
    expected.push({ database, key, bytes, deadline: i % 5 === 0 ? 1000 + i : NO_DEADLINE });
  }
  expected.sort((a, b) => a.database - b.database || (a.key < b.key ? -1 : 1));
  expect(await given(before)).toEqual(expected);
  before.flush();
  const store = before.crashed();
  expect(await given(store)).toEqual(expected);
  expect(store.keyspace.residency.keys).toBe(0);
  expect(await given(store, "k1?5")).toEqual(expected.filter(({ key }) => /^k1.5$/.test(key)));
});

test("what has changed since the last commit is given as it is now", async () => {
  const before = new Store();
  for (const key of ["changed", "deleted", "expired", "same"]) before.put(key, "\x80");
  before.flush();
  const store = before.crashed();
  store.bit("changed", 15);
  store.delete("deleted");
  store.expire("expired", -1);
  store.expire("same", 5000);
  expect(await given(store)).toEqual([
    { database: 0, key: "changed", bytes: "\x80\x01", deadline: NO_DEADLINE },
    { database: 0, key: "same", bytes: "\x80", deadline: 5000 },
  ]);
});

test("a damaged value is told with its key", async () => {
  const before = new Store();
  before.put("whole", "\x80");
  before.put("spoilt", "\xff".repeat(100));
  before.flush();
  before.connection.exec(`UPDATE chunks SET portable = zeroblob(8) WHERE chunk / 65536 = ${before.id("spoilt")}`);
  const reading = given(before.crashed());
  await expect(reading).rejects.toThrow(MigrateError);
  await expect(reading).rejects.toThrow(/^key "spoilt" of database 0: the value with id \d+ is damaged/);
});
