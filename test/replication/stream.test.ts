/** What a master does while this server follows it: with links that break, keys of other types, and deadlines. */
import { describe, expect, test } from "vitest";
import { ask, askAll } from "../support/ask.js";
import { dice, diceOf } from "../support/random.js";
import type { RawClient } from "../support/raw-client.js";
import { redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { eventually, sleep } from "../support/server-process.js";
import { LinkProxy } from "./link-proxy.js";
import { load } from "./load.js";
import { connectTo, expectSame, infoOf, inStep, LINK_MS, startMaster, startReplica, stringsOf } from "./pair.js";

sayRedisMissing("the stream of a master's commands");

const CLIENTS = 4;
const CUTS = 8;
/** Between a client's pipelines, so that a slow machine keeps up. */
const PAUSE_MS = 5;

/** DUMP's payload. */
async function dumpOf(client: RawClient, key: string): Promise<string> {
  return (await ask(client, "DUMP", key)) as string;
}

describe.skipIf(redisMissing !== undefined)("the master's commands", () => {
  test("give the master's data, to the byte and the millisecond, though the link breaks; then the replica takes over", async () => {
    const random = dice("the master's commands");
    const redis = await startMaster("--repl-backlog-size", "100mb");
    const master = await connectTo(redis.port);
    const proxy = await LinkProxy.start(redis.port);
    const server = await startReplica(proxy.port);
    const replica = await connectTo(server.port);
    await inStep(master, replica);
    let isLoading = true;
    const clients = Array.from({ length: CLIENTS }, async () => {
      const client = await connectTo(redis.port);
      const own = diceOf(random.int(0, 2 ** 32 - 1));
      while (isLoading) {
        await load(client, own, 1);
        await sleep(PAUSE_MS);
      }
    });
    for (let cut = 1; cut <= CUTS; cut++) {
      const { links } = proxy;
      // In a command, mostly, or between those of a transaction.
      proxy.cutAfter = random.int(1, 50_000);
      await eventually("the link is made anew", () => proxy.links > links, LINK_MS);
      await eventually("the link is up", async () => (await infoOf(replica)).master_link_status === "up", LINK_MS);
    }
    isLoading = false;
    await Promise.all(clients);
    // The last may have been a FLUSHALL.
    for (let database = 0; database < 4; database++) {
      const bits = Array.from({ length: 40 }, (_, i) => ["SETBIT", `k${i + 1}`, String(random.int(0, 1000)), "1"]);
      await master.pipeline([["SELECT", String(database)], ...bits]);
    }
    // What has expired is deleted when it is asked for, or soon.
    await sleep(300);
    for (let database = 0; database < 4; database++) await askAll(master, [`SELECT ${database}`, "SCAN 0 COUNT 10000"]);
    await inStep(master, replica);
    expect(await expectSame(master, replica)).toBeGreaterThan(20);
    // Nothing was lost or done twice for a broken link: the master gave what was missing each time.
    expect(await infoOf(master, "stats")).toMatchObject({ sync_full: "1", sync_partial_ok: String(CUTS) });
    expect(await ask(replica, "REPLICAOF", "NO", "ONE")).toBe("OK");
    await expectSame(master, replica);
    expect(await askAll(replica, ["SETBIT new 5 1", "GET new"])).toEqual([0, "\x04"]);
  });

  test("that put another type over a string, or give it a string's name, delete the string", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    await askAll(master, ["RPUSH list 1 2", "ZADD z 1 a", "GEOADD geo 1 1 a", "PFADD hll a"]);
    const server = await startReplica(redis.port);
    const replica = await connectTo(server.port);
    await inStep(master, replica);
    const payload = await dumpOf(master, "list");
    const overwriting: string[][] = [
      ["RENAME", "list", "s"],
      ["COPY", "list", "s", "REPLACE"],
      ["RESTORE", "s", "0", payload, "REPLACE"],
      ["SORT", "list", "BY", "STORE", "LIMIT", "0", "5", "STORE", "s"],
      ["SUNIONSTORE", "s", "set"],
      ["SINTERSTORE", "s", "none"],
      ["SDIFFSTORE", "s", "set"],
      ["ZUNIONSTORE", "s", "1", "z"],
      ["ZINTERSTORE", "s", "1", "z"],
      ["ZDIFFSTORE", "s", "1", "z"],
      ["ZRANGESTORE", "s", "z", "0", "-1"],
      ["ZRANGESTORE", "s", "none", "0", "-1"],
      ["GEOSEARCHSTORE", "s", "geo", "FROMLONLAT", "1", "1", "BYRADIUS", "10", "km"],
      ["GEORADIUS", "geo", "1", "1", "10", "km", "COUNT", "3", "STORE", "s"],
      ["GEORADIUSBYMEMBER", "geo", "a", "10", "km", "STOREDIST", "s"],
    ];
    for (const request of overwriting) {
      await askAll(master, [["DEL", "s", "list"], "SET s string", "RPUSH list 1 2", "SADD set 1"]);
      await ask(master, ...request);
      await inStep(master, replica);
      expect([request, await ask(replica, "EXISTS", "s")]).toEqual([request, 0]);
    }
    // A string that comes so is one.
    await askAll(master, [["DEL", "s"], "SET s string"]);
    const string = await dumpOf(master, "s");
    await ask(master, "RESTORE", "restored", "0", string);
    await ask(master, "RESTORE", "restored", "100000", string, "REPLACE");
    // In another database.
    await askAll(master, ["SELECT 1", "SET other string", "SELECT 0", "COPY list other DB 1 REPLACE"]);
    // Of these the string stays, and what becomes of it comes.
    await askAll(master, [
      "SET kept v",
      "RENAMENX list list2",
      "EXPIRE list2 100",
      "MOVE list2 1",
      "SET x 1",
      "RENAME x set",
    ]);
    // A HyperLogLog is a string that can't be kept up to date.
    expect(await ask(replica, "EXISTS", "hll")).toBe(1);
    await askAll(master, ["PFADD hll b", "SET over 1", "DEL hll"]);
    await inStep(master, replica);
    await expectSame(master, replica);
    expect(await ask(replica, "GET", "set")).toBe("1");
    const { repl_skipped_commands: skipped } = await infoOf(replica);
    expect(skipped).toMatch(/^total=\d+,/);
    for (const each of [
      "rpush=",
      "sadd=",
      "rename=1",
      "copy=2",
      "restore=1",
      "renamenx=1",
      "pexpireat=1",
      "move=1",
      "pfadd=1",
    ]) {
      expect(skipped).toMatch(new RegExp(`,${each}`));
    }
  });

  test("wait until the replica may go on, and are not seen in halves", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    const server = await startReplica(redis.port);
    const replica = await connectTo(server.port);
    await inStep(master, replica);
    await ask(replica, "CLIENT", "PAUSE", 100_000, "WRITE");
    await askAll(master, ["MULTI", "INCR a", "INCR b", "EXEC"]);
    await sleep(100);
    expect(await ask(replica, "MGET", "a", "b")).toEqual([null, null]);
    await ask(replica, "CLIENT", "UNPAUSE");
    await inStep(master, replica);
    expect(await ask(replica, "MGET", "a", "b")).toEqual(["1", "1"]);
    // The master knows.
    expect(await ask(master, "WAIT", 1, LINK_MS)).toBe(1);
  });

  test("reach subscribers, MONITOR, WATCH and the commands' counts; the master is a client", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    const server = await startReplica(redis.port, "--notify-keyspace-events", "KEA");
    const replica = await connectTo(server.port);
    await inStep(master, replica);
    const [subscriber, monitor] = [await connectTo(server.port), await connectTo(server.port)];
    await subscriber.call("SUBSCRIBE", "news", "__keyspace@2__:k");
    await subscriber.replies(1);
    await monitor.call("MONITOR");
    await askAll(replica, ["SELECT 2", "WATCH k", "MULTI", "GET k"]);
    await askAll(master, ["SELECT 2", "SET k v", "PUBLISH news here"]);
    expect(
      (await subscriber.replies(2)).map((each) => each.split("\r\n").filter((_, i) => i % 2 === 0 && i > 0)),
    ).toEqual([
      ["message", "__keyspace@2__:k", "set"],
      ["message", "news", "here"],
    ]);
    const shown: string[] = [];
    while (shown.at(-1)?.includes("PUBLISH") !== true) {
      const [line = ""] = await monitor.replies(1);
      if (line.includes(`[2 127.0.0.1:${redis.port}]`) && !line.includes("PING")) shown.push(line);
    }
    expect(shown.map((line) => line.slice(line.indexOf("]") + 2))).toEqual([
      `"SELECT" "2"\r\n`,
      `"SET" "k" "v"\r\n`,
      `"PUBLISH" "news" "here"\r\n`,
    ]);
    expect(await ask(replica, "EXEC")).toBe(null);
    expect((await infoOf(replica, "commandstats")).cmdstat_set).toMatch(/^calls=1,/);
    const listed = (await ask(replica, "CLIENT", "LIST", "TYPE", "master")) as string;
    expect(listed).toMatch(
      new RegExp(`^id=\\d+ addr=127.0.0.1:${redis.port} .* flags=M db=2 .* user=\\(superuser\\) .*\n$`),
    );
    // Killed, it comes back, and nothing is missing.
    expect(await ask(replica, "CLIENT", "KILL", "TYPE", "master")).toBe(1);
    await ask(master, "SET", "k", "w");
    await inStep(master, replica);
    expect(await ask(replica, "GET", "k")).toBe("w");
    expect(await infoOf(master, "stats")).toMatchObject({ sync_full: "1", sync_partial_ok: "1" });
  });

  test("say when keys die; until then who asks for one that has expired finds nothing", async () => {
    const redis = await startMaster();
    const master = await connectTo(redis.port);
    // The master's own expiry is off: keys die when they are asked for there.
    await ask(master, "DEBUG", "SET-ACTIVE-EXPIRE", 0);
    const server = await startReplica(redis.port);
    const replica = await connectTo(server.port);
    await inStep(master, replica);
    await askAll(master, ["SET a 1 PX 60", "SET b 1 PX 60", "SETBIT c 1 1", "PEXPIRE c 60", "SET d 1 PX 60"]);
    await inStep(master, replica);
    await eventually("they have expired", async () => (await ask(replica, "EXISTS", "a", "b", "c", "d")) === 0);
    expect(await askAll(replica, ["GET a", "PTTL a", "GETBIT c 1", "TYPE c", "SCAN 0", "RANDOMKEY"])).toEqual([
      ...[null, -2, 0, "none", ["0", []], null],
    ]);
    // They are there, for the master.
    await sleep(500);
    expect(await ask(replica, "DBSIZE")).toBe(4);
    expect(await infoOf(replica, "stats")).toMatchObject({ expired_keys: "0" });
    // Asked for there, it dies in both.
    expect(await ask(master, "GET", "a")).toBe(null);
    await inStep(master, replica);
    expect(await ask(replica, "DBSIZE")).toBe(3);
    // A master again, the replica lets them die by itself.
    await ask(replica, "REPLICAOF", "NO", "ONE");
    expect(await ask(replica, "GET", "b")).toBe(null);
    await eventually("they die", async () => (await ask(replica, "DBSIZE")) === 0);
    expect(await infoOf(replica, "stats")).toMatchObject({ expired_keys: "3" });
  });

  test("that come when the data can't be as the master's any more lead to a new synchronisation", async () => {
    const redis = await startMaster("--databases", "20");
    const master = await connectTo(redis.port);
    const server = await startReplica(redis.port);
    const replica = await connectTo(server.port);
    await askAll(master, ["SET k v"]);
    await inStep(master, replica);
    await askAll(master, ["SELECT 17", "SET far 1", "MOVE far 2"]);
    await server.logged(/is down: the master's select can't be repeated here: -ERR DB index is out of range/, LINK_MS);
    // It has no key there any more.
    await inStep(master, replica);
    expect(await expectSame(master, replica)).toBe(2);
    const held = await stringsOf(replica);
    await askAll(master, ["SELECT 17", "SET far 1"]);
    await server.logged(/is down: there is no database 17 here/, LINK_MS);
    expect(await stringsOf(replica)).toEqual(held);
  });
});
