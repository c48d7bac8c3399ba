import { expect, test } from "vitest";
import { readAhead } from "../../../src/migrate/read-ahead.js";

async function* counting(made: number[], end: number, failsAt = -1): AsyncGenerator<number, void> {
  for (let i = 0; i < end; i++) {
    await new Promise(setImmediate);
    if (i === failsAt) throw new Error(`at ${i}`);
    made.push(i);
    yield i;
  }
}

test("all values, in their order, the next ones begun before they are asked for", async () => {
  const made: number[] = [];
  const got: number[] = [];
  for await (const value of readAhead(counting(made, 10), 3)) {
    got.push(value);
    for (let i = 0; i < 10; i++) await new Promise(setImmediate);
    expect(made.length).toBe(Math.min(got.length + 2, 10));
  }
  expect(got).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a failure comes where it belongs", async () => {
  const got: number[] = [];
  const reading = async () => {
    for await (const value of readAhead(counting([], 10, 3), 3)) got.push(value);
  };
  await expect(reading()).rejects.toThrow("at 3");
  expect(got).toEqual([0, 1, 2]);
});

test("who stops drops what was begun, and ends the source", async () => {
  const made: number[] = [];
  const dropped: number[] = [];
  for await (const value of readAhead(counting(made, 10), 3, (value) => void dropped.push(value)))
    if (value === 2) break;
  expect(dropped).toEqual(made.slice(3));
  const { length } = made;
  for (let i = 0; i < 10; i++) await new Promise(setImmediate);
  expect(made).toHaveLength(length);
});
