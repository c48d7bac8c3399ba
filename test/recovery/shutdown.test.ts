/** How a server ends, what it keeps then, and the ways to start it. */

import { existsSync, readdirSync } from "node:fs";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { ask, askAll, ReplyError } from "../support/ask.js";
import { ConnectionClosed } from "../support/raw-client.js";
import { freePort, sandbox, sleep } from "../support/server-process.js";

const CLEAN = { code: 0, signal: null };

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s with connected clients saves, closes them and exits 0",
  async (signal) => {
    const place = sandbox();
    const server = await place.start();
    const idle = await Promise.all(Array.from({ length: 20 }, () => server.connect()));
    const inMulti = await server.connect();
    await inMulti.pipeline([["MULTI"], ["SET", "never", "1"]]);
    const half = await server.connect();
    half.send("*3\r\n$3\r\nSET\r\n$5\r\nnever\r\n$100\r\nhalf of");
    const writer = await server.connect();
    await ask(writer, "SET", "k", "v");
    server.signal(signal);
    expect(await server.exit()).toEqual(CLEAN);
    await Promise.all([...idle, inMulti, half, writer].map((client) => client.closed));
    expect(server.log).toMatch(new RegExp(`${signal} received, shutting down`));

    const after = await (await place.start()).connect();
    expect(await ask(after, "GET", "k")).toBe("v");
    expect(await ask(after, "DBSIZE")).toBe(1);
  },
);

test("every write acknowledged before SIGTERM's end is saved, also those sent after the signal", async () => {
  const place = sandbox();
  const server = await place.start();
  const writers = await Promise.all(Array.from({ length: 5 }, () => server.connect()));
  const acknowledged = new Set<string>();
  const writing = writers.map(async (writer, w) => {
    for (let i = 0; ; i++) {
      const key = `${w}:${i}`;
      try {
        await ask(writer, "SET", key, "x");
      } catch (error) {
        if (error instanceof ConnectionClosed) return;
        throw error;
      }
      acknowledged.add(key);
    }
  });
  await sleep(300);
  expect(await server.stop()).toEqual(CLEAN);
  await Promise.all(writing);

  const client = await (await place.start()).connect();
  const keys = [...acknowledged];
  expect(keys.length).toBeGreaterThan(100);
  const missing: string[] = [];
  for (let i = 0; i < keys.length; i += 1000) {
    const page = keys.slice(i, i + 1000);
    const values = (await ask(client, "MGET", ...page)) as (string | null)[];
    missing.push(...page.filter((_, j) => values[j] !== "x"));
  }
  expect(missing).toEqual([]);
});

test("after a clean end there is one file of data: no journal is left beside it", async () => {
  const place = sandbox();
  const server = await place.start();
  await ask(await server.connect(), "SET", "k", "v");
  await server.stop();
  expect(readdirSync(place.folder).filter((name) => /-(wal|shm|journal)$/.test(name))).toEqual([]);
});

test("a client that does not read its replies does not hold up SIGTERM", async () => {
  const place = sandbox();
  const server = await place.start();
  const client = await server.connect();
  await ask(client, "SETBIT", "big", 4294967295, 1);
  client.pause();
  client.send("*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n");
  await sleep(100);
  const begunMs = performance.now();
  expect(await server.stop()).toEqual(CLEAN);
  expect(performance.now() - begunMs).toBeLessThan(5000);
  const after = await (await place.start()).connect();
  expect(await ask(after, "BITCOUNT", "big")).toBe(1);
});

test.each([
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const)("a second %s exits at once, with code %i", async (signal, code) => {
  const place = sandbox();
  const server = await place.start();
  // A client that takes nothing makes the first one wait for it.
  const client = await server.connect();
  await ask(client, "SETBIT", "big", 4294967295, 1);
  client.pause();
  client.send("*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n");
  await sleep(100);
  server.signal(signal);
  await server.logged(/received, shutting down/);
  server.signal(signal);
  expect(await server.exit()).toEqual({ code, signal: null });
  expect(server.log).toMatch(/received while shutting down, exiting at once/);

  const after = await (await place.start()).connect();
  expect(await ask(after, "PING")).toBe("PONG");
});

test("SIGHUP does not end the server", async () => {
  const place = sandbox();
  const server = await place.start();
  server.signal("SIGHUP");
  await sleep(50);
  expect(await ask(await server.connect(), "PING")).toBe("PONG");
});

test.each([["SHUTDOWN"], ["shutdown now save force"]])(
  "%s saves, closes the connection without a reply and exits 0",
  async (request) => {
    const place = sandbox();
    const server = await place.start();
    const client = await server.connect();
    await ask(client, "SET", "k", "v");
    await expect(client.call(...request.split(" "))).rejects.toThrow(ConnectionClosed);
    expect(await server.exit()).toEqual(CLEAN);
    const after = await (await place.start()).connect();
    expect(await ask(after, "GET", "k")).toBe("v");
  },
);

test("SHUTDOWN NOSAVE gives up what is not saved, keeps what is, and exits 0", async () => {
  const place = sandbox();
  const server = await place.start();
  const client = await server.connect();
  await ask(client, "SET", "saved", "1");
  await ask(client, "SAVE");
  client.send("*3\r\n$3\r\nSET\r\n$4\r\nlost\r\n$1\r\n1\r\nSHUTDOWN NOSAVE\r\n");
  expect(await client.replies(1)).toEqual(["+OK\r\n"]);
  await client.closed;
  expect(await server.exit()).toEqual(CLEAN);
  const after = await (await place.start()).connect();
  expect(await ask(after, "GET", "saved")).toBe("1");
  expect(await ask(after, "GET", "lost")).toBe(null);
});

test("requests behind SHUTDOWN are not run", async () => {
  const place = sandbox();
  const server = await place.start();
  const client = await server.connect();
  client.send("SET k before\r\nSHUTDOWN\r\nSET k after\r\n");
  await client.closed;
  expect(await server.exit()).toEqual(CLEAN);
  const after = await (await place.start()).connect();
  expect(await ask(after, "GET", "k")).toBe("before");
});

test("SHUTDOWN with words it does not know, or ABORT, is refused and the server goes on", async () => {
  const place = sandbox();
  const server = await place.start();
  const client = await server.connect();
  for (const request of ["SHUTDOWN LATER", "SHUTDOWN SAVE NOSAVE"]) {
    await expect(ask(client, ...request.split(" "))).rejects.toThrow("ERR syntax error");
  }
  await expect(ask(client, "SHUTDOWN", "ABORT")).rejects.toThrow("ERR No shutdown in progress.");
  await client.pipeline([["MULTI"]]);
  await expect(ask(client, "SHUTDOWN")).rejects.toThrow(ReplyError);
  expect(await ask(await server.connect(), "PING")).toBe("PONG");
});

test("--db :memory: keeps nothing and creates no file", async () => {
  const place = sandbox();
  const first = await place.start({ db: ":memory:" });
  const client = await first.connect();
  await askAll(client, ["SET k v", "SETBIT b 100 1", "SAVE", "BGSAVE"]);
  expect(await ask(client, "GET", "k")).toBe("v");
  expect(await first.stop()).toEqual(CLEAN);
  expect(readdirSync(place.folder)).toEqual([]);
  const after = await (await place.start({ db: ":memory:" })).connect();
  expect(await ask(after, "DBSIZE")).toBe(0);
  expect(readdirSync(place.folder)).toEqual([]);
});

test.each([
  ["one dash and =", (port: number) => [`-addr=127.0.0.1:${port}`, "-db=go.db", "-bak=go.bak"]],
  ["one dash and a blank", (port: number) => ["-addr", `127.0.0.1:${port}`, "-db", "go.db", "-bak", "go.bak"]],
  [
    "-debug and -relaxed",
    (port: number) => [`-addr=127.0.0.1:${port}`, "-db=go.db", "-bak=go.bak", "-debug", "-relaxed=false"],
  ],
  [
    "the word serve",
    (port: number) => ["serve", "--addr", `127.0.0.1:${port}`, "--db=go.db", "-bak=go.bak", "-debug=true"],
  ],
])("a command line written for the Go server starts this one: %s", async (_what, argv) => {
  const place = sandbox();
  const port = await freePort();
  const server = await place.start({ argv: argv(port), port });
  await ask(await server.connect(), "SET", "k", "v");
  server.signal("SIGUSR1");
  await server.logged(/backup written to go\.bak/);
  expect(await server.stop()).toEqual(CLEAN);
  expect(existsSync(place.path("go.db"))).toBe(true);
  expect(existsSync(place.path("go.bak"))).toBe(true);
});

test.each([["--version"], ["-v"], ["version"], ["-version"]])(
  "%s prints one line and starts nothing",
  async (argument) => {
    const place = sandbox();
    const finished = await place.run([argument]);
    expect(finished).toMatchObject({ code: 0, stderr: "" });
    expect(finished.stdout).toMatch(/^bitmapist-server \d+\.\d+\.\d+\n$/);
    expect(readdirSync(place.folder)).toEqual([]);
  },
);

test.each([["--help"], ["-h"], ["help"], ["-help"]])(
  "%s prints every option and examples and starts nothing",
  async (argument) => {
    const place = sandbox();
    const finished = await place.run([argument]);
    expect(finished).toMatchObject({ code: 0, stderr: "" });
    for (const word of [
      "--addr",
      "--db",
      "--bak",
      "--appendfsync",
      "--requirepass",
      "--debug",
      "--loglevel",
      "--version",
      "Examples:",
    ]) {
      expect(finished.stdout).toContain(word);
    }
    expect(readdirSync(place.folder)).toEqual([]);
  },
);

test("--debug logs each command on a line of its own, without the password", async () => {
  const place = sandbox();
  const server = await place.start({ args: ["--debug", "--requirepass", "secret-word"] });
  const client = await server.connect();
  await ask(client, "AUTH", "secret-word");
  await client.call("HELLO", "3", "AUTH", "default", "secret-word");
  await client.call("AUTH", "default", "wrong-secret-word");
  await ask(client, "ACL", "SETUSER", "bob", ">secret-word");
  await client.call("ACL", "SETUSER", "bob", "nonsense", ">secret-word");
  await ask(client, "CONFIG", "SET", "requirepass", "secret-word");
  await ask(client, "SET", "key-in-log", "line\r\nbreak");
  await ask(client, "GET", "key-in-log");
  await server.logged(/get.*key-in-log/i);
  expect(server.log).not.toContain("secret-word");
  for (const line of server.log.trimEnd().split("\n"))
    expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z (debug|verbose|notice|warning)/);
  await server.stop();
});

test("--loglevel warning says nothing when all is well", async () => {
  const place = sandbox();
  const port = await freePort();
  const server = await place.start({ args: ["--loglevel", "warning"], port });
  await ask(await server.connect(), "SET", "k", "v");
  expect(await server.stop()).toEqual(CLEAN);
  expect(server.log).toBe("");
});

test("all interfaces without a password is warned of, and with one it is not", async () => {
  const place = sandbox();
  const port = await freePort();
  for (const [args, warned] of [
    [[], true],
    [["--requirepass", "p"], false],
  ] as const) {
    const server = await place.start({ argv: ["--addr", `0.0.0.0:${port}`, "--db", ":memory:", ...args], port });
    await server.logged(/ready on/);
    await server.stop();
    expect(/warning listening on all interfaces without a password/.test(server.log)).toBe(warned);
  }
});

test("a client that vanishes in the middle of a request does not matter", async () => {
  const place = sandbox();
  const server = await place.start();
  for (let i = 0; i < 20; i++) {
    const socket = connect(server.port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.write("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\nhalf");
    socket.resetAndDestroy();
  }
  const client = await server.connect();
  expect(await ask(client, "DBSIZE")).toBe(0);
  expect(await server.stop()).toEqual(CLEAN);
});
