/** Holes in the C library's heap are given back, unless that would take long; what is between them stays as it is. */
import { describe, expect, test } from "vitest";
import { MIB, TRIM_NATIVE_BYTES_MAX } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { trimHeap } from "../../../src/storage/heap-trim.js";
import { hasGlibc, makeHoles } from "../../support/heap-holes.js";

const HOLES_BYTES = 128 * MIB;

describe.skipIf(!hasGlibc)("holes in the heap (which glibc alone gives back)", () => {
  test("go back to the system", () => {
    const kept = makeHoles(HOLES_BYTES);
    const before = process.memoryUsage.rss();
    trimHeap();
    expect(before - process.memoryUsage.rss()).toBeGreaterThan(HOLES_BYTES / 2);
    expect(kept.every((piece) => piece.every((byte) => byte === 1))).toBe(true);
    // When there are none it is no error either.
    trimHeap();
  });

  test("stay while native values take much: their heap would be locked for long", () => {
    const dense = Array.from({ length: TRIM_NATIVE_BYTES_MAX / MIB + 1 }, () => denseBitmap(MIB));
    const kept = makeHoles(HOLES_BYTES);
    const before = process.memoryUsage.rss();
    trimHeap();
    expect(before - process.memoryUsage.rss()).toBeLessThan(HOLES_BYTES / 4);
    for (const bitmap of dense) bitmap.dispose();
    trimHeap();
    expect(before - process.memoryUsage.rss()).toBeGreaterThan(HOLES_BYTES / 2);
    expect(kept.length).toBeGreaterThan(0);
  });
});

/** A value of so many bytes in which every other bit is set. */
function denseBitmap(bytes: number): Bitmap {
  return Bitmap.fromBytes(Buffer.alloc(bytes, 0b10101010));
}
