/** What a batch makes of the file: each kind of record, and several of them on one row. */
import { describe, expect, test } from "vitest";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { type Batch, ChangeLog } from "../../../src/keyspace/change-log.js";
import { Database } from "../../../src/keyspace/database.js";
import { Entry } from "../../../src/keyspace/entry.js";
import { keyHash } from "../../../src/keyspace/hash.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import { Applier } from "../../../src/storage/applier.js";
import { type Connection, connect, createSchema } from "../../../src/storage/schema.js";

interface Row {
  id: number;
  slot: number;
  key: string;
  text: string;
  cardinality: number;
  deadline: number | null;
}

function setUp() {
  const connection = connect(":memory:", 1000);
  createSchema(connection);
  const applier = new Applier(connection);
  const log = new ChangeLog();
  const commit = () => applier.apply(log.take().batch);
  const entry = (id: number, key: string, options: { slot?: number; text?: string } = {}) => {
    const database = new Database(0, options.slot ?? 0, 0, 0);
    const bitmap = Bitmap.fromBytes(Buffer.from(options.text ?? "", "latin1"));
    return new Entry(id, database, key, NO_DEADLINE, bitmap, 0);
  };
  /** A row that is in the file. */
  const stored = (id: number, key: string, options: { slot?: number; text?: string } = {}) => {
    const made = entry(id, key, options);
    log.create(made);
    log.value(made);
    commit();
    return made;
  };
  const put = (to: Entry, text: string) => {
    to.bitmap = Bitmap.fromBytes(Buffer.from(text, "latin1"));
    log.value(to);
  };
  const move = (moved: Entry, slot: number, key = moved.key) => {
    moved.database = new Database(0, slot, 0, 0);
    moved.key = key;
    log.rekey(moved);
  };
  const expireAt = (of: Entry, deadline: number) => {
    of.deadline = deadline;
    log.deadline(of);
  };
  return { connection, applier, log, commit, entry, stored, put, move, expireAt, rows: () => rowsOf(connection) };
}

/** All rows, each with its value; that lengths, cardinalities and hashes are right is checked on the way. */
function rowsOf(connection: Connection): Row[] {
  const rows = connection
    .prepare<
      [],
      {
        id: number;
        slot: number;
        hash: number;
        key: Buffer;
        byte_length: number;
        cardinality: number;
        deadline: number | null;
        portable: Buffer;
      }
    >("SELECT * FROM keys LEFT JOIN bitmaps USING (id) ORDER BY id")
    .all();
  expect(connection.prepare("SELECT count(*) FROM bitmaps").pluck().get()).toBe(rows.length);
  return rows.map(({ id, slot, hash, key, byte_length: length, cardinality, deadline, portable }) => {
    const bitmap = Bitmap.fromPortable(portable, length);
    expect(bitmap.cardinality).toBe(cardinality);
    expect(hash).toBe(keyHash(key.toString("latin1")));
    const text = bitmap.bytes(0, length).toString("latin1");
    return { id, slot, key: key.toString("latin1"), text, cardinality, deadline };
  });
}

const row = (id: number, key: string, facts: Partial<Row> = {}): Row => {
  const text = facts.text ?? "";
  const cardinality = Bitmap.fromBytes(Buffer.from(text, "latin1")).cardinality;
  return { id, slot: 0, key, text, cardinality, deadline: null, ...facts };
};

describe("each record", () => {
  test("create makes a row with an empty value", () => {
    const { log, commit, entry, rows } = setUp();
    log.create(entry(1, "a\0\xff", { slot: 3 }));
    commit();
    expect(rows()).toEqual([row(1, "a\0\xff", { slot: 3 })]);
  });

  test("bit sets, clears and lengthens, in order", () => {
    const { log, commit, stored, rows } = setUp();
    const a = stored(1, "a", { text: "\x80" });
    log.bit(a, 0, 0);
    log.bit(a, 3, 1);
    log.bit(a, 3, 0);
    log.bit(a, 4, 0);
    log.bit(a, 4, 1);
    log.bit(a, 20, 0);
    commit();
    expect(rows()).toEqual([row(1, "a", { text: "\x08\0\0" })]);
  });

  test("bit at the last offset there is", () => {
    const { connection, log, commit, stored } = setUp();
    log.bit(stored(1, "a"), 2 ** 32 - 1, 1);
    commit();
    expect(connection.prepare("SELECT byte_length, cardinality FROM keys").get()).toEqual({
      byte_length: 2 ** 29,
      cardinality: 1,
    });
  });

  test("value replaces the whole value, with a shorter one too", () => {
    const { commit, stored, put, rows } = setUp();
    const a = stored(1, "a", { text: "long" });
    put(a, "x");
    commit();
    expect(rows()).toEqual([row(1, "a", { text: "x" })]);
    put(a, "");
    commit();
    expect(rows()).toEqual([row(1, "a")]);
  });

  test("rekey gives the row another name and place, and its value stays", () => {
    const { commit, stored, move, rows } = setUp();
    const a = stored(1, "a", { text: "v" });
    move(a, 5, "b");
    commit();
    expect(rows()).toEqual([row(1, "b", { slot: 5, text: "v" })]);
  });

  test("delete takes the row and its value", () => {
    const { log, commit, stored, rows } = setUp();
    const a = stored(1, "a", { text: "v" });
    stored(2, "b");
    log.delete(a);
    commit();
    expect(rows()).toEqual([row(2, "b")]);
  });

  test("deadline is set, moved and taken away", () => {
    const { commit, stored, expireAt, rows } = setUp();
    const a = stored(1, "a");
    for (const deadline of [1, 1_700_000_000_123, Number.MAX_SAFE_INTEGER]) {
      expireAt(a, deadline);
      commit();
      expect(rows()).toEqual([row(1, "a", { deadline })]);
    }
    expireAt(a, NO_DEADLINE);
    commit();
    expect(rows()).toEqual([row(1, "a")]);
  });

  test("dropSlot takes all rows of the slot and no others", () => {
    const { log, commit, stored, rows } = setUp();
    stored(1, "a", { slot: 1 });
    stored(2, "b", { slot: 1, text: "v" });
    stored(3, "a", { slot: 2 });
    log.dropSlot(1);
    commit();
    expect(rows()).toEqual([row(3, "a", { slot: 2 })]);
  });

  test("database replaces slot and counts", () => {
    const { connection, log, commit } = setUp();
    log.database(new Database(3, 99, 7, 2 ** 40));
    commit();
    const read = connection.prepare("SELECT slot, keys, volatile_keys FROM databases WHERE number = 3").all();
    expect(read).toEqual([{ slot: 99, keys: 7, volatile_keys: 2 ** 40 }]);
    expect(connection.prepare("SELECT count(*) FROM databases").pluck().get()).toBe(16);
  });
});

describe("several records of one batch", () => {
  test("a row that came and went leaves nothing", () => {
    const { log, commit, entry, put, rows } = setUp();
    const a = entry(1, "a");
    log.create(a);
    put(a, "v");
    log.bit(a, 9, 1);
    a.alive = false;
    log.delete(a);
    commit();
    expect(rows()).toEqual([]);
  });

  test("a new row is made as it is at last: bits, name, deadline", () => {
    const { log, commit, entry, move, expireAt, rows } = setUp();
    const a = entry(1, "a");
    log.create(a);
    log.bit(a, 7, 1);
    expireAt(a, 100);
    expireAt(a, 200);
    move(a, 4, "b");
    commit();
    expect(rows()).toEqual([row(1, "b", { slot: 4, text: "\x01", deadline: 200 })]);
  });

  test("a key deleted and made again is another row under the same name", () => {
    const { log, commit, entry, stored, rows } = setUp();
    const old = stored(1, "a", { text: "old" });
    const made = entry(2, "a", { text: "new" });
    log.delete(old);
    log.create(made);
    log.value(made);
    commit();
    expect(rows()).toEqual([row(2, "a", { text: "new" })]);
  });

  test("two keys may exchange their names", () => {
    const { commit, stored, move, rows } = setUp();
    const a = stored(1, "a", { text: "A" });
    const b = stored(2, "b", { text: "B" });
    move(a, 0, "tmp");
    move(b, 0, "a");
    move(a, 0, "b");
    commit();
    expect(rows()).toEqual([row(1, "b", { text: "A" }), row(2, "a", { text: "B" })]);
  });

  test("two databases may exchange their slots, and all of them in a ring", () => {
    const { connection, log, commit } = setUp();
    const slots = () => connection.prepare("SELECT slot FROM databases ORDER BY number").pluck().all();
    log.database(new Database(0, 1, 5, 0));
    log.database(new Database(1, 0, 6, 0));
    commit();
    expect(slots().slice(0, 3)).toEqual([1, 0, 2]);
    for (let number = 0; number < 16; number++) log.database(new Database(number, (number + 5) % 16, 0, 0));
    commit();
    expect(slots()).toEqual(Array.from({ length: 16 }, (_, number) => (number + 5) % 16));
  });

  test("the last word on a database holds", () => {
    const { connection, log, commit } = setUp();
    log.database(new Database(0, 1, 1, 1));
    log.database(new Database(1, 0, 2, 2));
    log.database(new Database(0, 16, 0, 0));
    log.database(new Database(1, 17, 0, 0));
    commit();
    const read = connection.prepare("SELECT slot FROM databases WHERE number < 2 ORDER BY number").pluck().all();
    expect(read).toEqual([16, 17]);
  });
});

describe("a slot that is dropped", () => {
  test("does not take a key that was moved out of it before", () => {
    const { log, commit, stored, move, rows } = setUp();
    const a = stored(1, "a", { slot: 1, text: "v" });
    stored(2, "b", { slot: 1 });
    move(a, 2);
    log.dropSlot(1);
    commit();
    expect(rows()).toEqual([row(1, "a", { slot: 2, text: "v" })]);
  });

  test("takes a key that was moved into it before", () => {
    const { log, commit, stored, move, rows } = setUp();
    const a = stored(1, "a", { slot: 2 });
    move(a, 1);
    log.dropSlot(1);
    commit();
    expect(rows()).toEqual([]);
  });

  test("takes a key that was moved out and back", () => {
    const { log, commit, stored, move, rows } = setUp();
    const a = stored(1, "a", { slot: 1 });
    move(a, 2);
    move(a, 1);
    log.dropSlot(1);
    commit();
    expect(rows()).toEqual([]);
  });

  test("takes a key that was made in it in the same batch, and not one that was made in it and moved out", () => {
    const { log, commit, entry, move, rows } = setUp();
    const a = entry(1, "a", { slot: 1 });
    const b = entry(2, "b", { slot: 1 });
    log.create(a);
    log.create(b);
    move(b, 2);
    log.dropSlot(1);
    commit();
    expect(rows()).toEqual([row(2, "b", { slot: 2 })]);
  });

  test("takes a key whose bits or deadline changed before", () => {
    const { log, commit, stored, put, expireAt, rows } = setUp();
    const a = stored(1, "a", { slot: 1 });
    const b = stored(2, "b", { slot: 1 });
    log.bit(a, 5, 1);
    expireAt(a, 7);
    put(b, "v");
    log.dropSlot(1);
    commit();
    expect(rows()).toEqual([]);
  });
});

describe("a batch that can't be applied", () => {
  test("leaves the file as it was", () => {
    const { applier, connection, log, commit, stored, rows } = setUp();
    const a = stored(1, "a", { text: "v" });
    const before = rows();
    log.bit(a, 0, 1);
    log.create(a);
    const { batch } = log.take();
    // Row 1 is there already, so making it again fails after other rows were written.
    log.create(new Entry(2, new Database(0, 0, 0, 0), "b", NO_DEADLINE, new Bitmap(), 0));
    const joined = Uint32Array.of(...log.take().batch.words, ...batch.words);
    expect(() => applier.apply({ number: 9, words: joined })).toThrow();
    expect(rows()).toEqual(before);
    expect(connection.inTransaction).toBe(false);
    log.bit(a, 1, 1);
    commit();
    expect(rows()).toEqual([row(1, "a", { text: "v" })]);
  });

  test("is one that is damaged, too", () => {
    const { applier, stored, rows } = setUp();
    stored(1, "a");
    const damaged: Batch = { number: 2, words: Uint32Array.of(5, 1, 77, 1) };
    expect(() => applier.apply(damaged)).toThrow("unknown kind");
    expect(rows()).toEqual([row(1, "a")]);
  });
});

test("no bitmap stays in native memory after a batch", () => {
  const { log, commit, stored, put } = setUp();
  const text = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 2654435761) >>> 11)).toString("latin1");
  const a = stored(1, "a", { text });
  const before = Bitmap.usedBytes();
  for (let i = 0; i < 10; i++) {
    log.bit(a, i, 1);
    commit();
  }
  put(a, "x");
  expect(Bitmap.usedBytes()).toBeLessThan(before + 200_000 + 300_000);
  commit();
});
