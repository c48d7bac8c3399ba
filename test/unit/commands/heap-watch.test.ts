/** When holes in the C library's heap are given back: when what is taken beside what is used has grown, and not too often. */
import { expect, test } from "vitest";
import { HeapWatch } from "../../../src/commands/monitoring/heap-watch.js";
import { HOLES_BYTES_MIN, MIB, TRIM_PAUSE_MS } from "../../../src/config.js";

const beside = (bytes: number) => ({ used: 20 * MIB, rss: 20 * MIB + bytes });

test("the heap is trimmed when what was used has become holes, and again when there are more of them", () => {
  const watch = new HeapWatch();
  expect(watch.isTrimDue({ used: 100 * MIB, rss: 170 * MIB }, 0)).toBe(false);
  expect(watch.isTrimDue({ used: 101 * MIB - HOLES_BYTES_MIN, rss: 170 * MIB }, 1000)).toBe(false);
  expect(watch.isTrimDue({ used: 100 * MIB - HOLES_BYTES_MIN, rss: 170 * MIB }, 2000)).toBe(true);
  // They are gone.
  expect(watch.isTrimDue(beside(70 * MIB), TRIM_PAUSE_MS + 2000)).toBe(false);
  expect(watch.isTrimDue(beside(70 * MIB + HOLES_BYTES_MIN), TRIM_PAUSE_MS + 3000)).toBe(true);
});

test("it is trimmed once, and not again for memory that is in use beside", () => {
  const watch = new HeapWatch();
  watch.isTrimDue(beside(70 * MIB), 0);
  expect(watch.isTrimDue(beside(170 * MIB), 1000)).toBe(true);
  for (let ms = 2000; ms < 10 * TRIM_PAUSE_MS; ms += 1000) expect(watch.isTrimDue(beside(170 * MIB), ms)).toBe(false);
  // When that is given up, and holes come later, they are seen.
  expect(watch.isTrimDue(beside(80 * MIB), 10 * TRIM_PAUSE_MS)).toBe(false);
  expect(watch.isTrimDue(beside(80 * MIB + HOLES_BYTES_MIN), 10 * TRIM_PAUSE_MS + 1000)).toBe(true);
});

test("it is not trimmed twice within the pause, however fast holes come", () => {
  const watch = new HeapWatch();
  watch.isTrimDue(beside(70 * MIB), 0);
  const due: number[] = [];
  for (let ms = 1000; ms <= 3 * TRIM_PAUSE_MS; ms += 1000)
    if (watch.isTrimDue(beside(70 * MIB + ms * HOLES_BYTES_MIN), ms)) due.push(ms);
  expect(due).toEqual([1000, 1000 + TRIM_PAUSE_MS, 1000 + 2 * TRIM_PAUSE_MS]);
});
