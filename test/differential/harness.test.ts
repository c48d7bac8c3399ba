/**
 * The comparison itself: two real redis-servers must not differ, or a difference found elsewhere would mean nothing.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { families, LIVE_SIZES, oneOf, run } from "./generators.js";
import { startRedis } from "./redis.js";
import { difference, Session, type Target } from "./runner.js";
import { START_MS, type Step } from "./steps.js";

const RUNS = 40;
const STEPS = 60;

sayRedisMissing("two redis-servers compared with each other");

describe.skipIf(redisMissing !== undefined)("two redis-servers", () => {
  let targets: Target[] = [];
  let sessions: Session[] = [];

  beforeAll(async () => {
    targets = await Promise.all([startRedis(), startRedis()]);
    sessions = await Promise.all(targets.map((target) => Session.open(target)));
  });

  afterAll(async () => {
    for (const session of sessions) session.close();
    await Promise.all(targets.map((target) => target.stop()));
  });

  test("answer alike", async () => {
    const all = families(LIVE_SIZES);
    const steps = run({ commands: oneOf(all), sizes: LIVE_SIZES, steps: STEPS });
    const property = fc.asyncProperty(steps, async (list) => {
      const [first = [], second = []] = await Promise.all(sessions.map((session) => session.run(list)));
      expect(difference(list, first, second)).toBeUndefined();
    });
    await fc.assert(property, { numRuns: RUNS });
  });

  test("follow the clock in the test's hand to the millisecond", async () => {
    const call = (...argv: string[]): Step => ({ kind: "call", conn: 0, argv });
    const steps: Step[] = [
      call("SET", "a", "1", "PX", "1500"),
      call("PEXPIRETIME", "a"),
      { kind: "clock", ms: 1500 },
      call("PTTL", "a"),
      { kind: "clock", ms: 1 },
      call("PTTL", "a"),
      call("TIME"),
    ];
    const outcomes = await sessions[0]?.run(steps);
    const at = START_MS + 1501;
    const time = ["*2", "$10", String(Math.floor(at / 1000)), "$6", `${at % 1000}000`];
    expect(outcomes).toEqual([
      "+OK\r\n",
      `:${START_MS + 1500}\r\n`,
      "",
      ":0\r\n",
      "",
      ":-2\r\n",
      `${time.join("\r\n")}\r\n`,
    ]);
  });
});
