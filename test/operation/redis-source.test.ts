/** Keys out of a running redis-server into a keyspace, in this process: what is moved, what is not, and what happens when the link breaks. */
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { MEMORY_DB } from "../../src/config.js";
import { Bitmap } from "../../src/keyspace/bitmap.js";
import type { Database } from "../../src/keyspace/database.js";
import { NO_DEADLINE } from "../../src/keyspace/storage.js";
import { GONE, type Item, MigrateError, THERE_ALREADY } from "../../src/migrate/item.js";
import { KeyspaceTarget } from "../../src/migrate/keyspace-target.js";
import { LastingLink } from "../../src/migrate/lasting-link.js";
import type { MoveReport } from "../../src/migrate/move-report.js";
import { Mover } from "../../src/migrate/mover.js";
import { RdbTarget } from "../../src/migrate/rdb-target.js";
import { pagesOfScan } from "../../src/migrate/redis-keys.js";
import { RedisSource, type RedisSourceOptions } from "../../src/migrate/redis-source.js";
import { Store } from "../../src/store.js";
import { ask, askAll } from "../support/ask.js";
import { type GoVersion, startGoLikeServer } from "../support/go-like-server.js";
import { type Dice, dice } from "../support/random.js";
import { RawClient } from "../support/raw-client.js";
import { startPeer } from "../support/redis-peer.js";
import { RedisServer, redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { eventually } from "../support/server-process.js";
import { TcpProxy } from "../support/tcp-proxy.js";
import { temporaryFolder } from "../support/temporary-folder.js";
import { noise } from "../unit/storage/store.js";

const HOST = "127.0.0.1";
const MB = 1024 * 1024;
const DENSE_BYTES = 64 * MB;

sayRedisMissing("moving keys out of a redis-server");
const live = test.skipIf(redisMissing !== undefined);

async function startRedis(...args: string[]): Promise<{ server: RedisServer; client: RawClient }> {
  const server = await RedisServer.start(Date.now(), args);
  onTestFinished(() => server.stop());
  const client = await RawClient.connect(server.port);
  onTestFinished(() => client.close());
  return { server, client };
}

/** A store and what is moved into it. */
class Moving {
  readonly troubles: string[] = [];
  readonly store = Store.open(MEMORY_DB, (message) => void this.troubles.push(message));
  target = new KeyspaceTarget(this.store.keyspace, this.store.saver);

  constructor() {
    onTestFinished(() => this.store.close());
  }

  async from(port: number, options: Partial<RedisSourceOptions> = {}): Promise<MoveReport> {
    const source = await RedisSource.open({
      link: { host: HOST, port },
      database: undefined,
      pattern: "*",
      target: this.target,
      resume: false,
      onTrouble: (message) => void this.troubles.push(message),
      ...options,
    });
    try {
      return await new Mover(source, this.target, { verify: true }).run();
    } finally {
      await source.close();
    }
  }

  value(key: string, number = 0): { bytes: string; deadline: number } | undefined {
    const { keyspace } = this.store;
    keyspace.tick();
    const read = keyspace.read(keyspace.databases[number] as Database, key);
    if (read === undefined) return undefined;
    const bytes = read.bitmap.bytes(0, Math.min(read.bitmap.byteLength, 2 * MB)).toString("latin1");
    read.bitmap.dispose();
    return { bytes, deadline: read.deadline };
  }

  /** Number of keys. */
  keys(number = 0): number {
    return this.store.keyspace.databases[number]?.size ?? 0;
  }
}

function randomBytes(random: Dice, length: number): Buffer {
  return Buffer.alloc(length).map(() => random.int(0, 255)) as Buffer;
}

const skippedOf = ({ skipped }: MoveReport) => Object.fromEntries(skipped);

live("strings of every kind, deadlines, all databases; other types are skipped and listed", async () => {
  const { client, server } = await startRedis();
  const moving = new Moving();
  const random = dice("redis-source");
  const deadline = Date.now() + 3_600_000;
  const strings = new Map<string, Buffer>([
    ["empty", Buffer.alloc(0)],
    ["integer", Buffer.from("12345")],
    ["zeros", Buffer.alloc(100)],
    ["\xff\x00 \r\n", Buffer.from("binary key")],
    ["64K", randomBytes(random, 64 * 1024)],
    ["64K and 1", randomBytes(random, 64 * 1024 + 1)],
    ["large", Buffer.concat([randomBytes(random, MB + 5), Buffer.alloc(3 * MB), Buffer.of(0x80, 0, 0)])],
  ]);
  for (let i = 0; i < 3000; i++) strings.set(`small:${i}`, randomBytes(random, 1 + (i % 60)));
  for (const [key, bytes] of strings) await ask(client, "SET", Buffer.from(key, "latin1"), bytes);
  await askAll(client, [
    ["PEXPIREAT", "integer", String(deadline)],
    ["PEXPIREAT", "large", String(deadline + 1)],
  ]);
  await askAll(client, [
    "RPUSH list a",
    "SADD set a",
    "HSET hash f v",
    "ZADD zset 1 a",
    "XADD stream * f v",
    "RPUSH list2 a",
  ]);
  await askAll(client, ["SELECT 3", "SETBIT three 77 1", "SELECT 15", "SETBIT last 7 1", "RPUSH list b"]);

  const report = await moving.from(server.port);
  for (const [key, bytes] of strings) {
    const expected = key === "integer" ? deadline : key === "large" ? deadline + 1 : NO_DEADLINE;
    const found = moving.value(key);
    expect(found?.deadline, key).toBe(expected);
    expect(found?.bytes === bytes.toString("latin1", 0, 2 * MB), key).toBe(true);
  }
  expect(moving.value("three", 3)?.bytes).toBe(`${"\0".repeat(9)}\x04`);
  expect(moving.value("last", 15)?.bytes).toBe("\x01");
  expect([moving.keys(0), moving.keys(3), moving.keys(15)]).toEqual([strings.size, 1, 1]);
  expect(skippedOf(report)).toEqual({
    "a list": 3,
    "a set": 1,
    "a hash": 1,
    "a sorted set": 1,
    "a stream": 1,
  });
  expect(report.listedSkipped.map(({ database, key }) => `${database} ${key}`).sort()).toEqual([
    "0 hash",
    "0 list",
    "0 list2",
    "0 set",
    "0 stream",
    "0 zset",
    "15 list",
  ]);
  const stringBytes = [...strings.values()].reduce((sum, { length }) => sum + length, 10 + 1);
  expect(report).toMatchObject({
    keys: strings.size + 2,
    verified: strings.size + 2,
    mismatches: 0,
    expired: 0,
    stringBytes,
  });
  expect([...report.databases].map(([number, { keys }]) => [number, keys])).toEqual([
    [0, strings.size],
    [3, 1],
    [15, 1],
  ]);
  expect(moving.troubles).toEqual([]);
});

live(
  "a dense string comes in pieces, of which a few are in memory; while it comes the old value is there",
  async () => {
    const { client, server } = await startRedis();
    const moving = new Moving();
    await ask(client, "SET", "dense", "the old one");
    await moving.from(server.port);
    const piece = noise(8 * MB);
    for (let at = 0; at < DENSE_BYTES; at += piece.length) await ask(client, "SETRANGE", "dense", at, piece);
    const before = Bitmap.usedBytes();
    let pieces = 0;
    let most = 0;
    const target = Object.assign(moving.target, {
      takePieces: async () => {
        const taker = await KeyspaceTarget.prototype.takePieces.call(moving.target);
        const committed = async () => {
          pieces++;
          most = Math.max(most, Bitmap.usedBytes() - before);
          await taker.committed();
          expect(moving.value("dense")?.bytes).toBe("the old one");
        };
        return { ...taker, committed };
      },
    });
    const report = await moving.from(server.port, { target });
    expect(report).toMatchObject({ keys: 1, verified: 1, stringBytes: DENSE_BYTES });
    expect(pieces).toBeGreaterThan(8);
    expect(most).toBeLessThan(DENSE_BYTES / 4);
    // Nor does it come into memory to be verified.
    expect(Bitmap.usedBytes() - before).toBeLessThan(MB);
    const { keyspace } = moving.store;
    const entry = keyspace.lookup(keyspace.databases[0] as Database, "dense");
    const bitmap = entry && keyspace.bitmap(entry);
    for (let at = 0; at < DENSE_BYTES; at += piece.length) {
      expect(bitmap?.bytes(at, piece.length).equals(piece), `from byte ${at} on`).toBe(true);
    }
  },
);

live("a string of 512 MB costs a few MB: slices without a bit are not sent", async () => {
  const { client, server } = await startRedis();
  await askAll(client, ["SETBIT big 4294967295 1", "SETBIT big 0 1", "SETBIT big 2000000000 1"]);
  const proxy = await TcpProxy.start(server.port);
  const moving = new Moving();
  const report = await moving.from(proxy.port);
  expect(report).toMatchObject({ keys: 1, verified: 1, stringBytes: 512 * MB });
  const { keyspace } = moving.store;
  const entry = keyspace.lookup(keyspace.databases[0] as Database, "big");
  expect(entry && [...keyspace.bitmap(entry).members]).toEqual([0, 2_000_000_000, 4_294_967_295]);
  expect(proxy.received).toBeLessThan(4 * MB);
});

live("--match: only keys that match, of all databases", async () => {
  const { client, server } = await startRedis();
  await askAll(client, ["SETBIT trackist_a 1 1", "SETBIT other 1 1", "RPUSH trackist_list a", "RPUSH list a"]);
  await askAll(client, ["SELECT 2", "SETBIT trackist_b 1 1", "SETBIT more 1 1"]);
  const moving = new Moving();
  const report = await moving.from(server.port, { pattern: "trackist_*" });
  expect(report).toMatchObject({ keys: 2, verified: 2 });
  expect(skippedOf(report)).toEqual({ "a list": 1 });
  expect([moving.keys(0), moving.keys(2)]).toEqual([1, 1]);
});

live("one database, into another", async () => {
  const { client, server } = await startRedis();
  await askAll(client, ["SETBIT zero 1 1", "SELECT 2", "SETBIT two 1 1"]);
  const moving = new Moving();
  expect(await moving.from(server.port, { database: 2, into: 5 })).toMatchObject({ keys: 1, verified: 1 });
  expect([moving.keys(0), moving.keys(2), moving.keys(5)]).toEqual([0, 0, 1]);
});

live("a server without PEXPIRETIME, as Redis before 7: deadlines by PTTL", async () => {
  const { client, server } = await startRedis("--rename-command", "PEXPIRETIME", "");
  const begunMs = Date.now();
  server.setClock(begunMs);
  await askAll(client, ["SETBIT k 1 1", "PEXPIRE k 100000", "SETBIT for-ever 1 1"]);
  const moving = new Moving();
  expect(await moving.from(server.port)).toMatchObject({ keys: 2, verified: 2 });
  const late = (moving.value("k")?.deadline ?? 0) - (begunMs + 100_000);
  expect(late).toBeGreaterThanOrEqual(0);
  expect(late).toBeLessThanOrEqual(Date.now() - begunMs);
  expect(moving.value("for-ever")?.deadline).toBe(NO_DEADLINE);
});

describe("the Go bitmapist-server", () => {
  const versions: GoVersion[] = ["first", "bbolt", "sqlite"];

  live.each(versions)("gives all it has, names with slashes too: %s", async (version) => {
    const { client, server } = await startRedis();
    const keys = [...Array.from({ length: 100 }, (_, i) => `trackist_${i}`), "a/b", "a/b/c", "a/b/c/d/e", "/", "x/"];
    for (const [i, key] of keys.entries()) await ask(client, "SETBIT", key, String(i * 997), "1");
    server.setClock(Date.now());
    if (version !== "first") await ask(client, "PEXPIRE", "a/b", "500000");
    const moving = new Moving();
    const port = await startGoLikeServer(server.port, version);
    const report = await moving.from(port);
    expect(report).toMatchObject({ keys: keys.length, verified: keys.length, mismatches: 0 });
    expect(moving.troubles).toEqual([]);
    for (const key of keys) expect(moving.value(key)?.bytes, key).toBe(await ask(client, "GET", key));
    if (version === "first") expect(moving.value("a/b")?.deadline).toBe(NO_DEADLINE);
    else expect(moving.value("a/b")?.deadline).toBeLessThan(Date.now() + 501_000);
    expect(await new Moving().from(port, { pattern: "trackist_1*" })).toMatchObject({ keys: 11 });
  });

  live("deadlines are as they were before the values came, however long these took", async () => {
    const { client, server } = await startRedis();
    await askAll(client, ["SETBIT k 1 1", "PEXPIRE k 100000"]);
    vi.useFakeTimers({ toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    const begunMs = Date.now();
    const onRequest = (command: string) => void (command === "get" && vi.setSystemTime(begunMs + 60_000));
    const moving = new Moving();
    await moving.from(await startGoLikeServer(server.port, "sqlite", onRequest));
    expect(Date.now()).toBe(begunMs + 60_000);
    expect(moving.value("k")?.deadline).toBe(begunMs + 100_000);
  });

  live.each(versions)("has no keys: %s", async (version) => {
    const { server } = await startRedis();
    const moving = new Moving();
    const report = await moving.from(await startGoLikeServer(server.port, version));
    expect(report).toMatchObject({ keys: 0, mismatches: 0 });
    expect(moving.troubles).toEqual([]);
  });
});

describe("a link that breaks", () => {
  async function fill(client: RawClient): Promise<number> {
    const keys = 5000;
    await askAll(
      client,
      Array.from({ length: keys }, (_, i) => ["SETBIT", `k:${i}`, String(i * 31), "1"]),
    );
    await ask(client, "SET", "large", Buffer.alloc(3 * MB, 0x55));
    return keys + 1;
  }

  live("is made anew, and the move goes on: every key once", async () => {
    const { client, server } = await startRedis();
    const keys = await fill(client);
    const proxy = await TcpProxy.start(server.port, [5_000, 40_000, 100_000, 1_500_000]);
    const moving = new Moving();
    const report = await moving.from(proxy.port);
    expect(report).toMatchObject({ keys, verified: keys, mismatches: 0 });
    expect(proxy.cuts).toEqual([]);
    expect(proxy.connections).toBe(5);
    expect(moving.keys()).toBe(keys);
    expect(moving.troubles).toHaveLength(4);
    expect(moving.value("large")?.bytes).toBe("U".repeat(2 * MB));
  });

  live("to a server that was started anew, which has its keys in another order: every key once", async () => {
    const { client, server } = await startRedis();
    const anew = await startRedis();
    const keys = await fill(client);
    await fill(anew.client);
    const proxy = await TcpProxy.start(server.port, [50_000]);
    const moving = new Moving();
    // Same keys, another process: what a restart does to SCAN's order.
    const isCut = eventually("the link is cut", () => {
      if (proxy.connections > 0) proxy.target = anew.server.port;
      return proxy.cuts.length === 0;
    });
    const report = await moving.from(proxy.port);
    await isCut;
    expect(proxy.connections).toBe(2);
    expect(report).toMatchObject({ keys, verified: keys, mismatches: 0 });
    expect(moving.keys()).toBe(keys);
  });

  live("amid the last page, to a server that was started anew: no key is missed", async () => {
    const [{ client, server }, anew] = [await startRedis(), await startRedis()];
    const keys = Array.from({ length: 3000 }, (_, i) => `k:${i}`);
    for (const each of [client, anew.client])
      await askAll(
        each,
        keys.map((key) => ["SETBIT", key, "1", "1"]),
      );
    const all = async (proxy: TcpProxy, next: number) => {
      const link = await LastingLink.open({ host: HOST, port: proxy.port }, () => {});
      proxy.target = next;
      const found = new Set<string>();
      for await (const page of pagesOfScan(link, "*")) for (const key of page) found.add(key);
      await link.close();
      return found.size;
    };
    const whole = await TcpProxy.start(server.port);
    expect(await all(whole, server.port)).toBe(keys.length);
    // Inside the last page, or what was asked together with it.
    const proxy = await TcpProxy.start(server.port, [whole.received - 100]);
    expect(await all(proxy, anew.server.port)).toBe(keys.length);
    expect(proxy.connections).toBe(2);
  });

  live("each time at the same place is given up", async () => {
    const { client, server } = await startRedis();
    await fill(client);
    const proxy = await TcpProxy.start(server.port, [...Array(20).fill(20_000)]);
    await expect(new Moving().from(proxy.port)).rejects.toThrow(MigrateError);
    expect(proxy.cuts.length).toBeGreaterThan(10);
  });
});

live("resume: what is there with the same length, bits and deadline is not read again", async () => {
  const { client, server } = await startRedis();
  const moving = new Moving();
  await askAll(client, ["SETBIT same 100 1", "SETBIT bits 100 1", "SETBIT length 100 1", "SETBIT deadline 100 1"]);
  await askAll(client, [["SETBIT", "large", "90000000", "1"], "RPUSH list a"]);
  expect(await moving.from(server.port)).toMatchObject({ keys: 5 });
  const deadline = Date.now() + 1_000_000;
  await askAll(client, [
    "SETBIT bits 101 1",
    "SETBIT length 1000 0",
    ["PEXPIREAT", "deadline", String(deadline)],
    "SETBIT new 1 1",
  ]);
  const report = await moving.from(server.port, { resume: true });
  expect(report).toMatchObject({ keys: 4, verified: 4, mismatches: 0 });
  expect(skippedOf(report)).toEqual({ [THERE_ALREADY]: 2, "a list": 1 });
  expect(moving.value("bits")?.bytes).toBe(await ask(client, "GET", "bits"));
  expect(moving.value("length")?.bytes).toBe(await ask(client, "GET", "length"));
  expect(moving.value("deadline")?.deadline).toBe(deadline);
});

describe("a SCAN that gives keys twice, as it may", () => {
  /** In front of a redis-server: its SCAN gives a page with all keys, and then another. */
  async function startStutterer(redisPort: number): Promise<number> {
    return await startPeer(redisPort, async (redis, argv) => {
      if (argv[0] !== "SCAN") return undefined;
      const page = await redis.call("SCAN", "0", "MATCH", "*", "COUNT", "1000000");
      const next = argv[1] === "0" ? "17" : "0";
      return page.replace("*2\r\n$1\r\n0\r\n", `*2\r\n$${next.length}\r\n${next}\r\n`);
    });
  }

  live("moves each once", async () => {
    const { client, server } = await startRedis();
    await askAll(
      client,
      Array.from({ length: 3000 }, (_, i) => ["SETBIT", `k:${i}`, String(i), "1"]),
    );
    await askAll(client, ["RPUSH list a"]);
    const moving = new Moving();
    const port = await startStutterer(server.port);
    const report = await moving.from(port);
    expect(report).toMatchObject({ keys: 3000, verified: 3000, mismatches: 0 });
    expect(skippedOf(report)).toEqual({ "a list": 1 });
    expect(moving.troubles).toEqual([]);
  });

  live("puts each once into a file, which can't be asked what it has", async () => {
    const { client, server } = await startRedis();
    await askAll(
      client,
      Array.from({ length: 3000 }, (_, i) => ["SETBIT", `k:${i}`, String(i), "1"]),
    );
    const name = temporaryFolder()("out.rdb");
    const target = await RdbTarget.open({ name, path: name, publish: () => {}, discard: () => {} }, { verify: true });
    const source = await RedisSource.open({
      link: { host: HOST, port: await startStutterer(server.port) },
      database: 0,
      pattern: "*",
      target,
      resume: false,
      onTrouble: () => {},
    });
    const report = await new Mover(source, target, { verify: true }).run();
    await source.close();
    await target.close();
    expect(report).toMatchObject({ keys: 3000, verified: 3000, mismatches: 0 });
  });
});

live("keys that have gone by when they are read are counted, and no more", async () => {
  const { client, server } = await startRedis();
  await askAll(client, ["SETBIT stays 1 1", "SETBIT goes 1 1", ["PEXPIREAT", "goes", String(Date.now() + 3000)]]);
  const moving = new Moving();
  // Its time is over by our clock, and by that of redis-server, which stands still, it is not.
  const source = await RedisSource.open({
    link: { host: HOST, port: server.port },
    database: 0,
    pattern: "*",
    target: moving.target,
    resume: false,
    onTrouble: () => {},
  });
  const report = await new Mover(source, moving.target, { verify: true, now: () => Date.now() + 10_000 }).run();
  await source.close();
  expect(report).toMatchObject({ keys: 1, verified: 1 });
  expect(skippedOf(report)).toEqual({ [GONE]: 1 });
});

live("a value that arrives otherwise than it is in the source is found", async () => {
  const { client, server } = await startRedis();
  await askAll(client, [
    "SETBIT good 5 1",
    "SETBIT wrong 5 1",
    "SETBIT short 5 1",
    "SETBIT lost 5 1",
    "SETBIT late 5 1",
  ]);
  await ask(client, "PEXPIREAT", "late", String(Date.now() + 1_000_000));
  const moving = new Moving();
  moving.target = new SpoilingTarget(moving.store.keyspace, moving.store.saver);
  const report = await moving.from(server.port);
  expect(report).toMatchObject({ keys: 5, verified: 1, mismatches: 4 });
  expect(report.listedMismatches.map(({ key, difference }) => `${key}: ${difference}`).sort()).toEqual([
    expect.stringMatching(/^late: it expires at \d+ in the source, at Infinity in the target$/),
    "lost: it is not in the target",
    "short: 1 bytes in the source, 2 in the target",
    "wrong: 1 bits are set in the source, 2 in the target",
  ]);
});

live("a value that is written to while it is read is read again until it stands still", async () => {
  const { client, server } = await startRedis();
  await ask(client, "SET", "busy", Buffer.alloc(6 * MB, 1));
  const writer = await RawClient.connect(server.port);
  onTestFinished(() => writer.close());
  const moving = new Moving();
  let writes = 0;
  let isWriting = true;
  const writing = (async () => {
    for (; isWriting && writes < 2000; writes++) await ask(writer, "SETBIT", "busy", String(writes * 8), "1");
  })();
  const report = await moving.from(server.port);
  isWriting = false;
  await writing;
  // Whether it stood still long enough is chance; that what is said of it is true is none.
  expect(report.keys).toBe(1);
  expect(report.verified + report.mismatches).toBe(1);
  const again = await moving.from(server.port);
  expect(again).toMatchObject({ keys: 1, verified: 1 });
  expect(moving.value("busy")?.bytes).toBe(((await ask(client, "GETRANGE", "busy", 0, 2 * MB - 1)) as string) ?? "");
});

live("a user who may not read is told so, and one who may comes in", async () => {
  const { client, server } = await startRedis();
  await askAll(client, [
    "SETBIT k 1 1",
    "ACL SETUSER reader on >secret ~* +@read +info +dbsize +type",
    "ACL SETUSER blind on >secret ~* +scan +info +dbsize",
  ]);
  const link = { host: HOST, port: server.port, password: "secret" };
  expect(await new Moving().from(server.port, { link: { ...link, user: "reader" } })).toMatchObject({
    keys: 1,
    verified: 1,
  });
  await expect(new Moving().from(server.port, { link: { ...link, user: "blind" } })).rejects.toThrow(/NOPERM/);
  await expect(new Moving().from(server.port, { link: { ...link, user: "nobody" } })).rejects.toThrow(/WRONGPASS/);
});

/** Keeps some keys otherwise than they were given. */
class SpoilingTarget extends KeyspaceTarget {
  override async put(item: Item): Promise<void> {
    if (item.key === "lost") return item.bitmap.dispose();
    if (item.key === "wrong") item.bitmap.setBit(6, 1);
    if (item.key === "short") item.bitmap.byteLength = 2;
    if (item.key === "late") item.deadline = NO_DEADLINE;
    await super.put(item);
  }
}
