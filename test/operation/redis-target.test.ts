/** Keys into a running redis-server, and what is under way at a time. */
import { expect, onTestFinished, test } from "vitest";
import { Bitmap } from "../../src/keyspace/bitmap.js";
import { NO_DEADLINE } from "../../src/keyspace/storage.js";
import { RedisTarget } from "../../src/migrate/redis-target.js";
import { ask } from "../support/ask.js";
import { RawClient } from "../support/raw-client.js";
import { startPeer } from "../support/redis-peer.js";
import { RedisServer, redisMissing, sayRedisMissing } from "../support/redis-server.js";

const MB = 1024 * 1024;
const LARGE = 20;

sayRedisMissing("moving keys into a redis-server");

test.skipIf(redisMissing !== undefined)(
  "large values, put at once, are written one after the other: pieces take memory",
  async () => {
    const server = await RedisServer.start(Date.now());
    onTestFinished(() => server.stop());
    const client = await RawClient.connect(server.port);
    onTestFinished(() => client.close());
    const underWay = new Set<string>();
    let most = 0;
    const port = await startPeer(server.port, async (_redis, [name = "", key = ""]) => {
      if (name === "SETRANGE") most = Math.max(most, underWay.add(key).size);
      if (name === "RENAME") underWay.delete(key);
      return undefined;
    });
    const target = await RedisTarget.open({ link: { host: "127.0.0.1", port }, into: undefined, onTrouble: () => {} });
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
  },
);
