/**
 * What one connection may do to the others: take its replies late or never, and end them by CLIENT KILL.
 */
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startOurs } from "../differential/ours.js";
import { startRedis } from "../differential/redis.js";
import type { Target } from "../differential/runner.js";
import { dice } from "../support/random.js";
import { encodeRequest, RawClient } from "../support/raw-client.js";
import { redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { sandbox } from "../support/server-process.js";

const MIB = 2 ** 20;
/** What the slow client asks for, far more than the server may hold for it and than fits into the sockets' buffers. */
const REPLIES = 100;
const CALLS_MEANWHILE = 200;
/** What the server may hold for it: its own pause limit, the socket's buffers, and slack for what the test itself does. */
const HELD_MIB_MAX = 60;
const LATENCY_MS_MAX = 1000;

describe("a client with much to do", () => {
  /** Less than what is read at a time, and the better part of a second of work. */
  const COSTLY_REQUESTS = 2000;
  /** The same for keys that are read from the file. */
  const COLD_KEYS = 1500;
  const COLD_BYTES = 64_000;

  test("gets on with it by and by, and others have their turns in between", async () => {
    const server = await sandbox().start({ db: ":memory:" });
    const [busy, other] = [await server.connect(), await server.connect()];
    const { seed, int } = dice("much to do");
    for (const key of ["a", "b"]) {
      const value = Buffer.from(Array.from({ length: 2 * MIB }, () => int(0, 255)));
      expect(await busy.call("SET", key, value), `SEED=${seed}`).toBe("+OK\r\n");
    }
    busy.send(`${"BITJACCARD a b\r\n".repeat(COSTLY_REQUESTS)}SET done yes\r\n`);
    const [first] = await busy.replies(1);
    expect(await other.call("EXISTS", "done")).toBe(":0\r\n");
    const rest = await busy.replies(COSTLY_REQUESTS);
    expect(rest).toEqual([...Array(COSTLY_REQUESTS - 1).fill(first), "+OK\r\n"]);
    expect(await other.call("EXISTS", "done")).toBe(":1\r\n");
  });

  test("also where each request is quick by itself, but for what it must read from the file", async () => {
    const place = sandbox();
    const before = await place.start();
    const filling = await before.connect();
    const { seed, int } = dice("much to read");
    const value = Buffer.from(Array.from({ length: COLD_BYTES }, () => int(0, 255)));
    for (let key = 0; key < COLD_KEYS; key++) {
      expect(await filling.call("SET", `cold:${key}`, value), `SEED=${seed}`).toBe("+OK\r\n");
    }
    await before.stop();
    const server = await place.start();
    const [busy, other] = [await server.connect(), await server.connect()];
    const requests = Array.from({ length: COLD_KEYS }, (_, key) => `GETBIT cold:${key} 7\r\n`).join("");
    busy.send(`${requests}SET done yes\r\n`);
    await busy.replies(1);
    expect(await other.call("EXISTS", "done")).toBe(":0\r\n");
    const rest = await busy.replies(COLD_KEYS);
    expect(rest).toEqual([...Array(COLD_KEYS - 1).fill(`:${value[0]! & 1}\r\n`), "+OK\r\n"]);
  });
});

describe("a client that does not read its replies", () => {
  let target: Target;

  beforeAll(async () => {
    target = await startOurs();
  });

  afterAll(async () => {
    await target?.stop();
  });

  test("is paused while others go on, and gets every byte once it reads", async () => {
    const good = await RawClient.connect(target.port);
    // All bytes random-ish, so that the reply costs what it is long.
    const value = Buffer.alloc(MIB, "0123456789abcdef");
    expect(await good.call("SET", "big", value)).toBe("+OK\r\n");

    const slow = connect({ port: target.port, host: "127.0.0.1" });
    await once(slow, "connect");
    slow.pause();
    const requests = [...Array.from({ length: REPLIES }, () => ["GET", "big"]), ["SET", "served", "to the end"]];
    const rssBefore = process.memoryUsage().rss;
    slow.write(Buffer.concat(requests.map(encodeRequest)));

    for (let i = 0; i < CALLS_MEANWHILE; i += 1) {
      const began = performance.now();
      expect(await good.call("ECHO", String(i))).toBe(`$${String(i).length}\r\n${i}\r\n`);
      expect(performance.now() - began).toBeLessThan(LATENCY_MS_MAX);
    }
    expect(await good.call("EXISTS", "served")).toBe(":0\r\n");
    expect((process.memoryUsage().rss - rssBefore) / MIB).toBeLessThan(HELD_MIB_MAX);

    const wanted = REPLIES * (`$${MIB}\r\n`.length + MIB + 2) + "+OK\r\n".length;
    let got = 0;
    await new Promise<void>((resolve, reject) => {
      slow.once("close", () => reject(new Error(`closed after ${got} of ${wanted} bytes`)));
      slow.on("data", (chunk) => {
        got += chunk.length;
        if (got >= wanted) resolve();
      });
      slow.resume();
    });
    expect(got).toBe(wanted);
    expect(await good.call("GET", "served")).toBe("$10\r\nto the end\r\n");
    slow.removeAllListeners("close");
    slow.destroy();
    good.close();
  });

  test("may leave in the middle of it", async () => {
    const good = await RawClient.connect(target.port);
    expect(await good.call("SETBIT", "sparse", "4294967295", "1")).toBe(":0\r\n");
    for (let i = 0; i < 20; i += 1) {
      const slow = connect({ port: target.port, host: "127.0.0.1" });
      await once(slow, "connect");
      slow.write(Buffer.concat([encodeRequest(["GET", "sparse"]), encodeRequest(["PING"])]));
      await once(slow, "data");
      slow.destroy();
    }
    expect(await good.call("GETBIT", "sparse", "4294967295")).toBe(":1\r\n");
    good.close();
  });
});

sayRedisMissing("CLIENT KILL on a live redis-server");

describe.each([
  { name: "this server", start: () => startOurs(), skip: false },
  { name: "redis-server", start: startRedis, skip: redisMissing !== undefined },
])("CLIENT KILL, $name", ({ start, skip }) => {
  let target: Target;

  beforeAll(async () => {
    if (!skip) target = await start();
  });

  afterAll(async () => {
    await target?.stop();
  });

  async function idOf(client: RawClient): Promise<string> {
    return (await client.call("CLIENT", "ID")).slice(1, -2);
  }

  async function addressOf(client: RawClient): Promise<string> {
    return / addr=(\S+) /.exec(await client.call("CLIENT", "INFO"))?.[1] ?? "";
  }

  test.skipIf(skip)("ends another connection by its id", async () => {
    const [victim, killer] = await Promise.all([RawClient.connect(target.port), RawClient.connect(target.port)]);
    const id = await idOf(victim);
    expect(await killer.call("CLIENT", "KILL", "ID", id)).toBe(":1\r\n");
    await victim.closed;
    expect(await killer.call("CLIENT", "KILL", "ID", id)).toBe(":0\r\n");
    killer.close();
  });

  test.skipIf(skip)("ends another connection by its address, in the old form and the new", async () => {
    const [one, two, killer] = await Promise.all([1, 2, 3].map(() => RawClient.connect(target.port)));
    expect(await killer!.call("CLIENT", "KILL", await addressOf(one!))).toBe("+OK\r\n");
    await one!.closed;
    expect(await killer!.call("CLIENT", "KILL", "ADDR", await addressOf(two!), "TYPE", "normal")).toBe(":1\r\n");
    await two!.closed;
    killer!.close();
  });

  test.skipIf(skip)("spares the caller unless told otherwise, and then answers before it closes", async () => {
    const client = await RawClient.connect(target.port);
    const id = await idOf(client);
    expect(await client.call("CLIENT", "KILL", "ID", id)).toBe(":0\r\n");
    expect(await client.call("CLIENT", "KILL", "ID", id, "SKIPME", "no")).toBe(":1\r\n");
    await client.closed;
  });

  test.skipIf(skip)("keeps a transaction of the killed from being run", async () => {
    const [victim, killer] = await Promise.all([RawClient.connect(target.port), RawClient.connect(target.port)]);
    await victim.pipeline([["MULTI"], ["SET", "k", "1"]]);
    expect(await killer.call("CLIENT", "KILL", "ID", await idOfQueued(killer))).toBe(":1\r\n");
    await victim.closed;
    expect(await killer.call("EXISTS", "k")).toBe(":0\r\n");
    killer.close();
  });

  /** The id of a connection that can't be asked for it, being inside MULTI: that of the one with something queued. */
  async function idOfQueued(asking: RawClient): Promise<string> {
    const list = await asking.call("CLIENT", "LIST");
    return (
      list
        .split("\n")
        .find((line) => / multi=1 /.test(line))
        ?.match(/\bid=(\d+)/)?.[1] ?? ""
    );
  }
});
