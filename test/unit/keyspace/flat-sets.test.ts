/** Sets that are counted again and again, against plain sets: whatever happens to them between two counts, no count may be of what they were. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { OFFSET_MAX } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { BITOPS, type BitOp, bitop, bitopCardinality } from "../../../src/keyspace/bitmap-op.js";
import type { Database } from "../../../src/keyspace/database.js";
import { FORGET_MS, flatShared, MEMBERS_MAX, ROOM_WORDS } from "../../../src/keyspace/flat-sets.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { keyBytes, randomOf } from "./bytes.js";
import { StorageInHand } from "./sqlite.js";

beforeAll(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterAll(() => void vi.useRealTimers());

const BYTES = 2 ** 29;
const PAIR_OPS = BITOPS.filter((op) => op !== "NOT");

function bitmapOf(members: Iterable<number>, byteLength = BYTES): Bitmap {
  return Bitmap.fromMembers(Uint32Array.from(members).sort(), byteLength);
}

/** As many members as are asked for, a few in each block of 65,536 ids from 0 to `blocks`: what is laid out. */
function sparse(random: () => number, members: number, blocks: number): Set<number> {
  const set = new Set<number>();
  while (set.size < members) set.add(Math.floor(random() * blocks) * 65_536 + Math.floor(random() * 40) * 1_601);
  return set;
}

/** How many members an operation gives, by asking each. */
function counted(op: BitOp, a: ReadonlySet<number>, b: ReadonlySet<number>): number {
  let shared = 0;
  for (const member of a) if (b.has(member)) shared++;
  const [onlyA, onlyB] = [a.size - shared, b.size - shared];
  const counts = { AND: shared, ANDOR: shared, OR: shared + onlyA + onlyB, XOR: onlyA + onlyB, ONE: onlyA + onlyB };
  return { ...counts, DIFF: onlyA, DIFF1: onlyB, NOT: Number.NaN }[op];
}

/** How many are in both; they have been counted before. */
function sharedAgain(a: Bitmap, b: Bitmap): number | undefined {
  flatShared(a, b);
  return flatShared(a, b);
}

test("sets of any length, and with any distance between them, are counted as plain sets are", () => {
  const set = fc.record({
    seed: fc.nat(),
    members: fc.integer({ min: 60, max: 900 }),
    blocks: fc.integer({ min: 30, max: 300 }),
    // Moved up, it begins, or even ends, behind the end of another.
    up: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 32 - 301 * 65_536 })),
  });
  let laidOut = 0;
  fc.assert(
    fc.property(fc.array(set, { minLength: 2, maxLength: 5 }), (sets) => {
      const plain = sets.map(({ seed, members, blocks, up }) => {
        return new Set([...sparse(randomOf(seed + 1), members, blocks)].map((member) => member + up));
      });
      // Some of each are in the next one too.
      plain.forEach((members, i) => {
        const next = plain[(i + 1) % plain.length] as Set<number>;
        for (const member of members) if (member % 3 === 0) next.add(member);
      });
      const bitmaps = plain.map((members) => bitmapOf(members));
      for (let r = 0; r < sets.length; r++) {
        for (let c = 0; c < sets.length; c++) {
          const [a, b] = [bitmaps[r], bitmaps[c]] as [Bitmap, Bitmap];
          const [plainA, plainB] = [plain[r], plain[c]] as [Set<number>, Set<number>];
          const shared = sharedAgain(a, b);
          if (shared !== undefined) {
            laidOut++;
            expect(shared).toBe(counted("AND", plainA, plainB));
          }
          for (const op of PAIR_OPS) expect(bitopCardinality(op, [a, b])).toBe(counted(op, plainA, plainB));
        }
      }
      for (const bitmap of bitmaps) bitmap.dispose();
    }),
    { numRuns: 100 },
  );
  expect(laidOut).toBeGreaterThan(500);
});

test("members in runs, in two bitmaps that differ by one, and at the ends of groups", () => {
  for (let length = 100; length < 117; length++) {
    const all = Array.from({ length }, (_, i) => i * 65_536);
    const whole = bitmapOf(all);
    for (let without = 0; without < length; without++) {
      const other = bitmapOf(all.filter((_, i) => i !== without));
      expect(sharedAgain(whole, other)).toBe(length - 1);
      expect(sharedAgain(other, whole)).toBe(length - 1);
      other.dispose();
    }
    expect(sharedAgain(whole, whole)).toBe(length);
    whole.dispose();
  }
});

test("a set is laid out when both are counted for the second time, and for the second time since a change", () => {
  const a = bitmapOf(sparse(randomOf(1), 1000, 300));
  const b = bitmapOf(sparse(randomOf(2), 1000, 300));
  const isFlat = () => [flatShared(a, b), flatShared(a, b)].map((shared) => shared !== undefined);
  expect(isFlat()).toEqual([false, true]);
  a.setBit(a.select(7), 1);
  expect(isFlat()).toEqual([true, true]);
  const bits = bitmapOf([1, 70_000], 8_751);
  const changes = [
    () => a.setBit(2, 1),
    () => a.setBit(2, 0),
    () => a.overwrite(0, Uint8Array.of(255)).dispose(),
    () => a.add(bits).dispose(),
    () => a.remove(bits).dispose(),
  ];
  for (const change of changes) {
    change();
    expect(isFlat()).toEqual([false, true]);
  }
});

test("what Roaring is quicker at is left to it, and so are sets that are too large and the largest offset", () => {
  const flat = bitmapOf(sparse(randomOf(1), 1000, 300));
  const large = bitmapOf(Array.from({ length: MEMBERS_MAX + 1 }, (_, i) => i * 20_000));
  const dense = Bitmap.fromRange(0, 100_000);
  const others = [new Bitmap(), bitmapOf([7]), dense, large, bitmapOf([...flat.members, OFFSET_MAX])];
  for (const other of others) {
    expect(sharedAgain(flat, other)).toBeUndefined();
    expect(sharedAgain(other, flat)).toBeUndefined();
    expect(sharedAgain(other, other)).toBeUndefined();
    expect(bitopCardinality("AND", [flat, other])).toBe(
      other.members.filter((member) => flat.getBit(member) === 1).length,
    );
    other.dispose();
  }
  expect(sharedAgain(flat, flat)).toBe(1000);
});

test("more sets than there is room for", () => {
  const members = MEMBERS_MAX - 3;
  const sets = Array.from({ length: 12 }, (_, step) =>
    bitmapOf(Array.from({ length: members }, (_, i) => i * 12 * (step + 1))),
  );
  expect(sets.length * members).toBeGreaterThan(ROOM_WORDS);
  // Each block of ids has too many of these, but where they are far from each other.
  const far = sets.map((set, step) => {
    const spread = bitmapOf([...set.members].map((member) => Math.floor(member / (12 * (step + 1))) * 32_749));
    set.dispose();
    return spread;
  });
  const halves = far.map((set, i) => bitmapOf(set.members.filter((_, rank) => rank % (i + 2) === 0)));
  for (let round = 0; round < 3; round++) {
    far.forEach((set, i) => {
      const shared = flatShared(set, halves[i] as Bitmap);
      expect(shared).toBe(round === 0 ? undefined : Math.ceil(members / (i + 2)));
    });
  }
  for (const set of [...far, ...halves]) set.dispose();
});

test("the memory is dropped when nobody counts, and sets are laid out again when somebody does", () => {
  const a = bitmapOf(sparse(randomOf(1), 1000, 300));
  const b = bitmapOf(sparse(randomOf(2), 1000, 300));
  const shared = sharedAgain(a, b);
  expect(shared).toBe(a.members.filter((member) => b.getBit(member) === 1).length);
  expect(vi.getTimerCount()).toBe(1);
  for (let i = 0; i < 5; i++) {
    vi.advanceTimersByTime(FORGET_MS);
    expect(flatShared(a, b)).toBe(shared);
    expect(vi.getTimerCount()).toBe(1);
  }
  vi.advanceTimersByTime(2 * FORGET_MS);
  expect(vi.getTimerCount()).toBe(0);
  // Something else is where `a` was.
  const c = bitmapOf(sparse(randomOf(3), 2000, 300));
  sharedAgain(c, c);
  expect(flatShared(a, b)).toBe(shared);
  expect(flatShared(b, a)).toBe(shared);
  expect(vi.getTimerCount()).toBe(1);
});

// --- whole programs

const KEYS = ["a", "b", "c", "d"] as const;
const BLOCKS = 120;
const key = fc.constantFrom(...KEYS);
const offset = fc.tuple(fc.nat(BLOCKS - 1), fc.nat(39)).map(([block, inBlock]) => block * 65_536 + inBlock * 1_601);
const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("set" as const),
      key,
      seed: fc.nat(),
      members: fc.constantFrom(1100, 1500),
    }),
  },
  {
    weight: 20,
    arbitrary: fc.record({ do: fc.constant("bitop" as const), op: fc.constantFrom(...PAIR_OPS), key, other: key }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("setbit" as const),
      key,
      offset,
      bit: fc.constantFrom(0 as const, 1 as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("add" as const), key, offset }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("remove" as const), key, offset }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("keep" as const), key, other: key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("commit" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drop result" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("rest" as const) }) },
);

test("random programs: BITOP counts what its sources hold, whether they change in place or are held by a result", () => {
  let known = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 80, size: "max" }), (steps) => {
      const storage = new StorageInHand();
      const keyspace = new Keyspace(storage, new ManualClock(0), randomOf(1));
      const [database] = keyspace.databases as [Database];
      const plain = new Map<string, Set<number>>();
      const bitmap = (name: string) =>
        keyspace.bitmap(keyspace.lookup(database, name) as NonNullable<ReturnType<Keyspace["lookup"]>>);
      const put = (name: string, members: Set<number>) => {
        keyspace.setValue(database, name, bitmapOf(members));
        plain.set(name, members);
      };
      KEYS.forEach((name, i) => void put(name, sparse(randomOf(i + 1), 1200, BLOCKS)));
      for (const each of steps) {
        keyspace.tick();
        const members = "key" in each ? (plain.get(each.key) as Set<number>) : new Set<number>();
        switch (each.do) {
          case "set":
            put(each.key, sparse(randomOf(each.seed + 1), each.members, BLOCKS));
            break;
          case "bitop": {
            const sources = [bitmap(each.key), bitmap(each.other)];
            if (sources.every(({ flat }) => typeof flat === "object")) known++;
            const expected = counted(each.op, members, plain.get(each.other) as Set<number>);
            expect(bitopCardinality(each.op, sources)).toBe(expected);
            const result = bitop(each.op, sources);
            expect(result.cardinality).toBe(expected);
            // The result holds its sources, which are copied when they change, until there is another one.
            keyspace.setValue(database, "result", result);
            break;
          }
          case "setbit":
            keyspace.setBit(database, keyBytes(each.key), each.offset, each.bit);
            if (each.bit === 1) members.add(each.offset);
            else members.delete(each.offset);
            break;
          case "add":
            keyspace.addRange(database, each.key, each.offset, each.offset + 4);
            for (let x = each.offset; x < each.offset + 5; x++) members.add(x);
            break;
          case "remove":
            keyspace.removeRange(
              keyspace.lookup(database, each.key) as NonNullable<ReturnType<Keyspace["lookup"]>>,
              each.offset,
              each.offset + 70_000,
            );
            for (const member of members)
              if (member >= each.offset && member <= each.offset + 70_000) members.delete(member);
            break;
          case "keep":
            // A copy is held by both keys until one of them changes.
            if (each.key === each.other) break;
            keyspace.delete(keyspace.lookup(database, each.other) as NonNullable<ReturnType<Keyspace["lookup"]>>);
            keyspace.copy(
              keyspace.lookup(database, each.key) as NonNullable<ReturnType<Keyspace["lookup"]>>,
              database,
              each.other,
            );
            plain.set(each.other, new Set(members));
            break;
          case "drop result": {
            const entry = keyspace.lookup(database, "result");
            if (entry !== undefined) keyspace.delete(entry);
            break;
          }
          case "commit":
            storage.commit(keyspace);
            break;
          case "rest":
            vi.advanceTimersByTime(2 * FORGET_MS);
        }
      }
    }),
    { numRuns: 150 },
  );
  expect(known).toBeGreaterThan(500);
});
