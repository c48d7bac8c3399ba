/**
 * Commands on ids against what Redis has for the same, which takes it several requests: BITADD is many SETBITs, BITOPCARD a BITOP and a
 * BITCOUNT. The strings that come out must be the same to the byte.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ask } from "../support/ask.js";
import { RawClient } from "../support/raw-client.js";
import { redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { startOurs } from "./ours.js";
import { startRedis } from "./redis.js";

const SEED = process.env.DIFF_SEED === undefined ? Date.now() % 2 ** 31 : Number(process.env.DIFF_SEED);
const RUNS = 60;
const KEYS = ["a", "b", "c"];
const IDS_MAX = 140_000;

const key = fc.constantFrom(...KEYS);
const id = fc.oneof(fc.nat(40), fc.nat(IDS_MAX), fc.constantFrom(65_535, 65_536));
const ids = fc.oneof(
  fc.array(id, { minLength: 1, maxLength: 10 }),
  fc
    .tuple(fc.nat(50), fc.integer({ min: 1, max: 100 }))
    .map(([first, step]) => Array.from({ length: 700 }, (_, i) => first + ((i * 611) % 700) * step)),
);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ name: fc.constant("BITADD" as const), key, ids }) },
  { weight: 3, arbitrary: fc.record({ name: fc.constant("BITREM" as const), key, ids }) },
  { weight: 1, arbitrary: fc.record({ name: fc.constant("BITMIN" as const), key }) },
  { weight: 2, arbitrary: fc.record({ name: fc.constant("BITRANK" as const), key, id }) },
  { weight: 2, arbitrary: fc.record({ name: fc.constant("BITCONTAINS" as const), key, ids }) },
  {
    weight: 3,
    arbitrary: fc.record({
      name: fc.constant("BITOPCARD" as const),
      op: fc.constantFrom("AND", "OR", "XOR", "NOT"),
      keys: fc.array(fc.constantFrom(...KEYS, "missing"), { minLength: 1, maxLength: 3 }),
      limit: fc.constantFrom(0, 0, 1, 100, 5000),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What this server says. */
function ours(client: RawClient, each: Step): Promise<unknown> {
  switch (each.name) {
    case "BITADD":
    case "BITREM":
      return ask(client, each.name, each.key, ...each.ids);
    case "BITMIN":
      return ask(client, "BITMIN", each.key);
    case "BITRANK":
      return ask(client, "BITRANK", each.key, each.id);
    case "BITCONTAINS":
      return ask(client, "BITCONTAINS", each.key, "ALL", ...each.ids);
    case "BITOPCARD":
      return ask(client, "BITOPCARD", each.op, ...keysOf(each), "LIMIT", each.limit);
  }
}

/** The same by what Redis has. */
async function redis(client: RawClient, each: Step): Promise<unknown> {
  const ones = async (requests: readonly (readonly string[])[]) =>
    (await client.pipeline(requests)).filter((reply) => reply === ":1\r\n").length;
  switch (each.name) {
    case "BITADD":
      return each.ids.length - (await ones(each.ids.map((at) => ["SETBIT", each.key, String(at), "1"])));
    case "BITREM": {
      // A SETBIT behind the end would lengthen the string.
      const bits = ((await ask(client, "STRLEN", each.key)) as number) * 8;
      return ones(each.ids.filter((at) => at < bits).map((at) => ["SETBIT", each.key, String(at), "0"]));
    }
    case "BITMIN":
      return ask(client, "BITPOS", each.key, 1);
    case "BITRANK":
      if ((await ask(client, "GETBIT", each.key, each.id)) === 0) return -1;
      return each.id === 0 ? 0 : ask(client, "BITCOUNT", each.key, 0, each.id - 1, "BIT");
    case "BITCONTAINS": {
      const bits = await ones(each.ids.map((at) => ["GETBIT", each.key, String(at)]));
      return bits === each.ids.length ? 1 : 0;
    }
    case "BITOPCARD": {
      await ask(client, "BITOP", each.op, "temporary", ...keysOf(each));
      const count = (await ask(client, "BITCOUNT", "temporary")) as number;
      await ask(client, "DEL", "temporary");
      return each.limit === 0 ? count : Math.min(count, each.limit);
    }
  }
}

function keysOf({ op, keys }: Extract<Step, { name: "BITOPCARD" }>): string[] {
  return op === "NOT" ? keys.slice(0, 1) : keys;
}

sayRedisMissing("commands on ids compared with a live redis-server");

test.skipIf(redisMissing !== undefined)(
  `one command here does what several do in Redis (seed ${SEED})`,
  async () => {
    const targets = [await startOurs(), await startRedis()] as const;
    const [here, there] = await Promise.all(targets.map(({ port }) => RawClient.connect(port)));
    if (here === undefined || there === undefined) throw new Error("not connected");
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25, size: "max" }), async (steps) => {
          await Promise.all([ask(here, "FLUSHALL"), ask(there, "FLUSHALL")]);
          for (const each of steps) expect(await ours(here, each), JSON.stringify(each)).toBe(await redis(there, each));
          for (const name of KEYS) expect(await ask(here, "GET", name)).toBe(await ask(there, "GET", name));
        }),
        { seed: SEED, numRuns: RUNS },
      );
    } finally {
      here.close();
      there.close();
      for (const target of targets) await target.stop();
    }
  },
  300_000,
);
