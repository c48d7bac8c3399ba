/**
 * Records the transcripts anew, from the redis-server 7 in PATH:
 *
 *   RECORD=1 npx vitest run --project outer test/differential/record.test.ts
 *
 * The runs follow from the code and a fixed seed, the replies from Redis alone: without a change in the generators, the
 * tours or the normalisers nothing in the files changes. This is a test file only so that vitest runs the TypeScript.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ArgvArb, families, oneOf, run, TRANSCRIPT_SIZES } from "./generators.js";
import { startRedis } from "./redis.js";
import { Session } from "./runner.js";
import type { Step } from "./steps.js";
import { tours } from "./tours.js";
import { digest, removeTranscripts, type Transcript, writeTranscripts } from "./transcripts.js";

const SEED = 20_260_101;
const RUNS = 14;
const STEPS = 50;

describe.skipIf(process.env.RECORD !== "1")("record", () => {
  test("tours and random runs from redis-server", { timeout: 120_000 }, async () => {
    const redis = await startRedis();
    const session = await Session.open(redis);
    const record = async (name: string, steps: readonly Step[]): Promise<Transcript> => {
      const outcomes = await session.run(steps);
      expect(outcomes).toHaveLength(steps.length);
      return { name, steps, outcomes: outcomes.map(digest) };
    };
    removeTranscripts();
    const visited: Transcript[] = [];
    for (const { name, steps } of tours()) visited.push(await record(name, steps));
    writeTranscripts("tours.jsonl", visited);
    for (const [family, commands] of Object.entries(randomRuns())) {
      const kept: Transcript[] = [];
      for (const [i, steps] of fc.sample(commands, { numRuns: RUNS, seed: SEED }).entries()) {
        kept.push(await record(`${family} ${i}`, steps));
      }
      writeTranscripts(`random-${family}.jsonl`, kept);
    }
    session.close();
    await redis.stop();
  });
});

function randomRuns(): Record<string, fc.Arbitrary<Step[]>> {
  const all = families(TRANSCRIPT_SIZES);
  const everything = oneOf(all);
  const of = (commands: ArgvArb) => run({ commands, sizes: TRANSCRIPT_SIZES, steps: STEPS });
  const singles = Object.entries(all).map(([family, commands]) => [family, of(fc.oneof(commands, everything))]);
  return { ...Object.fromEntries(singles), everything: of(everything) };
}
