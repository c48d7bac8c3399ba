/** A value's rows: read back as they were written, wherever they are and whatever was folded; and damage is found. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CHUNK_BYTES_MAX } from "../../../src/config.js";
import { DamagedError } from "../../../src/errors.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { ID_MAX } from "../../../src/keyspace/change-log.js";
import { Reader } from "../../../src/storage/reader.js";
import { Delta, portableOf, rowId, Values } from "../../../src/storage/values.js";
import { bytesArbitrary } from "../keyspace/bytes.js";
import { emptyDatabase } from "../keyspace/sqlite.js";
import { bytesOf, noise } from "./store.js";

const CONTAINER_BITS = 2 ** 16;

function setUp() {
  const connection = emptyDatabase();
  const values = new Values(connection);
  const addKey = connection.prepare("INSERT INTO keys VALUES (?, 0, 0, x'', ?, 0, NULL, 0, 0)");
  /** A key with a value and its chunks. */
  const put = (id: number, bytes: Uint8Array) => {
    addKey.run(id, bytes.length);
    return values.insert(id, portable(bytes));
  };
  const read = (id: number) => bytesOf(values.load(id) as Bitmap);
  const count = (table: string) => connection.prepare(`SELECT count(*) FROM ${table}`).pluck().get();
  return { connection, values, put, read, count };
}

function portable(bytes: Uint8Array): Buffer {
  const bitmap = Bitmap.fromBytes(bytes);
  const out = Buffer.alloc(bitmap.portableBytes);
  bitmap.writePortable(out);
  bitmap.dispose();
  return out;
}

const changes = (ones: readonly number[], zeros: readonly number[] = []) => ({
  ones: Uint32Array.from(ones),
  zeros: Uint32Array.from(zeros),
});

function deltaOf(ones: readonly number[], zeros: readonly number[] = []): Delta {
  const delta = new Delta(-1, changes(ones, zeros));
  return delta;
}

function withBits(bytes: Uint8Array, ones: readonly number[], zeros: readonly number[]): Buffer {
  const out = Buffer.from(bytes);
  for (const at of ones) out[at >>> 3] = (out[at >>> 3] as number) | (0x80 >> (at & 7));
  for (const at of zeros) out[at >>> 3] = (out[at >>> 3] as number) & ~(0x80 >> (at & 7));
  return out;
}

describe("a value", () => {
  test("is read back, of any length", () => {
    const { put, read } = setUp();
    let id = 0;
    fc.assert(
      fc.property(bytesArbitrary(), (bytes) => {
        put(++id, bytes);
        expect(read(id).equals(bytes)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test("that is large has several chunks, each of at most CHUNK_BYTES_MAX, and says how many bytes they have", () => {
    const { connection, put, read } = setUp();
    const bytes = noise(500_000);
    const written = put(1, bytes);
    const sizes = connection.prepare("SELECT length(portable) FROM chunks").pluck().all() as number[];
    expect(sizes.length).toBeGreaterThanOrEqual(4);
    for (const size of sizes) expect(size).toBeLessThanOrEqual(CHUNK_BYTES_MAX);
    expect(sizes.reduce((a, b) => a + b)).toBe(written);
    expect(read(1).equals(bytes)).toBe(true);
  });

  test("is replaced whole, its deltas too", () => {
    const { values, put, read, count } = setUp();
    put(1, noise(300_000));
    values.appendDelta(1, changes([5]));
    expect(values.replace(1, portable(Buffer.alloc(300_000, 0xff)))).toBeLessThan(CHUNK_BYTES_MAX);
    expect(read(1).equals(Buffer.alloc(300_000, 0xff))).toBe(true);
    expect([count("chunks"), count("deltas")]).toEqual([1, 0]);
  });

  test("is deleted whole, and its neighbours stay", () => {
    const { values, put, read, count } = setUp();
    for (const id of [1, 2, 3]) {
      put(id, noise(200_000, id));
      values.appendDelta(id, changes([0]));
    }
    values.delete(2);
    expect([count("chunks"), count("deltas")]).toEqual([4, 2]);
    for (const id of [1, 3]) expect(read(id).equals(withBits(noise(200_000, id), [0], []))).toBe(true);
  });

  test("of an id without a key is none", () => {
    const { values } = setUp();
    values.insert(7, portable(Buffer.from("x")));
    expect(values.load(7)).toBeUndefined();
  });

  test("is the chunks and each delta over them, in order", () => {
    const bitsOf = fc.record({
      ones: fc.uniqueArray(fc.nat(40), { maxLength: 6 }),
      zeros: fc.uniqueArray(fc.nat(40), { maxLength: 6 }),
    });
    fc.assert(
      fc.property(fc.array(bitsOf, { maxLength: 5 }), (deltas) => {
        const { connection, values, put, read } = setUp();
        let bytes = noise(6);
        put(1, bytes);
        let written = 0;
        for (const { ones, zeros } of deltas) {
          const set = ones.filter((at) => !zeros.includes(at));
          bytes = withBits(bytes, set, zeros);
          written += values.appendDelta(1, changes(set, zeros))?.bytes ?? 0;
        }
        expect(read(1)).toEqual(bytes);
        const inFile = connection.prepare("SELECT total(length(ones) + length(zeros)) FROM deltas").pluck().get();
        expect(written).toBe(inFile);
        const all = values.deltas(1);
        expect(all === undefined).toBe(deltas.length === 0);
        if (all !== undefined) {
          values.foldNow(1, all);
          values.deleteDeltas(1, all.last);
        }
        expect(read(1)).toEqual(bytes);
        connection.close();
      }),
      { numRuns: 100 },
    );
  });
});

describe("ids so large that a row's number is no exact JavaScript number", () => {
  const IDS = [2 ** 37 - 1, 2 ** 37, 2 ** 37 + 1, 2 ** 40 + 1, 2 ** 46 + 3, ID_MAX - 1, ID_MAX];

  test("have numbers of their own, in SQLite's range", () => {
    const numbers = IDS.flatMap((id) => [rowId(id, 0), rowId(id, 1), rowId(id, 65_535)].map(BigInt));
    expect(numbers).toEqual(IDS.flatMap((id) => [0, 1, 65_535].map((n) => BigInt(id) * 65_536n + BigInt(n))));
    expect(numbers.at(-1)).toBe(2n ** 63n - 1n);
  });

  test("have values like all others", () => {
    const { values, put, read, count } = setUp();
    for (const [i, id] of IDS.entries()) {
      put(id, noise(140_000, i));
      values.appendDelta(id, changes([i], [i + 100]));
      values.appendDelta(id, changes([i + 100]));
    }
    const expected = (i: number) => withBits(noise(140_000, i), [i, i + 100], []);
    for (const [i, id] of IDS.entries()) {
      expect(values.chunks(id)).toHaveLength(2);
      expect(read(id).equals(expected(i))).toBe(true);
    }
    for (const id of IDS) {
      const delta = values.deltas(id) as Delta;
      expect(delta.last).toBe(1);
      values.foldNow(id, delta);
      values.deleteDeltas(id, delta.last);
    }
    expect([count("chunks"), count("deltas")]).toEqual([IDS.length * 2, 0]);
    for (const [i, id] of IDS.entries()) expect(read(id).equals(expected(i))).toBe(true);
    for (const id of IDS.slice(1)) values.delete(id);
    expect(count("chunks")).toBe(2);
  });

  test("are known to a start, also from rows that wait for their removal", () => {
    for (const table of ["chunks", "deltas"] as const) {
      const { connection, values } = setUp();
      if (table === "chunks") values.insert(2 ** 45 + 1, portable(Buffer.from("x")));
      else values.appendDelta(2 ** 45 + 1, changes([1]));
      expect(new Reader(connection).nextId).toBe(2 ** 45 + 2);
    }
  });
});

describe("folding a chunk", () => {
  test("takes each bit at the borders of containers and of chunks, the last there is too", () => {
    const borders = [0, 65_535, 65_536, 131_071, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 65_536, 2 ** 32 - 1];
    for (const at of borders) {
      const { values, put } = setUp();
      put(1, Buffer.from("x"));
      values.foldNow(1, deltaOf([at]));
      expect([at, values.load(1)?.getBit(at)]).toEqual([at, 1]);
      values.foldNow(1, deltaOf([], [at]));
      expect([at, values.load(1)?.getBit(at)]).toEqual([at, 0]);
    }
    const { values, put, read } = setUp();
    const bytes = Buffer.alloc(400_000, 0x55);
    put(1, bytes);
    for (const first of values.chunks(1).slice(1)) {
      const at = first * CONTAINER_BITS;
      expect(read(1)[at / 8 - 1]).toBe(0x55);
      values.foldNow(1, deltaOf([at], [at - 1]));
      expect([read(1)[at / 8 - 1], read(1)[at / 8]]).toEqual([0x54, 0xd5]);
    }
  });

  test("leaves it as it is where none of the bits are in it", () => {
    const { connection, values, put } = setUp();
    put(1, noise(300_000));
    const [, second = 0] = values.chunks(1);
    connection.exec("CREATE TRIGGER no BEFORE INSERT ON chunks BEGIN SELECT RAISE(ABORT, 'rewritten'); END");
    expect(values.foldChunk(1, 0, second, deltaOf([second * CONTAINER_BITS], [second * CONTAINER_BITS + 1]))).toBe(0);
    expect(() => values.foldChunk(1, 0, second, deltaOf([second * CONTAINER_BITS - 1]))).toThrow("rewritten");
    expect(() => values.foldChunk(1, 0, second, deltaOf([], [0]))).toThrow("rewritten");
  });

  test("takes no bits of its neighbours into it", () => {
    const { values, put, read } = setUp();
    const bytes = noise(400_000);
    put(1, bytes);
    const [, second = 0, third = 0] = values.chunks(1);
    const first = second * CONTAINER_BITS;
    const end = third * CONTAINER_BITS;
    const ones = [first - 1, first, end - 1, end];
    const zeros = [first - 2, first + 1, end - 2, end + 1];
    values.foldChunk(1, second, third, deltaOf(ones, zeros));
    expect(read(1).equals(withBits(bytes, [first, end - 1], [first + 1, end - 2]))).toBe(true);
  });

  test("says by how much it grew, and shrinks when its bits are cleared", () => {
    const { connection, values, put } = setUp();
    const before = put(1, Buffer.alloc(8000));
    const ones = Array.from({ length: 1000 }, (_, i) => i * 50);
    const size = () => connection.prepare("SELECT sum(length(portable)) FROM chunks").pluck().get() as number;
    const grown = values.foldChunk(1, 0, 65_536, deltaOf(ones));
    expect(size()).toBe(before + grown);
    expect(grown).toBeGreaterThan(1000);
    expect(values.foldChunk(1, 0, 65_536, deltaOf([], ones))).toBe(-grown);
    expect(size()).toBe(before);
  });

  test("cuts it when it has grown too large, and the pieces are chunks like others", () => {
    const { connection, values, put, read } = setUp();
    // Every second container has much, so that the others grow in between.
    const bytes = Buffer.alloc(600_000);
    for (let at = 0; at + 8192 <= 240_000; at += 16_384) noise(8192, at).copy(bytes, at);
    put(1, bytes);
    expect(values.chunks(1)).toEqual([0]);
    const ones: number[] = [];
    for (let at = 0; at < 600_000 * 8; at += 3) ones.push(at);
    values.foldNow(1, deltaOf(ones));
    const chunks = values.chunks(1);
    expect(chunks.length).toBeGreaterThanOrEqual(4);
    expect(chunks[0]).toBe(0);
    const sizes = connection.prepare("SELECT length(portable) FROM chunks").pluck().all() as number[];
    for (const size of sizes) expect(size).toBeLessThanOrEqual(CHUNK_BYTES_MAX);
    const expected = withBits(bytes, ones, []);
    expect(read(1).equals(expected)).toBe(true);
    values.foldNow(1, deltaOf([], [0, 4_799_999]));
    expect(values.chunks(1)).toEqual(chunks);
    expect(read(1).equals(withBits(expected, [], [0, 4_799_999]))).toBe(true);
  });

  test("keeps a chunk that does not begin at 0 where it begins, though its first bits are gone", () => {
    const { values, put, read } = setUp();
    const bytes = noise(300_000);
    put(1, bytes);
    const [, second = 0, third = 65_536] = values.chunks(1);
    const from = second * CONTAINER_BITS;
    const zeros = Array.from({ length: CONTAINER_BITS * 2 }, (_, i) => from + i);
    values.foldChunk(1, second, third, deltaOf([], zeros));
    expect(values.chunks(1)[1]).toBe(second);
    expect(read(1).equals(withBits(bytes, [], zeros))).toBe(true);
    values.foldNow(1, deltaOf([from + 3]));
    expect(read(1).equals(withBits(withBits(bytes, [], zeros), [from + 3], []))).toBe(true);
  });
});

describe("a row that is not what was written", () => {
  /** Ids 5, 6 and 70,000, each with chunks and deltas. */
  function damaged(sql: string) {
    const { connection, values, put } = setUp();
    for (const id of [5, 6, 70_000]) {
      put(id, noise(150_000, id));
      values.appendDelta(id, changes([1, 2, 3], [4]));
      values.appendDelta(id, changes([9], [1]));
    }
    for (const id of [5, 6, 70_000]) values.load(id)?.dispose();
    connection.exec(sql);
    return values;
  }

  const inRow = (id: number, number = 0) => `${id} * 65536 + ${number}`;
  const flip = (column: string) => `CAST(substr(${column}, 1, 10) || x'5a' || substr(${column}, 12) AS BLOB)`;
  const DAMAGES: [string, string][] = [
    ["a byte of a chunk", `UPDATE chunks SET portable = ${flip("portable")} WHERE chunk = ${inRow(5)}`],
    ["a chunk's end", `UPDATE chunks SET portable = substr(portable, 1, 100) WHERE chunk = ${inRow(5)}`],
    ["a chunk's checksum", `UPDATE chunks SET checksum = checksum + 1 WHERE chunk = ${inRow(5)}`],
    ["a byte of a delta's ones", `UPDATE deltas SET ones = ${flip("ones")} WHERE delta = ${inRow(5, 1)}`],
    ["a byte of a delta's zeros", `UPDATE deltas SET zeros = ${flip("zeros")} WHERE delta = ${inRow(5, 1)}`],
    ["a delta's checksum", `UPDATE deltas SET checksum = checksum + 1 WHERE delta = ${inRow(5)}`],
    [
      "a delta that has its two halves exchanged",
      `UPDATE deltas SET ones = zeros, zeros = ones WHERE delta = ${inRow(5)}`,
    ],
    [
      "a chunk that is another value's",
      `DELETE FROM chunks WHERE chunk = ${inRow(5)}; UPDATE chunks SET chunk = ${inRow(5)} WHERE chunk = ${inRow(70_000)}`,
    ],
    [
      "a delta that is another value's",
      `DELETE FROM deltas WHERE delta = ${inRow(5)}; UPDATE deltas SET delta = ${inRow(5)} WHERE delta = ${inRow(6)}`,
    ],
    ["a chunk at another place of its value", `UPDATE chunks SET chunk = chunk + 1 WHERE chunk = ${inRow(5)}`],
    ["a delta out of its order", `UPDATE deltas SET delta = delta + 5 WHERE delta = ${inRow(5)}`],
  ];

  test.each(DAMAGES)("is found, and the id is named: %s", (_what, sql) => {
    const values = damaged(sql);
    expect(() => values.load(5)).toThrow(DamagedError);
    expect(() => values.load(5)).toThrow(/the value with id 5 is damaged.*(chunk|delta) \d+ is not what was written/);
    try {
      values.load(5);
    } catch (error) {
      expect((error as DamagedError).id).toBe(5);
    }
  });

  test("does not hinder any other value", () => {
    for (const [, sql] of DAMAGES.slice(0, 7)) {
      const values = damaged(sql);
      for (const id of [6, 70_000]) {
        const expected = withBits(noise(150_000, id), [2, 3, 9], [1, 4]);
        expect(bytesOf(values.load(id) as Bitmap).equals(expected)).toBe(true);
      }
    }
  });

  test("is not folded, and not hidden by a fold", () => {
    const values = damaged(`UPDATE chunks SET portable = ${flip("portable")} WHERE chunk = ${inRow(5)}`);
    expect(() => values.foldNow(5, deltaOf([1]))).toThrow(DamagedError);
    expect(() => values.load(5)).toThrow(DamagedError);
    const other = damaged(`UPDATE deltas SET ones = ${flip("ones")} WHERE delta = ${inRow(6)}`);
    expect(() => other.deltas(6)).toThrow(/id 6/);
  });

  test("leaves nothing of it in native memory", () => {
    const values = damaged(`UPDATE deltas SET zeros = ${flip("zeros")} WHERE delta = ${inRow(5, 1)}`);
    const before = Bitmap.usedBytes();
    for (let i = 0; i < 20; i++) expect(() => values.load(5)).toThrow(DamagedError);
    expect(Bitmap.usedBytes()).toBeLessThan(before + 100_000);
  });
});

test("a set of members in any order, each once or more often, is the same set", () => {
  expect(Buffer.from(portableOf(Uint32Array.of(9, 1, 9, 4_294_967_295)))).toEqual(
    Buffer.from(portableOf(Uint32Array.of(1, 9, 4_294_967_295))),
  );
});
