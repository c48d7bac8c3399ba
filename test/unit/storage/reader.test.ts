/** Reading what is committed: pages in the order of the hash, and keys that have expired. Rows are put in by hand. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HASH_MAX, keyHash } from "../../../src/keyspace/hash.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import { EXPIRED, FIND, PAGE, Reader } from "../../../src/storage/reader.js";
import { connect, createSchema } from "../../../src/storage/schema.js";

const FIRST = { deadline: Number.NEGATIVE_INFINITY, id: 0 };

function setUp() {
  const connection = connect(":memory:", 1000);
  createSchema(connection);
  const insert = connection.prepare("INSERT INTO keys VALUES (?, ?, ?, ?, 0, 0, ?, 0, 0)");
  let id = 0;
  const add = (row: { slot?: number; hash?: number; key?: string; deadline?: number | null }) => {
    id++;
    const key = row.key ?? `k${id}`;
    insert.run(id, row.slot ?? 0, row.hash ?? keyHash(key), Buffer.from(key, "latin1"), row.deadline ?? null);
    // Names are in both parts of the index.
    if (id % 2 === 0) connection.exec("INSERT INTO names SELECT * FROM new_names; DELETE FROM new_names");
    return id;
  };
  return { connection, add, reader: () => new Reader(connection) };
}

const idsOf = (rows: readonly { id: number }[]) => rows.map(({ id }) => id);

describe("find()", () => {
  test("finds a key of any bytes by slot and name", () => {
    const { add, reader } = setUp();
    const keys = ["", "\0", "a\0b", "\xff\xfe", "k".repeat(100_000)];
    for (const key of keys) add({ key });
    add({ key: "a", slot: 7, deadline: 123 });
    for (const [i, key] of keys.entries()) {
      const hash = keyHash(key);
      expect(reader().find(0, key)).toEqual({ id: i + 1, slot: 0, hash, key, deadline: NO_DEADLINE });
    }
    expect(reader().find(0, "a")).toBeUndefined();
    expect(reader().find(7, "a")).toEqual({ id: 6, slot: 7, hash: keyHash("a"), key: "a", deadline: 123 });
  });

  test("tells keys of the same hash apart", () => {
    const { add, reader } = setUp();
    const hash = keyHash("a");
    add({ key: "other", hash });
    const id = add({ key: "a", hash });
    expect(reader().find(0, "a")?.id).toBe(id);
  });
});

test("load() of a row that is not there says which", () => {
  expect(() => setUp().reader().load(42)).toThrow("id 42");
});

describe("page()", () => {
  test("is in the order of the hash, from the hash on, with the limit's number of keys", () => {
    const { add, reader } = setUp();
    for (const hash of [5, 1, HASH_MAX, 3, 0]) add({ hash });
    add({ hash: 2, slot: 1 });
    expect(
      reader()
        .page(0, 0, 3)
        .map(({ hash }) => hash),
    ).toEqual([0, 1, 3]);
    expect(
      reader()
        .page(0, 4, 3)
        .map(({ hash }) => hash),
    ).toEqual([5, HASH_MAX]);
    expect(
      reader()
        .page(0, HASH_MAX, 3)
        .map(({ hash }) => hash),
    ).toEqual([HASH_MAX]);
    expect(reader().page(0, HASH_MAX + 1, 3)).toEqual([]);
    expect(reader().page(9, 0, 3)).toEqual([]);
  });

  test("has all keys of its last hash, beyond the limit", () => {
    const { add, reader } = setUp();
    for (const hash of [1, 2, 2, 2, 2, 3]) add({ hash });
    expect(idsOf(reader().page(0, 0, 2)).sort()).toEqual([1, 2, 3, 4, 5]);
    expect(idsOf(reader().page(0, 0, 1))).toEqual([1]);
    expect(idsOf(reader().page(0, 2, 1)).sort()).toEqual([2, 3, 4, 5]);
    expect(idsOf(reader().page(0, 0, 5)).sort()).toEqual([1, 2, 3, 4, 5]);
  });

  test("followed page by page shows each key of the slot once", () => {
    const hashes = fc.array(fc.oneof(fc.nat(4), fc.constant(HASH_MAX)), { maxLength: 40 });
    fc.assert(
      fc.property(hashes, fc.integer({ min: 1, max: 9 }), (all, limit) => {
        const { connection, add, reader } = setUp();
        for (const hash of all) {
          add({ hash });
          add({ hash, slot: 1 });
        }
        const read = reader();
        const seen: number[] = [];
        for (let hash = 0; ; ) {
          const rows = read.page(0, hash, limit);
          seen.push(...idsOf(rows));
          expect(rows.map((each) => each.hash)).toEqual(rows.map((each) => each.hash).sort((a, b) => a - b));
          const last = rows.at(-1);
          if (last === undefined || rows.length < limit) break;
          hash = last.hash + 1;
        }
        expect(seen.sort((a, b) => a - b)).toEqual(all.map((_, i) => 2 * i + 1));
        connection.close();
      }),
    );
  });
});

describe("expired()", () => {
  test("gives keys whose deadline is before now, the oldest first, of every slot", () => {
    const { add, reader } = setUp();
    add({ deadline: 30 });
    add({ deadline: 10, slot: 3 });
    add({ deadline: null });
    add({ deadline: 20 });
    expect(idsOf(reader().expired(30, FIRST, 10))).toEqual([2, 4]);
    expect(idsOf(reader().expired(31, FIRST, 10))).toEqual([2, 4, 1]);
    expect(reader().expired(10, FIRST, 10)).toEqual([]);
    expect(reader().expired(11, FIRST, 10)[0]).toMatchObject({ id: 2, slot: 3, deadline: 10 });
  });

  test("goes on behind the cursor, also among keys of one deadline", () => {
    const deadlines = fc.array(fc.option(fc.nat(5)), { maxLength: 40 });
    fc.assert(
      fc.property(deadlines, fc.integer({ min: 1, max: 7 }), fc.nat(6), (all, limit, now) => {
        const { connection, add, reader } = setUp();
        for (const deadline of all) add({ deadline });
        const read = reader();
        const seen: number[] = [];
        let after = FIRST;
        for (;;) {
          const rows = read.expired(now, after, limit);
          expect(rows.length).toBeLessThanOrEqual(limit);
          seen.push(...idsOf(rows));
          const last = rows.at(-1);
          if (last === undefined) break;
          after = { deadline: last.deadline, id: last.id };
        }
        const due = all.flatMap((deadline, i) =>
          deadline !== null && deadline < now ? [{ deadline, id: i + 1 }] : [],
        );
        due.sort((a, b) => a.deadline - b.deadline || a.id - b.id);
        expect(seen).toEqual(idsOf(due));
        connection.close();
      }),
    );
  });

  test.each([
    ["expired()", EXPIRED, { now: 9, deadline: 1, id: 2, limit: 5 }],
    ["page()", PAGE, { slot: 0, hash: 5, limit: 5 }],
    ["find()", FIND, [0, 5, 0, 5]],
  ])("the question of %s is answered from indexes, without sorting", (_name, sql, parameters) => {
    const { connection } = setUp();
    const plan = connection.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all(parameters);
    const details = plan.map(({ detail }) => detail);
    expect(details.some((detail) => detail.startsWith("SEARCH"))).toBe(true);
    // The one scan is that of the page which was found.
    expect(details.filter((detail) => /SCAN (?!name$)|TEMP B-TREE/.test(detail))).toEqual([]);
  });
});

test("a start knows the databases and an id above all others", () => {
  const { add, reader } = setUp();
  expect(reader().nextId).toBe(1);
  for (let i = 0; i < 5; i++) add({});
  expect(reader().nextId).toBe(6);
  expect(reader().databases).toHaveLength(16);
});
