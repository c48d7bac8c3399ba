/** Values go from one kind to another by what is asked of them: an array, containers, a native set. Nothing of that may show. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import {
  BIT_USES_MIN,
  CONTAINERS_BYTES_MAX,
  MEMBERS_PER_BIT_USE,
  MIB,
  SMALL_AGAIN_DIVISOR,
  SMALL_MEMBERS_MAX,
  SMALL_MEMBERS_MIN,
  SMALL_MEMBERS_PER_CONTAINER,
} from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import type { Database } from "../../../src/keyspace/database.js";
import type { Entry } from "../../../src/keyspace/entry.js";
import { VALUE, type ValueKind } from "../../../src/keyspace/entry-table.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import type { Bit } from "../../../src/keyspace/value.js";
import { keyBytes, randomOf } from "./bytes.js";
import { StorageInHand } from "./sqlite.js";

const KEY = "key";

function setUp() {
  const storage = new StorageInHand();
  const keyspace = new Keyspace(storage, new ManualClock(0), randomOf(7));
  const [database, other] = keyspace.databases as [Database, Database];
  const entry = () => keyspace.lookup(database, KEY) as Entry;
  const kind = (): ValueKind => database.contents.entries.valueKind(entry().number);
  const setBits = (count: number, step: number) => {
    for (let i = 0; i < count; i++) keyspace.setBit(database, keyBytes(KEY), i * step, 1);
  };
  /** Bytes of the value as GET gives them. */
  const bytes = () => {
    const value = keyspace.value(entry());
    return value.bytes(0, value.byteLength);
  };
  return { storage, keyspace, database, other, entry, kind, setBits, bytes };
}

/** So many single bits of a value make containers of it. */
const usesFor = (members: number) => BIT_USES_MIN + Math.ceil(members / MEMBERS_PER_BIT_USE) + 1;

describe("a value is", () => {
  test("an array while it is small, then containers, and an array again when it has shrunk to half of that", () => {
    const { keyspace, database, entry, kind, setBits } = setUp();
    const spread = 2 ** 16;
    setBits(SMALL_MEMBERS_MAX, spread);
    expect(kind()).toBe(VALUE.SMALL);
    setBits(SMALL_MEMBERS_MAX + 1, spread);
    expect(kind()).toBe(VALUE.CONTAINERS);
    for (let i = SMALL_MEMBERS_MAX; i > SMALL_MEMBERS_MAX / SMALL_AGAIN_DIVISOR; i--)
      keyspace.setBit(database, keyBytes(KEY), i * spread, 0);
    expect(kind()).toBe(VALUE.CONTAINERS);
    keyspace.setBit(database, keyBytes(KEY), 0, 0);
    expect(kind()).toBe(VALUE.SMALL);
    expect(keyspace.value(entry()).cardinality).toBe(SMALL_MEMBERS_MAX / SMALL_AGAIN_DIVISOR);
  });

  test.each([
    { spans: "little", containers: 1, membersMax: SMALL_MEMBERS_MIN },
    { spans: "a million ids", containers: 20, membersMax: 20 * SMALL_MEMBERS_PER_CONTAINER },
  ])("containers with fewer members where it is written and spans $spans", ({ containers, membersMax }) => {
    const { keyspace, database, entry, kind, setBits } = setUp();
    const setBit = (offset: number, bit: Bit) => keyspace.setBit(database, keyBytes(KEY), offset, bit);
    setBit(containers * 2 ** 16 - 1, 1);
    setBits(membersMax - 1, 11);
    expect(kind()).toBe(VALUE.SMALL);
    setBit(5, 1);
    expect(kind()).toBe(VALUE.CONTAINERS);
    for (let i = 0; i < membersMax / SMALL_AGAIN_DIVISOR; i++) setBit(i * 11, 0);
    expect(kind()).toBe(VALUE.CONTAINERS);
    setBit(5, 0);
    expect(kind()).toBe(VALUE.SMALL);
    expect(keyspace.value(entry()).cardinality).toBe(membersMax / SMALL_AGAIN_DIVISOR);
  });

  test("an array of up to its bound as long as it is read, and containers with the next member", () => {
    const { keyspace, database, kind } = setUp();
    const members = Uint32Array.from({ length: SMALL_MEMBERS_MAX }, (_, i) => i * 3);
    keyspace.setValue(database, KEY, Bitmap.fromMembers(members, SMALL_MEMBERS_MAX));
    expect(kind()).toBe(VALUE.SMALL);
    for (const offset of [0, 1, 3]) expect(keyspace.getBit(database, keyBytes(KEY), offset)).toBe(offset % 3 ? 0 : 1);
    keyspace.setBit(database, keyBytes(KEY), 3, 0);
    expect(kind()).toBe(VALUE.SMALL);
    keyspace.setBit(database, keyBytes(KEY), 1, 1);
    expect(kind()).toBe(VALUE.CONTAINERS);
    for (const offset of [0, 1, 3, 6])
      expect(keyspace.getBit(database, keyBytes(KEY), offset)).toBe(offset === 3 ? 0 : 1);
  });

  test("an array where it is one run: containers have none", () => {
    const { keyspace, database, entry, kind, bytes } = setUp();
    const ones = Buffer.alloc(SMALL_MEMBERS_MAX / 8, 0xff);
    keyspace.setValue(database, KEY, Bitmap.fromBytes(ones));
    keyspace.bitmap(entry());
    expect(kind()).toBe(VALUE.NATIVE);
    keyspace.optimize(entry());
    expect(kind()).toBe(VALUE.SMALL);
    expect(bytes().equals(ones)).toBe(true);
  });

  test("native when a whole set is needed, and containers again when single bits are", () => {
    const { keyspace, database, entry, kind, setBits } = setUp();
    setBits(10_000, 100);
    expect(kind()).toBe(VALUE.CONTAINERS);
    expect(keyspace.value(entry()).cardinality).toBe(10_000);
    expect(kind()).toBe(VALUE.CONTAINERS);
    expect(keyspace.bitmap(entry()).cardinality).toBe(10_000);
    expect(kind()).toBe(VALUE.NATIVE);
    const before = Bitmap.usedBytes();
    for (let i = 0; i < usesFor(10_000); i++)
      expect(keyspace.getBit(database, keyBytes(KEY), i * 50)).toBe(i % 2 === 0 ? 1 : 0);
    expect(kind()).toBe(VALUE.CONTAINERS);
    expect(before - Bitmap.usedBytes()).toBeGreaterThan(20_000);
  });

  test("native for ever where it is too large, or would be without its runs", () => {
    const { keyspace, database, entry, kind } = setUp();
    const large = Buffer.alloc(CONTAINERS_BYTES_MAX + MIB, 0x55);
    keyspace.setValue(database, KEY, Bitmap.fromBytes(large));
    for (let i = 0; i < 2 * usesFor(large.length * 4); i++) keyspace.getBit(database, keyBytes(KEY), i);
    expect(kind()).toBe(VALUE.NATIVE);
    keyspace.setValue(database, KEY, Bitmap.fromBytes(Buffer.alloc(MIB, 0xff)));
    for (let i = 0; i < 2 * usesFor(MIB * 8); i++) keyspace.setBit(database, keyBytes(KEY), i, 1);
    expect(kind()).toBe(VALUE.NATIVE);
    expect(keyspace.value(entry()).cardinality).toBe(MIB * 8);
  });

  test("the same under another name, and in another database", () => {
    const { keyspace, database, other, setBits, entry, bytes } = setUp();
    setBits(3000, 50);
    const before = bytes();
    for (let i = 0; i < usesFor(3000); i++) keyspace.getBit(database, keyBytes(KEY), i);
    keyspace.rename(entry(), other, "moved");
    const moved = keyspace.lookup(other, "moved") as Entry;
    expect(keyspace.value(moved).bytes(0, before.length).equals(before)).toBe(true);
    expect(keyspace.lookup(database, KEY)).toBeUndefined();
  });
});

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("setBits"),
      from: fc.nat(600_000),
      count: fc.integer({ min: 1, max: 3000 }),
      step: fc.constantFrom(1, 2, 13, 257),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("clearBits"),
      from: fc.nat(600_000),
      count: fc.integer({ min: 1, max: 3000 }),
      step: fc.constantFrom(1, 2, 13),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("getBits"),
      from: fc.nat(600_000),
      count: fc.integer({ min: 1, max: 300 }),
      step: fc.constantFrom(1, 97),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: "bitmap", from: 0, count: 0, step: 0 }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("replace"),
      from: fc.nat(1000),
      count: fc.integer({ min: 1, max: 60_000 }),
      step: fc.constantFrom(1, 3, 40),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: "commit", from: 0, count: 0, step: 0 }) },
  { weight: 1, arbitrary: fc.constant({ do: "reload", from: 0, count: 0, step: 0 }) },
);

test("random programs see one value, whatever it is kept as, and the file has it too", () => {
  const seen = new Set<ValueKind>();
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 30, size: "max" }), (steps) => {
      const { storage, keyspace, database, entry, kind } = setUp();
      const model = new Set<number>();
      keyspace.setBit(database, keyBytes(KEY), 700_000, 1);
      model.add(700_000);
      for (const { do: what, from, count, step } of steps) {
        keyspace.tick();
        const xs = Array.from({ length: count }, (_, i) => (from + i * step) % 700_000);
        if (what === "setBits" || what === "clearBits") {
          const bit = what === "setBits" ? 1 : 0;
          for (const x of xs) {
            const before = keyspace.setBit(database, keyBytes(KEY), x, bit);
            if (before !== (model.has(x) ? 1 : 0)) expect.fail(`SETBIT ${x} ${bit} says ${before}`);
            if (bit === 1) model.add(x);
            else model.delete(x);
          }
        } else if (what === "getBits") {
          for (const x of xs) {
            if (keyspace.getBit(database, keyBytes(KEY), x) !== (model.has(x) ? 1 : 0)) expect.fail(`GETBIT ${x}`);
          }
        } else if (what === "bitmap") {
          keyspace.bitmap(entry());
        } else if (what === "replace") {
          model.clear();
          for (const x of [...xs, 700_000]) model.add(x);
          keyspace.setValue(database, KEY, Bitmap.fromMembers(Uint32Array.from(model), 700_000 / 8 + 1));
        } else if (what === "commit") {
          storage.commit(keyspace);
        } else {
          storage.commit(keyspace);
          storage.settle();
          keyspace.residency.maxBytes = 1;
          for (let i = 0; i < 10; i++) keyspace.residency.cycle(keyspace.now);
          keyspace.residency.maxBytes = 0;
          expect(keyspace.residency.keys).toBe(0);
        }
        const value = keyspace.value(entry());
        expect([value.cardinality, value.byteLength]).toEqual([model.size, 700_000 / 8 + 1]);
        seen.add(kind());
      }
      const sorted = Uint32Array.from(model).sort();
      expect(Buffer.compare(Buffer.from(keyspace.bitmap(entry()).members.buffer), Buffer.from(sorted.buffer))).toBe(0);
      storage.commit(keyspace);
      const stored = storage.load(database.contents.entries.id(entry().number));
      expect(Buffer.compare(Buffer.from(stored.members.buffer), Buffer.from(sorted.buffer))).toBe(0);
      stored.dispose();
    }),
    { numRuns: 60 },
  );
  expect([...seen].sort()).toEqual([VALUE.SMALL, VALUE.NATIVE, VALUE.CONTAINERS].sort());
}, 120_000);
