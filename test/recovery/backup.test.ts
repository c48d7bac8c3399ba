/** `--bak`: SIGUSR1 puts a consistent copy of everything acknowledged so far beside the database, while writes go on. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { ask, askAll, keysOf } from "../support/ask.js";
import { ConnectionClosed } from "../support/raw-client.js";
import { sandbox, sleep } from "../support/server-process.js";

function check(path: string): unknown {
  const copy = new Database(path, { readonly: true });
  try {
    return copy.pragma("integrity_check", { simple: true });
  } finally {
    copy.close();
  }
}

test("the copy made amid writes is whole, holds every write acknowledged before the signal, and can be served", async () => {
  const place = sandbox();
  const server = await place.start({ args: ["--bak", "copy.db"] });
  const filler = await server.connect();
  await askAll(
    filler,
    Array.from({ length: 5000 }, (_, i) => ["SETBIT", `filler:${i}`, String(i * 17), "1"]),
  );

  const writer = await server.connect();
  let acknowledged = 0;
  let isWriting = true;
  const writing = (async () => {
    for (; isWriting; acknowledged++) {
      const offset = String(acknowledged);
      await writer.pipeline([["MULTI"], ["SETBIT", "a", offset, "1"], ["SETBIT", "b", offset, "1"], ["EXEC"]]);
    }
  })();
  await sleep(200);
  const before = acknowledged;
  server.signal("SIGUSR1");
  await server.logged(/backup written to copy\.db in \d+ ms/);
  const after = acknowledged;
  isWriting = false;
  await writing;

  expect(before).toBeGreaterThan(10);
  expect(after, "writes stood still during the copy").toBeGreaterThan(before);
  expect(readdirSync(place.folder).filter((name) => name.includes("tmp"))).toEqual([]);
  expect(check(place.path("copy.db"))).toBe("ok");

  // Served beside the first server, which goes on.
  const second = await place.start({ db: "copy.db" });
  const client = await second.connect();
  expect(await ask(client, "DBSIZE")).toBe(5002);
  expect(await ask(client, "GETBIT", "filler:4999", 4999 * 17)).toBe(1);
  const count = (await ask(client, "BITCOUNT", "a")) as number;
  expect(count).toBeGreaterThanOrEqual(before);
  expect(count).toBeLessThanOrEqual(acknowledged);
  expect(await ask(client, "BITPOS", "a", 0)).toBe(count);
  expect(await ask(client, "GET", "b")).toBe(await ask(client, "GET", "a"));
  await ask(client, "SET", "only in the copy", "1");
  expect(await ask(filler, "EXISTS", "only in the copy")).toBe(0);
  expect(await ask(filler, "BITCOUNT", "a")).toBe(acknowledged);
});

test("a second copy replaces the first, and a deleted key is not in it", async () => {
  const place = sandbox();
  const server = await place.start({ args: ["--bak", "copy.db"] });
  const client = await server.connect();
  await askAll(client, ["SET kept 1", "SET deleted 1"]);
  server.signal("SIGUSR1");
  await server.logged(/backup written/);
  await askAll(client, ["DEL deleted", "SET new 1"]);
  server.signal("SIGUSR1");
  await server.logged(/backup written[\s\S]*backup written/);
  const copy = await (await place.start({ db: "copy.db" })).connect();
  expect(await keysOf(copy)).toEqual(["kept", "new"]);
});

test("many signals at once make a whole copy and end nothing", async () => {
  const place = sandbox();
  const server = await place.start({ args: ["--bak", "copy.db"] });
  const client = await server.connect();
  await askAll(
    client,
    Array.from({ length: 1000 }, (_, i) => ["SET", `k${i}`, "x".repeat(1000)]),
  );
  for (let i = 0; i < 10; i++) {
    server.signal("SIGUSR1");
    await sleep(2);
  }
  await server.logged(/backup written/);
  expect(check(place.path("copy.db"))).toBe("ok");
  expect(await ask(client, "PING")).toBe("PONG");
});

test("a copy that can't be written is logged in one line, leaves the old one, and the server goes on", async () => {
  const place = sandbox();
  mkdirSync(place.path("copy.db"));
  writeFileSync(place.path("copy.db/inside"), "x");
  const server = await place.start({ args: ["--bak", "copy.db"] });
  const client = await server.connect();
  await ask(client, "SET", "k", "v");
  server.signal("SIGUSR1");
  await server.logged(/warning backup to copy\.db failed: .+\n/);
  expect(server.log).not.toMatch(/\n\s+at /);
  expect(readFileSync(place.path("copy.db/inside"), "utf8")).toBe("x");
  expect(readdirSync(place.folder).filter((name) => name.includes("tmp"))).toEqual([]);
  expect(await ask(client, "GET", "k")).toBe("v");
  expect(await server.stop()).toEqual({ code: 0, signal: null });
});

test("a missing folder of --bak is logged when the copy is asked for", async () => {
  const place = sandbox();
  const server = await place.start({ args: ["--bak", "missing/copy.db"] });
  server.signal("SIGUSR1");
  await server.logged(/warning backup to missing\/copy\.db failed: .+\n/);
  expect(await ask(await server.connect(), "PING")).toBe("PONG");
});

test("SIGUSR1 without --bak only logs", async () => {
  const place = sandbox();
  const server = await place.start();
  const client = await server.connect();
  await ask(client, "SET", "k", "v");
  const files = readdirSync(place.folder).sort();
  server.signal("SIGUSR1");
  await server.logged(/warning SIGUSR1 received, but there is no --bak file to copy to/);
  expect(readdirSync(place.folder).sort()).toEqual(files);
  expect(await ask(client, "GET", "k")).toBe("v");
  expect(server.log).not.toMatch(/debugger/i);
});

test("a kill -9 amid a copy leaves the database, and an old copy, whole", async () => {
  const place = sandbox();
  const first = await place.start({ args: ["--bak", "copy.db"] });
  const client = await first.connect();
  await askAll(
    client,
    Array.from({ length: 3000 }, (_, i) => ["SET", `k${i}`, "x".repeat(2000)]),
  );
  first.signal("SIGUSR1");
  await first.logged(/backup written/);
  await ask(client, "SET", "later", "1");
  await ask(client, "SAVE");
  first.signal("SIGUSR1");
  await sleep(15);
  await first.kill();
  await expect(client.call("PING")).rejects.toThrow(ConnectionClosed);

  expect(check(place.path("copy.db"))).toBe("ok");
  const second = await place.start({ args: ["--bak", "copy.db"] });
  const after = await second.connect();
  expect(await ask(after, "DBSIZE")).toBe(3001);
  second.signal("SIGUSR1");
  await second.logged(/backup written/);
  expect(check(place.path("copy.db"))).toBe("ok");
});

test("--db :memory: can be copied, and the copy is a database", async () => {
  const place = sandbox();
  const server = await place.start({ db: ":memory:", args: ["--bak", "copy.db"] });
  await ask(await server.connect(), "SET", "k", "v");
  server.signal("SIGUSR1");
  await server.logged(/backup written/);
  expect(existsSync(place.path("copy.db"))).toBe(true);
  const copy = await (await place.start({ db: "copy.db" })).connect();
  expect(await ask(copy, "GET", "k")).toBe("v");
});
