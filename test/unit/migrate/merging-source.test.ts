import { expect, onTestFinished, test } from "vitest";
import { MEMORY_DB } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import type { Item } from "../../../src/migrate/item.js";
import { KeyspaceTarget } from "../../../src/migrate/keyspace-target.js";
import { MergingSource } from "../../../src/migrate/merging-source.js";
import { Store } from "../../../src/store.js";

const LATER = 4_102_444_800_000;

function item(key: string, ids: number[], byteLength: number, deadline = NO_DEADLINE): Item {
  return { database: 1, key, bitmap: Bitmap.fromMembers(Uint32Array.from(ids), byteLength), deadline };
}

test("an item has its ids and those that are there, the longer length, and a deadline unless neither has one", async () => {
  const store = Store.open(MEMORY_DB, (message) => expect.fail(message));
  onTestFinished(() => store.close());
  const target = new KeyspaceTarget(store.keyspace, store.saver);
  await target.put(item("both", [1, 9], 50, LATER));
  await target.put(item("dated", [2], 1));
  const given = [item("both", [1, 70], 9), item("dated", [3], 1, LATER), item("new", [4], 1)];
  const source = {
    async *items() {
      yield* given;
    },
    async close() {},
  };
  const merged = [];
  for await (const { key, bitmap, deadline } of new MergingSource(source, target).items(() => {})) {
    merged.push([key, [...bitmap.members], bitmap.byteLength, deadline]);
    bitmap.dispose();
  }
  expect(merged).toEqual([
    ["both", [1, 9, 70], 50, LATER],
    ["dated", [2, 3], 1, LATER],
    ["new", [4], 1, NO_DEADLINE],
  ]);
});
