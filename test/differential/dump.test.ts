/**
 * Values on their way between this server and redis-server, by DUMP and RESTORE: whatever one gives the other takes, and has the same
 * bytes then. And what is told of values that were SET (OBJECT), and who may use DEBUG, where the random runs look at less.
 *
 *   DIFF_RUNS=20000   how many runs in all (default: some seconds of them)
 *   DIFF_SEED=...     the seed a failure printed
 */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RawClient, readReply } from "../support/raw-client.js";
import { RedisServer, redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { payload, payloadOf } from "./generators.js";
import { startOurs } from "./ours.js";
import { startRedis } from "./redis.js";
import type { Target } from "./runner.js";
import { START_MS } from "./steps.js";

const RUNS = Number(process.env.DIFF_RUNS ?? 4000);
const SEED = process.env.DIFF_SEED === undefined ? Date.now() % 2 ** 31 : Number(process.env.DIFF_SEED);
const TIMEOUT_MS = 60_000 + RUNS * 20;

/** Longest string that Redis does not try to compress, so that payloads are the same to the byte. */
const UNCOMPRESSED_BYTES_MAX = 20;

sayRedisMissing("values dumped here and restored in redis-server, and back");

/** Bytes as users have them in bitmaps: some of so many ids, or almost all. */
const bits = fc
  .tuple(fc.nat(200_000), fc.array(fc.nat(1_599_999), { maxLength: 300 }), fc.boolean())
  .map(([length, offsets, isFull]) => {
    const bytes = Buffer.alloc(length, isFull ? 0xff : 0);
    for (const offset of offsets)
      if (offset < length * 8) bytes[offset >> 3] = bytes[offset >> 3]! ^ (0x80 >> (offset & 7));
    return bytes;
  });
const repeated = fc
  .tuple(fc.uint8Array({ minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 600 }))
  .map(([unit, times]) => Buffer.concat(new Array<Uint8Array>(times).fill(unit)));
const integers = fc
  .oneof(fc.integer(), fc.bigInt({ min: -(2n ** 63n) - 2n, max: 2n ** 63n + 2n }), fc.nat(20_000))
  .map((n) => Buffer.from(String(n)));
const oddNumbers = fc
  .constantFrom(
    "007",
    "-0",
    "+1",
    "1e3",
    "",
    " 1",
    "1 ",
    "9223372036854775808",
    "-",
    "0x10",
    "1.0",
    "-9223372036854775808",
  )
  .map((text) => Buffer.from(text));
const bytes = fc.uint8Array({ maxLength: 120 }).map((list) => Buffer.from(list));
const noise = fc.tuple(fc.nat(40_000), fc.nat()).map(([length, seed]) => {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, i) =>
    createHash("sha256").update(`${seed} ${i}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
});
const value = fc.oneof(bits, repeated, integers, oddNumbers, bytes, noise);

/** A bulk's bytes. */
function bulk(reply: string): Buffer {
  const read = readReply(Buffer.from(reply, "latin1"));
  if ("need" in read || read.reply.type !== "$") throw new Error(`no bulk: ${reply.slice(0, 100)}`);
  return Buffer.from(read.reply.text, "latin1");
}

describe.skipIf(redisMissing !== undefined)("this server and redis-server", () => {
  let targets: Target[] = [];
  let ours: RawClient;
  let redis: RawClient;

  beforeAll(async () => {
    console.log(`seed ${SEED}, ${RUNS} runs; again with DIFF_SEED=${SEED} DIFF_RUNS=${RUNS}`);
    targets = await Promise.all([startOurs(), startRedis()]);
    [ours, redis] = (await Promise.all(targets.map(({ port }) => RawClient.connect(port)))) as [RawClient, RawClient];
  });

  afterAll(async () => {
    ours.close();
    redis.close();
    await Promise.all(targets.map((target) => target.stop()));
  });

  const both = (...argv: (string | Buffer)[]) => Promise.all([ours, redis].map((client) => client.call(...argv)));
  const options = (share: number) => ({ numRuns: Math.max(1, Math.round(RUNS * share)), seed: SEED });

  test("what one dumps the other restores", { timeout: TIMEOUT_MS }, async () => {
    await fc.assert(
      fc.asyncProperty(value, async (string) => {
        await both("SET", "a", string);
        const [our, their] = (await both("DUMP", "a")).map(bulk) as [Buffer, Buffer];
        if (string.length <= UNCOMPRESSED_BYTES_MAX) expect(our).toEqual(their);
        // Redis compresses a little better, as it looks at the whole string.
        expect(our.length).toBeLessThan(their.length * 1.2 + 40);
        expect(await redis.call("RESTORE", "b", "0", our, "REPLACE")).toBe("+OK\r\n");
        expect(await ours.call("RESTORE", "b", "0", their, "REPLACE")).toBe("+OK\r\n");
        for (const reply of await both("GET", "b")) expect(bulk(reply).equals(string)).toBe(true);
      }),
      options(0.3),
    );
  });

  test("a bitmap of 6 MB with few bits is a small payload, both ways", { timeout: TIMEOUT_MS }, async () => {
    for (let id = 0; id < 48_000_000; id += 47_999) await both("SETBIT", "large", String(id), "1");
    const payloads = (await both("DUMP", "large")).map(bulk) as [Buffer, Buffer];
    for (const each of payloads) expect(each.length).toBeLessThan(100_000);
    expect(await redis.call("RESTORE", "back", "0", payloads[0])).toBe("+OK\r\n");
    expect(await ours.call("RESTORE", "back", "0", payloads[1])).toBe("+OK\r\n");
    const [our, their] = (await both("GET", "back")).map(bulk) as [Buffer, Buffer];
    expect(our.length).toBeGreaterThan(5_999_000);
    expect(our.equals(their)).toBe(true);
  });

  test("redis-server's MIGRATE brings a key here, with its deadline", async () => {
    const migrate = (key: string) => redis.call("MIGRATE", "127.0.0.1", String(targets[0]?.port), key, "3", "5000");
    await redis.pipeline([
      ["SETBIT", "going", "1000000", "1"],
      ["PEXPIRE", "going", "5000"],
    ]);
    await ours.pipeline([["SELECT", "3"], ["FLUSHDB"]]);
    expect(await migrate("going")).toBe("+OK\r\n");
    expect(await redis.call("EXISTS", "going")).toBe(":0\r\n");
    expect(
      await ours.pipeline([
        ["GETBIT", "going", "1000000"],
        ["BITCOUNT", "going"],
        ["PTTL", "going"],
      ]),
    ).toEqual([":1\r\n", ":1\r\n", ":5000\r\n"]);
    await redis.call("SET", "going", "again");
    expect(await migrate("going")).toBe(
      "-ERR Target instance replied with error: BUSYKEY Target key name already exists.\r\n",
    );
    await ours.call("SELECT", "0");
  });

  test("payloads that are right and wrong are taken or refused alike", { timeout: TIMEOUT_MS }, async () => {
    await fc.assert(
      fc.asyncProperty(payload, async (each) => {
        const [our, their] = await both("RESTORE", "c", "0", each, "REPLACE");
        expect(our).toBe(their);
        const [left, right] = await both("GET", "c");
        expect(left).toBe(right);
      }),
      options(0.4),
    );
  });

  test("payloads of redis-server in which bytes were changed, and the checksum made right", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(fc.oneof(repeated, bits), changes, async (string, list) => {
        await redis.call("SET", "a", string);
        const body = bulk(await redis.call("DUMP", "a")).subarray(0, -10);
        // The type and the lengths stay: a length that is much too large makes Redis take memory for it.
        const first = 12;
        if (body.length <= first) return;
        for (const [at, byte] of list) body[first + (at % (body.length - first))] = byte;
        const [our, their] = await both("RESTORE", "d", "0", payloadOf(body), "REPLACE");
        expect(our).toBe(their);
        const [left, right] = await both("GET", "d");
        expect(left === right).toBe(true);
      }),
      options(0.2),
    );
  });

  test("say the same of a value that was SET", { timeout: TIMEOUT_MS }, async () => {
    const short = fc.oneof(
      integers,
      oddNumbers,
      bytes,
      fc.integer({ min: 40, max: 48 }).map((n) => Buffer.alloc(n, 0x61)),
    );
    await fc.assert(
      fc.asyncProperty(short, async (string) => {
        await both("SET", "a", string);
        const [encoding, theirEncoding] = await both("OBJECT", "ENCODING", "a");
        expect(encoding).toBe(theirEncoding);
        const [count, theirCount] = await both("OBJECT", "REFCOUNT", "a");
        expect(count).toBe(theirCount);
      }),
      options(0.1),
    );
  });

  test("tell the idle time that RESTORE was given", async () => {
    const five = payloadOf(Buffer.of(0, 0xc0, 5));
    for (const seconds of [0, 1, 100, 86_400, 10_000_000]) {
      await both("RESTORE", "a", "0", five, "REPLACE", "IDLETIME", String(seconds));
      for (const reply of await both("OBJECT", "IDLETIME", "a")) {
        const told = Number(reply.slice(1));
        expect(told).toBeGreaterThanOrEqual(seconds - 1);
        expect(told).toBeLessThanOrEqual(seconds + 2);
      }
    }
  });

  test("refuse DEBUG in the same words, and to the same clients", { timeout: TIMEOUT_MS }, async () => {
    for (const users of ["no", "local", "yes"] as const) {
      const pair = await Promise.all([
        startOurs({ enableDebugCommand: users, requirepass: "x" }),
        RedisServer.start(START_MS, ["--enable-debug-command", users, "--requirepass", "x"]),
      ]);
      const clients = await Promise.all(pair.map(({ port }) => RawClient.connect(port)));
      const requests = [
        ["DEBUG"],
        ["DEBUG", "SLEEP", "0"],
        ["AUTH", "x"],
        ["DEBUG", "SLEEP", "0"],
        ["DEBUG", "NOSUCH"],
        ["CONFIG", "GET", "enable-debug-command"],
        ["CONFIG", "SET", "enable-debug-command", "yes"],
        ["MULTI"],
        ["DEBUG", "SLEEP", "0"],
        ["EXEC"],
      ];
      const [our, their] = await Promise.all(clients.map((client) => client.pipeline(requests)));
      expect(our).toEqual(their);
      for (const client of clients) client.close();
      await Promise.all(pair.map((server) => server.stop()));
    }
  });
});
