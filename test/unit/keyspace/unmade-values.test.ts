/** What BITOP stores is made when somebody needs its bits. Whatever happens to its sources meanwhile, nothing of that may show. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { SMALL_MEMBERS_MAX } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { BITOPS, type BitOp, bitop, bitopCardinality } from "../../../src/keyspace/bitmap-op.js";
import type { Batch } from "../../../src/keyspace/change-log.js";
import type { Database } from "../../../src/keyspace/database.js";
import { VALUE } from "../../../src/keyspace/entry-table.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { keyBytes, randomOf } from "./bytes.js";
import { StorageInHand } from "./sqlite.js";

const BYTES = 4096;

/** Every `step`th bit from `first` on, `BYTES` bytes long. */
function every(step: number, first = 0, bytes = BYTES): Bitmap {
  const members: number[] = [];
  for (let x = first; x < bytes * 8; x += step) members.push(x);
  return Bitmap.fromMembers(Uint32Array.from(members), bytes);
}

describe("a result of two values", () => {
  test.each(BITOPS)("%s is counted and read bit by bit without being made, and the same when it is", (op) => {
    const sources = op === "NOT" ? [every(3)] : [every(3), every(5, 1, BYTES / 2)];
    const unmade = bitop(op, sources);
    const made = bitop(op, sources).clone();
    expect(unmade.cardinality).toBe(made.cardinality);
    for (let x = 0; x < BYTES * 8 + 8; x++) if (unmade.getBit(x) !== made.getBit(x)) expect.fail(`bit ${x}`);
    const bound = unmade.portableBytesMax;
    expect(unmade.unmade).toBeDefined();
    expect(unmade.bytes(0, BYTES).equals(made.bytes(0, BYTES))).toBe(true);
    expect(unmade.unmade).toBeUndefined();
    expect(unmade.portableBytes).toBeLessThanOrEqual(bound);
  });

  test("of few members is an array when it is written", () => {
    const keyspace = new Keyspace(new StorageInHand(), new ManualClock(0), randomOf(1));
    const [database] = keyspace.databases as [Database];
    const few = bitop("AND", [every(3), every(65)]);
    expect(few.cardinality).toBeLessThan(SMALL_MEMBERS_MAX);
    const { number } = keyspace.setValue(database, "few", few);
    const { entries } = database.contents;
    expect(entries.valueKind(number)).toBe(VALUE.NATIVE);
    keyspace.takeBatch();
    expect(entries.valueKind(number)).toBe(VALUE.SMALL);
    expect(entries.count(number)).toBe(Math.ceil((BYTES * 8) / (3 * 65)));
  });

  test("with a complement needs none: (a AND b) AND NOT c", () => {
    const c = every(7);
    const complement = bitop("NOT", [c]);
    const result = bitop("AND", [every(2), complement]);
    expect(complement.unmade).toBeDefined();
    expect(result.cardinality).toBe(bitopCardinality("DIFF", [every(2), c]));
    // The complement ends where its source does.
    const longer = bitop("AND", [every(2, 0, BYTES * 2), bitop("NOT", [c])]);
    expect(longer.cardinality).toBe(result.cardinality);
    expect(longer.byteLength).toBe(BYTES * 2);
  });

  test("holds its sources until it is made or let go, and no longer", () => {
    const before = Bitmap.usedBytes();
    const sources = [every(2), every(3)];
    const first = bitop("OR", sources);
    const second = bitop("XOR", sources);
    for (const source of sources) {
      expect(source.isShared).toBe(true);
      source.dispose();
    }
    expect(first.cardinality).toBe(Math.ceil((BYTES * 8) / 2) + Math.floor((BYTES * 8 + 3) / 6));
    expect(first.bytes(0, 1)[0]).toBe(0b10111010);
    second.dispose();
    first.dispose();
    // But for what native objects keep until they are collected.
    expect(Bitmap.usedBytes() - before).toBeLessThan(2000);
  });
});

describe("a result that takes long", () => {
  const LONG_BYTES = 2 ** 27;
  /** A time that has passed: the least of the work is done. */
  const NO_TIME_MS = Number.NEGATIVE_INFINITY;
  const sources = [every(1000, 7, LONG_BYTES), every(1500, 7, LONG_BYTES - 9)];
  const long = (op: BitOp) => bitop(op, op === "NOT" ? sources.slice(0, 1) : sources);

  test.each(BITOPS)("%s is made a part at a time, and is the same", (op) => {
    const result = long(op);
    let parts = 1;
    while (!result.makeUntil(NO_TIME_MS)) parts++;
    expect(parts).toBeGreaterThan(8);
    const whole = long(op).clone();
    expect(result.set.isEqual(whole.set)).toBe(true);
    expect(result.byteLength).toBe(whole.byteLength);
    expect(result.portableBytes).toBe(whole.portableBytes);
    expect(result.cardinality).toBe(whole.cardinality);
  });

  test("may be asked for, or let go, when a part of it is made", () => {
    const before = Bitmap.usedBytes();
    const asked = long("NOT");
    expect(asked.makeUntil(NO_TIME_MS)).toBe(false);
    expect(asked.getBit(7)).toBe(0);
    expect(asked.getBit(LONG_BYTES * 8 - 1)).toBe(1);
    expect(asked.set.size).toBe(asked.cardinality);
    asked.dispose();
    const dropped = long("OR");
    expect(dropped.makeUntil(NO_TIME_MS)).toBe(false);
    dropped.dispose();
    // What is made of NOT takes a megabyte. Each slice's native objects keep something until they are collected.
    expect(Bitmap.usedBytes() - before).toBeLessThan(20_000);
  });

  test("keeps a batch from being complete, which it is a turn after all is made", () => {
    const keyspace = new Keyspace(new StorageInHand(), new ManualClock(0), randomOf(1));
    const [database] = keyspace.databases as [Database];
    const value = long("NOT");
    keyspace.setValue(database, "long", value);
    const draft = keyspace.takeDraft();
    while (value.unmade !== undefined) expect(draft.write(0)).toBeUndefined();
    const batch = draft.write(0) as Batch;
    expect(batch.words.byteLength).toBeGreaterThan(LONG_BYTES / 8192);
  });
});

// --- whole programs

const KEYS = ["a", "b", "c", "d", "e"] as const;
const BITS = 40_000;

interface Model {
  bits: Uint8Array;
  byteLength: number;
}

const key = fc.constantFrom(...KEYS);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("set" as const),
      key,
      seed: fc.nat(),
      step: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant("bitop" as const),
      op: fc.constantFrom(...BITOPS),
      key,
      sources: fc.array(key, { minLength: 2, maxLength: 3 }),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("setbit" as const),
      key,
      at: fc.nat(BITS - 1),
      bit: fc.constantFrom(0 as const, 1 as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("rename" as const), key, to: key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("copy" as const), key, to: key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("draft" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("commit" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reload" as const) }) },
);

function naive(op: BitOp, sources: readonly Model[]): Model {
  const byteLength = Math.max(...sources.map((source) => source.byteLength));
  const bits = new Uint8Array(BITS);
  for (let x = 0; x < byteLength * 8; x++) {
    const [first, ...rest] = sources.map((source) => source.bits[x] as number) as [number, ...number[]];
    const any = rest.some((bit) => bit === 1) ? 1 : 0;
    const ones = first + rest.reduce((sum, bit) => sum + bit, 0);
    bits[x] = {
      AND: ones === sources.length ? 1 : 0,
      OR: ones > 0 ? 1 : 0,
      XOR: ones & 1,
      NOT: 1 - first,
      DIFF: first & (1 - any),
      DIFF1: (1 - first) & any,
      ANDOR: first & any,
      ONE: ones === 1 ? 1 : 0,
    }[op];
  }
  return { bits, byteLength };
}

test("random programs on shared sources: every key holds what it should, in memory and in the file", () => {
  let unmadeSeen = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 60, size: "max" }), fc.nat(), (steps, seed) => {
      const storage = new StorageInHand();
      const keyspace = new Keyspace(storage, new ManualClock(0), randomOf(seed + 1));
      const [database] = keyspace.databases as [Database];
      const model = new Map<string, Model>();
      let draft: ReturnType<Keyspace["takeDraft"]> | undefined;
      const finishDraft = () => {
        if (draft === undefined) return;
        const batch = draft.write(Number.POSITIVE_INFINITY) as NonNullable<ReturnType<typeof draft.write>>;
        storage.apply(batch);
        keyspace.committed(batch);
        draft = undefined;
      };
      const look = (name: string) => keyspace.lookup(database, name);
      const check = (name: string, isWhole: boolean) => {
        const entry = look(name);
        const expected = model.get(name);
        if ((entry === undefined) !== (expected === undefined)) expect.fail(`${name} exists or not`);
        if (entry === undefined || expected === undefined) return;
        const value = keyspace.value(entry);
        const ones = expected.bits.reduce((sum, bit) => sum + bit, 0);
        expect([name, value.cardinality, value.byteLength]).toEqual([name, ones, expected.byteLength]);
        for (let x = 0; x < BITS; x += isWhole ? 1 : 997) {
          if (value.getBit(x) !== expected.bits[x]) expect.fail(`${name}: bit ${x}`);
        }
      };
      for (const each of steps) {
        keyspace.tick();
        switch (each.do) {
          case "set": {
            const bits = new Uint8Array(BITS);
            for (let x = each.seed % 7; x < BITS; x += each.step) bits[x] = 1;
            const members = Uint32Array.from(bits.keys()).filter((x) => bits[x] === 1);
            keyspace.setValue(database, each.key, Bitmap.fromMembers(members, BITS / 8));
            model.set(each.key, { bits, byteLength: BITS / 8 });
            break;
          }
          case "bitop": {
            const names = each.op === "NOT" ? each.sources.slice(0, 1) : each.sources;
            const entries = names.map((name) => look(name));
            if (entries.some((entry) => entry === undefined)) break;
            const result = bitop(
              each.op,
              entries.map((entry) => keyspace.bitmap(entry as NonNullable<typeof entry>)),
            );
            if (result.unmade !== undefined) unmadeSeen++;
            const expected = naive(
              each.op,
              names.map((name) => model.get(name) as Model),
            );
            keyspace.setValue(database, each.key, result);
            model.set(each.key, expected);
            break;
          }
          case "setbit": {
            const before = keyspace.setBit(database, keyBytes(each.key), each.at, each.bit);
            const value = model.get(each.key) ?? { bits: new Uint8Array(BITS), byteLength: 0 };
            expect(before).toBe(value.bits[each.at]);
            const bits = value.bits.slice();
            bits[each.at] = each.bit;
            model.set(each.key, { bits, byteLength: Math.max(value.byteLength, (each.at >> 3) + 1) });
            break;
          }
          case "delete": {
            const entry = look(each.key);
            if (entry !== undefined) keyspace.delete(entry);
            model.delete(each.key);
            break;
          }
          case "rename":
          case "copy": {
            const value = model.get(each.key);
            if (value === undefined || each.key === each.to) break;
            const old = look(each.to);
            if (old !== undefined) keyspace.delete(old);
            const entry = look(each.key) as NonNullable<ReturnType<typeof look>>;
            if (each.do === "rename") {
              keyspace.rename(entry, database, each.to);
              model.delete(each.key);
            } else {
              keyspace.copy(entry, database, each.to);
            }
            model.set(each.to, value);
            break;
          }
          case "draft":
            finishDraft();
            draft = keyspace.takeDraft();
            draft.write(0);
            break;
          default:
            finishDraft();
            storage.commit(keyspace);
            if (each.do === "commit") break;
            storage.settle();
            keyspace.residency.maxBytes = 1;
            for (let i = 0; i < 10; i++) keyspace.residency.cycle(keyspace.now);
            keyspace.residency.maxBytes = 0;
        }
        for (const name of KEYS) check(name, false);
      }
      finishDraft();
      storage.commit(keyspace);
      for (const name of KEYS) check(name, true);
      const again = new Keyspace(storage.reopened(), new ManualClock(0), randomOf(1));
      for (const name of KEYS) {
        const expected = model.get(name);
        const entry = again.lookup(again.databases[0] as Database, name);
        if (expected === undefined) expect(entry).toBeUndefined();
        else {
          const value = again.value(entry as NonNullable<typeof entry>);
          expect(value.byteLength).toBe(expected.byteLength);
          for (let x = 0; x < BITS; x++)
            if (value.getBit(x) !== expected.bits[x]) expect.fail(`${name} in the file: bit ${x}`);
        }
      }
    }),
    { numRuns: 60 },
  );
  expect(unmadeSeen).toBeGreaterThan(50);
}, 120_000);
