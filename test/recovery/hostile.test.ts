/** Hostile input in short; `npm run test:hostile` does all of it, and looks at latencies too. */
import { expect, test } from "vitest";
import { runHostile } from "../hostile/hostile-run.js";
import { dice } from "../support/random.js";

const MIB = 2 ** 20;
const TIMEOUT_MS = 300_000;

test(
  "hostile clients end nothing, and make the server hold no more than it may",
  async () => {
    const { seed } = dice("hostile input");
    const amounts = { requests: 50_000, connections: 1000, slowConnections: 100 };
    const bulk = { garbageBytes: 64 * MIB, nestedArrays: 1_000_000 };
    const { findings, broken } = await runHostile({ seed, ...amounts, ...bulk, seconds: 3 });
    expect(findings.flatMap((finding) => finding.broken)).toEqual([]);
    expect(broken).toEqual([]);
    expect(findings.map(({ what }) => what)).toHaveLength(7);
  },
  TIMEOUT_MS,
);
