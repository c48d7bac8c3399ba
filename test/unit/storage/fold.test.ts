/** How the log's bits come home: where to, when, in what pieces, and what a failure or a crash in between changes: nothing. */
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  DELTAS_MAX,
  FOLD_IDLE_MS,
  FOLD_RATIO,
  LOG_AGE_MS_MAX,
  LOG_BYTES_MAX,
  LOG_BYTES_OLD,
  LOG_ROWS_MAX,
  PRESSURE_STEPS,
} from "../../../src/config.js";
import { checksum } from "../../../src/storage/values.js";
import { expectTidy, rowCounts } from "./file-checks.js";
import { noise, Store } from "./store.js";

// So many keys take long to make.
vi.mock("../../../src/config.js", async (original) => ({
  ...(await original<object>()),
  LOG_ROWS_MAX: 300,
  LOG_BYTES_MAX: 2 ** 16,
  LOG_BYTES_OLD: 2 ** 14,
}));

afterEach(() => {
  vi.restoreAllMocks();
});

/** A store with these keys, whose writer has seen that there is no garbage: the next pieces of work are of the log. */
function storeOf(values: Record<string, Uint8Array | string>): Store {
  const store = new Store();
  for (const [key, bytes] of Object.entries(values)) store.put(key, bytes);
  store.flush();
  store.storage.step(1);
  return store;
}

const isHome = (store: Store, key: string) => store.readHome(key).equals(store.read(key));

describe("bits come home", () => {
  test("into the chunk of a small value, with its length and cardinality", () => {
    const store = storeOf({ a: "a", b: "b" });
    store.bit("a", 7, 0);
    store.bit("a", 70);
    store.bit("b", 4_294_967_295);
    store.flush();
    store.storage.settle();
    expect(rowCounts(store.connection)).toMatchObject({ log: 0, deltas: 0, chunks: 2 });
    expect(store.row("a")).toMatchObject({ length: 9, cardinality: 3 });
    expect(store.row("b")).toMatchObject({ length: 2 ** 29, cardinality: 4 });
    expect(store.readHome("a").toString("latin1")).toBe("\x60\0\0\0\0\0\0\0\x02");
    expect(store.storage.load(store.id("b")).getBit(4_294_967_295)).toBe(1);
  });

  test("beside the chunks of a large value, which stay as they are", () => {
    const store = storeOf({ large: noise(300_000) });
    const chunks = () => store.connection.prepare("SELECT chunk, checksum, hex(portable) FROM chunks").raw().all();
    const before = chunks();
    for (let round = 1; round <= 3; round++) {
      store.touch("large", round * 1_000_001);
      store.touch("large", round);
      store.flush();
      store.storage.settle();
      expect(rowCounts(store.connection)).toMatchObject({ log: 0, deltas: round });
      expect(isHome(store, "large")).toBe(true);
    }
    expect(chunks()).toEqual(before);
    expect(store.storage.writer.figures.deltaBytes).toBe(store.row("large").deltaBytes);
  });

  test("into the chunks when the deltas have grown to a part of them, in several pieces", () => {
    const store = storeOf({ large: noise(300_000) });
    const { chunkBytes } = store.row("large");
    let rounds = 0;
    do {
      for (let i = 0; i < 20_000; i++) store.bit("large", (i * 113 + rounds * 7) % 2_400_000, (i % 2) as 0 | 1);
      store.flush();
      while (store.storage.writer.figures.logBytes > 0) store.storage.step(1);
      rounds++;
    } while (store.storage.writer.dueInMs !== 0);
    expect(rounds).toBeGreaterThan(1);
    expect(store.row("large").deltaBytes * FOLD_RATIO).toBeGreaterThan(chunkBytes);
    let pieces = 0;
    for (; store.storage.writer.dueInMs === 0; pieces++) {
      store.storage.step(1);
      expect(isHome(store, "large")).toBe(true);
    }
    expect(pieces).toBeGreaterThanOrEqual(store.numbers("chunk", store.id("large")).length);
    expect(rowCounts(store.connection).deltas).toBe(0);
    expectTidy(store.connection);
  });

  test("of several batches in one piece for each key, and the log goes with the last", () => {
    const store = storeOf({ a: "a", b: "b" });
    for (let i = 0; i < 10; i++) {
      store.bit("a", i * 20);
      store.bit("b", i * 30);
      store.flush();
    }
    expect(store.storage.writer.figures.logRows).toBe(2);
    store.storage.step(1);
    expect([isHome(store, "a"), isHome(store, "b"), rowCounts(store.connection).log]).toEqual([true, false, 10]);
    store.storage.step(1);
    expect([isHome(store, "b"), rowCounts(store.connection).log]).toEqual([true, 10]);
    store.storage.step(1);
    expect(rowCounts(store.connection).log).toBe(0);
    expect(store.storage.writer.dueInMs).toBeUndefined();
  });

  test("of a key that was deleted, replaced or renamed meanwhile, each as it is now", () => {
    const store = storeOf({ deleted: "d", replaced: "r", renamed: "n", last: "l" });
    for (const key of ["deleted", "replaced", "renamed", "last"]) store.bit(key, 50);
    store.flush();
    store.storage.writer.settleSoon();
    store.delete("deleted");
    store.put("replaced", "new");
    store.rename("renamed", "other", { toDatabase: 3 });
    store.flush();
    store.storage.writer.tidy();
    expectTidy(store.connection);
    expect(store.rows().map(({ key }) => [key, store.readHome(key).length])).toEqual([
      ["replaced", 3],
      ["other", 7],
      ["last", 7],
    ]);
  });

  test("not into a value that was replaced or deleted while its deltas were being folded", () => {
    for (const how of ["replaced", "deleted", "emptied"]) {
      for (const pieces of [0, 1, 2, 3]) {
        const store = storeOf({ large: noise(400_000) });
        for (let i = 0; i < 150_000; i++) store.touch("large", (i * 21) % 3_200_000);
        store.flush();
        while (store.storage.writer.figures.logBytes > 0) store.storage.step(1);
        expect(store.storage.writer.dueInMs).toBe(0);
        for (let i = 0; i < pieces; i++) store.storage.step(1);
        expect(rowCounts(store.connection).deltas).toBe(1);
        if (how === "replaced") store.put("large", Buffer.alloc(400_000));
        else if (how === "deleted") store.delete("large");
        else store.keyspace.flush(store.database(0));
        store.flush();
        store.storage.writer.tidy();
        expectTidy(store.connection);
        expect(store.storage.writer.figures.deltaBytes).toBe(0);
        if (how === "replaced") expect(store.readHome("large").equals(Buffer.alloc(400_000))).toBe(true);
      }
    }
  });

  test("and then are forgotten: a value that is replaced later has nothing in the log to take back", () => {
    const store = storeOf({ a: "a" });
    store.bit("a", 50);
    store.flush();
    store.storage.settle();
    store.put("a", "new");
    store.flush();
    expect(rowCounts(store.connection).log).toBe(0);
  });

  test("not of a database that was emptied meanwhile, whatever of its rows is still there", () => {
    for (const pieces of [1, 2, 3, 5, 100]) {
      const store = storeOf({ a: "a", large: noise(200_000), b: "b" });
      for (const key of ["a", "large", "b"]) store.bit(key, 3_000_000);
      store.flush();
      store.storage.step(pieces);
      store.keyspace.flush(store.database(0));
      store.flush();
      while (store.storage.writer.figures.logRows > 0 || store.storage.writer.dueInMs === 0) store.storage.step(pieces);
      store.storage.writer.tidy();
      expectTidy(store.connection);
      expect(rowCounts(store.connection)).toMatchObject({ keys: 0, chunks: 0 });
    }
  });
});

describe("what is settled", () => {
  test("is all that was committed when nothing is in the log", () => {
    const store = storeOf({ a: "a" });
    expect(store.storage.settledBatch).toBe(1);
    store.expire("a", 100);
    store.flush();
    store.put("a", "new");
    store.flush();
    expect(store.storage.settledBatch).toBe(3);
    store.bit("a", 0);
    store.flush();
    expect(store.storage.settledBatch).toBe(3);
    store.put("a", "newer");
    store.flush();
    expect(store.storage.settledBatch).toBe(5);
  });

  test("is what was committed when a round began, once that has ended", () => {
    const store = storeOf({ a: "a", b: "b" });
    for (const key of ["a", "b"]) store.bit(key, 50);
    store.flush();
    store.storage.step(1);
    for (const key of ["a", "b"]) store.bit(key, 60);
    store.flush();
    store.storage.step(1);
    expect(store.storage.settledBatch).toBe(1);
    store.storage.step(1);
    expect(store.storage.settledBatch).toBe(2);
    store.storage.settle();
    expect(store.storage.settledBatch).toBe(3);
  });

  test("is no more than that though the same slice goes on with the next round", () => {
    const store = storeOf({ a: "a", b: "b" });
    for (const key of ["a", "b"]) store.bit(key, 50);
    store.flush();
    store.storage.step(1);
    for (const key of ["a", "b"]) store.bit(key, 60);
    store.flush();
    store.storage.settleSoon();
    store.storage.step(3);
    expect([isHome(store, "a"), isHome(store, "b")]).toEqual([true, false]);
    expect(store.storage.settledBatch).toBe(2);
  });
});

describe("the work is due", () => {
  test("when the log is old, and not small, though bits still come", () => {
    let now = 5000;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const store = new Store();
    store.put("a", "a");
    store.flush();
    const { writer } = store.storage;
    const bringHome = () => {
      while (writer.dueInMs === 0) writer.step();
    };
    bringHome();
    let offset = 1000;
    const flushBits = (bits: number) => {
      for (const end = offset + bits; offset < end; offset++) store.bit("a", offset);
      store.flush();
      return writer.dueInMs;
    };
    now += LOG_AGE_MS_MAX;
    expect(flushBits(1)).toBe(FOLD_IDLE_MS);
    expect(flushBits(LOG_BYTES_OLD / 4)).toBe(0);
    bringHome();
    now += LOG_AGE_MS_MAX - 1;
    expect(flushBits(LOG_BYTES_OLD / 4)).toBe(FOLD_IDLE_MS);
    now += 1;
    expect(writer.dueInMs).toBe(0);
  });

  test("when no bits have come for a while, at once when it is asked for, or there are bits of very many keys", () => {
    let now = 5000;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const store = new Store();
    for (let i = 0; i < LOG_ROWS_MAX; i++) store.put(`k${i}`, "");
    store.flush();
    const { writer } = store.storage;
    while (writer.dueInMs === 0) writer.step();
    expect(writer.dueInMs).toBeUndefined();
    store.bit("k0", 1);
    store.flush();
    expect(writer.dueInMs).toBe(FOLD_IDLE_MS);
    now += 1000;
    expect(writer.dueInMs).toBe(FOLD_IDLE_MS - 1000);
    store.bit("k0", 2);
    store.flush();
    expect(writer.dueInMs).toBe(FOLD_IDLE_MS);
    now += FOLD_IDLE_MS;
    expect(writer.dueInMs).toBe(0);
    writer.step();
    expect(writer.dueInMs).toBeUndefined();
    store.bit("k0", 3);
    store.flush();
    writer.settleSoon();
    expect(writer.dueInMs).toBe(0);
    writer.step();
    expect(writer.dueInMs).toBeUndefined();
    for (let i = 1; i < LOG_ROWS_MAX; i++) store.bit(`k${i}`, 1);
    store.flush();
    expect([writer.dueInMs, writer.isLate]).toEqual([FOLD_IDLE_MS, false]);
    store.bit("k0", 4);
    store.flush();
    expect(writer.dueInMs).toBe(0);
  });

  test("with the more haste the longer the log is, and as long as it is too long", () => {
    const keys = Object.fromEntries(Array.from({ length: 3 * LOG_ROWS_MAX }, (_, i) => [`k${i}`, "a"]));
    const store = storeOf(keys);
    const { writer } = store.storage;
    while (writer.dueInMs === 0) writer.step();
    const setBits = (from: number, to: number) => {
      for (let i = from; i < to; i++) store.bit(`k${i}`, 20);
      store.flush();
    };
    const haste = () => [writer.isLate, writer.pressure];
    setBits(0, 2 * LOG_ROWS_MAX - 1);
    expect(haste()).toEqual([false, expect.closeTo(1)]);
    setBits(2 * LOG_ROWS_MAX - 1, 2 * LOG_ROWS_MAX);
    expect(haste()).toEqual([true, 1]);
    setBits(2 * LOG_ROWS_MAX, 2.5 * LOG_ROWS_MAX);
    expect(haste()).toEqual([true, 2 ** (PRESSURE_STEPS / 4)]);
    setBits(2.5 * LOG_ROWS_MAX, 3 * LOG_ROWS_MAX);
    expect(haste()).toEqual([true, 2 ** (PRESSURE_STEPS / 2)]);
    while (writer.isLate) writer.step();
    expect(haste()).toEqual([false, 1]);
  });

  test("at once after a crash that left bits in the log", () => {
    const store = storeOf({ a: "a" });
    store.bit("a", 9);
    store.flush();
    const { writer } = store.crashed().storage;
    expect(writer.dueInMs).toBe(0);
    while (writer.dueInMs === 0) writer.step();
    expect(rowCounts(store.connection).log).toBe(0);
    expect(isHome(store, "a")).toBe(true);
  });
});

describe("a slice that fails", () => {
  const failing = (store: Store, what: string) =>
    store.connection.exec(`CREATE TRIGGER failing AFTER ${what} BEGIN SELECT RAISE(ABORT, 'disk full'); END`);

  test.each(["INSERT ON chunks", "INSERT ON deltas", "UPDATE ON keys", "DELETE ON log"])(
    "at an %s loses nothing, and later slices do it all",
    (what) => {
      const store = storeOf({ a: "a", large: noise(200_000), z: "z" });
      for (const key of ["a", "large", "z"]) store.bit(key, 1_700_000);
      store.flush();
      // As text: comparing buffers element by element takes seconds.
      const before = ["a", "large", "z"].map((key) => store.read(key).toString("latin1"));
      failing(store, what);
      expect(() => store.storage.writer.settle()).toThrow("disk full");
      expect(["a", "large", "z"].map((key) => store.read(key).toString("latin1"))).toEqual(before);
      store.bit("a", 3, 0);
      store.flush();
      store.connection.exec("DROP TRIGGER failing");
      store.storage.writer.tidy();
      expectTidy(store.connection);
      expect(["large", "z"].map((key) => store.readHome(key).toString("latin1"))).toEqual(before.slice(1));
      expect(store.row("a")).toMatchObject({ length: 212_501, cardinality: 4 });
      expect(store.storage.settledBatch).toBe(3);
    },
  );
});

test("a slice that fails, and the file cannot be read then either: nothing is lost once it can", () => {
  const store = storeOf({ a: "a", large: noise(200_000) });
  for (const key of ["a", "large"]) store.bit(key, 1_700_000);
  store.flush();
  const { writer } = store.storage;
  store.connection.exec(`CREATE TRIGGER failing AFTER DELETE ON log BEGIN SELECT RAISE(ABORT, 'disk full'); END`);
  store.connection.exec("UPDATE log SET checksum = checksum + 1");
  expect(() => writer.settle()).toThrow("disk full");
  for (let again = 0; again < 2; again++) expect(() => writer.settle()).toThrow("log row 1 is not what was written");
  expect(writer.dueInMs).toBe(0);
  store.connection.exec("DROP TRIGGER failing");
  store.connection.exec("UPDATE log SET checksum = checksum - 1");
  writer.tidy();
  expectTidy(store.connection);
  for (const key of ["a", "large"]) expect(store.storage.load(store.id(key)).getBit(1_700_000)).toBe(1);
});

test("a long log whose rows were all replaced leaves the file", () => {
  const store = storeOf({ a: "a" });
  const bits = LOG_BYTES_MAX / 4;
  for (let i = 0; i < bits; i++) store.bit("a", 1000 + i);
  store.delete("a");
  store.put("b", "b");
  store.flush();
  expect(rowCounts(store.connection).log).toBe(0);
  const changed = storeOf({ a: "a" });
  for (let i = 0; i < bits; i++) changed.bit("a", 1000 + i);
  changed.flush();
  changed.delete("a");
  changed.flush();
  const { writer } = changed.storage;
  expect(writer.figures).toMatchObject({ logRows: 0 });
  expect(writer.dueInMs).toBe(0);
  while (writer.dueInMs === 0) writer.step();
  expect(rowCounts(changed.connection).log).toBe(0);
  expect(writer.figures).toMatchObject({ logBytes: 0 });
  expect(writer.pressure).toBe(1);
});

describe("a value that is damaged", () => {
  function damaged(bytes: number) {
    const store = storeOf({ a: noise(bytes), b: "b" });
    store.connection.exec(`UPDATE chunks SET checksum = checksum + 1 WHERE chunk / 65536 = ${store.id("a")}`);
    for (const key of ["a", "b"]) store.touch(key, 5000);
    store.flush();
    return store;
  }

  test.each([300, 200_000])("of %d bytes is said once, keeps its new bits beside it, and stops nobody", (bytes) => {
    const store = damaged(bytes);
    store.storage.writer.tidy();
    expect(rowCounts(store.connection)).toMatchObject({ log: 0, deltas: 1 });
    expect(isHome(store, "b")).toBe(true);
    expect(store.storage.warnings).toHaveLength(bytes > 100_000 ? 1 : 2);
    for (const warning of store.storage.warnings) expect(warning).toMatch(/value with id 1 is damaged.*chunk/);
    expect(store.storage.writer.dueInMs).toBeUndefined();
    expect(() => store.read("a")).toThrow("id 1");
  });

  test("may be replaced or deleted like any other", () => {
    const replaced = damaged(200_000);
    replaced.storage.writer.tidy();
    replaced.put("a", "new");
    replaced.flush();
    expect(replaced.read("a").toString()).toBe("new");
    expect(rowCounts(replaced.connection).deltas).toBe(0);
    const deleted = damaged(200_000);
    deleted.storage.writer.tidy();
    deleted.delete("a");
    deleted.flush();
    deleted.storage.writer.tidy();
    expectTidy(deleted.connection);
  });
});

describe("a value that gets few bits a round for a very long time", () => {
  /** As if there had been `rounds` rounds: the one delta that there is becomes the last of so many. */
  function afterRounds(rounds: number): Store {
    const store = storeOf({ large: noise(200_000) });
    store.touch("large", 1_000_000);
    store.flush();
    store.storage.settle();
    const { connection } = store;
    const id = store.id("large");
    const delta = connection.prepare<[], { ones: Buffer; zeros: Buffer }>("SELECT ones, zeros FROM deltas").get();
    const { ones, zeros } = delta as { ones: Buffer; zeros: Buffer };
    connection
      .prepare("UPDATE deltas SET delta = ?, checksum = ?")
      .run(id * 65_536 + rounds - 1, checksum(id, rounds - 1, ones, zeros));
    return store;
  }

  test("has its deltas folded when they are many, however small", () => {
    const few = afterRounds(DELTAS_MAX - 2);
    few.touch("large", 1);
    few.flush();
    few.storage.settle();
    expect(few.numbers("delta", few.id("large"))).toHaveLength(2);
    few.touch("large", 2);
    few.flush();
    few.storage.writer.settle();
    while (few.storage.writer.dueInMs === 0) few.storage.step(1);
    expectTidy(few.connection);
    expect(isHome(few, "large")).toBe(true);
  });

  test("and can't be folded, stops nobody else when its deltas have no numbers left", () => {
    const store = afterRounds(65_536);
    store.connection.exec("UPDATE chunks SET checksum = checksum + 1");
    store.touch("large", 1);
    store.put("b", "b");
    store.flush();
    store.bit("b", 100);
    store.flush();
    store.storage.writer.tidy();
    expect(isHome(store, "b")).toBe(true);
    expect(store.storage.warnings.join()).toContain("further bits of it are not kept");
    expect(rowCounts(store.connection)).toMatchObject({ log: 0, deltas: 1 });
  });
});
