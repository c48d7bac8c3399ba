/** The two parts of the index: whatever is done, each key's name is in one of them, and rounds bring the new ones home. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { NAMES_SLICE_ROWS, NEW_NAMES_MAX } from "../../../src/config.js";
import { Names } from "../../../src/storage/names.js";
import { type Connection, connect, createSchema } from "../../../src/storage/schema.js";
import { expectNamesRight } from "./file-checks.js";

const count = (connection: Connection, table: string) =>
  connection.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;

function setUp() {
  const connection = connect(":memory:", 4000);
  createSchema(connection);
  const insert = connection.prepare("INSERT INTO keys VALUES (?, ?, ?, x'61', 0, 0, NULL, 0, 0)");
  return { connection, insert };
}

/** Hashes in no order, none twice. */
const hashOf = (id: number) => (id * 7919) % 1_000_003;

function addKeys(
  connection: Connection,
  insert: ReturnType<typeof setUp>["insert"],
  first: number,
  keys: number,
): void {
  connection.transaction(() => {
    for (let id = first; id < first + keys; id++) insert.run(id, id % 3, hashOf(id));
  })();
}

test("a round begins when there are many new names, and brings them all home, a slice at a time", () => {
  const { connection, insert } = setUp();
  addKeys(connection, insert, 1, NEW_NAMES_MAX - 1);
  const names = new Names(connection);
  expect([names.isDue, names.isLate]).toEqual([false, false]);
  addKeys(connection, insert, NEW_NAMES_MAX, 1);
  names.added(1);
  let steps = 0;
  while (names.isDue) {
    names.step();
    steps++;
    if (steps === 1) expect(count(connection, "names")).toBe(NAMES_SLICE_ROWS);
  }
  expect(steps).toBeGreaterThanOrEqual(NEW_NAMES_MAX / NAMES_SLICE_ROWS);
  expect([count(connection, "names"), count(connection, "new_names")]).toEqual([NEW_NAMES_MAX, 0]);
  expectNamesRight(connection);
});

test("what comes behind the round's back stays for the next; names too many for one round are late", () => {
  const { connection, insert } = setUp();
  addKeys(connection, insert, 1, 2 * NEW_NAMES_MAX);
  const names = new Names(connection);
  expect(names.isLate).toBe(true);
  names.step();
  insert.run(10_000_000, 0, 0);
  names.added(1);
  while (names.isDue) names.step();
  expect(names.isLate).toBe(false);
  expect([count(connection, "names"), count(connection, "new_names")]).toEqual([2 * NEW_NAMES_MAX, 1]);
});

test("a round that was undone in the middle begins again", () => {
  const { connection, insert } = setUp();
  addKeys(connection, insert, 1, NEW_NAMES_MAX);
  const names = new Names(connection);
  names.step();
  expect(() =>
    connection.transaction(() => {
      names.step();
      throw new Error("undone");
    })(),
  ).toThrow("undone");
  names.lookAgain();
  while (names.isDue) names.step();
  expect(count(connection, "names") + count(connection, "new_names")).toBe(NEW_NAMES_MAX);
  expectNamesRight(connection);
});

test("keys that come, go and are renamed, in either part", () => {
  const action = fc.record({
    kind: fc.constantFrom("add", "delete", "rename", "home"),
    id: fc.integer({ min: 1, max: 12 }),
    slot: fc.nat(2),
    hash: fc.nat(5),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const { connection } = setUp();
      const add = connection.prepare("INSERT OR IGNORE INTO keys VALUES (?, ?, ?, x'61', 0, 0, NULL, 0, 0)");
      const rename = connection.prepare("UPDATE keys SET slot = ?, hash = ? WHERE id = ?");
      for (const { kind, id, slot, hash } of actions) {
        if (kind === "add") add.run(id, slot, hash);
        else if (kind === "delete") connection.prepare("DELETE FROM keys WHERE id = ?").run(id);
        else if (kind === "rename") rename.run(slot, hash, id);
        else new Names(connection).step();
        expectNamesRight(connection);
      }
      connection.close();
    }),
  );
});
