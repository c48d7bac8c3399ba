/** The master's data set becomes this server's: over real links to a real redis-server. */
import { describe, expect, test } from "vitest";
import { ask, askAll } from "../support/ask.js";
import { ask as askFile } from "../support/corrupt.js";
import { dice } from "../support/random.js";
import type { RawClient } from "../support/raw-client.js";
import { type RedisServer, redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { eventually, type Sandbox, type ServerProcess, sandbox } from "../support/server-process.js";
import { noise } from "../unit/storage/store.js";
import { LinkProxy } from "./link-proxy.js";
import { connectTo, expectSame, infoOf, inStep, LINK_MS, startMaster, startReplica, stringsOf } from "./pair.js";

const MIB = 2 ** 20;
const DENSE_BYTES = 64 * MIB;

sayRedisMissing("full synchronisation");

/** Strings of all encodings, with deadlines and without, in several databases; and `others` keys of all other types. */
async function fill(client: RawClient): Promise<{ others: number }> {
  const random = dice("full synchronisation");
  for (const database of [0, 1, 15]) {
    await askAll(client, [
      `SELECT ${database}`,
      ...["-1", "7", "-200", "40000", "-2147483648", "123456789012", "007", "x".repeat(100)].map(
        (v, i) => `SET s${i} ${v}`,
      ),
      ["SET", "", ""],
      ["SET", "\xff\x00\r\n", "\x00\xff\r\n"],
      ["SET", "compressed", "\x00\x80".repeat(5000)],
      "SETBIT sparse 3999999 1",
      "SETBIT zeros 70000 0",
      "SET soon v PX 3600000",
      "SET at v PXAT 33177117420000",
    ]);
    const noise = Array.from({ length: 70_000 }, () => String.fromCharCode(random.int(0, 255))).join("");
    await ask(client, "SET", "noise", noise);
  }
  await askAll(client, [
    "SELECT 0",
    "RPUSH list a b",
    "SADD set a b",
    "SADD ints 1 2",
    "ZADD zset 1 a",
    "HSET hash f v",
    "XADD stream 1-1 f v",
  ]);
  return { others: 6 };
}

describe.skipIf(redisMissing !== undefined)("full synchronisation", () => {
  test.each(["yes", "no"])("takes the place of what was here (repl-diskless-sync %s)", async (diskless) => {
    const redis = await startMaster("--repl-diskless-sync", diskless);
    const master = await connectTo(redis.port);
    const { others } = await fill(master);
    const server = await sandbox().start();
    const replica = await connectTo(server.port);
    await askAll(replica, ["SET s0 mine", "SET own 1", "SELECT 7", "SETBIT own 100 1", "SELECT 0"]);
    expect(await ask(replica, "REPLICAOF", "127.0.0.1", redis.port)).toBe("OK");
    await inStep(master, replica);
    expect(await expectSame(master, replica)).toBe(48);
    expect(await infoOf(replica)).toMatchObject({ role: "slave", repl_skipped_keys: String(others) });
    // On disk it is too.
    await ask(replica, "SAVE");
    expect(server.log).toContain(`48 keys, and ${others} that are no strings passed over`);
  });

  test.each(["bitmapist.db", ":memory:"])(
    "what does not come whole leaves what was here, and is tried again (%s)",
    async (db) => {
      const redis = await startMaster();
      const master = await connectTo(redis.port);
      await fill(master);
      const proxy = await LinkProxy.start(redis.port);
      const server = await sandbox().start({ db });
      const replica = await connectTo(server.port);
      await askAll(replica, ["SET own 1", "SELECT 1", "SETBIT s0 7 1", "SELECT 0"]);
      const own = await stringsOf(replica);
      // In the midst of the RDB: behind the first keys.
      proxy.cutAfter = 100_000;
      await ask(replica, "REPLICAOF", "127.0.0.1", proxy.port);
      await server.logged(/is down/, LINK_MS);
      proxy.isClosed = true;
      expect(proxy.bytes).toBe(100_000);
      expect(await stringsOf(replica)).toEqual(own);
      expect(await infoOf(replica, "keyspace")).toEqual({
        db0: "keys=1,expires=0,avg_ttl=0",
        db1: "keys=1,expires=0,avg_ttl=0",
      });
      expect(await infoOf(replica)).toMatchObject({ master_link_status: "down", master_sync_in_progress: "0" });
      expect(await infoOf(replica, "persistence")).toMatchObject({ loading: "0" });
      proxy.isClosed = false;
      await inStep(master, replica);
      await expectSame(master, replica);
    },
  );

  test("while it lasts clients are told so, and see how far it is", async () => {
    const redis = await startMaster("--repl-diskless-sync", "no");
    const master = await connectTo(redis.port);
    await fill(master);
    const proxy = await LinkProxy.start(redis.port);
    proxy.bytesMax = 100_000;
    const server = await startReplica(proxy.port);
    const replica = await connectTo(server.port);
    await eventually(
      "keys come",
      async () => Number((await infoOf(replica, "persistence")).loading_loaded_keys) > 0,
      LINK_MS,
    );
    const loading = "-LOADING Redis is loading the dataset in memory\r\n";
    for (const request of ["GET s0", "PING", "DBSIZE", "KEYS *", "REPLICAOF NO ONE", "SAVE"]) {
      expect([request, await replica.call(...request.split(" "))]).toEqual([request, loading]);
    }
    expect(await replica.call("SET", "a", "b")).toContain("-READONLY");
    expect(await ask(replica, "ROLE")).toEqual(["slave", "127.0.0.1", proxy.port, "sync", -1]);
    const told = await infoOf(replica);
    const total = Number(told.master_sync_total_bytes);
    expect(total).toBeGreaterThan(200_000);
    expect(told).toMatchObject({ master_link_status: "down", master_sync_in_progress: "1" });
    expect(Number(told.master_sync_read_bytes) + Number(told.master_sync_left_bytes)).toBe(total);
    expect(await infoOf(replica, "persistence")).toMatchObject({ loading: "1", loading_total_bytes: String(total) });
    proxy.bytesMax = Number.POSITIVE_INFINITY;
    proxy.cut();
    await inStep(master, replica);
    await expectSame(master, replica);
  });

  /**
   * A server with data of its own, as in the map, that is in the midst of a full synchronisation: keys of it are in its file, or all of
   * database 0 and 1 and pieces of a dense value.
   */
  async function inTheMidst(
    place: Sandbox,
    of: "keys" | "a dense value" = "keys",
  ): Promise<{ own: Awaited<ReturnType<typeof stringsOf>>; server: ServerProcess; redis: RedisServer }> {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    await fill(master);
    const proxy = await LinkProxy.start(redis.port);
    proxy.bytesMax = 100_000;
    if (of === "a dense value") {
      await ask(master, "SELECT", 2);
      for (let at = 0; at < DENSE_BYTES; at += 8 * MIB) await ask(master, "SETRANGE", "dense", at, noise(8 * MIB, at));
      proxy.bytesMax = DENSE_BYTES / 2;
    }
    const server = await place.start({ args: ["--bak", "copy.db"] });
    const client = await connectTo(server.port);
    await askAll(client, ["SET s0 mine", "SET own 1 PX 3600000", "SELECT 7", "SETBIT own 100 1", "SELECT 0"]);
    const own = await stringsOf(client);
    await ask(client, "REPLICAOF", "127.0.0.1", proxy.port);
    const [query, more] =
      of === "keys"
        ? ["SELECT count(*) AS rows FROM keys", own.size]
        : ["SELECT count(*) AS rows FROM chunks JOIN keys ON chunk / 65536 = id WHERE slot < 0", 100];
    const rows = () => (askFile(place.path("bitmapist.db"), query)[0] as { rows: number }).rows;
    await eventually(`${of} are in the file`, () => rows() > more, LINK_MS);
    return { own, server, redis };
  }

  /** A start as a master finds this, and nothing is wrong with the file before it and afterwards. */
  async function expectHeld(
    place: Sandbox,
    held: Awaited<ReturnType<typeof stringsOf>>,
    db = "bitmapist.db",
  ): Promise<void> {
    expect(await place.run(["check", db])).toMatchObject({ code: 0 });
    const server = await place.start({ db });
    expect(await stringsOf(await connectTo(server.port))).toEqual(held);
    expect(await server.stop()).toMatchObject({ code: 0 });
    const keys = `${held.size} keys`;
    expect(await place.run(["check", db])).toMatchObject({ code: 0, stdout: expect.stringContaining(`fine: ${keys}`) });
  }

  /** A start as a replica takes the whole, and a start as a master finds it. */
  async function expectTaken(place: Sandbox, redis: RedisServer): Promise<void> {
    const master = await connectTo(redis.port);
    const server = await place.start({ args: ["--replicaof", `127.0.0.1 ${redis.port}`] });
    const replica = await connectTo(server.port);
    await inStep(master, replica);
    await expectSame(master, replica);
    const held = await stringsOf(replica);
    await ask(replica, "REPLICAOF", "NO", "ONE");
    await ask(replica, "SAVE");
    await server.kill();
    await expectHeld(place, held);
  }

  test.each([
    ["stop", "keys"],
    ["kill", "keys"],
    ["stop", "a dense value"],
    ["kill", "a dense value"],
  ] as const)("%s in the midst of it (%s) leaves what was here, and a start begins anew", async (end, of) => {
    const place = sandbox();
    const { own, server, redis } = await inTheMidst(place, of);
    expect(await server[end]()).toMatchObject(end === "stop" ? { code: 0 } : { signal: "SIGKILL" });
    await expectHeld(place, own);
    await expectTaken(place, redis);
  });

  test("kill in the midst of it, and a start as a replica", async () => {
    const place = sandbox();
    const { server, redis } = await inTheMidst(place);
    await server.kill();
    await expectTaken(place, redis);
  });

  test("a copy that is made in the midst of it, or an export after a crash, has what was here", async () => {
    const place = sandbox();
    const { own, server } = await inTheMidst(place);
    server.signal("SIGUSR1");
    await server.logged(/backup written/);
    expect(await place.run(["check", "bitmapist.db"])).toMatchObject({ code: 0 });
    await server.kill();
    expect(await place.run(["backup", "second.db"])).toMatchObject({ code: 0 });
    expect(await place.run(["export", "--rdb", "out.rdb"])).toMatchObject({ code: 0 });
    expect(await place.run(["import", "out.rdb", "--db", "third.db"])).toMatchObject({ code: 0 });
    for (const copy of ["copy.db", "second.db", "third.db"]) await expectHeld(place, own, copy);
  });

  test("brings what has expired and was not deleted, for the master to delete", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    await ask(master, "DEBUG", "SET-ACTIVE-EXPIRE", 0);
    await askAll(master, ["SET a 1 PX 1", "SET b 1 PX 1", "SET c 1"]);
    const replica = await connectTo((await startReplica(redis.port)).port);
    await inStep(master, replica);
    expect(await askAll(replica, ["DBSIZE", "EXISTS a b c", "KEYS *"])).toEqual([3, 1, ["c"]]);
    // The master's APPEND finds nothing, and says so before.
    await ask(master, "APPEND", "a", "new");
    await inStep(master, replica);
    expect(await askAll(replica, ["DBSIZE", "GET a"])).toEqual([3, "new"]);
  });

  test("of a replica of Redis the commands go on in the database that they are in", async () => {
    const top = await startMaster();
    const master = await connectTo(top.port);
    const middle = await startMaster("--replicaof", `127.0.0.1 ${top.port}`);
    const between = await connectTo(middle.port);
    await inStep(master, between);
    await askAll(master, ["SELECT 3", "SET a 1"]);
    await inStep(master, between);
    const server = await startReplica(middle.port);
    const replica = await connectTo(server.port);
    await inStep(between, replica);
    // No SELECT comes before this.
    await ask(master, "SET", "b", "2");
    await inStep(master, between);
    await inStep(between, replica);
    await ask(master, "SELECT", 0);
    expect(await expectSame(master, replica)).toBe(2);
  });
});
