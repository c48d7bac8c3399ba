/** What the modes of appendfsync promise, and memory's bound, on the running server. Kills at random moments are crash.test's. */
import { describe, expect, test } from "vitest";
import { ask, type Value } from "../support/ask.js";
import type { RawClient } from "../support/raw-client.js";
import { sandbox } from "../support/server-process.js";

const KEYS = 3000;

/** Sends one request of words. */
const say = (client: RawClient, request: string): Promise<Value> => ask(client, ...request.split(" "));

/** A field of INFO. */
function field(info: Value, name: string): number {
  const line = String(info)
    .split("\r\n")
    .find((each) => each.startsWith(`${name}:`));
  if (line === undefined) throw new Error(`INFO has no ${name}`);
  return Number(line.slice(name.length + 1));
}

describe("--appendfsync always", () => {
  test("replies when the write is in the file: kill -9 right behind the reply loses nothing", async () => {
    const box = sandbox();
    for (let i = 0; i < 3; i++) {
      const server = await box.start({ args: ["--appendfsync", "always"] });
      const client = await server.connect();
      if (i > 0) expect(await say(client, `GETBIT a ${i - 1}`)).toBe(1);
      expect(await say(client, `SETBIT a ${i} 1`)).toBe(0);
      await server.kill();
    }
  });

  test("serves all clients of the moment with one commit", async () => {
    const server = await sandbox().start({ args: ["--appendfsync", "always"] });
    const clients = await Promise.all(Array.from({ length: 50 }, () => server.connect()));
    const before = field(await say(clients[0]!, "INFO persistence"), "flushes");
    for (let round = 0; round < 20; round++) {
      await Promise.all(clients.map((client, i) => say(client, `SETBIT key:${i} ${round} 1`)));
    }
    const flushes = field(await say(clients[0]!, "INFO persistence"), "flushes") - before;
    expect(flushes).toBeGreaterThanOrEqual(20);
    expect(flushes).toBeLessThan(20 * 10);
  });

  test("holds the replies of a reader too, while what it read is not committed", async () => {
    const server = await sandbox().start({ args: ["--appendfsync", "always"] });
    const [writer, reader] = await Promise.all([server.connect(), server.connect()]);
    const [written, read] = await Promise.all([say(writer, "SET a x"), say(reader, "GET a")]);
    expect(written).toBe("OK");
    expect(["x", null]).toContain(read);
  });

  test("can be set, and taken back, while the server runs", async () => {
    const box = sandbox();
    const server = await box.start();
    const client = await server.connect();
    expect(await say(client, "CONFIG SET appendfsync always")).toBe("OK");
    expect(await say(client, "SET a 1")).toBe("OK");
    await server.kill();
    const again = await box.start({ args: ["--appendfsync", "always"] });
    const other = await again.connect();
    expect(await say(other, "GET a")).toBe("1");
    expect(await say(other, "CONFIG SET appendfsync everysec")).toBe("OK");
    expect(await say(other, "SET a 2")).toBe("OK");
  });
});

describe("WAITAOF", () => {
  test.each(["always", "everysec", "no"])("waits until the writes are on the disk under %s", async (mode) => {
    const box = sandbox();
    const server = await box.start({ args: ["--appendfsync", mode] });
    const client = await server.connect();
    expect(await say(client, "SET a x")).toBe("OK");
    expect(await say(client, "WAITAOF 1 0 0")).toEqual([1, 0]);
    await server.kill();
    const again = await box.start();
    expect(await say(await again.connect(), "GET a")).toBe("x");
  });

  test("does not wait for ever for replicas that are not there", async () => {
    const server = await sandbox().start();
    const client = await server.connect();
    await say(client, "SET a x");
    expect(await say(client, "WAITAOF 1 0 0")).toEqual([1, 0]);
    expect(await say(client, "WAITAOF 1 1 20")).toEqual([1, 0]);
    expect(await say(client, "WAIT 1 20")).toBe(0);
    expect(await say(client, "WAIT 0 0")).toBe(0);
  });

  test("has nothing local to wait for with :memory:", async () => {
    const server = await sandbox().start({ argv: ["--addr", "127.0.0.1:0", "--db", ":memory:"] });
    const client = await server.connect();
    await expect(say(client, "WAITAOF 1 0 0")).rejects.toThrow("appendonly is disabled");
    expect(await say(client, "WAITAOF 0 0 0")).toEqual([0, 0]);
  });
});

test("with a data set many times --maxmemory every key is right, and memory keeps its bound", async () => {
  const box = sandbox();
  const maxmemory = 512 * 1024;
  const server = await box.start({ args: ["--maxmemory", "512kb"] });
  const client = await server.connect();
  const members = (k: number) => (k % 10 === 0 ? 2000 : 3);
  for (let k = 0; k < KEYS; k++) {
    const offsets = Array.from({ length: members(k) }, (_, i) => i * 997 + k);
    await Promise.all(offsets.map((offset) => say(client, `SETBIT key:${k} ${offset} 1`)));
  }
  for (let k = 0; k < KEYS; k++) expect([k, await say(client, `BITCOUNT key:${k}`)]).toEqual([k, members(k)]);
  const memory = await say(client, "INFO memory");
  expect(field(memory, "maxmemory")).toBe(maxmemory);
  expect(field(memory, "used_memory_dataset")).toBeLessThan(maxmemory * 1.25);
  expect(field(await say(client, "INFO stats"), "evicted_keys")).toBeGreaterThan(KEYS);
  await server.stop();
  const again = await box.start({ args: ["--maxmemory", "512kb"] });
  const other = await again.connect();
  for (let k = 0; k < KEYS; k += 7) expect([k, await say(other, `BITCOUNT key:${k}`)]).toEqual([k, members(k)]);
});
