/** Keys out of a running redis-server into a keyspace, in this process: what is moved, what is not, and what happens when the link breaks. */
import { expect, onTestFinished, test } from "vitest";
import { MEMORY_DB } from "../../src/config.js";
import type { Database } from "../../src/keyspace/database.js";
import { NO_DEADLINE } from "../../src/keyspace/storage.js";
import { GONE, type Item, MigrateError, THERE_ALREADY } from "../../src/migrate/item.js";
import { KeyspaceTarget } from "../../src/migrate/keyspace-target.js";
import type { MoveReport } from "../../src/migrate/move-report.js";
import { Mover } from "../../src/migrate/mover.js";
import { RedisSource, type RedisSourceOptions } from "../../src/migrate/redis-source.js";
import { Store } from "../../src/store.js";
import { ask, askAll } from "../support/ask.js";
import { startGoLikeServer } from "../support/go-like-server.js";
import { randomBytes, randomOf } from "../support/random-values.js";
import { RawClient } from "../support/raw-client.js";
import { RedisServer, redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { TcpProxy } from "../support/tcp-proxy.js";

const HOST = "127.0.0.1";
const MB = 1024 * 1024;

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

const skippedOf = ({ skipped }: MoveReport) => Object.fromEntries(skipped);

live("strings of every kind, deadlines, all databases; other types are skipped and listed", async () => {
  const { client } = await startRedis();
  const moving = new Moving();
  const random = randomOf("redis-source");
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
  await askAll(client, [["PEXPIREAT", "integer", String(deadline)], ["PEXPIREAT", "large", String(deadline + 1)]]);
  await askAll(client, ["RPUSH list a", "SADD set a", "HSET hash f v", "ZADD zset 1 a", "XADD stream * f v", "RPUSH list2 a"]);
  await askAll(client, ["SELECT 3", "SETBIT three 77 1", "SELECT 15", "SETBIT last 7 1", "RPUSH list b"]);

  const report = await moving.from((client as RawClient & { port?: number }).port ?? portOf(client));
  for (const [key, bytes] of strings) {
    const expected = key === "integer" ? deadline : key === "large" ? deadline + 1 : NO_DEADLINE;
    const found = moving.value(key);
    expect(found?.deadline, key).toBe(expected);
    expect(found?.bytes === bytes.toString("latin1", 0, 2 * MB), key).toBe(true);
  }
  expect(moving.value("three", 3)?.bytes).toBe("\0".repeat(9) + "\x04");
  expect(moving.value("last", 15)?.bytes).toBe("\x01");
  expect([moving.keys(0), moving.keys(3), moving.keys(15)]).toEqual([strings.size, 1, 1]);
  expect(skippedOf(report)).toEqual({ "of type list": 3, "of type set": 1, "of type hash": 1, "of type zset": 1, "of type stream": 1 });
  expect(report.listedSkipped.map(({ database, key }) => `${database} ${key}`).sort()).toEqual(
    ["0 hash", "0 list", "0 list2", "0 set", "0 stream", "0 zset", "15 list"],
  );
  const stringBytes = [...strings.values()].reduce((sum, { length }) => sum + length, 10 + 1);
  expect(report).toMatchObject({ keys: strings.size + 2, verified: strings.size + 2, mismatches: 0, expired: 0, stringBytes });
  expect([...report.databases].map(([number, { keys }]) => [number, keys])).toEqual([[0, strings.size], [3, 1], [15, 1]]);
  expect(moving.troubles).toEqual([]);
});
