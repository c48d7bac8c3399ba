/** node-redis, with its defaults (RESP3) and with RESP2, against the built server. */
import { createClient, RESP_TYPES } from "redis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { latch } from "../support/latch.js";
import { Sandbox, type ServerProcess } from "../support/server-process.js";

const place = new Sandbox();
let server: ServerProcess;

beforeAll(async () => {
  server = await place.start();
});

afterAll(() => place.cleanup());

const VARIANTS = [
  ["RESP3, the default", {}],
  ["RESP2", { RESP: 2 }],
] as const;

function connected(options: { RESP?: 2 | 3; database?: number }) {
  const client = createClient({ socket: { host: "127.0.0.1", port: server.port }, ...(options as { RESP?: 3 }) });
  client.on("error", () => {});
  return client.connect();
}

describe.each(VARIANTS)("node-redis with %s", (_name, options) => {
  let client: Awaited<ReturnType<typeof connected>>;

  beforeEach(async () => {
    client = await connected(options);
    await client.flushAll();
  });

  afterEach(() => client.destroy());

  test("connects, tells its name, and answers PING", async () => {
    expect(await client.ping()).toBe("PONG");
    expect(await client.echo("\u00e4 \u{1f600}")).toBe("\u00e4 \u{1f600}");
    const list = await client.sendCommand(["CLIENT", "LIST"]);
    expect(String(list)).toContain("lib-name=node-redis");
    expect(String(list)).toContain(`resp=${"RESP" in options ? 2 : 3}`);
  });

  test("subscribes to channels and patterns, and gets messages", async () => {
    const subscriber = await connected(options);
    const heard: [string, string, string][] = [];
    const { promise: all, resolve } = latch();
    await subscriber.subscribe("news", (message, channel) => void heard.push(["channel", channel, message]));
    await subscriber.sSubscribe("shard", (message, channel) => void heard.push(["shard", channel, message]));
    await subscriber.pSubscribe("n*", (message, channel) => {
      heard.push(["pattern", channel, message]);
      if (message === "last") resolve();
    });
    expect(await client.publish("news", "\u00e4 first")).toBe(2);
    expect(await client.sPublish("shard", "second")).toBe(1);
    expect(await client.pubSubNumSub(["news"])).toMatchObject({ news: 1 });
    expect(await client.publish("n", "last")).toBe(1);
    await all;
    expect(heard).toEqual([
      ["channel", "news", "\u00e4 first"],
      ["pattern", "news", "\u00e4 first"],
      ["shard", "shard", "second"],
      ["pattern", "n", "last"],
    ]);
    await subscriber.unsubscribe();
    await subscriber.pUnsubscribe();
    await subscriber.sUnsubscribe();
    expect(await subscriber.get("nope")).toBeNull();
    subscriber.destroy();
  });

  test("hears what happens to keys", async () => {
    await client.configSet("notify-keyspace-events", "KEA");
    const subscriber = await connected(options);
    const heard: string[] = [];
    const { promise: all, resolve } = latch();
    await subscriber.pSubscribe("__key*__:*", (message, channel) => {
      heard.push(`${channel} ${message}`);
      if (channel === "__keyevent@0__:del") resolve();
    });
    await client.setBit("k", 1, 1);
    await client.del("k");
    await all;
    expect(heard).toEqual([
      "__keyspace@0__:k setbit",
      "__keyevent@0__:setbit k",
      "__keyspace@0__:k del",
      "__keyevent@0__:del k",
    ]);
    await client.configSet("notify-keyspace-events", "");
    subscriber.destroy();
  });

  test("monitors", async () => {
    const monitor = await connected(options);
    const { promise: shown, resolve } = latch<string>();
    await monitor.monitor((line) => resolve(String(line)));
    await client.echo("seen");
    expect(await shown).toMatch(/^\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "ECHO" "seen"$/);
    monitor.destroy();
  });

  test("sets, gets and counts bits", async () => {
    expect(await client.setBit("k", 7, 1)).toBe(0);
    expect(await client.setBit("k", 7, 1)).toBe(1);
    expect(await client.setBit("k", 100_000, 1)).toBe(0);
    expect(await client.getBit("k", 7)).toBe(1);
    expect(await client.getBit("k", 8)).toBe(0);
    expect(await client.bitCount("k")).toBe(2);
    expect(await client.bitCount("k", { start: 0, end: 7, mode: "BIT" })).toBe(1);
    expect(await client.bitPos("k", 1)).toBe(7);
    expect(await client.bitPos("k", 1, 1, -1)).toBe(100_000);
    expect(await client.strLen("k")).toBe(12_501);
  });

  test("combines keys with BITOP and gives the bytes as they are", async () => {
    await client.mSet({ a: "abc", b: "ab" });
    expect(await client.bitOp("AND", "and", ["a", "b"])).toBe(3);
    expect(await client.get("and")).toBe("ab\0");
    expect(await client.bitOp("NOT", "not", "a")).toBe(3);
    const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    expect(await binary.get("not")).toEqual(Buffer.from([0x9e, 0x9d, 0x9c]));
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    expect(await client.set(bytes, bytes)).toBe("OK");
    expect(await binary.get(bytes)).toEqual(bytes);
  });

  test("reads null for what is missing", async () => {
    expect(await client.get("missing")).toBe(null);
    expect(await client.mGet(["missing", "k"])).toEqual([null, null]);
    expect(await client.set("k", "v", { condition: "XX" })).toBe(null);
    expect(await client.randomKey()).toBe(null);
  });

  test("sets with conditions and times", async () => {
    expect(await client.set("k", "v", { expiration: { type: "EX", value: 100 }, condition: "NX" })).toBe("OK");
    expect(await client.ttl("k")).toBeGreaterThan(90);
    expect(await client.set("k", "w", { GET: true, expiration: "KEEPTTL" })).toBe("v");
    expect(await client.persist("k")).toBe(1);
    expect(await client.ttl("k")).toBe(-1);
    expect(await client.expire("k", 50, "NX")).toBe(1);
    expect(await client.expire("k", 20, "GT")).toBe(0);
    expect(await client.pExpireAt("k", 4_102_444_800_000)).toBe(1);
    expect(await client.pExpireTime("k")).toBe(4_102_444_800_000);
  });

  test("lists, renames, copies and deletes keys", async () => {
    await client.mSet({ "a:1": "1", "a:2": "2", "b:1": "3" });
    expect((await client.keys("a:*")).sort()).toEqual(["a:1", "a:2"]);
    const scanned: string[] = [];
    for await (const page of client.scanIterator({ MATCH: "*:1", COUNT: 2 })) scanned.push(...[page].flat());
    expect(scanned.sort()).toEqual(["a:1", "b:1"]);
    expect(await client.type("a:1")).toBe("string");
    expect(await client.rename("b:1", "c")).toBe("OK");
    expect(await client.copy("c", "d")).toBe(1);
    expect(await client.exists(["a:1", "b:1", "c", "d"])).toBe(3);
    expect(await client.del(["a:1", "a:2", "missing"])).toBe(2);
    expect(await client.dbSize()).toBe(2);
  });

  test("runs a transaction, and sees when a watched key was changed", async () => {
    expect(await client.multi().setBit("k", 1, 1).setBit("k", 2, 1).bitCount("k").exec()).toEqual([0, 0, 2]);
    await client.watch("k");
    const other = await connected(options);
    await other.setBit("k", 3, 1);
    other.destroy();
    await expect(client.multi().set("k", "x").exec()).rejects.toThrow(/watch/i);
    expect(await client.bitCount("k")).toBe(3);
  });

  test("gets an error reply as an error and goes on", async () => {
    await expect(client.sendCommand(["SETBIT", "k", "-1", "1"])).rejects.toThrow(
      "ERR bit offset is not an integer or out of range",
    );
    await expect(client.sendCommand(["NOSUCH"])).rejects.toThrow(/unknown command 'NOSUCH'/);
    expect(await client.ping()).toBe("PONG");
  });

  test("pipelines what is asked in one tick", async () => {
    const replies = await Promise.all(Array.from({ length: 1000 }, (_, i) => client.setBit("k", i, 1)));
    expect(replies).toEqual(Array(1000).fill(0));
    expect(await client.bitCount("k")).toBe(1000);
  });

  test("works in another database, chosen at the connection or later", async () => {
    const one = await connected({ ...options, database: 1 });
    await one.set("k", "one");
    expect(await client.get("k")).toBe(null);
    await client.select(1);
    expect(await client.get("k")).toBe("one");
    one.destroy();
  });

  test("reads INFO", async () => {
    const info = await client.info();
    expect(info).toMatch(/^redis_version:7\./m);
    expect(info).toMatch(/^loading:0\r$/m);
  });

  test("ends the connection politely", async () => {
    const other = await connected(options);
    await other.set("k", "v");
    await other.close();
    expect(await client.get("k")).toBe("v");
  });
});

test("node-redis sends its password with HELLO", async () => {
  const locked = await place.start({ db: "locked.db", args: ["--requirepass", "secret"] });
  const url = `redis://:secret@127.0.0.1:${locked.port}`;
  const client = await createClient({ url })
    .on("error", () => {})
    .connect();
  expect(await client.ping()).toBe("PONG");
  client.destroy();
  const wrong = createClient({ url: url.replace("secret", "other"), socket: { reconnectStrategy: false } });
  await expect(wrong.on("error", () => {}).connect()).rejects.toThrow(/WRONGPASS/);
});

test("node-redis connects again by itself when the server was killed and started again", async () => {
  const first = await place.start({ db: "again.db" });
  const client = await createClient({ socket: { host: "127.0.0.1", port: first.port, reconnectStrategy: () => 50 } })
    .on("error", () => {})
    .connect();
  await client.set("k", "v");
  await client.sendCommand(["SAVE"]);
  await first.kill();
  await place.start({ db: "again.db", port: first.port });
  expect(await client.get("k")).toBe("v");
  client.destroy();
});
