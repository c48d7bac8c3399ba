/** A redis-server and this server as its replica, for the running test, and what it takes to compare them. */
import { expect, onTestFinished } from "vitest";
import { ask, askAll, replyValue, type Value } from "../support/ask.js";
import { RawClient } from "../support/raw-client.js";
import { RedisServer } from "../support/redis-server.js";
import { eventually, type ServerProcess, sandbox } from "../support/server-process.js";

const DATABASES = 16;
/** Long enough for a server that has 1 s between two attempts, on a machine that has more to do. */
export const LINK_MS = 30_000;

/** A master. It begins a full synchronisation at once. */
export async function startMaster(...args: string[]): Promise<RedisServer> {
  const redis = await RedisServer.startInTime(["--repl-diskless-sync-delay", "0", ...args]);
  onTestFinished(() => redis.stop());
  return redis;
}

export async function connectTo(port: number, database = 0): Promise<RawClient> {
  const client = await RawClient.connect(port, { timeoutMs: LINK_MS });
  onTestFinished(() => client.close());
  if (database !== 0) await ask(client, "SELECT", database);
  return client;
}

/** This server, which follows who listens on `port`. */
export async function startReplica(port: number, ...args: string[]): Promise<ServerProcess> {
  return await sandbox().start({ args: ["--replicaof", `127.0.0.1 ${port}`, ...args] });
}

/** INFO's fields. */
export async function infoOf(client: RawClient, section = "replication"): Promise<Record<string, string>> {
  const text = (await ask(client, "INFO", section)) as string;
  return Object.fromEntries([...text.matchAll(/^([^#:\r\n]+):(.*)\r$/gm)].map(([, field, value]) => [field, value]));
}

/** Waits until the replica has done all that the master has done. */
export async function inStep(master: RawClient, replica: RawClient): Promise<void> {
  await eventually(
    "the replica is where its master is",
    async () => {
      const [theirs, ours] = [await infoOf(master), await infoOf(replica)];
      return ours.master_link_status === "up" && ours.slave_repl_offset === theirs.master_repl_offset;
    },
    LINK_MS,
  );
}

/** All strings of all databases, with their deadlines (-1 for none), by `database:key`. */
export async function stringsOf(client: RawClient): Promise<Map<string, { value: Value; deadline: Value }>> {
  const found = new Map<string, { value: Value; deadline: Value }>();
  for (let database = 0; database < DATABASES; database++) {
    await ask(client, "SELECT", database);
    const all = (await ask(client, "KEYS", "*")) as string[];
    const types = await askAll(
      client,
      all.map((key) => ["TYPE", key]),
    );
    const keys = all.filter((_, i) => types[i] === "string").sort();
    const values = (await client.pipeline(keys.map((key) => ["GET", key]))).map(replyValue);
    const deadlines = (await client.pipeline(keys.map((key) => ["PEXPIRETIME", key]))).map(replyValue);
    keys.forEach((key, i) => void found.set(`${database}:${key}`, { value: values[i]!, deadline: deadlines[i]! }));
  }
  await ask(client, "SELECT", 0);
  return found;
}

/** The replica has the strings of its master, to the byte and the millisecond, and nothing else. Returns how many they are. */
export async function expectSame(master: RawClient, replica: RawClient): Promise<number> {
  const [theirs, ours] = [await stringsOf(master), await stringsOf(replica)];
  expect([...ours.keys()]).toEqual([...theirs.keys()]);
  const different = [...theirs].filter(([name, { value, deadline }]) => {
    const found = ours.get(name);
    return found?.value !== value || found?.deadline !== deadline;
  });
  expect(different.map(([name, { deadline }]) => ({ name, deadline, ours: ours.get(name)?.deadline }))).toEqual([]);
  return theirs.size;
}
