import { describe, expect, test } from "vitest";
import { LatencyHistogram } from "../../../src/commands/monitoring/latency-histogram.js";
import { diceOf } from "../../support/random.js";

const histogramOf = (values: readonly number[]) => {
  const histogram = new LatencyHistogram();
  for (const value of values) histogram.record(value, 1);
  return histogram;
};

describe("a histogram of latencies", () => {
  test("gives percentiles that are at most one part in 128 above what was recorded, and never below", () => {
    const dice = diceOf(7);
    const values = Array.from({ length: 3000 }, () => Math.floor(2 ** (dice.next() * 29.8)));
    const sorted = [...values].sort((a, b) => a - b);
    const histogram = histogramOf(values);
    for (const percent of [0, 1, 25, 50, 90, 99, 99.9, 100]) {
      const exact = sorted[Math.max(Math.round((percent / 100) * values.length), 1) - 1] as number;
      const told = histogram.percentile(percent);
      expect(told).toBeGreaterThanOrEqual(exact);
      expect(told - exact).toBeLessThanOrEqual(exact / 128);
    }
  });

  test("has Redis' buckets: what redis-server 7.0.15 told of single calls", () => {
    // 20095, 65023 and 1031 are upper ends of buckets there.
    for (const end of [20_095, 65_023, 1031, 255, 1]) {
      expect(histogramOf([end]).percentile(50)).toBe(end);
      expect(histogramOf([end + 1]).percentile(50)).toBeGreaterThan(end);
    }
  });

  test("counts a value as often as its weight says", () => {
    const histogram = new LatencyHistogram();
    histogram.record(100, 64);
    histogram.record(200_000, 1);
    expect(histogram.count).toBe(65);
    expect(histogram.percentile(98)).toBe(100);
    expect(histogram.percentile(100)).toBeGreaterThanOrEqual(200_000);
  });

  test("adds up to bounds that double, and leaves out those at which nothing comes", () => {
    const steps = histogramOf([10, 500, 1500, 40_000, 41_000, 900_000]).cumulative();
    expect(steps.map(({ ns, count }) => [Math.floor(ns / 1000), count])).toEqual([
      [1, 2],
      [2, 3],
      [66, 5],
      [1056, 6],
    ]);
    expect(new LatencyHistogram().cumulative()).toEqual([]);
  });

  test("counts what took longer than a second as a second, and a clock that went back as nothing", () => {
    const histogram = histogramOf([5e9, -20]);
    expect(histogram.percentile(1)).toBe(0);
    expect(histogram.percentile(100)).toBeGreaterThanOrEqual(1e9);
    expect(histogram.cumulative().at(-1)?.count).toBe(2);
  });
});
