/**
 * Two groups of tests, one after the other: `inner` runs in the test's own process and uses every core; `outer` starts
 * servers and measures time, so its files run one at a time.
 */
import { defineConfig } from "vitest/config";

const TIMEOUT_MS = 60_000;
const INNER = ["test/unit/**/*.test.ts", "test/commands/**/*.test.ts"];

export default defineConfig({
  test: {
    testTimeout: TIMEOUT_MS,
    hookTimeout: TIMEOUT_MS,
    projects: [
      {
        extends: true,
        test: { name: "inner", include: INNER, sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: {
          name: "outer",
          include: ["test/**/*.test.ts"],
          // Recording writes files: it runs when it is asked for.
          exclude: process.env.RECORD === "1" ? INNER : [...INNER, "test/differential/record.test.ts"],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
