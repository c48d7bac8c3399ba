/**
 * Random runs of commands on this server and on a real redis-server 7, each with a subscriber to all keyspace notifications: both must
 * send the same ones in the same order.
 *
 *   DIFF_RUNS=...   DIFF_SEED=...   as for differential.test.ts
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeRequest, RawClient } from "../support/raw-client.js";
import { redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { families, LIVE_SIZES, oneOf, run } from "./generators.js";
import { startOurs } from "./ours.js";
import { startRedis } from "./redis.js";
import { Session, type Target } from "./runner.js";
import { type Arg, formatBytes, formatStep, type Step } from "./steps.js";

const RUNS = Math.ceil(Number(process.env.DIFF_RUNS ?? 8000) / 20);
const SEED = process.env.DIFF_SEED === undefined ? Date.now() % 2 ** 31 : Number(process.env.DIFF_SEED);
const STEPS = 60;
const TIMEOUT_MS = 300_000;
const WEIGHTS = { bits: 2, fields: 2, strings: 3, counters: 1, keys: 3, expiry: 3, objects: 1, transactions: 1 };

/** SCAN meets expired keys in an order of its own, RANDOMKEY those that chance brings; WATCH lets one die at once here and not in Redis. */
const UNLIKE = ["SCAN", "RANDOMKEY", "WATCH"];
/** Redis does not see that the key has expired which it deletes: it says `del`, or nothing. */
const UNLIKE_AFTER_EXPIRY = [...UNLIKE, "BITOP", "RESTORE"];

/** Runs that have found a difference, which are looked at each time. */
const FOUND: readonly Step[][] = [
  [
    { kind: "call", conn: 0, argv: ["SET", "b", "", "PX", "1"] },
    { kind: "clock", ms: 2000 },
    { kind: "call", conn: 0, argv: ["TOUCH", "a", "b"] },
  ],
];

/** A subscriber to all that a server tells of its keys. */
class Listener {
  readonly #client: RawClient;
  #marks = 0;

  private constructor(client: RawClient) {
    this.#client = client;
  }

  static async connect(port: number): Promise<Listener> {
    const client = await RawClient.connect(port);
    // Who finds an expired key first, a command or the active expiry, is chance.
    expect(await client.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")).toBe("+OK\r\n");
    expect(await client.call("CONFIG", "SET", "notify-keyspace-events", "KEAnm")).toBe("+OK\r\n");
    await client.call("PSUBSCRIBE", "__key*__:*");
    return new Listener(client);
  }

  /** What has come since the last call. */
  async heard(): Promise<string[]> {
    const mark = `mark ${++this.#marks}`;
    this.#client.send(encodeRequest(["PING", mark]));
    const messages: string[] = [];
    for (;;) {
      const [message = ""] = await this.#client.replies(1);
      if (message.includes(mark)) return messages;
      messages.push(message);
    }
  }

  close(): void {
    this.#client.close();
  }
}

/** The steps that are neither of those commands nor of another kind. */
function without(commands: readonly string[], list: readonly Step[]): Step[] {
  const isUnlike = (argv: readonly Arg[]) => commands.includes(String(argv[0]).toUpperCase());
  return list.filter((step) => {
    if (step.kind === "scan" || step.kind === "quit") return false;
    if (step.kind === "silent") return !step.commands.some(isUnlike);
    return step.kind === "clock" || !isUnlike(step.argv);
  });
}

sayRedisMissing("keyspace notifications compared with a live redis-server");

describe.skipIf(redisMissing !== undefined)("this server and redis-server tell the same of their keys", () => {
  let targets: Target[] = [];
  let sessions: Session[] = [];
  let listeners: Listener[] = [];

  beforeAll(async () => {
    console.log(`seed ${SEED}, ${RUNS} runs; again with DIFF_SEED=${SEED} DIFF_RUNS=${RUNS * 20}`);
    targets = await Promise.all([startOurs(), startRedis()]);
    sessions = await Promise.all(targets.map((target) => Session.open(target)));
    listeners = await Promise.all(targets.map(({ port }) => Listener.connect(port)));
  });

  afterAll(async () => {
    for (const each of [...sessions, ...listeners]) each.close();
    await Promise.all(targets.map((target) => target.stop()));
  });

  let told = 0;

  async function compare(steps: readonly Step[]): Promise<void> {
    await Promise.all(sessions.map((session) => session.run(steps)));
    const [ours = [], redis = []] = await Promise.all(listeners.map((listener) => listener.heard()));
    told += redis.length;
    const at = ours.findIndex((message, i) => message !== redis[i]);
    if (at === -1 && ours.length === redis.length) return;
    const from = Math.max(at === -1 ? Math.min(ours.length, redis.length) : at, 0);
    throw new Error(
      [
        ...steps.map(formatStep),
        `  Redis: ${formatBytes(redis[from] ?? "<nothing>")}`,
        `  we:    ${formatBytes(ours[from] ?? "<nothing>")}`,
      ].join("\n"),
    );
  }

  const anySteps = run({ commands: oneOf(families(LIVE_SIZES), WEIGHTS), sizes: LIVE_SIZES, steps: STEPS });

  test.each([
    ["while time stands still", anySteps.map((list) => without(UNLIKE, list).filter(({ kind }) => kind !== "clock"))],
    ["while keys expire", anySteps.map((list) => without(UNLIKE_AFTER_EXPIRY, list))],
  ])("%s", { timeout: TIMEOUT_MS }, async (_when, steps) => {
    told = 0;
    const examples = FOUND.map((list): [Step[]] => [list]);
    const options = { numRuns: RUNS, seed: SEED, interruptAfterTimeLimit: TIMEOUT_MS / 2, examples };
    await fc.assert(fc.asyncProperty(steps, compare), options);
    expect(told).toBeGreaterThan(RUNS);
  });
});
