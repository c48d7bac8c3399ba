/**
 * Random runs of commands on this server and on a real redis-server 7: every reply must be the same to the byte (but for
 * the table in normalise.ts), with both clocks in hand.
 *
 *   DIFF_RUNS=20000   how many runs in all (default: about a minute of them)
 *   DIFF_SEED=...     the seed a failure printed
 */
import { freemem } from "node:os";
import fc from "fast-check";
import { afterAll, beforeAll, describe, test } from "vitest";
import { redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { type Family, families, glob, globKey, LIVE_SIZES, oneOf, run } from "./generators.js";
import { startOurs } from "./ours.js";
import { startRedis } from "./redis.js";
import { difference, Session, type Target } from "./runner.js";
import type { Step } from "./steps.js";

const RUNS = Number(process.env.DIFF_RUNS ?? 8000);
const SEED = process.env.DIFF_SEED === undefined ? Date.now() % 2 ** 31 : Number(process.env.DIFF_SEED);
/** How long a failure is shrunk at most, and with how many runs the time is to be had. */
const SHRINK_MS = 120_000;
const MS_PER_RUN_MAX = 200;
const STEPS = 80;
/** Free memory wanted before redis-server is asked to hold two values of 512 MiB, and to make a third. */
const LAST_BIT_MIB = 3072;

const EVENLY = {
  bits: 1,
  fields: 1,
  strings: 1,
  counters: 1,
  keys: 1,
  expiry: 1,
  objects: 1,
  transactions: 1,
  connection: 1,
};
/** What each test draws from, and its share of all runs. Weights as in fc.oneof. */
const MIXES: readonly { name: string; share: number; hello: "2" | "3"; weights: Partial<Record<Family, number>> }[] = [
  { name: "bits and strings", share: 0.15, hello: "2", weights: { bits: 3, strings: 2 } },
  { name: "fields and counters", share: 0.15, hello: "2", weights: { fields: 3, counters: 3, strings: 2, bits: 1 } },
  { name: "keys and deadlines", share: 0.15, hello: "2", weights: { keys: 3, expiry: 3, strings: 1, bits: 1 } },
  { name: "dumps and objects", share: 0.1, hello: "2", weights: { objects: 3, strings: 1, bits: 1, expiry: 1 } },
  {
    name: "transactions",
    share: 0.15,
    hello: "2",
    weights: {
      transactions: 2,
      bits: 2,
      fields: 1,
      strings: 2,
      counters: 1,
      keys: 2,
      expiry: 2,
      objects: 1,
      connection: 1,
    },
  },
  { name: "connections", share: 0.1, hello: "2", weights: { connection: 5, transactions: 1, strings: 1, keys: 1 } },
  { name: "everything, RESP2", share: 0.1, hello: "2", weights: EVENLY },
  { name: "everything, RESP3", share: 0.1, hello: "3", weights: EVENLY },
];
const GLOB_SHARE = 0.1;

sayRedisMissing("this server compared with a live redis-server (transcripts of one are replayed all the same)");

describe.skipIf(redisMissing !== undefined)("this server and redis-server answer alike", () => {
  let targets: Target[] = [];
  let sessions: Session[] = [];

  beforeAll(async () => {
    console.log(`seed ${SEED}, ${RUNS} runs; again with DIFF_SEED=${SEED} DIFF_RUNS=${RUNS}`);
    targets = await Promise.all([startOurs(), startRedis()]);
    sessions = await Promise.all(targets.map((target) => Session.open(target)));
  });

  afterAll(async () => {
    for (const session of sessions) session.close();
    await Promise.all(targets.map((target) => target.stop()));
  });

  async function compare(steps: readonly Step[], pair = sessions): Promise<void> {
    const [actual = [], expected = []] = await Promise.all(pair.map((session) => session.run(steps)));
    const found = difference(steps, expected, actual);
    if (found !== undefined) throw new Error(found);
  }

  async function check(steps: fc.Arbitrary<Step[]>, share: number): Promise<void> {
    const numRuns = Math.max(1, Math.round(RUNS * share));
    const options = { numRuns, seed: SEED, interruptAfterTimeLimit: numRuns * MS_PER_RUN_MAX + SHRINK_MS };
    const details = await fc.check(
      fc.asyncProperty(steps, (list) => compare(list)),
      options,
    );
    if (!details.failed) return;
    const cause = details.errorInstance instanceof Error ? details.errorInstance.message : "interrupted";
    throw new Error(
      `seed ${SEED}, run ${details.numRuns} of ${numRuns}, shrunk ${details.numShrinks} times:\n${cause}`,
    );
  }

  for (const { name, share, hello, weights } of MIXES) {
    const timeout = RUNS * share * MS_PER_RUN_MAX + 2 * SHRINK_MS;
    test(name, { timeout }, async () => {
      const all = families(LIVE_SIZES);
      const steps = run({ commands: oneOf(all, weights), sizes: LIVE_SIZES, steps: STEPS });
      const greeting: Step[] = [0, 1].map((conn) => ({ kind: "call", conn, argv: ["HELLO", hello] }));
      await check(hello === "2" ? steps : steps.map((list) => [...greeting, ...list]), share);
    });
  }

  test("glob patterns", { timeout: RUNS * GLOB_SHARE * MS_PER_RUN_MAX + 2 * SHRINK_MS }, async () => {
    const names = fc.uniqueArray(globKey, { minLength: 1, maxLength: 12 });
    const steps = fc
      .tuple(names, fc.array(glob, { minLength: 1, maxLength: 20 }))
      .map(([keys, patterns]) => [
        ...[["MSET", ...keys.flatMap((key) => [key, ""])], ...patterns.map((pattern) => ["KEYS", pattern])].map(
          (argv): Step => ({ kind: "call", conn: 0, argv }),
        ),
      ]);
    await check(steps, GLOB_SHARE);
  });

  const freeMiB = Math.floor(freemem() / 2 ** 20);
  const tooLittle = freeMiB < LAST_BIT_MIB;
  if (tooLittle)
    console.log(`SKIPPED: the last possible bit: redis-server needs ${LAST_BIT_MIB} MiB, ${freeMiB} are free`);
  test.skipIf(tooLittle)("the last possible bit", { timeout: SHRINK_MS }, async () => {
    const calls = [
      ["SETBIT", "a", "4294967295", "1"],
      ["STRLEN", "a"],
      ["GETBIT", "a", "4294967295"],
      ["GETBIT", "a", "4294967294"],
      ["BITCOUNT", "a"],
      ["BITCOUNT", "a", "-1", "-1"],
      ["BITCOUNT", "a", "4294967295", "4294967295", "BIT"],
      ["BITPOS", "a", "1"],
      ["BITPOS", "a", "0"],
      ["BITPOS", "a", "1", "-1"],
      ["BITPOS", "a", "0", "-1"],
      ["BITPOS", "a", "0", "4294967295", "4294967295", "BIT"],
      ["GETRANGE", "a", "-3", "-1"],
      ["GETRANGE", "a", "536870911", "536870912"],
      ["GETRANGE", "a", "536870912", "536870913"],
      ["BITOP", "NOT", "b", "a"],
      ["BITCOUNT", "b"],
      ["BITPOS", "b", "0"],
      ["BITPOS", "b", "0", "0", "-1"],
      ["BITOP", "OR", "b", "a", "b"],
      ["BITCOUNT", "b"],
      ["BITPOS", "b", "0"],
      ["SETBIT", "b", "4294967295", "0"],
      ["BITPOS", "b", "0"],
      ["BITOP", "AND", "b", "a", "c"],
      ["STRLEN", "b"],
      ["BITCOUNT", "b"],
      ["APPEND", "a", "x"],
      ["APPEND", "a", ""],
      ["SETRANGE", "a", "536870911", "xy"],
      ["SETRANGE", "a", "536870910", "xy"],
      ["SETRANGE", "a", "268435456", "z".repeat(100)],
      ["BITFIELD", "a", "INCRBY", "u8", "4294967288", "200", "GET", "i16", "4294967288", "GET", "u63", "4294967295"],
      ["GETRANGE", "a", "-4", "-1"],
      ["BITCOUNT", "a"],
    ];
    // Its own connections, for redis-server takes its time to fill so much memory.
    const sessions = await Promise.all(targets.map((target) => Session.open(target, SHRINK_MS)));
    await compare(
      calls.map((argv): Step => ({ kind: "call", conn: 0, argv })),
      sessions,
    );
    for (const session of sessions) session.close();
  });
});
