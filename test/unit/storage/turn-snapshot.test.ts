/** Questions of one turn see one state of the file, until they must not. */
import { expect, test } from "vitest";
import { connect } from "../../../src/storage/schema.js";
import { TurnSnapshot } from "../../../src/storage/turn-snapshot.js";
import { temporaryFolder } from "../../support/temporary-folder.js";

function setUp() {
  const path = temporaryFolder()("data.db");
  const writer = connect(path, 1000);
  writer.pragma("journal_mode = WAL");
  writer.exec("CREATE TABLE facts (fact INTEGER)");
  const reader = connect(path, 1000, { readonly: true });
  const snapshot = new TurnSnapshot(reader);
  const count = reader.prepare<[], number>("SELECT count(*) FROM facts").pluck();
  const ask = () => {
    snapshot.use();
    return count.get();
  };
  const commit = () => void writer.exec("INSERT INTO facts VALUES (1)");
  return { reader, snapshot, ask, commit };
}

const turn = () => new Promise((done) => setImmediate(done));

test("the first question of a turn holds nothing, later ones share what the second saw", () => {
  const { reader, ask, commit } = setUp();
  expect(ask()).toBe(0);
  expect(reader.inTransaction).toBe(false);
  commit();
  expect(ask()).toBe(1);
  commit();
  expect([ask(), ask(), reader.inTransaction]).toEqual([1, 1, true]);
});

test("who learns of a commit sees it at once", () => {
  const { snapshot, ask, commit } = setUp();
  expect([ask(), ask()]).toEqual([0, 0]);
  commit();
  snapshot.refresh();
  expect([ask(), ask()]).toEqual([1, 1]);
  snapshot.refresh();
  snapshot.refresh();
  expect(ask()).toBe(1);
});

test("the next turn sees what was committed in the last, and holds nothing when it asks nothing", async () => {
  const { reader, ask, commit } = setUp();
  for (let committed = 0; committed < 3; committed++) {
    expect([ask(), ask()]).toEqual([committed, committed]);
    commit();
    expect(ask()).toBe(committed);
    await turn();
    expect(reader.inTransaction).toBe(false);
  }
});

test("questions that belong together see the same, and the next one what was committed between them", () => {
  const { reader, snapshot, ask, commit } = setUp();
  const both = () => {
    const first = ask();
    commit();
    return [first, ask()];
  };
  expect(snapshot.during(both)).toEqual([0, 0]);
  expect(reader.inTransaction).toBe(false);
  expect(() =>
    snapshot.during(() => {
      throw new Error("damaged");
    }),
  ).toThrow("damaged");
  expect(reader.inTransaction).toBe(false);
  ask();
  expect(reader.inTransaction).toBe(true);
  expect(snapshot.during(both)).toEqual([1, 1]);
  expect(reader.inTransaction).toBe(true);
});

test("a reader that is closed within a turn is left alone", async () => {
  const { reader, ask } = setUp();
  ask();
  ask();
  reader.close();
  await turn();
  expect(reader.open).toBe(false);
});
