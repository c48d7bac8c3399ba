/** Memory of large buffers that are out of use does not pile up. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test, vi } from "vitest";
import { KIB, MIB, PASSING_BYTES_MAX } from "../../src/config.js";
import { collectAll, giveBack, passing, passingBuffer } from "../../src/passing-buffer.js";
import { buffersDownTo } from "../support/buffers.js";

/** Most memory behind buffers while `make` is called so many times, beyond what there was before. */
function mostMemory(times: number, make: () => Uint8Array): number {
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  let last = 0;
  for (let i = 0; i < times; i++) {
    last += make().length;
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  expect(last).toBeGreaterThan(0);
  return most;
}

test("as many bytes as are asked for, or more", () => {
  for (const bytes of [0, 1, 100 * KIB, MIB - 1, MIB, 40 * MIB]) {
    expect(passingBuffer(bytes).length).toBeGreaterThanOrEqual(bytes);
  }
});

test("those out of use are collected after a few megabytes", () => {
  expect(mostMemory(1000, () => passingBuffer(100 * KIB))).toBeLessThan(4 * PASSING_BYTES_MAX);
});

test("also those that somebody else made", () => {
  const make = () => {
    const made = new Uint8Array(100 * KIB);
    passing(made.length);
    return made;
  };
  expect(mostMemory(1000, make)).toBeLessThan(4 * PASSING_BYTES_MAX);
});

test("of a large one only what is written to takes memory", () => {
  const before = process.memoryUsage.rss();
  const buffers = Array.from({ length: 20 }, () => passingBuffer(MIB));
  for (const buffer of buffers) buffer.fill(1, 0, MIB);
  expect(process.memoryUsage.rss() - before).toBeLessThan(20 * 3 * MIB);
  expect(buffers).toHaveLength(20);
});

test("those that are given back are freed though they have grown old, and their views are empty", () => {
  const old = Array.from({ length: 100 }, () => new Uint8Array(MIB));
  collectAll();
  collectAll();
  const before = process.memoryUsage().arrayBuffers;
  for (const { buffer } of old) giveBack(buffer);
  expect(old.map(({ length }) => length)).toEqual(Array(100).fill(0));
  const most = before - 100 * MIB + 4 * PASSING_BYTES_MAX;
  expect(buffersDownTo(most)).toBeLessThanOrEqual(most);
  // Twice is once.
  giveBack((old[0] as Uint8Array).buffer);
});

test("the collector is not taken from another thread that is about to ask for it", async () => {
  // As that thread does, before its context is made. Flags are the whole process'.
  setFlagsFromString("--expose-gc");
  vi.resetModules();
  const asked = await import("../../src/passing-buffer.js");
  asked.collectAll();
  expect(runInNewContext("typeof gc")).toBe("function");
});
