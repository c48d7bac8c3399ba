/** The table of entries against a Map of objects. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Arena } from "../../../src/keyspace/arena.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { bitop } from "../../../src/keyspace/bitmap-op.js";
import { EntryTable, hashOfBytes, hashOfKey, NO_ENTRY, VALUE } from "../../../src/keyspace/entry-table.js";

const SEED = 0x9e3779b9;
const X_MAX = 0xffffffff;
const MANY_KEYS = 200_000;

function make(seed = SEED): { arena: Arena; table: EntryTable } {
  const arena = new Arena();
  return { arena, table: new EntryTable(arena, seed) };
}

function latin1(key: string): Buffer {
  return Buffer.from(key, "latin1");
}

function findBytes(table: EntryTable, key: string): number {
  const bytes = latin1(`ab${key}c`);
  return table.find(bytes, 2, 2 + key.length);
}

function membersOf(table: EntryTable, e: number): number[] {
  const start = table.smallStart(e);
  return [...table.smallWords(e).subarray(start, start + table.count(e))];
}

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString("latin1");

/** Keys in one shard whose slots are neighbours, so that they push each other along. */
function crowd(count: number): string[] {
  const keys: string[] = [];
  for (let i = 0; keys.length < count; i++) {
    const hash = hashOfKey(`key:${i}`, SEED);
    if (hash >>> 22 === 77 && (hash & 0x3f) < 4) keys.push(`key:${i}`);
  }
  return keys;
}

describe("the hash", () => {
  test("is MurmurHash3", () => {
    expect(hashOfKey("", 0) >>> 0).toBe(0);
    expect(hashOfKey("", 1) >>> 0).toBe(0x514e28b7);
    expect(hashOfKey("test", 0) >>> 0).toBe(0xba6bd213);
    expect(hashOfKey("Hello, world!", 0) >>> 0).toBe(0xc0363e43);
    expect(hashOfKey("The quick brown fox jumps over the lazy dog", 0x9747b28c) >>> 0).toBe(0x2fa826cd);
  });

  test("is the same for a string and its bytes, wherever they begin", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer(), fc.nat(5), (bytes, seed, start) => {
        const moved = Buffer.concat([Buffer.alloc(start, 0xff), bytes, Buffer.alloc(3, 0xff)]);
        const hash = hashOfKey(Buffer.from(bytes).toString("latin1"), seed);
        expect(hashOfBytes(moved, start, start + bytes.length, seed)).toBe(hash);
      }),
    );
  });
});

describe("keys", () => {
  const KEYS = [
    "",
    "a",
    "ab",
    ALL_BYTES,
    "\0",
    "\0\0",
    "\xff",
    "x".repeat(16_385),
    `${"x".repeat(16_384)}y`,
    "z".repeat(99_999),
  ];

  test.each([["strings"], ["bytes"]])("of every kind, added as %s, are found both ways", (how) => {
    const { arena, table } = make();
    const entries = KEYS.map((key) => {
      expect(table.findKey(key)).toBe(NO_ENTRY);
      return how === "strings" ? table.add(key) : table.addBytes(latin1(`12${key}`), 2, 2 + key.length);
    });
    KEYS.forEach((key, i) => {
      expect(table.findKey(key)).toBe(entries[i]);
      expect(findBytes(table, key)).toBe(entries[i]);
      expect(table.key(entries[i] as number)).toBe(key);
      expect(table.keyLength(entries[i] as number)).toBe(key.length);
      expect(table.hash(entries[i] as number)).toBe(hashOfKey(key, SEED) >>> 0);
    });
    for (const e of entries) table.remove(e);
    for (const key of KEYS) expect(table.findKey(key)).toBe(NO_ENTRY);
    expect(arena.usedBytes).toBe(0);
  });

  test("a new entry has no value, no deadline and zeros, also under a number that was used before", () => {
    const { table } = make();
    const expectFresh = (e: number) => {
      expect(table.id(e)).toBe(0);
      expect(table.deadline(e)).toBe(Number.POSITIVE_INFINITY);
      expect(table.batch(e)).toBe(0);
      expect(table.createdIn(e)).toBe(0);
      expect(table.lastUse(e)).toBe(0);
      expect(table.flags(e)).toBe(0);
      expect(table.byteLength(e)).toBe(0);
      expect(table.valueKind(e)).toBe(VALUE.NONE);
      expect(table.count(e)).toBe(0);
      expect(table.native(e)).toBeUndefined();
    };
    const e = table.add("a");
    expectFresh(e);
    table.setId(e, 2 ** 48 - 1);
    table.setDeadline(e, 1_800_000_000_123);
    table.setBatch(e, 2 ** 40);
    table.setCreatedIn(e, 3);
    table.setLastUse(e, X_MAX);
    table.setFlags(e, 0xff);
    table.setByteLength(e, 2 ** 29);
    table.setSmall(e, [1, 2, 3]);
    expect(table.id(e)).toBe(2 ** 48 - 1);
    expect(table.deadline(e)).toBe(1_800_000_000_123);
    expect(table.batch(e)).toBe(2 ** 40);
    expect(table.createdIn(e)).toBe(3);
    expect(table.lastUse(e)).toBe(X_MAX);
    expect(table.flags(e)).toBe(0xff);
    expect(table.byteLength(e)).toBe(2 ** 29);
    expect(table.key(e)).toBe("a");
    expect(table.isUsed(e)).toBe(true);
    table.remove(e);
    expect(table.isUsed(e)).toBe(false);
    expect(table.add("b")).toBe(e);
    expectFresh(e);
  });

  test("many: shards and segments grow under them, and all of it goes when they go", () => {
    const { arena, table } = make();
    const numbers = new Map<number, number>();
    for (let i = 0; i < MANY_KEYS; i++) {
      const e = table.add(`key:${i}`);
      table.setId(e, i);
      table.setSmall(e, [i]);
      numbers.set(e, i);
    }
    expect(table.size).toBe(MANY_KEYS);
    expect(numbers.size).toBe(MANY_KEYS);
    expect(table.capacity).toBe(MANY_KEYS);
    let wrong = 0;
    for (let i = 0; i < MANY_KEYS; i++) {
      const e = i % 2 === 0 ? table.findKey(`key:${i}`) : findBytes(table, `key:${i}`);
      if (numbers.get(e) !== i || table.id(e) !== i || !table.smallHas(e, i) || table.key(e) !== `key:${i}`) wrong++;
      if (table.findKey(`no:${i}`) !== NO_ENTRY) wrong++;
    }
    expect(wrong).toBe(0);
    const reserved = table.reservedBytes;
    for (let i = 0; i < MANY_KEYS; i++) if (i % 10 !== 3) table.remove(table.findKey(`key:${i}`));
    expect(table.size).toBe(MANY_KEYS / 10);
    expect(table.reservedBytes).toBeLessThan(reserved);
    for (let i = 0; i < MANY_KEYS; i++) {
      const e = table.findKey(`key:${i}`);
      if (i % 10 === 3 ? numbers.get(e) !== i : e !== NO_ENTRY) wrong++;
    }
    for (let e = 0; e < table.capacity; e++) if (table.isUsed(e) !== ((numbers.get(e) as number) % 10 === 3)) wrong++;
    expect(wrong).toBe(0);
    for (let i = 3; i < MANY_KEYS; i += 10) table.remove(table.findKey(`key:${i}`));
    expect(table.size).toBe(0);
    expect(table.reservedBytes).toBe(0);
    expect(arena.usedBytes).toBe(0);
  });

  test("whose hashes are the same", () => {
    const byHash = new Map<number, string>();
    const pairs: [string, string][] = [];
    for (let i = 0; pairs.length < 3; i++) {
      const key = `k${i}`;
      const hash = hashOfKey(key, SEED);
      const other = byHash.get(hash);
      if (other !== undefined) pairs.push([other, key]);
      byHash.set(hash, key);
    }
    const { table } = make();
    for (const [first, second] of pairs) {
      const a = table.add(first);
      expect(table.findKey(second)).toBe(NO_ENTRY);
      const b = table.add(second);
      expect([table.findKey(first), table.findKey(second)]).toEqual([a, b]);
      expect([findBytes(table, first), findBytes(table, second)]).toEqual([a, b]);
      table.remove(a);
      expect([table.findKey(first), table.findKey(second)]).toEqual([NO_ENTRY, b]);
    }
  });

  test("that want the same few slots come and go as in a Map", () => {
    const keys = crowd(40);
    fc.assert(
      fc.property(fc.array(fc.nat(keys.length - 1), { maxLength: 300, size: "max" }), (picks) => {
        const { table } = make();
        const model = new Map<string, number>();
        for (const pick of picks) {
          const key = keys[pick] as string;
          const e = table.findKey(key);
          expect(e).toBe(model.get(key) ?? NO_ENTRY);
          if (e === NO_ENTRY) model.set(key, table.add(key));
          else {
            table.remove(e);
            model.delete(key);
          }
        }
        for (const key of keys) expect(table.findKey(key)).toBe(model.get(key) ?? NO_ENTRY);
      }),
      { numRuns: 200 },
    );
  });
});

test("an almost empty table costs little, and one entry that comes and goes costs no more each time", () => {
  const { arena, table } = make();
  expect(table.reservedBytes).toBe(0);
  table.add("a");
  const reserved = table.reservedBytes + arena.reservedBytes;
  expect(reserved).toBeLessThan(100_000);
  for (let i = 0; i < 1000; i++) {
    table.remove(table.findKey("a"));
    table.add("a");
  }
  expect(table.reservedBytes + arena.reservedBytes).toBe(reserved);
});

describe("values", () => {
  test("a small one grows and shrinks by single members, and its memory with it", () => {
    const { arena, table } = make();
    const e = table.add("k");
    const keyBytes = arena.usedBytes;
    table.setSmall(e, []);
    expect(membersOf(table, e)).toEqual([]);
    expect(arena.usedBytes).toBe(keyBytes);
    for (let i = 0; i < 6000; i++) {
      expect(table.smallAdd(e, i * 700_000)).toBe(true);
      expect(table.smallAdd(e, i * 700_000)).toBe(false);
      if (i === 0) expect(arena.usedBytes).toBe(keyBytes);
      else expect(arena.usedBytes - keyBytes).toBeLessThanOrEqual(Math.max(24, (i + 1) * 4 * 1.4));
    }
    expect(table.count(e)).toBe(6000);
    expect(table.smallCountRange(e, 0, X_MAX)).toBe(6000);
    expect(table.smallCountRange(e, 700_000, 1_400_000)).toBe(2);
    for (let i = 5999; i >= 0; i--) {
      expect(table.smallDelete(e, i * 700_000)).toBe(true);
      expect(table.smallDelete(e, i * 700_000)).toBe(false);
      expect(arena.usedBytes - keyBytes).toBeLessThanOrEqual(Math.max(16, 2 * arena.sizeOf(i * 4)));
    }
    expect(table.count(e)).toBe(0);
    expect(table.valueKind(e)).toBe(VALUE.SMALL);
    expect(arena.usedBytes).toBe(keyBytes);
  });

  test("a member that comes and goes does not move a block of more than two members each time", () => {
    const { table } = make();
    const e = table.add("k");
    table.setSmall(e, []);
    for (let count = 2; count < 3000; count++) {
      table.smallAdd(e, count);
      if (count < 4) continue;
      table.smallAdd(e, X_MAX);
      const words = table.smallWords(e);
      const start = table.smallStart(e);
      table.smallDelete(e, X_MAX);
      table.smallAdd(e, X_MAX);
      expect(table.smallWords(e) === words && table.smallStart(e) === start, `with ${count} members`).toBe(true);
      table.smallDelete(e, X_MAX);
    }
  });

  test("a native one is kept, given back, and let go of", () => {
    const { arena, table } = make();
    const [a, b, c] = [table.add("a"), table.add("b"), table.add("c")];
    const bitmaps = [new Bitmap(), new Bitmap(), new Bitmap()] as const;
    table.setNative(a, bitmaps[0]);
    table.setSmall(b, [1, 2, 3]);
    table.setNative(b, bitmaps[1]);
    expect([table.valueKind(a), table.valueKind(b), table.valueKind(c)]).toEqual([
      VALUE.NATIVE,
      VALUE.NATIVE,
      VALUE.NONE,
    ]);
    expect(table.native(a)).toBe(bitmaps[0]);
    expect(table.native(b)).toBe(bitmaps[1]);
    table.setSmall(a, [9]);
    expect(table.native(a)).toBeUndefined();
    table.setNative(c, bitmaps[2]);
    expect(table.native(c)).toBe(bitmaps[2]);
    expect(table.native(b)).toBe(bitmaps[1]);
    table.setNative(c, bitmaps[0]);
    expect(table.native(c)).toBe(bitmaps[0]);
    for (const e of [a, b, c]) table.remove(e);
    expect(arena.usedBytes).toBe(0);
  });

  test("only a small one takes single members", () => {
    const { table } = make();
    const e = table.add("k");
    expect(() => table.smallAdd(e, 1)).toThrow("not small");
    table.setNative(e, new Bitmap());
    expect(() => table.smallDelete(e, 1)).toThrow("not small");
    expect(table.smallHas(e, 1)).toBe(false);
    expect(table.smallCountRange(e, 0, X_MAX)).toBe(0);
  });
});

/** What the model knows of an entry. */
interface Expected {
  e: number;
  id: number;
  deadline: number;
  flags: number;
  value: Set<number> | Bitmap | undefined;
}

test("a random program leaves the same as it does in a Map of objects", () => {
  const keys = ["", ALL_BYTES, "y".repeat(17_000), ...crowd(12), ...Array.from({ length: 15 }, (_, i) => `user:${i}`)];
  const step = fc.record({
    key: fc.nat(keys.length - 1),
    action: fc.constantFrom("add", "addBytes", "remove", "meta", "setSmall", "native", "drop", "bits", "bits", "unset"),
    x: fc.oneof(fc.nat(60), fc.integer({ min: 0, max: X_MAX })),
    times: fc.nat(120),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 250, size: "max" }), fc.integer(), (steps, seed) => {
      const { arena, table } = make(seed);
      const model = new Map<string, Expected>();
      for (const { key: pick, action, x, times } of steps) {
        const key = keys[pick] as string;
        const known = model.get(key);
        expect(table.findKey(key)).toBe(known?.e ?? NO_ENTRY);
        if (known === undefined) {
          const e = action === "addBytes" ? table.addBytes(latin1(key), 0, key.length) : table.add(key);
          model.set(key, { e, id: 0, deadline: Number.POSITIVE_INFINITY, flags: 0, value: undefined });
        } else run(table, model, key, known, action, x, times);
      }
      expect(table.size).toBe(model.size);
      const found = new Set<string>();
      for (let e = 0; e < table.capacity; e++) if (table.isUsed(e)) found.add(table.key(e));
      expect(found).toEqual(new Set(model.keys()));
      for (const [key, expected] of model) expectEntry(table, key, expected);
      for (const { e } of model.values()) table.remove(e);
      expect(table.size).toBe(0);
      expect(arena.usedBytes).toBe(0);
    }),
    { numRuns: 150 },
  );
});

function run(
  table: EntryTable,
  model: Map<string, Expected>,
  key: string,
  known: Expected,
  action: string,
  x: number,
  times: number,
): void {
  const { e } = known;
  switch (action) {
    case "remove":
      table.remove(e);
      model.delete(key);
      break;
    case "meta":
      known.id = x * 1000;
      known.deadline = x;
      known.flags = x & 0xff;
      table.setId(e, known.id);
      table.setDeadline(e, known.deadline);
      table.setFlags(e, known.flags);
      break;
    case "setSmall":
      known.value = new Set(Array.from({ length: times }, (_, i) => (x + i * 77) % 2 ** 32));
      table.setSmall(
        e,
        [...known.value].sort((a, b) => a - b),
      );
      break;
    case "native":
      known.value = new Bitmap();
      table.setNative(e, known.value);
      break;
    case "drop":
      known.value = undefined;
      table.dropValue(e);
      break;
    case "bits":
    case "unset":
      if (!(known.value instanceof Set)) {
        known.value = new Set();
        table.setSmall(e, []);
      }
      for (let i = 0; i < times; i++) {
        const member = (x + i * 37) % 2 ** 32;
        const had = known.value.has(member);
        expect(table.smallHas(e, member)).toBe(had);
        if (action === "bits") {
          expect(table.smallAdd(e, member)).toBe(!had);
          known.value.add(member);
        } else {
          expect(table.smallDelete(e, member)).toBe(had);
          known.value.delete(member);
        }
      }
      break;
  }
}

function expectEntry(table: EntryTable, key: string, { e, id, deadline, flags, value }: Expected): void {
  expect(findBytes(table, key)).toBe(e);
  expect([table.key(e), table.id(e), table.deadline(e), table.flags(e)]).toEqual([key, id, deadline, flags]);
  if (value instanceof Set) {
    expect(table.valueKind(e)).toBe(VALUE.SMALL);
    expect(membersOf(table, e)).toEqual([...value].sort((a, b) => a - b));
    expect(table.smallCountRange(e, 30, 5000)).toBe([...value].filter((x) => x >= 30 && x <= 5000).length);
  } else {
    expect(table.valueKind(e)).toBe(value === undefined ? VALUE.NONE : VALUE.NATIVE);
    expect(table.native(e)).toBe(value);
  }
}

test("a value's cardinality is known for all kinds, up to that of a value whose bits are all 1", () => {
  const table = new EntryTable(new Arena(), 1);
  const e = table.add("a");
  expect(table.cardinality(e)).toBe(0);
  table.setSmall(e, Uint32Array.of(1, 5, 9));
  expect(table.cardinality(e)).toBe(3);
  table.setNative(e, Bitmap.fromMembers(Uint32Array.of(1, 2), 1));
  table.countMembers(e, 1);
  expect(table.cardinality(e)).toBe(3);
  for (let i = 0; i < 3; i++) table.countMembers(e, -1);
  table.setNative(e, new Bitmap());
  expect(table.cardinality(e)).toBe(0);
  const full = bitop("NOT", [new Bitmap(undefined, 2 ** 29)]);
  table.setNative(e, full);
  expect(table.cardinality(e)).toBe(2 ** 32);
  full.setBit(7, 0);
  table.countMembers(e, -1);
  expect(table.cardinality(e)).toBe(2 ** 32 - 1);
  full.setBit(7, 1);
  table.countMembers(e, 1);
  expect(table.cardinality(e)).toBe(2 ** 32);
});
