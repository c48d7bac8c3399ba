/** The master's data set becomes this server's: over real links to a real redis-server. */
import { describe, expect, test } from "vitest";
import { ask, askAll } from "../support/ask.js";
import { dice } from "../support/random.js";
import type { RawClient } from "../support/raw-client.js";
import { redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { eventually, sandbox } from "../support/server-process.js";
import { LinkProxy } from "./link-proxy.js";
import { connectTo, expectSame, infoOf, inStep, LINK_MS, startMaster, startReplica } from "./pair.js";

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

  test("what does not come whole leaves nothing here, and is tried again", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    await fill(master);
    const proxy = await LinkProxy.start(redis.port);
    const server = await sandbox().start();
    const replica = await connectTo(server.port);
    await ask(replica, "SET", "own", "1");
    // In the midst of the RDB: behind the first keys.
    proxy.cutAfter = 100_000;
    await ask(replica, "REPLICAOF", "127.0.0.1", proxy.port);
    await server.logged(/is down/, LINK_MS);
    proxy.isClosed = true;
    expect(proxy.bytes).toBe(100_000);
    expect(await ask(replica, "INFO", "keyspace")).toBe("# Keyspace\r\n");
    expect(await infoOf(replica)).toMatchObject({ master_link_status: "down", master_sync_in_progress: "0" });
    expect(await infoOf(replica, "persistence")).toMatchObject({ loading: "0" });
    proxy.isClosed = false;
    await inStep(master, replica);
    await expectSame(master, replica);
  });

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

  test("a stop in the midst of it leaves an empty database, and a start begins anew", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    await fill(master);
    const proxy = await LinkProxy.start(redis.port);
    proxy.bytesMax = 100_000;
    const place = sandbox();
    const server = await place.start({ args: ["--replicaof", `127.0.0.1 ${proxy.port}`] });
    const client = await connectTo(server.port);
    await eventually(
      "keys come",
      async () => Number((await infoOf(client, "persistence")).loading_loaded_keys) > 0,
      LINK_MS,
    );
    expect(await server.stop()).toMatchObject({ code: 0 });
    const alone = await place.start();
    expect(await ask(await connectTo(alone.port), "INFO", "keyspace")).toBe("# Keyspace\r\n");
    await alone.stop();
    const again = await place.start({ args: ["--replicaof", `127.0.0.1 ${redis.port}`] });
    const replica = await connectTo(again.port);
    await inStep(master, replica);
    await expectSame(master, replica);
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
