/** Sets in an arena against a Set, and their portable format against Roaring itself. */
import fc from "fast-check";
import roaring from "roaring";
import { describe, expect, test } from "vitest";
import { Arena } from "../../../src/keyspace/arena.js";
import { ContainerSets, UNCHANGED } from "../../../src/keyspace/container-sets.js";
import { ARRAY_MEMBERS_MAX } from "../../../src/keyspace/portable-format.js";
import { member, X_MAX } from "./members.js";

const { RoaringBitmap32 } = roaring;

/** Members in a row, or with gaps, whose number crosses what an array holds. */
const series = fc
  .record({ first: member, length: fc.integer({ min: 1, max: 9000 }), step: fc.constantFrom(1, 2, 3, 7, 1000) })
  .map(({ first, length, step }) => Array.from({ length }, (_, i) => first + i * step).filter((x) => x <= X_MAX));

const members = fc
  .tuple(fc.array(member, { minLength: 1, maxLength: 200, size: "max" }), fc.array(series, { maxLength: 4 }))
  .map(([single, more]) => [...new Set([...single, ...more.flat()])].sort((a, b) => a - b));

/** An arena that has no memory after so many blocks more. */
class FailingArena extends Arena {
  allocationsLeft = Number.POSITIVE_INFINITY;

  override allocate(bytes: number): number {
    if (this.allocationsLeft-- === 0) throw new RangeError("no memory");
    return super.allocate(bytes);
  }
}

function portableOf(native: InstanceType<typeof RoaringBitmap32>): Buffer {
  const out = Buffer.alloc(native.getSerializationSizeInBytes("portable"));
  native.serialize("portable", out);
  return out;
}

/** A set as the rest of the server makes it: out of a native one, with or without runs. */
function make(sets: ContainerSets, xs: readonly number[], withRuns: boolean): number {
  const native = new RoaringBitmap32(xs);
  if (withRuns) native.runOptimize();
  const head = sets.fromPortable(portableOf(native), Number.POSITIVE_INFINITY);
  native.dispose();
  return head as number;
}

/** The members as Roaring reads them. */
function read(sets: ContainerSets, head: number): number[] {
  const out = Buffer.alloc(sets.portableBytes(head));
  sets.writePortable(head, out);
  const native = RoaringBitmap32.deserialize(out, "portable");
  const xs = native.toArray();
  // No byte of the format is left out, and none is too many.
  expect(Buffer.compare(portableOf(native), out)).toBe(0);
  native.dispose();
  return xs;
}

describe("from and to the portable format", () => {
  test("all members come back, and the memory too", () => {
    const arena = new Arena();
    const sets = new ContainerSets(arena);
    fc.assert(
      fc.property(members, fc.boolean(), (xs, withRuns) => {
        const head = make(sets, xs, withRuns);
        expect(read(sets, head)).toEqual(xs);
        sets.free(head);
        expect(arena.usedBytes).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test("has knows members from others", () => {
    fc.assert(
      fc.property(members, fc.array(member, { maxLength: 100 }), (xs, others) => {
        const sets = new ContainerSets(new Arena());
        const head = make(sets, xs, true);
        const set = new Set(xs);
        for (const x of [
          ...xs,
          ...others,
          ...xs.map((x) => Math.max(x - 1, 0)),
          ...xs.map((x) => Math.min(x + 1, X_MAX)),
        ]) {
          if (sets.has(head, x) !== set.has(x)) expect.fail(`has(${x}) is ${sets.has(head, x)}`);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("members are listed, whatever container they are in", () => {
    const arena = new Arena();
    const sets = new ContainerSets(arena);
    const xs = [3, 65_535, 65_536, 70_000, 2 ** 31 + 5, X_MAX];
    const head = make(sets, xs, false);
    expect([...sets.members(head, xs.length)]).toEqual(xs);
  });

  test("a set whose runs would take too much is refused, and takes nothing", () => {
    const arena = new Arena();
    const sets = new ContainerSets(arena);
    const native = RoaringBitmap32.fromRange(0, 1_000_000);
    native.runOptimize();
    const portable = portableOf(native);
    expect(sets.fromPortable(portable, 100_000)).toBeUndefined();
    expect(arena.usedBytes).toBe(0);
    const head = sets.fromPortable(portable, 16 * 8192) as number;
    expect(read(sets, head).length).toBe(1_000_000);
  });
});

describe("changes", () => {
  const change = fc.record({ x: member, isAdded: fc.boolean() });

  test("any adding and removing gives what a Set would have, and its answers", () => {
    const arena = new Arena();
    const sets = new ContainerSets(arena);
    fc.assert(
      fc.property(members, fc.array(change, { maxLength: 400, size: "max" }), series, (xs, changes, row) => {
        const anchor = 77_777;
        const set = new Set([...xs, anchor]);
        let head = make(
          sets,
          [...set].sort((a, b) => a - b),
          false,
        );
        const apply = (x: number, isAdded: boolean) => {
          const after = isAdded ? sets.add(head, x) : sets.remove(head, x);
          const isChanged = isAdded ? !set.has(x) : set.has(x);
          if ((after !== UNCHANGED) !== isChanged)
            expect.fail(`${isAdded ? "add" : "remove"}(${x}) says ${!isChanged}`);
          if (after !== UNCHANGED) head = after;
          if (isAdded) set.add(x);
          else set.delete(x);
        };
        for (const { x, isAdded } of changes) if (x !== anchor) apply(x, isAdded);
        for (const x of row) if (x !== anchor) apply(x, true);
        expect(read(sets, head)).toEqual([...set].sort((a, b) => a - b));
        for (const x of row) if (x !== anchor) apply(x, false);
        for (const x of xs) if (x !== anchor) apply(x, false);
        expect(read(sets, head)).toEqual([...set].sort((a, b) => a - b));
        sets.free(head);
        expect(arena.usedBytes).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  test("a container goes from array to bitset and back at the border, and takes no more memory than that", () => {
    const arena = new Arena();
    const sets = new ContainerSets(arena);
    let head = make(sets, [0], false);
    for (let i = 1; i < ARRAY_MEMBERS_MAX; i++) head = sets.add(head, i * 2);
    const asArray = sets.portableBytes(head);
    for (let round = 0; round < 3; round++) {
      head = sets.add(head, 65_535);
      expect(sets.has(head, 65_535)).toBe(true);
      expect(sets.portableBytes(head)).toBe(asArray);
      head = sets.remove(head, 65_535);
      expect(sets.has(head, 65_535)).toBe(false);
    }
    expect(read(sets, head)).toEqual(Array.from({ length: ARRAY_MEMBERS_MAX }, (_, i) => i * 2));
    for (let i = 1; i < ARRAY_MEMBERS_MAX; i++) head = sets.remove(head, i * 2);
    expect(read(sets, head)).toEqual([0]);
    expect(arena.usedBytes).toBeLessThan(100);
  });

  test("65,536 members fill a container", () => {
    const sets = new ContainerSets(new Arena());
    let head = make(sets, [65_536 + 5], false);
    for (let x = 65_536; x < 2 * 65_536; x++) {
      const after = sets.add(head, x);
      if (after !== UNCHANGED) head = after;
    }
    expect(sets.add(head, 65_536)).toBe(UNCHANGED);
    expect(read(sets, head).length).toBe(65_536);
    expect(sets.has(head, 65_535)).toBe(false);
    expect(sets.has(head, 2 * 65_536)).toBe(false);
  });

  test("its blocks leave nearly empty pages, some at a time, and without memory for one it stays as it is", () => {
    const arena = new FailingArena();
    const sets = new ContainerSets(arena);
    const xs = Array.from({ length: 2000 }, (_, i) => [i * 65_536, i * 65_536 + 1 + i]).flat();
    // Each of its containers has neighbours that go.
    const others: number[] = [];
    let head = make(sets, xs.slice(0, 2), false);
    for (const x of xs.slice(2)) {
      for (let i = 0; i < 30; i++) others.push(arena.allocate(4));
      head = sets.add(head, x);
    }
    for (const ref of others) arena.free(ref);
    const before = arena.reservedBytes;
    expect(arena.thin()).toBeGreaterThan(0);
    arena.allocationsLeft = 5;
    expect(() => sets.moved(head)).toThrow("no memory");
    expect(read(sets, head)).toEqual(xs);
    arena.allocationsLeft = Number.POSITIVE_INFINITY;
    let calls = 0;
    for (; arena.thin() > 0 && calls < 100; calls++) head = sets.moved(head);
    expect(calls).toBeGreaterThan(1);
    expect(calls).toBeLessThan(100);
    expect(read(sets, head)).toEqual(xs);
    expect(arena.reservedBytes).toBeLessThan(before);
    sets.free(head);
    expect(arena.usedBytes).toBe(0);
  });
});
