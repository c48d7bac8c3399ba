/** A target that is opened with the first item, and what it stands for until then. */
import { expect, test } from "vitest";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import { type Item, MigrateError } from "../../../src/migrate/item.js";
import { LaterTarget } from "../../../src/migrate/later-target.js";
import { Nowhere } from "../../../src/migrate/nowhere.js";

class Counted extends Nowhere {
  puts = 0;
  closed = 0;

  override async put(item: Item): Promise<void> {
    this.puts++;
    await super.put(item);
  }

  override async close(): Promise<void> {
    this.closed++;
  }
}

const item = (): Item => ({
  database: 0,
  key: "k",
  bitmap: Bitmap.fromMembers(Uint32Array.of(1), 1),
  deadline: NO_DEADLINE,
});

function later(): { target: LaterTarget; opened: Counted[] } {
  const opened: Counted[] = [];
  const target = new LaterTarget(async () => {
    await new Promise(setImmediate);
    const counted = new Counted();
    opened.push(counted);
    return counted;
  });
  return { target, opened };
}

test("it is opened once, by whatever comes first, and closed", async () => {
  const { target, opened } = later();
  await Promise.all([target.put(item()), target.put(item())]);
  await target.finish();
  await target.close();
  expect(opened).toMatchObject([{ puts: 2, closed: 1 }]);
});

test("it is opened at the end where there was no item", async () => {
  const { target, opened } = later();
  await target.finish();
  expect(opened).toHaveLength(1);
});

test("it is not opened by questions, nor by closing", async () => {
  const { target, opened } = later();
  expect([await target.facts(0, "k"), await target.current(0, "k")]).toEqual([undefined, undefined]);
  await target.close();
  expect(opened).toEqual([]);
});

test("an item that can't be put is let go of, and closing is no second failure", async () => {
  const target = new LaterTarget(() => Promise.reject(new MigrateError("in use")));
  const { bitmap, ...rest } = item();
  let disposed = 0;
  const dispose = bitmap.dispose.bind(bitmap);
  bitmap.dispose = () => {
    disposed++;
    dispose();
  };
  await expect(target.put({ ...rest, bitmap })).rejects.toThrow("in use");
  expect(disposed).toBe(1);
  await target.close();
});
