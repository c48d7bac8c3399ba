import { setImmediate as nextTurn } from "node:timers/promises";
import roaring from "roaring";
import { expect, test } from "vitest";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { CONTAINERS_AT_ONCE } from "../../../src/keyspace/bitmap-freeing.js";
import { bitop } from "../../../src/keyspace/bitmap-op.js";

const LONG_BYTES = 2 ** 29;
const CONTAINER_BITS = 65_536;
/** What native objects keep until they are collected. */
const SLACK_BYTES = 20_000;
const TURNS_MAX = 10_000;

const nativeBytes = () => roaring.RoaringBitmap32.getRoaringUsedMemory();

/** A value of 65,536 containers. */
function large(): Bitmap {
  const source = new Bitmap();
  source.setBit(LONG_BYTES * 8 - 1, 1);
  const made = bitop("NOT", [source]);
  made.make();
  source.dispose();
  return made;
}

async function untilFreed(before: number): Promise<number> {
  let turns = 0;
  for (; nativeBytes() > before + SLACK_BYTES; turns++) {
    if (turns > TURNS_MAX) throw new Error(`${nativeBytes() - before} bytes are still there`);
    await nextTurn();
  }
  return turns;
}

test("a large value is freed in several turns, and is nobody's from the first on", async () => {
  const before = nativeBytes();
  const value = large();
  const taken = nativeBytes() - before;
  expect(taken).toBeGreaterThan(2 ** 20);
  value.dispose();
  expect(nativeBytes() - before).toBe(taken);
  expect(Bitmap.usedBytes() - before).toBeLessThan(taken / 2);
  await nextTurn();
  expect(nativeBytes() - before).toBeLessThan(taken);
  expect(await untilFreed(before)).toBeGreaterThan(0);
  expect(Bitmap.usedBytes()).toBe(nativeBytes());
});

test("what is freed already is not taken off twice", async () => {
  const before = Bitmap.usedBytes();
  const kept = Bitmap.fromBytes(Buffer.alloc(1_000_000, 0x5a));
  const taken = Bitmap.usedBytes() - before;
  const value = large();
  value.dispose();
  for (let turns = 0; nativeBytes() > Bitmap.usedBytes(); turns++) {
    if (turns > TURNS_MAX) throw new Error("something waits for ever");
    expect(Bitmap.usedBytes()).toBeGreaterThan(before + taken / 2);
    await nextTurn();
  }
  kept.dispose();
});

test("one that somebody else holds stays whole", async () => {
  const value = large();
  const { cardinality } = value;
  value.hold();
  value.dispose();
  await nextTurn();
  expect(value.cardinality).toBe(cardinality);
  value.dispose();
});

test("no more than a few wait", async () => {
  const before = nativeBytes();
  const values = Array.from({ length: 12 }, large);
  const each = (nativeBytes() - before) / values.length;
  for (const value of values) value.dispose();
  expect(nativeBytes() - before).toBeLessThan(each * (values.length / 2));
  expect(Bitmap.usedBytes() - before).toBeLessThan(2 * each);
  await untilFreed(before);
});

test("a long value of few containers is freed at once", () => {
  const before = nativeBytes();
  const offsets = Uint32Array.from({ length: CONTAINERS_AT_ONCE / 2 }, (_, i) => i * 2 * CONTAINER_BITS);
  const value = Bitmap.fromMembers(offsets, LONG_BYTES);
  expect(nativeBytes() - before).toBeGreaterThan(SLACK_BYTES);
  value.dispose();
  expect(nativeBytes() - before).toBeLessThan(SLACK_BYTES);
});
