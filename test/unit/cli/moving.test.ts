/** What is shown of a move: amounts, the line of progress, the summary. */
import { expect, test } from "vitest";
import { bytes, count, duration, factor } from "../../../src/cli/amounts.js";
import { summaryLines } from "../../../src/cli/move-summary.js";
import { progressLine } from "../../../src/cli/progress-display.js";
import { shownUrl } from "../../../src/cli/redis-flags.js";
import { MoveReport } from "../../../src/migrate/move-report.js";

function reportOf(keys: number): MoveReport {
  const report = new MoveReport();
  for (let i = 0; i < keys; i++) {
    report.moved({ database: 0, key: `k\xff${i}`, stringBytes: 1_048_576, bitmapBytes: 18 });
  }
  return report;
}

test("amounts", () => {
  expect([0, 1023, 1024, 1_500_000, 5 * 1024 ** 3, 3 * 1024 ** 5].map(bytes)).toEqual([
    "0 B",
    "1023 B",
    "1.0 KB",
    "1.4 MB",
    "5.0 GB",
    "3072.0 TB",
  ]);
  expect([0, 999.6, 1_234_567].map(count)).toEqual(["0", "1,000", "1,234,567"]);
  expect([0.04, 9.96, 42.2, 187, 3753].map(duration)).toEqual(["0.0 s", "10.0 s", "42 s", "3:07", "1:02:33"]);
  expect([factor(0, 0), factor(1, 18), factor(95, 10), factor(18_000, 18)]).toEqual(["1.0", "0.1", "9.5", "1,000"]);
});

test("the line of progress has the time that is left where the source tells how far it is", () => {
  const report = reportOf(20);
  expect(progressLine(report, 0.25, 10)).toBe(
    "25 %, 30 s left, 20 keys, 2 keys/s, 2.0 MB/s, 20.0 MB -> 360 B (58,254x)",
  );
  expect(progressLine(report, 0, 10)).toBe("0 %, 20 keys, 2 keys/s, 2.0 MB/s, 20.0 MB -> 360 B (58,254x)");
  expect(progressLine(report, undefined, 10)).toBe("20 keys, 2 keys/s, 2.0 MB/s, 20.0 MB -> 360 B (58,254x)");
});

test("the summary ends with what is not as it should be", () => {
  const report = reportOf(3);
  report.verified = 1;
  report.expired = 1;
  report.differs({ database: 2, key: "a\n", difference: "it is not in the target" });
  const lines = summaryLines(report, { from: "a", to: "b", verify: true, dryRun: false });
  expect(lines[0]).toBe("b: 3 keys moved from a");
  expect(lines.slice(-3)).toEqual([
    "  verified: 1 keys have the source's length, number of bits and deadline, 1 expired meanwhile",
    '  DIFFERENT: "a\\n" of database 2: it is not in the target',
    "  DIFFERENT: 1 keys in all",
  ]);
  expect(summaryLines(report, { from: "a", to: "b", verify: false, dryRun: false }).at(-1)).toBe(
    "  not verified, as --no-verify says",
  );
});

test("no password is shown", () => {
  expect(shownUrl("redis://user:p%40ss@h:1/2")).toBe("redis://h:1/2");
  expect(shownUrl("rediss://p@ss@h")).toBe("rediss://h");
  expect(shownUrl("file@2.db")).toBe("file@2.db");
});
