/** The arena against a model that keeps what was written to each block. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Arena, BLOCK_BYTES_MAX, PAGE_BYTES } from "../../../src/keyspace/arena.js";

/** More than the size classes there are. Each may keep one page. */
const CLASSES_MAX = 50;

function fill(arena: Arena, ref: number, bytes: number, value: number): void {
  const start = arena.offsetOf(ref);
  arena.bytesOf(ref).fill(value, start, start + bytes);
}

function isFilled(arena: Arena, ref: number, bytes: number, value: number): boolean {
  const start = arena.offsetOf(ref);
  return arena
    .bytesOf(ref)
    .subarray(start, start + bytes)
    .every((byte) => byte === value);
}

describe("sizes", () => {
  test("every size gets a block that holds it, in units of 8, and wastes little", () => {
    const arena = new Arena();
    for (let bytes = 0; bytes <= BLOCK_BYTES_MAX + 100; bytes++) {
      const size = arena.sizeOf(bytes);
      expect(size % 8).toBe(0);
      expect(size).toBeGreaterThanOrEqual(bytes);
      expect(size).toBeLessThanOrEqual(Math.max(bytes + 8, bytes * 1.26));
    }
  });

  test("classes leave little of a page over", () => {
    const arena = new Arena();
    for (let bytes = 8; bytes <= BLOCK_BYTES_MAX; bytes += 8) {
      const size = arena.sizeOf(bytes);
      expect(PAGE_BYTES % size, `class ${size}`).toBeLessThan(PAGE_BYTES / 64);
    }
  });

  test("a block is as large as sizeOf says, and words and bytes are the same memory", () => {
    const arena = new Arena();
    for (const bytes of [0, 1, 8, 9, 64, 65, 1000, BLOCK_BYTES_MAX, BLOCK_BYTES_MAX + 1, 3 * PAGE_BYTES + 5]) {
      const before = arena.usedBytes;
      const ref = arena.allocate(bytes);
      expect(arena.blockBytes(ref)).toBe(arena.sizeOf(bytes));
      expect(arena.usedBytes - before).toBe(arena.sizeOf(bytes));
      expect(arena.offsetOf(ref) + arena.sizeOf(bytes)).toBeLessThanOrEqual(arena.bytesOf(ref).length);
      arena.wordsOf(ref)[arena.offsetOf(ref) / 4] = 0xddccbbaa;
      expect(arena.bytesOf(ref).readUInt32LE(arena.offsetOf(ref))).toBe(0xddccbbaa);
    }
  });
});

describe("pages", () => {
  test("an arena without blocks takes nothing", () => {
    expect(new Arena().reservedBytes).toBe(0);
  });

  test("a page that is empty is given back, but one per class", () => {
    const arena = new Arena();
    const perPage = PAGE_BYTES / 64;
    const refs = Array.from({ length: perPage * 10 }, () => arena.allocate(64));
    expect(new Set(refs).size).toBe(refs.length);
    expect(arena.reservedBytes).toBe(10 * PAGE_BYTES);
    for (const ref of refs) arena.free(ref);
    expect(arena.usedBytes).toBe(0);
    expect(arena.reservedBytes).toBe(PAGE_BYTES);
  });

  test("the numbers of pages given back are used again", () => {
    const arena = new Arena();
    const allocate = () => Array.from({ length: PAGE_BYTES }, () => arena.allocate(8));
    const first = allocate();
    for (const ref of first) arena.free(ref);
    expect(new Set(allocate())).toEqual(new Set(first));
  });

  test("a large piece has a page of its own, which goes with it", () => {
    const arena = new Arena();
    const ref = arena.allocate(1_000_001);
    expect(arena.offsetOf(ref)).toBe(0);
    expect(arena.reservedBytes).toBe(1_000_008);
    expect(arena.usedBytes).toBe(1_000_008);
    arena.free(ref);
    expect(arena.reservedBytes).toBe(0);
    expect(arena.usedBytes).toBe(0);
  });

  test("freed blocks are used before a new page is taken", () => {
    const arena = new Arena();
    const refs = Array.from({ length: (PAGE_BYTES / 128) * 8 }, () => arena.allocate(120));
    const reserved = arena.reservedBytes;
    for (let i = 0; i < refs.length; i += 2) arena.free(refs[i] as number);
    for (let i = 0; i < refs.length; i += 2) refs[i] = arena.allocate(120);
    expect(arena.reservedBytes).toBe(reserved);
    expect(new Set(refs).size).toBe(refs.length);
  });
});

test("blocks keep what was written to them, do not overlap, and leave nothing behind", () => {
  const size = fc.oneof(
    fc.constantFrom(0, 1, 8, 63, 64, 65, BLOCK_BYTES_MAX, BLOCK_BYTES_MAX + 1),
    fc.integer({ min: 0, max: 200 }),
    fc.integer({ min: 0, max: 40_000 }),
  );
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ allocate: size, times: fc.integer({ min: 1, max: 20 }) }) },
    { weight: 2, arbitrary: fc.record({ free: fc.nat(), times: fc.integer({ min: 1, max: 20 }) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const arena = new Arena();
      const blocks: { ref: number; bytes: number; value: number }[] = [];
      let value = 0;
      for (const each of steps) {
        for (let i = 0; i < each.times; i++) {
          if ("allocate" in each) {
            value = (value + 1) & 0xff;
            const ref = arena.allocate(each.allocate);
            fill(arena, ref, each.allocate, value);
            blocks.push({ ref, bytes: each.allocate, value });
          } else if (blocks.length > 0) {
            const [block] = blocks.splice(each.free % blocks.length, 1);
            if (block !== undefined) arena.free(block.ref);
          }
        }
        expect(arena.usedBytes).toBe(blocks.reduce((sum, { bytes }) => sum + arena.sizeOf(bytes), 0));
        expect(arena.reservedBytes).toBeGreaterThanOrEqual(arena.usedBytes);
      }
      for (const { ref, bytes, value: expected } of blocks) expect(isFilled(arena, ref, bytes, expected)).toBe(true);
      for (const { ref } of blocks) arena.free(ref);
      expect(arena.usedBytes).toBe(0);
      expect(arena.reservedBytes).toBeLessThanOrEqual(CLASSES_MAX * PAGE_BYTES);
    }),
    { numRuns: 100 },
  );
});

describe("pages with few blocks in use", () => {
  test("become empty when their blocks have moved, and the blocks are as they were", () => {
    const arena = new Arena();
    const blocks = [8, 24, 1000].flatMap((bytes) =>
      Array.from({ length: (20 * PAGE_BYTES) / bytes }, (_, i) => ({
        ref: arena.allocate(bytes),
        bytes,
        value: i & 0xff,
      })),
    );
    for (const { ref, bytes, value } of blocks) fill(arena, ref, bytes, value);
    expect(arena.thin()).toBe(0);
    const kept = blocks.filter((_, i) => i % 16 === 0);
    for (const { ref } of blocks.filter((_, i) => i % 16 !== 0)) arena.free(ref);
    const { usedBytes } = arena;
    expect(arena.reservedBytes).toBeGreaterThan(8 * usedBytes);
    expect(arena.thin()).toBeGreaterThan(50);
    for (const block of kept) block.ref = arena.moved(block.ref);
    expect(arena.thin()).toBe(0);
    expect(arena.usedBytes).toBe(usedBytes);
    expect(arena.reservedBytes).toBeLessThan(usedBytes + 10 * PAGE_BYTES);
    expect(new Set(kept.map(({ ref }) => ref)).size).toBe(kept.length);
    for (const { ref, bytes, value } of kept) expect(isFilled(arena, ref, bytes, value)).toBe(true);
    for (const { ref } of kept) arena.free(ref);
    expect(arena.usedBytes).toBe(0);
  });

  test("take no new blocks meanwhile, and what is freed in them goes with them", () => {
    const arena = new Arena();
    const perPage = PAGE_BYTES / 64;
    const refs = Array.from({ length: 10 * perPage }, () => arena.allocate(64));
    const pageOf = (ref: number) => arena.wordsOf(ref);
    const left = refs.filter((_, i) => i % perPage < 2);
    for (const ref of refs.filter((_, i) => i % perPage >= 2)) arena.free(ref);
    const leaving = arena.thin();
    expect(leaving).toBe(10);
    const pages = new Set(left.map(pageOf));
    const added = Array.from({ length: perPage }, () => arena.allocate(64));
    expect(added.some((ref) => pages.has(pageOf(ref)))).toBe(false);
    // Half of them are freed before they could move.
    for (let i = 0; i < left.length; i += 2) arena.free(left[i] as number);
    expect(arena.thin()).toBe(leaving);
    for (let i = 1; i < left.length; i += 2) added.push(arena.moved(left[i] as number));
    expect(arena.usedBytes).toBe(added.length * 64);
    expect(arena.reservedBytes).toBe(2 * PAGE_BYTES);
    // Their numbers are used again.
    for (let i = 0; i < 10 * perPage; i++) added.push(arena.allocate(64));
    expect(new Set(added).size).toBe(added.length);
  });

  test("stay where they are few, or the blocks fill most of their pages", () => {
    const arena = new Arena();
    const few = Array.from({ length: (3 * PAGE_BYTES) / 64 }, () => arena.allocate(64));
    few.forEach((ref, i) => {
      if (i % 100 !== 0) arena.free(ref);
    });
    const full = Array.from({ length: (100 * PAGE_BYTES) / 128 }, () => arena.allocate(128));
    full.forEach((ref, i) => {
      if (i % 6 === 0) arena.free(ref);
    });
    Array.from({ length: 100 }, () => arena.allocate(PAGE_BYTES * 2));
    expect(arena.thin()).toBe(0);
  });
});
