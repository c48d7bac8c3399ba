/** The mover with a source and a target that do what a test wants of them. The real ones have their own tests. */
import { expect, test } from "vitest";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import {
  GONE,
  type Item,
  MigrateError,
  type Skipped,
  type Source,
  type Target,
  type TargetFacts,
} from "../../../src/migrate/item.js";
import { Mover } from "../../../src/migrate/mover.js";

const NOW = 1_000_000;

function item(key: string, bits: number[], { deadline = NO_DEADLINE, database = 0 } = {}): Item {
  return { database, key, bitmap: Bitmap.fromMembers(Uint32Array.from(bits), 10), deadline };
}

class ListSource implements Source {
  given = 0;
  readonly anew = new Map<string, Item>();
  readonly #items: readonly (Item | Skipped)[];

  constructor(items: readonly (Item | Skipped)[]) {
    this.#items = items;
  }

  async *items(skip: (skipped: Skipped) => void): AsyncGenerator<Item, void> {
    for (const each of this.#items) {
      this.given++;
      if ("reason" in each) skip(each);
      else yield each;
    }
  }

  async again(_database: number, key: string): Promise<Item | undefined> {
    return this.anew.get(key);
  }

  async close(): Promise<void> {}
}

class MapTarget implements Target {
  readonly puts = new Map<string, TargetFacts>();
  most = 0;
  #underWay = 0;
  finished = 0;
  failsAt = "";

  async put({ database, key, bitmap, deadline }: Item): Promise<void> {
    this.most = Math.max(this.most, ++this.#underWay);
    await new Promise(setImmediate);
    this.#underWay--;
    if (key === this.failsAt) throw new MigrateError("the disk is full");
    this.puts.set(`${database} ${key}`, { cardinality: bitmap.cardinality, byteLength: bitmap.byteLength, deadline });
    bitmap.dispose();
  }

  async facts(database: number, key: string): Promise<TargetFacts | undefined> {
    return this.puts.get(`${database} ${key}`);
  }

  async finish(): Promise<void> {
    this.finished++;
  }

  async close(): Promise<void> {}
}

const mover = (source: Source, target: Target, verify = true) => new Mover(source, target, { verify, now: () => NOW });

test("several are on their way, all are counted and verified, by database", async () => {
  const items = Array.from({ length: 25_000 }, (_, i) => item(`k${i}`, [i % 80], { database: i % 2 }));
  const target = new MapTarget();
  const report = await mover(new ListSource(items), target).run();
  expect(report).toMatchObject({ keys: 25_000, verified: 25_000, mismatches: 0, expired: 0, stringBytes: 250_000 });
  expect([...report.databases].map(([number, { keys }]) => [number, keys])).toEqual([
    [0, 12_500],
    [1, 12_500],
  ]);
  expect(target.most).toBeGreaterThan(10);
  expect(target.most).toBeLessThan(1000);
  expect(target.finished).toBe(1);
});

test("a failure of the target ends it: nothing more is read, and nothing is said to be finished", async () => {
  const source = new ListSource(Array.from({ length: 10_000 }, (_, i) => item(`k${i}`, [1])));
  const target = new MapTarget();
  target.failsAt = "k500";
  const failing = mover(source, target);
  await expect(failing.run()).rejects.toThrow("the disk is full");
  // What is said to be moved is there.
  expect(failing.report.keys).toBe(target.puts.size);
  expect(source.given).toBeLessThan(2000);
  expect(target.finished).toBe(0);
});

test("what the source says of a value is the measure, where it says anything", async () => {
  const wrong = { ...item("wrong", [1, 2]), facts: { cardinality: 3, byteLength: 10 } };
  const changed = { ...item("changed", [1, 2]), facts: { cardinality: 3, byteLength: 10 } };
  const source = new ListSource([wrong, changed, item("right", [1])]);
  source.anew.set("wrong", { ...item("wrong", [1, 2]), facts: { cardinality: 3, byteLength: 10 } });
  source.anew.set("changed", { ...item("changed", [1, 2, 3, 4]), facts: { cardinality: 4, byteLength: 10 } });
  const target = new MapTarget();
  const report = await mover(source, target).run();
  expect(report).toMatchObject({ keys: 3, verified: 2, mismatches: 1 });
  expect(report.listedMismatches).toEqual([
    { database: 0, key: "wrong", difference: "3 bits are set in the source, 2 in the target" },
  ]);
  expect(await target.facts(0, "changed")).toMatchObject({ cardinality: 4 });
});

test("keys whose time is over are not moved, and one whose time ends later may be missing", async () => {
  class LosingTarget extends MapTarget {
    override async facts(): Promise<undefined> {}
  }
  let now = NOW;
  const source = new ListSource([item("over", [1], { deadline: NOW - 1 }), item("soon", [1], { deadline: NOW + 1 })]);
  const target = new LosingTarget();
  target.finish = async () => {
    now = NOW + 10;
  };
  const report = await new Mover(source, target, { verify: true, now: () => now }).run();
  expect(report).toMatchObject({ keys: 1, verified: 0, expired: 1, mismatches: 0 });
  expect([...report.skipped]).toEqual([[GONE, 1]]);
});

test("skipped keys are all counted, and listed up to a bound", async () => {
  const skipped = Array.from({ length: 1000 }, (_, i) => ({
    database: 0,
    key: `k${i}`,
    reason: i % 2 === 0 ? "of type list" : GONE,
  }));
  const report = await mover(new ListSource(skipped), new MapTarget()).run();
  expect([...report.skipped]).toEqual([
    ["of type list", 500],
    [GONE, 500],
  ]);
  expect(report.listedSkipped.map(({ key }) => key)).toEqual(Array.from({ length: 20 }, (_, i) => `k${i * 2}`));
});

test("the largest keys are known, and without verification nothing is compared", async () => {
  const items = Array.from({ length: 100 }, (_, i) => item(`k${i}`, [1]));
  for (const [i, { bitmap }] of items.entries()) bitmap.byteLength = 10 + ((i * 37) % 100);
  const target = new MapTarget();
  target.facts = () => expect.fail("it was compared");
  const report = await mover(new ListSource(items), target, false).run();
  expect(report.largest.map(({ stringBytes }) => stringBytes)).toEqual(Array.from({ length: 20 }, (_, i) => 109 - i));
  expect(report.verified).toBe(0);
});
