/** The crash test in short; `npm run test:crash` kills hundreds of times. */
import { describe, expect, test } from "vitest";
import { APPENDFSYNC } from "../../src/config.js";
import { type Mode, runCrashes } from "../crash/crash-run.js";
import { diskMissing } from "../support/disk.js";
import { dice } from "../support/random.js";

const KILL_AFTER_MS = [50, 1200] as const;
const TIMEOUT_MS = 120_000;

/** `no` promises nothing about a loss of power. */
const modes = APPENDFSYNC.filter((mode): mode is Extract<typeof mode, Mode> => mode !== "no");

if (diskMissing !== undefined) console.log(`SKIPPED: crash tests with a loss of power: ${diskMissing}`);

describe.each(modes)("with appendfsync %s", (mode) => {
  test(
    "what is left by kill -9 is a prefix of history, and holds what was promised",
    async () => {
      const { seed } = dice(`kill -9, ${mode}`);
      const report = await runCrashes({ mode, kills: 4, seed, powerLoss: false, killAfterMs: KILL_AFTER_MS });
      expect(report.violations).toEqual([]);
      expect(report).toMatchObject({ kills: 4, acknowledged: expect.toSatisfy((n: number) => n > 0) });
    },
    TIMEOUT_MS,
  );

  test.skipIf(diskMissing !== undefined)(
    "so is what is left by a loss of power",
    async () => {
      const { seed } = dice(`loss of power, ${mode}`);
      const report = await runCrashes({ mode, kills: 2, seed, powerLoss: true, killAfterMs: KILL_AFTER_MS });
      expect(report.violations).toEqual([]);
      expect(report).toMatchObject({ kills: 2, acknowledged: expect.toSatisfy((n: number) => n > 0) });
    },
    TIMEOUT_MS,
  );
});
