/** Keys into a running redis-server, and what is under way at a time. */
import { expect, onTestFinished, test } from "vitest";
import { Bitmap } from "../../src/keyspace/bitmap.js";
import { NO_DEADLINE } from "../../src/keyspace/storage.js";
import { RedisTarget } from "../../src/migrate/redis-target.js";
import { ask, keysOf } from "../support/ask.js";
import { RawClient } from "../support/raw-client.js";
import { startPeer } from "../support/redis-peer.js";
import { RedisServer, redisMissing, sayRedisMissing } from "../support/redis-server.js";

const HOST = "127.0.0.1";
const MB = 1024 * 1024;
const LARGE = 20;

sayRedisMissing("moving keys into a redis-server");

const live = test.skipIf(redisMissing !== undefined);

async function startRedis(): Promise<{ client: RawClient; port: number }> {
  const server = await RedisServer.start(Date.now());
  onTestFinished(() => server.stop());
  const client = await RawClient.connect(server.port);
  onTestFinished(() => client.close());
  return { client, port: server.port };
}

live("large values, put at once, are written one after the other: pieces take memory", async () => {
  const { client, port: redisPort } = await startRedis();
  const underWay = new Set<string>();
  let most = 0;
  const port = await startPeer(redisPort, async (_redis, [name = "", key = ""]) => {
    if (name === "SETRANGE") most = Math.max(most, underWay.add(key).size);
    if (name === "RENAME") underWay.delete(key);
    return undefined;
  });
  const target = await RedisTarget.open({ link: { host: HOST, port }, into: undefined, onTrouble: () => {} });
  onTestFinished(() => target.close());
  const puts = Array.from({ length: LARGE }, (_, i) => {
    const members = Uint32Array.from({ length: 64 }, (_, slice) => slice * 16_384 * 8 + i);
    return target.put({
      database: 0,
      key: `large ${i}`,
      bitmap: Bitmap.fromMembers(members, MB),
      deadline: NO_DEADLINE,
    });
  });
  await Promise.all(puts);
  expect(most).toBe(1);
  for (let i = 0; i < LARGE; i++) {
    expect(await target.facts(0, `large ${i}`)).toMatchObject({ cardinality: 64, byteLength: MB });
  }
  expect(await ask(client, "DBSIZE")).toBe(LARGE);
});

live("a value of which a piece is refused leaves the old one as it is, and nothing beside it", async () => {
  const { client, port: redisPort } = await startRedis();
  await ask(client, "SET", "large", "old");
  const port = await startPeer(redisPort, async (_redis, [name, , offset]) =>
    name === "SETRANGE" && offset === "65536"
      ? "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
      : undefined,
  );
  const target = await RedisTarget.open({ link: { host: HOST, port }, into: undefined, onTrouble: () => {} });
  onTestFinished(() => target.close());
  const bitmap = Bitmap.fromMembers(Uint32Array.of(1, 65_536 * 8 + 1), MB);
  const put = target.put({ database: 0, key: "large", bitmap, deadline: NO_DEADLINE });
  await expect(put).rejects.toThrow("the target answers: OOM");
  expect(await ask(client, "GET", "large")).toBe("old");
  expect(await keysOf(client)).toEqual(["large"]);
});
