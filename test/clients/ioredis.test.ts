/** ioredis, with its defaults (RESP3 and the ready check) and with RESP2, against the built server. */
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { latch } from "../support/latch.js";
import { Sandbox, type ServerProcess } from "../support/server-process.js";

const place = new Sandbox();
let server: ServerProcess;

beforeAll(async () => {
  server = await place.start();
});

afterAll(() => place.cleanup());

interface Options {
  protocol?: 2 | 3;
  db?: number;
  password?: string;
  lazyConnect?: boolean;
  retryStrategy?: () => number | null;
}

const VARIANTS: [string, Options][] = [
  ["RESP3, the default", {}],
  ["RESP2", { protocol: 2 }],
];

function connect(options: Options = {}, port = server.port): Redis {
  return new Redis({ host: "127.0.0.1", port, ...options }).on("error", () => {});
}

describe.each(VARIANTS)("ioredis with %s", (_name, options) => {
  let client: Redis;

  beforeEach(async () => {
    client = connect(options);
    await client.flushall();
  });

  afterEach(() => client.disconnect());

  test("connects, is ready, and tells its name", async () => {
    expect(client.status).toBe("ready");
    expect(await client.ping()).toBe("PONG");
    const list = String(await client.client("LIST"));
    expect(list).toContain("lib-name=ioredis");
    expect(list).toContain(`resp=${options.protocol ?? 3}`);
  });

  test("monitors", async () => {
    const monitor = await client.monitor();
    const { promise: shown, resolve } = latch<string[]>();
    monitor.on("monitor", (_time: string, args: string[]) => {
      if (args[0]?.toLowerCase() === "echo") resolve(args);
    });
    await client.echo("seen");
    expect((await shown).slice(1)).toEqual(["seen"]);
    monitor.disconnect();
  });

  test("subscribes to channels and patterns", async () => {
    const subscriber = client.duplicate();
    const heard: string[] = [];
    const { promise: heardAll, resolve } = latch<void>();
    const hear = (...words: string[]) => {
      heard.push(words.join(" "));
      if (heard.length === 2) resolve();
    };
    subscriber.on("message", (channel: string, message: string) => hear(channel, message));
    subscriber.on("pmessage", (pattern: string, channel: string, message: string) => hear(pattern, channel, message));
    expect(await subscriber.subscribe("news", "other")).toBe(2);
    expect(await subscriber.psubscribe("n*")).toBe(3);
    expect(await client.publish("news", "hello")).toBe(2);
    await heardAll;
    expect(heard).toEqual(["news hello", "n* news hello"]);
    // Without a name ioredis waits for ever, with redis-server too.
    expect(await subscriber.unsubscribe("news", "other")).toBe(1);
    expect(await subscriber.punsubscribe("n*")).toBe(0);
    expect(await subscriber.setbit("heard", 1, 1)).toBe(0);
    subscriber.disconnect();
  });

  test("sets, gets and counts bits", async () => {
    expect(await client.setbit("k", 7, 1)).toBe(0);
    expect(await client.setbit("k", 7, 1)).toBe(1);
    expect(await client.setbit("k", 100_000, 1)).toBe(0);
    expect(await client.getbit("k", 7)).toBe(1);
    expect(await client.getbit("k", 8)).toBe(0);
    expect(await client.bitcount("k")).toBe(2);
    expect(await client.bitcount("k", 0, 7, "BIT")).toBe(1);
    expect(await client.bitpos("k", 1)).toBe(7);
    expect(await client.bitpos("k", 1, 1, -1)).toBe(100_000);
  });

  test("combines keys with BITOP and gives the bytes as they are", async () => {
    expect(await client.mset("a", "abc", "b", "ab")).toBe("OK");
    expect(await client.bitop("XOR", "xor", "a", "b")).toBe(3);
    expect(await client.getBuffer("xor")).toEqual(Buffer.from([0, 0, 0x63]));
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await client.set(bytes, bytes);
    expect(await client.getBuffer(bytes)).toEqual(bytes);
    expect(await client.getrangeBuffer(bytes, 250, -1)).toEqual(bytes.subarray(250));
  });

  test("reads null for what is missing", async () => {
    expect(await client.get("missing")).toBe(null);
    expect(await client.mget("missing", "k")).toEqual([null, null]);
    expect(await client.set("k", "v", "XX")).toBe(null);
  });

  test("sets times and reads them", async () => {
    await client.set("k", "v", "EX", 100);
    expect(await client.ttl("k")).toBeGreaterThan(90);
    expect(await client.persist("k")).toBe(1);
    expect(await client.pttl("k")).toBe(-1);
    expect(await client.expireat("k", 4_102_444_800)).toBe(1);
    expect(await client.expiretime("k")).toBe(4_102_444_800);
  });

  test("lists and deletes keys", async () => {
    await client.mset({ "a:1": "1", "a:2": "2", "b:1": "3" });
    expect((await client.keys("a:?")).sort()).toEqual(["a:1", "a:2"]);
    const scanned: string[] = [];
    for await (const page of client.scanStream({ match: "*:1", count: 1 })) scanned.push(...(page as string[]));
    expect(scanned.sort()).toEqual(["a:1", "b:1"]);
    expect(await client.exists("a:1", "a:2", "c")).toBe(2);
    expect(await client.del("a:1", "a:2", "c")).toBe(2);
    expect(await client.dbsize()).toBe(1);
  });

  test("runs a transaction, pipelined and command by command, and sees a watched key change", async () => {
    const replies = await client.multi().setbit("k", 1, 1).setbit("k", 2, 1).bitcount("k").exec();
    expect(replies).toEqual([
      [null, 0],
      [null, 0],
      [null, 2],
    ]);
    await client.multi({ pipeline: false });
    expect(await client.setbit("k", 3, 1)).toBe("QUEUED");
    expect(await client.exec()).toEqual([[null, 0]]);
    await client.watch("k");
    const other = connect(options);
    await other.setbit("k", 4, 1);
    other.disconnect();
    expect(await client.multi().set("k", "x").exec()).toBe(null);
  });

  test("gets an error reply as an error, also one in a pipeline, and goes on", async () => {
    await expect(client.setbit("k", -1, 1)).rejects.toThrow("ERR bit offset is not an integer or out of range");
    const replies = await client.pipeline().set("k", "v").call("NOSUCH").get("k").exec();
    expect(replies?.[0]).toEqual([null, "OK"]);
    expect(replies?.[1]?.[0]?.message).toMatch(/unknown command 'NOSUCH'/);
    expect(replies?.[2]).toEqual([null, "v"]);
  });

  test("pipelines a thousand commands", async () => {
    const pipeline = client.pipeline();
    for (let i = 0; i < 1000; i++) pipeline.setbit("k", i, 1);
    expect(await pipeline.exec()).toEqual(Array(1000).fill([null, 0]));
    expect(await client.bitcount("k")).toBe(1000);
  });

  test("works in another database", async () => {
    const one = connect({ ...options, db: 1 });
    await one.set("k", "one");
    expect(await client.get("k")).toBe(null);
    expect(await client.select(1)).toBe("OK");
    expect(await client.get("k")).toBe("one");
    expect(await one.quit()).toBe("OK");
  });
});

test("ioredis gives a password, and says when it is wrong", async () => {
  const locked = await place.start({ db: "locked.db", args: ["--requirepass", "secret"] });
  const client = connect({ password: "secret" }, locked.port);
  expect(await client.ping()).toBe("PONG");
  client.disconnect();
  const wrong = connect({ password: "other", lazyConnect: true, retryStrategy: () => null }, locked.port);
  await expect(wrong.connect().then(() => wrong.ping())).rejects.toThrow(/WRONGPASS|NOAUTH|closed/);
  wrong.disconnect();
});

test("ioredis connects again by itself when the server was killed and started again", async () => {
  const first = await place.start({ db: "again.db" });
  const client = connect({ retryStrategy: () => 50 }, first.port);
  await client.set("k", "v");
  await client.call("SAVE");
  await first.kill();
  await place.start({ db: "again.db", port: first.port });
  expect(await client.get("k")).toBe("v");
  client.disconnect();
});
