/**
 * What BITOP gives is kept in the file as an expression of other rows, until one of them changes. That nothing of it shows, whatever happens, is
 * shown by random programs in storage/writer-model; here is what is kept so, and what each kind of change makes of it.
 */
import { beforeEach, describe, expect, test } from "vitest";
import {
  EXPRESSION_BYTES_MIN,
  EXPRESSION_DEPTH_MAX,
  EXPRESSIONS_BYTES_MAX,
  SMALL_MEMBERS_MAX,
  SOURCE_BYTES_MAX,
} from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { type BitOp, bitop } from "../../../src/keyspace/bitmap-op.js";
import type { Database } from "../../../src/keyspace/database.js";
import type { Entry } from "../../../src/keyspace/entry.js";
import { Expressions } from "../../../src/keyspace/expressions.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { keyBytes } from "./bytes.js";
import { StorageInHand } from "./sqlite.js";

const MEMBERS = 2 * SMALL_MEMBERS_MAX;

let storage: StorageInHand;
let keyspace: Keyspace;

beforeEach(() => {
  storage = new StorageInHand();
  open();
  for (const [name, step] of Object.entries({ a: 2, b: 3, c: 5 })) {
    keyspace.setValue(database(), name, Bitmap.fromOffsets(Uint32Array.from({ length: MEMBERS }, (_, i) => i * step)));
  }
  storage.commit(keyspace);
});

function open(): void {
  keyspace = new Keyspace(storage, { now: () => 0 }, Math.random);
}

/** As after a crash. */
function restart(): void {
  storage = storage.reopened();
  open();
}

function database(number = 0): Database {
  return keyspace.databases[number] as Database;
}

function entry(name: string, of = database()): Entry {
  return keyspace.lookup(of, name) as Entry;
}

function set(op: BitOp, target: string, ...sources: string[]): void {
  const bitmaps = sources.map((source) => keyspace.bitmap(entry(source)));
  keyspace.setValue(database(), target, bitop(op, bitmaps));
}

function members(name: string, of = database()): number[] {
  return [...keyspace.bitmap(entry(name, of)).members];
}

/** What the file has, by key: of an expression its text with keys for ids, of other values their members. */
function inFile(): Record<string, string | number> {
  const rows = storage.connection
    .prepare<[], { id: number; key: string; cardinality: number; expression: string | null }>(
      `SELECT keys.id, CAST(key AS TEXT) AS key, cardinality, expression FROM keys LEFT JOIN expressions USING (id)
       WHERE CAST(key AS TEXT) NOT IN ('a', 'b', 'c') ORDER BY keys.id`,
    )
    .all();
  const names = storage.connection.prepare<[number], string>("SELECT CAST(key AS TEXT) FROM keys WHERE id = ?").pluck();
  return Object.fromEntries(
    rows.map(({ key, cardinality, expression }) => [
      key,
      expression?.replace(/\d+/g, (id) => String(names.get(Number(id)))) ?? cardinality,
    ]),
  );
}

const chunks = () => storage.connection.prepare("SELECT count(*) FROM chunks").pluck().get();
const multiples = (of: number, below: number) => Array.from({ length: Math.ceil(below / of) }, (_, i) => i * of);

const BOTH = multiples(6, MEMBERS * 2);

describe("a result", () => {
  test("of one or two values is an expression, without bits of its own, and is read as one after a start", () => {
    const before = chunks();
    set("AND", "both", "a", "b");
    set("NOT", "not", "a");
    storage.commit(keyspace);
    expect(inFile()).toEqual({ both: "AND a b", not: "NOT a" });
    expect(chunks()).toBe(before);
    restart();
    expect(members("both")).toEqual(BOTH);
    expect(keyspace.getBit(database(), keyBytes("not"), 1)).toBe(1);
  });

  test("of a value that is no key's any more is written", () => {
    set("AND", "both", "a", "b");
    keyspace.delete(entry("b"));
    storage.commit(keyspace);
    expect(inFile()).toEqual({ both: BOTH.length });
  });

  test("over one of its sources is written", () => {
    set("AND", "a", "a", "b");
    storage.commit(keyspace);
    restart();
    expect(members("a")).toEqual(BOTH);
    expect(storage.expressions).toEqual([]);
  });

  test("with a complement that nobody has made is an expression of what that is of", () => {
    set("NOT", "not", "b");
    set("AND", "without", "a", "not");
    storage.commit(keyspace);
    expect(inFile()).toEqual({ not: "NOT b", without: "DIFF a b" });
  });

  test("that is made again of the same values costs no change of the file", () => {
    set("AND", "both", "a", "b");
    storage.commit(keyspace);
    set("AND", "both", "a", "b");
    expect(keyspace.isDirty).toBe(false);
    set("AND", "both", "b", "a");
    expect(keyspace.isDirty).toBe(true);
  });

  test("of results is one as deep as it may be, and then written", () => {
    set("OR", "0", "a", "b");
    for (let depth = 1; depth <= EXPRESSION_DEPTH_MAX; depth++) set("XOR", String(depth), String(depth - 1), "c");
    storage.commit(keyspace);
    const last = String(EXPRESSION_DEPTH_MAX);
    const deepest = EXPRESSION_DEPTH_MAX - 1;
    expect(inFile()).toMatchObject({ [deepest]: `XOR ${deepest - 1} c`, [last]: expect.any(Number) });
    const expected = members(last);
    restart();
    expect(members(last)).toEqual(expected);
  });
});

describe("before a source changes the value is made as it was", () => {
  const changes: Record<string, () => void> = {
    "a bit of it": () => void keyspace.setBit(database(), keyBytes("b"), 1, 1),
    "all of it": () => void keyspace.setValue(database(), "b", Bitmap.fromOffsets(Uint32Array.of(3))),
    "it is deleted": () => keyspace.delete(entry("b")),
    "it is a result again": () => set("OR", "b", "a", "c"),
    "it is moved": () => keyspace.rename(entry("b"), database(1), "b"),
    "it is renamed and changes": () => {
      keyspace.rename(entry("b"), database(), "renamed");
      keyspace.setBit(database(), keyBytes("renamed"), 1, 1);
    },
  };
  /** What comes between the result and the change. */
  const moments: Record<string, () => void> = {
    later: () => storage.commit(keyspace),
    "in the same batch": () => {},
    "when neither was in memory": () => {
      storage.commit(keyspace);
      restart();
    },
  };
  const cases = Object.keys(moments).flatMap((when) => Object.keys(changes).map((what) => [what, when] as const));

  test.each(cases)("%s, %s", (what, when) => {
    set("AND", "both", "a", "b");
    moments[when]?.();
    changes[what]?.();
    storage.commit(keyspace);
    expect(inFile()).toMatchObject({ both: BOTH.length });
    restart();
    expect(members("both")).toEqual(BOTH);
  });

  test("with the length that the log has of it", () => {
    const long = Buffer.alloc(1000);
    long[0] = 0xff;
    keyspace.setRange(database(), "a", 5000, long);
    storage.apply(keyspace.takeBatch());
    set("NOT", "not", "a");
    storage.apply(keyspace.takeBatch());
    keyspace.residency.forgetClean();
    const cardinality = keyspace.bitmap(entry("not")).cardinality;
    restart();
    expect(keyspace.bitmap(entry("not")).cardinality).toBe(cardinality);
    restart();
    keyspace.setBit(database(), keyBytes("a"), 1, 1);
    storage.commit(keyspace);
    expect(inFile()).toEqual({ not: cardinality });
    restart();
    expect(keyspace.bitmap(entry("not")).byteLength).toBe(6000);
  });

  test("with the bits that the log has of it", () => {
    keyspace.setBit(database(), keyBytes("a"), 9, 1);
    set("AND", "both", "a", "b");
    storage.apply(keyspace.takeBatch());
    keyspace.setBit(database(), keyBytes("a"), 15, 1);
    storage.apply(keyspace.takeBatch());
    restart();
    expect(members("both").slice(0, 4)).toEqual([0, 6, 9, 12]);
  });

  test("which a replacement of all data that is undone is not", () => {
    set("AND", "both", "a", "b");
    storage.commit(keyspace);
    keyspace.beginReplacement();
    storage.commit(keyspace);
    keyspace.undoReplacement();
    keyspace.setBit(database(), keyBytes("b"), 4, 1);
    storage.commit(keyspace);
    expect(inFile()).toEqual({ both: BOTH.length });
    restart();
    expect(members("both")).toEqual(BOTH);
  });
});

describe("the result itself", () => {
  test("is written when a bit of it changes", () => {
    set("AND", "both", "a", "b");
    storage.commit(keyspace);
    restart();
    keyspace.setBit(database(), keyBytes("both"), 1, 1);
    storage.commit(keyspace);
    expect(inFile()).toEqual({ both: BOTH.length + 1 });
    restart();
    expect(members("both").slice(0, 3)).toEqual([0, 1, 6]);
  });

  test("leaves nothing when it is deleted, and its sources may change", () => {
    set("AND", "both", "a", "b");
    storage.commit(keyspace);
    keyspace.delete(entry("both"));
    keyspace.setBit(database(), keyBytes("a"), 1, 1);
    storage.commit(keyspace);
    expect(inFile()).toEqual({});
    expect(storage.connection.prepare("SELECT count(*) FROM expressions").pluck().get()).toBe(0);
  });

  test("stays one under another name, also in the batch that it was made in", () => {
    set("AND", "both", "a", "b");
    keyspace.rename(entry("both"), database(), "early");
    storage.commit(keyspace);
    expect(inFile()).toEqual({ early: "AND a b" });
    keyspace.rename(entry("early"), database(), "late");
    storage.commit(keyspace);
    expect(inFile()).toEqual({ late: "AND a b" });
    keyspace.setBit(database(), keyBytes("late"), 1, 1);
    storage.commit(keyspace);
    restart();
    expect(members("late").slice(0, 3)).toEqual([0, 1, 6]);
  });

  test("is written when it is moved to another database", () => {
    set("AND", "both", "a", "b");
    storage.commit(keyspace);
    keyspace.rename(entry("both"), database(1), "both");
    keyspace.flush(database());
    storage.commit(keyspace);
    storage.writer.tidy();
    restart();
    expect(members("both", database(1))).toEqual(BOTH);
  });

  test("goes with its database, and a database that changes places takes it along", () => {
    set("AND", "both", "a", "b");
    storage.commit(keyspace);
    keyspace.swap(database(0), database(1));
    storage.commit(keyspace);
    restart();
    expect(members("both", database(1))).toEqual(BOTH);
    keyspace.setBit(database(1), keyBytes("a"), 4, 0);
    storage.commit(keyspace);
    expect(inFile()).toEqual({ both: BOTH.length });
    keyspace.flush(database(1));
    storage.commit(keyspace);
    storage.writer.tidy();
    expect(storage.connection.prepare("SELECT count(*) FROM expressions").pluck().get()).toBe(0);
  });
});

describe("what is damaged", () => {
  const damage = (sql: string) => void storage.connection.exec(sql);
  const damageB =
    "UPDATE chunks SET checksum = checksum + 1 WHERE chunk >> 16 = (SELECT id FROM keys WHERE key = x'62')";

  beforeEach(() => {
    set("AND", "both", "a", "b");
    storage.commit(keyspace);
  });

  test("damages what is an expression of it, and says so", () => {
    damage(damageB);
    restart();
    expect(() => members("both")).toThrow(/of what it is made of, the value with id \d+ is damaged/);
  });

  test("does not keep changes from being committed: the result stays damaged when its source is healed", () => {
    damage(damageB);
    restart();
    keyspace.setValue(database(), "b", Bitmap.fromOffsets(Uint32Array.of(3)));
    keyspace.setBit(database(), keyBytes("a"), 1, 1);
    storage.commit(keyspace);
    expect(storage.warnings).toEqual([expect.stringMatching(/damaged/)]);
    restart();
    expect(members("b")).toEqual([3]);
    expect(() => members("both")).toThrow(/its expression is lost/);
    keyspace.setValue(database(), "both", Bitmap.fromOffsets(Uint32Array.of(7)));
    storage.commit(keyspace);
    restart();
    expect(members("both")).toEqual([7]);
  });

  test.each([
    ["UPDATE expressions SET expression = replace(expression, 'AND', 'OR')", /its expression is lost, or not what/],
    ["DELETE FROM chunks; DELETE FROM keys WHERE key = x'62'", /what it is made of, the value with id \d+, is missing/],
  ])("is found out: %s", (sql, error) => {
    damage(sql);
    restart();
    expect(() => members("both")).toThrow(error);
  });
});

describe("what there is to make when a source changes is bounded", () => {
  const expression = (...sources: number[]) => ({ op: "AND", sources }) as const;
  const idsOf = (expressions: Expressions, id: number) => expressions.release(id).map((each) => each.id);

  test("in bytes, of which small ones count as more", () => {
    const expressions = new Expressions();
    expect(expressions.add(10, expression(1, 2), SOURCE_BYTES_MAX - EXPRESSION_BYTES_MIN)).toBe(true);
    expect(expressions.add(11, expression(1, 3), EXPRESSION_BYTES_MIN + 1)).toBe(false);
    expect(expressions.add(12, expression(1, 3), 1)).toBe(true);
    expect(expressions.add(13, expression(4, 2), EXPRESSION_BYTES_MIN + 1)).toBe(false);
    expect(expressions.release(1).map(({ id, bytes }) => [id, bytes])).toEqual([
      [10, SOURCE_BYTES_MAX - EXPRESSION_BYTES_MIN],
      [12, EXPRESSION_BYTES_MIN],
    ]);
    expect(expressions.add(13, expression(4, 2), SOURCE_BYTES_MAX)).toBe(true);
    expect([1, 2, 3, 10].map((id) => expressions.has(id))).toEqual([false, true, false, false]);
  });

  test("with what sources are of that are expressions themselves", () => {
    const expressions = new Expressions();
    const half = SOURCE_BYTES_MAX / 2;
    expect(expressions.add(10, expression(1, 2), half)).toBe(true);
    expect(expressions.add(11, expression(10, 3), half + 1)).toBe(false);
    expect(expressions.add(11, expression(10, 3), half)).toBe(true);
    expect(expressions.add(12, expression(4, 3), 1)).toBe(false);
  });

  test("in all of a database", () => {
    const expressions = new Expressions();
    const most = EXPRESSIONS_BYTES_MAX / EXPRESSION_BYTES_MIN;
    for (let i = 1; i <= most; i++) expect(expressions.add(2 * i, expression(2 * i + 1), 1)).toBe(true);
    expect(expressions.add(1, expression(0), 1)).toBe(false);
    expect(expressions.drop(2)?.id).toBe(2);
    expect(expressions.drop(2)).toBeUndefined();
    expect(expressions.add(1, expression(0), 1)).toBe(true);
  });

  test("and nothing is left of one whose sources are the same row, or that is its own", () => {
    const expressions = new Expressions();
    expect(expressions.add(10, expression(1, 1), 1)).toBe(true);
    expressions.restore(11, expression(11, 1), 1);
    expect(idsOf(expressions, 1)).toEqual([10, 11]);
    expect(idsOf(expressions, 1)).toEqual([]);
    expect([1, 10, 11].map((id) => expressions.has(id))).toEqual([false, false, false]);
  });
});

describe("in memory", () => {
  test("a result does not hold a source that has changed", () => {
    const before = Bitmap.usedBytes();
    const results = 50;
    for (let i = 0; i < results; i++) {
      set("OR", `result ${i}`, "a", "b");
      storage.commit(keyspace);
      keyspace.setBit(database(), keyBytes("a"), 2 * MEMBERS + i, 1);
    }
    storage.commit(keyspace);
    const bytes = keyspace.bitmap(entry("result 0")).nativeBytes;
    expect(bytes).toBeGreaterThan(0);
    // Each result has its own bits by now, and there is one `a`: with the old ones there would be twice as much.
    expect(Bitmap.usedBytes() - before).toBeLessThan(1.3 * results * bytes);
  });

  test("a result that is not there is made by the writer", () => {
    set("AND", "both", "a", "b");
    storage.commit(keyspace);
    keyspace.residency.forgetClean();
    keyspace.setBit(database(), keyBytes("a"), 1, 1);
    const batch = keyspace.takeBatch();
    expect(batch.words.byteLength).toBeLessThan(100);
    storage.apply(batch);
    expect(inFile()).toEqual({ both: BOTH.length });
  });
});
