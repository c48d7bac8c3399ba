/** Where a server listens, whom it serves, and whom it lets go: the built server, with real sockets. */
import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, expect, onTestFinished, test } from "vitest";
import { ask } from "../support/ask.js";
import { RawClient } from "../support/raw-client.js";
import { RedisServer, redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { eventually, freePort, type ServerProcess, sandbox, sleep } from "../support/server-process.js";

/** A client over a connection to anything. */
function over(where: { path: string } | { port: number; host: string }): Promise<RawClient> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(where, () => resolve(RawClient.over(socket)));
    socket.once("error", reject);
    onTestFinished(() => void socket.destroy());
  });
}

/** An address of this machine that is not loopback. */
const outside = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;
if (outside === undefined)
  console.log("SKIPPED: protected mode from outside: this machine has only loopback addresses");

/** What a connection is sent that says nothing, until it is closed. */
function greeting(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let said = "";
    const socket = connect({ host, port });
    socket.on("data", (chunk) => {
      said += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(said));
  });
}

describe("a unix socket", () => {
  test("serves beside TCP, with its access rights, is shown as an address, and is gone after the end", async () => {
    const place = sandbox();
    const server = await place.start({ args: ["--unixsocket", "s.sock", "--unixsocketperm", "700"] });
    const path = place.path("s.sock");
    expect(statSync(path).mode & 0o777).toBe(0o700);
    const client = await over({ path });
    await ask(client, "SET", "k", "x".repeat(100_000));
    expect(await ask(await server.connect(), "STRLEN", "k")).toBe(100_000);
    expect(await ask(client, "GET", "k")).toBe("x".repeat(100_000));
    expect(await ask(client, "CLIENT", "INFO")).toContain(`addr=${path}:0 laddr=${path}:0 `);
    expect(await ask(client, "CONFIG", "GET", "unixsocket*")).toEqual([
      "unixsocket",
      "s.sock",
      "unixsocketperm",
      "700",
    ]);
    await server.stop();
    expect(existsSync(path)).toBe(false);
  });

  test("alone, with port 0, there is no TCP", async () => {
    const place = sandbox();
    // The server is known to answer when the socket is there.
    const argv = ["--db", ":memory:", "--port", "0", "--unixsocket", "s.sock"];
    const starting = place.start({ argv, port: 1 }).catch((error: Error) => error);
    await eventually("the socket", () => existsSync(place.path("s.sock")));
    const client = await over({ path: place.path("s.sock") });
    expect(await ask(client, "CONFIG", "GET", "port")).toEqual(["port", "0"]);
    await client.call("SHUTDOWN").catch(() => {});
    expect(String(await starting)).toMatch(/ready on .*s\.sock;/);
  });

  test("that a killed server has left is replaced, and a file is not", async () => {
    const place = sandbox();
    const args = ["--unixsocket", "s.sock"];
    await (await place.start({ args })).kill();
    expect(lstatSync(place.path("s.sock")).isSocket()).toBe(true);
    const server = await place.start({ args });
    expect(await ask(await over({ path: place.path("s.sock") }), "PING")).toBe("PONG");
    await server.stop();
    writeFileSync(place.path("file"), "mine");
    const refused = await place.run(["--addr", "127.0.0.1:0", "--db", ":memory:", "--unixsocket", "file"]);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(/can't listen on the unix socket .*file: .*EADDRINUSE/);
    expect(statSync(place.path("file")).size).toBe(4);
  });

  test("is a local connection for enable-debug-command", async () => {
    const place = sandbox();
    await place.start({ args: ["--unixsocket", "s.sock", "--enable-debug-command", "local"] });
    expect(await ask(await over({ path: place.path("s.sock") }), "DEBUG", "SLEEP", "0")).toBe("OK");
  });
});

describe("bind", () => {
  test("listens at several addresses, and lets those be missing that begin with -", async () => {
    const place = sandbox();
    const port = await freePort();
    const argv = ["--db", ":memory:", "--port", String(port), "--bind", "127.0.0.1", "127.0.0.2", "-192.0.2.77"];
    const server = await place.start({ argv, port });
    expect(await ask(await over({ host: "127.0.0.2", port }), "PING")).toBe("PONG");
    expect(await ask(await server.connect(), "CONFIG", "GET", "bind")).toEqual([
      "bind",
      "127.0.0.1 127.0.0.2 -192.0.2.77",
    ]);
    const missing = await place.run([
      "--db",
      ":memory:",
      "--port",
      String(await freePort()),
      "--bind",
      "127.0.0.1 192.0.2.77",
    ]);
    expect(missing).toMatchObject({ code: 1 });
    expect(missing.stderr).toMatch(/can't listen on 192\.0\.2\.77:\d+: .*EADDRNOTAVAIL/);
    const nowhere = await place.run(["--db", ":memory:", "--bind", ""]);
    expect(nowhere.stderr).toMatch(/configured to not listen anywhere/);
  });

  test("--addr may be given several times, with one port", async () => {
    const place = sandbox();
    const port = await freePort();
    const argv = ["--db", ":memory:", "--addr", `127.0.0.1:${port}`, "-addr", `127.0.0.3:${port}`];
    await place.start({ argv, port });
    expect(await ask(await over({ host: "127.0.0.3", port }), "PING")).toBe("PONG");
    const refused = await place.run(["--db", ":memory:", "--addr", "127.0.0.1:1", "--addr", "127.0.0.1:2"]);
    expect(refused.stderr).toMatch(/must have the same port/);
  });

  test("of all interfaces serves both families, and warns without a password", async () => {
    const place = sandbox();
    const port = await freePort();
    const open = await place.start({ argv: ["--db", ":memory:", "--addr", `:${port}`], port });
    expect(open.log).toMatch(/warning listening on all interfaces without a password/);
    expect(await ask(await open.connect(), "CONFIG", "GET", "bind")).toEqual(["bind", "* -::*"]);
    if (Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"))) {
      expect(await ask(await over({ host: "::1", port }), "PING")).toBe("PONG");
    }
    await open.stop();
    for (const args of [
      ["--requirepass", "x"],
      ["--protected-mode", "yes"],
    ]) {
      const server = await place.start({ argv: ["--db", ":memory:", "--addr", `:${port}`, ...args], port });
      expect(server.log).not.toMatch(/without a password/);
      await server.stop();
    }
  });
});

describe.skipIf(outside === undefined)("protected mode", () => {
  const host = outside as string;

  async function start(...args: string[]): Promise<ServerProcess> {
    const port = await freePort();
    return await sandbox().start({ argv: ["--db", ":memory:", "--addr", `:${port}`, ...args], port });
  }

  test.skipIf(redisMissing !== undefined)("tells who comes from outside what redis-server tells", async () => {
    const redis = await RedisServer.start(Date.now(), ["--bind", "0.0.0.0", "--protected-mode", "yes"]);
    onTestFinished(() => redis.stop());
    const server = await start("--protected-mode", "yes");
    const said = await greeting(host, server.port);
    expect(said).toMatch(/^-DENIED /);
    expect(said).toBe(await greeting(host, redis.port));
    expect(await ask(await server.connect(), "INFO", "stats")).toContain("rejected_connections:1\r\n");
  });
  sayRedisMissing("protected mode's words");

  test("serves from outside with a password, and when it is switched off", async () => {
    const server = await start("--protected-mode", "yes", "--requirepass", "secret");
    expect(await (await over({ host, port: server.port })).call("PING")).toMatch(/^-NOAUTH/);
    const client = await server.connect();
    await ask(client, "AUTH", "secret");
    await ask(client, "CONFIG", "SET", "requirepass", "");
    expect(await greeting(host, server.port)).toMatch(/^-DENIED /);
    await ask(client, "CONFIG", "SET", "protected-mode", "no");
    expect(await (await over({ host, port: server.port })).call("PING")).toBe("+PONG\r\n");
  });
});

describe("maxclients", () => {
  test("refuses more, may be set, and counts again when one leaves", async () => {
    const server = await sandbox().start({ args: ["--maxclients", "3"] });
    const first = await server.connect();
    await eventually("one client", async () =>
      String(await ask(first, "INFO", "clients")).includes("connected_clients:1\r"),
    );
    const others = [await server.connect(), await server.connect()];
    for (const other of others) await ask(other, "PING");
    expect(await greeting("127.0.0.1", server.port)).toBe("-ERR max number of clients reached\r\n");
    expect(await ask(first, "INFO", "clients")).toContain("maxclients:3\r\n");
    await ask(first, "CONFIG", "SET", "maxclients", "4");
    expect(await ask(await server.connect(), "PING")).toBe("PONG");
    await ask(first, "CONFIG", "SET", "maxclients", "1");
    expect(await greeting("127.0.0.1", server.port)).toMatch(/^-ERR max/);
    for (const other of others) expect(await ask(other, "PING")).toBe("PONG");
  });
});

describe("timeout", () => {
  test("closes who is idle, and not who is blocked, or who speaks", async () => {
    const server = await sandbox().start();
    const [busy, idle, blocked, slow] = [
      await server.connect(),
      await server.connect(),
      await server.connect(),
      await server.connect(),
    ];
    await ask(idle, "PING");
    blocked.send("*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$1\r\n0\r\n");
    expect(await ask(busy, "CONFIG", "SET", "timeout", "1")).toBe("OK");
    let left = false;
    void idle.closed.then(() => {
      left = true;
    });
    slow.send("*2\r\n$4\r\nECHO\r\n$1000\r\n");
    let sent = 0;
    await eventually("the idle one has left", async () => {
      await ask(busy, "PING");
      slow.send("x");
      sent++;
      return left;
    });
    slow.send(`${"y".repeat(1000 - sent)}\r\n`);
    expect((await slow.replies(1))[0]).toBe(`$1000\r\n${"x".repeat(sent)}${"y".repeat(1000 - sent)}\r\n`);
    expect(blocked.isClosed).toBe(false);
    expect(await ask(busy, "CLIENT", "LIST")).toContain("cmd=wait");
  });
});

describe("client-output-buffer-limit", () => {
  /** A client that has asked for much and reads nothing. */
  async function unreading(server: ServerProcess, asks: number): Promise<Socket> {
    const socket = connect({ host: "127.0.0.1", port: server.port });
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.pause();
    socket.write(`MULTI\r\n${"GET k\r\n".repeat(asks)}EXEC\r\n`);
    return socket;
  }

  test("closes at the hard limit, at once", async () => {
    const server = await sandbox().start({ args: ["--client-output-buffer-limit", "normal", "20mb", "0", "0"] });
    const client = await server.connect();
    await ask(client, "SET", "k", "x".repeat(60_000));
    await unreading(server, 1000);
    await server.logged(/closed: more than 20971520 bytes of replies wait for it/);
    expect(await ask(client, "PING")).toBe("PONG");
  });

  test("closes at the soft limit after its time, and not before it is reached", async () => {
    const server = await sandbox().start();
    const client = await server.connect();
    await ask(client, "SET", "k", "x".repeat(60_000));
    await ask(client, "CONFIG", "SET", "client-output-buffer-limit", "normal 0 10mb 1");
    expect(await ask(client, "CONFIG", "GET", "client-output-buffer-limit")).toEqual([
      "client-output-buffer-limit",
      "normal 0 10485760 1 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
    ]);
    await unreading(server, 500);
    await server.logged(/closed: more than 10485760 bytes of replies wait for it for 1 s/);
    await unreading(server, 20);
    await sleep(3000);
    expect(server.log.match(/bytes of replies wait/g)).toHaveLength(1);
  });

  test("closes a subscriber at the soft limit after its time, and not one that reads before it is over", async () => {
    const softSeconds = 2;
    const server = await sandbox().start({
      args: ["--client-output-buffer-limit", "pubsub", "0", "1mb", String(softSeconds)],
    });
    const [publisher, late, deaf] = [await server.connect(), await server.connect(), await server.connect()];
    for (const each of [late, deaf]) {
      await ask(each, "SUBSCRIBE", "news");
      each.pause();
    }
    const begunMs = performance.now();
    // Far more than the sockets take.
    for (let n = 0; n < 200; n++) expect(await ask(publisher, "PUBLISH", "news", "x".repeat(100_000))).toBe(2);
    late.resume();
    await late.replies(200);
    await server.logged(/closed: more than 1048576 bytes of replies wait for it for 2 s/);
    expect(performance.now() - begunMs).toBeGreaterThan(softSeconds * 1000);
    expect(await ask(publisher, "PUBLISH", "news", "more")).toBe(1);
    expect((await late.replies(1))[0]).toContain("more");
  });
});

describe("limits of requests", () => {
  test("proto-max-bulk-len and client-query-buffer-limit hold for connections that are there", async () => {
    const server = await sandbox().start();
    const [client, other, third] = [await server.connect(), await server.connect(), await server.connect()];
    await ask(other, "PING");
    await ask(client, "CONFIG", "SET", "proto-max-bulk-len", "1mb", "client-query-buffer-limit", "1mb");
    other.send("*2\r\n$4\r\nECHO\r\n$1048577\r\n");
    expect((await other.replies(1))[0]).toBe("-ERR Protocol error: invalid bulk length\r\n");
    await other.closed;
    third.send(`*3\r\n$4\r\nMSET\r\n$600000\r\n${"x".repeat(600_000)}\r\n$600000\r\n${"x".repeat(590_000)}`);
    await third.closed;
    expect(await ask(client, "ECHO", "x".repeat(500_000))).toHaveLength(500_000);
  });
});

describe("rename-command", () => {
  test("gives other names and takes names away, with what stands behind them", async () => {
    const place = sandbox();
    const args = [
      "--rename-command",
      "FLUSHALL",
      "",
      "--rename-command",
      "config",
      "Secret",
      "--rename-command",
      "GET fetch",
    ];
    const server = await place.start({ args });
    const client = await server.connect();
    const say = async (...words: string[]) => await client.call(...words);
    expect(await say("FLUSHALL")).toBe("-ERR unknown command 'FLUSHALL', with args beginning with: \r\n");
    expect(await say("CONFIG", "GET", "x")).toBe(
      "-ERR unknown command 'CONFIG', with args beginning with: 'GET' 'x' \r\n",
    );
    expect(await ask(client, "secret", "GET", "timeout")).toEqual(["timeout", "0"]);
    expect(await ask(client, "SECRET", "set", "timeout", "0")).toBe("OK");
    expect(await say("SECRET", "nosuch")).toMatch(/^-ERR unknown subcommand 'nosuch'/);
    expect(await say("config|get", "x")).toMatch(/^-ERR unknown command 'config\|get'/);
    await ask(client, "SET", "k", "v");
    expect(await ask(client, "fetch", "k")).toBe("v");
    expect(await say("GET", "k")).toMatch(/^-ERR unknown command 'GET'/);
    expect(await say("COMMAND", "INFO", "flushall")).toMatch(/^\*1\r\n[$*]-1\r\n$/);
    client.send("POST / HTTP/1.1\r\n");
    await client.closed;
  });

  test("leaves rules of ACL, and what tells of commands, with the names that they have in Redis", async () => {
    const renamings = ["FLUSHALL ", "BITADD ", "CONFIG cfg", "GET fetch", "SET get"];
    const args = renamings.flatMap((each) => ["--rename-command", ...each.split(" ")]);
    const server = await sandbox().start({ args });
    const operator = await server.connect();
    const say = async (line: string) => await operator.call(...line.split(" "));
    expect(await say("ACL SETUSER all on nopass ~* +@all -config")).toBe("+OK\r\n");
    expect(await say("ACL SETUSER some on nopass ~* +get +flushall -bitadd +config|get")).toBe("+OK\r\n");
    expect(await say("ACL SETUSER some -cfg")).toMatch(/'-cfg': Unknown command or category name in ACL/);

    const client = await server.connect();
    const denied = (name: string) => `-NOPERM this user has no permissions to run the '${name}' command\r\n`;
    await client.call("AUTH", "all", "x");
    expect(await client.call("cfg", "get", "port")).toBe(denied("config|get"));
    expect(await client.call("get", "k", "v")).toBe("+OK\r\n");
    await client.call("AUTH", "some", "x");
    expect(await client.call("fetch", "k")).toBe("$1\r\nv\r\n");
    expect(await client.call("get", "k", "v")).toBe(denied("set"));
    expect(await ask(client, "cfg", "get", "timeout")).toEqual(["timeout", "0"]);
    expect(await client.call("cfg", "set", "timeout", "0")).toBe(denied("config|set"));

    // What is asked about is named as it is called.
    expect(await ask(operator, "ACL", "DRYRUN", "some", "fetch", "k")).toBe("OK");
    expect(await ask(operator, "ACL", "DRYRUN", "some", "get", "k", "v")).toContain("run the 'set' command");
    expect(await say("ACL DRYRUN some get k")).toBe("-ERR wrong number of arguments for 'set' command\r\n");
    expect(await say("ACL DRYRUN some flushall")).toBe("-ERR Command 'flushall' not found\r\n");
    expect(await say("ACL DRYRUN some config get x")).toBe("-ERR Command 'config' not found\r\n");
    expect(await ask(operator, "COMMAND", "GETKEYS", "fetch", "k")).toEqual(["k"]);

    const dangerous = await ask(operator, "ACL", "CAT", "dangerous");
    expect(dangerous).toEqual(expect.arrayContaining(["config|get", "flushall"]));
    expect(dangerous).not.toContain("cfg");
    expect(await ask(operator, "INFO", "commandstats")).toMatch(/cmdstat_get:calls=1,/);
    expect(await ask(operator, "cfg", "GET", "timeout")).toEqual(["timeout", "0"]);
  });

  test.each([
    [["nosuch", "x"], /rename-command nosuch: No such command in rename-command/],
    [["get", "set"], /rename-command get set: Target command name already exists/],
  ])("%j is refused", async (words, error) => {
    const refused = await sandbox().run(["--addr", "127.0.0.1:0", "--db", ":memory:", "--rename-command", ...words]);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(error);
  });
});

test("tcp-keepalive probes connections made after it is set", async () => {
  const server = await sandbox().start();
  const client = await server.connect();
  const timers = () => execFileSync("ss", ["-Htno", `sport = :${server.port}`], { encoding: "utf8" });
  const hasSs = (() => {
    try {
      timers();
      return true;
    } catch {
      return false;
    }
  })();
  if (!hasSs) return console.log("SKIPPED: tcp-keepalive's timers: ss is not in PATH");
  expect(timers().match(/keepalive/g)).toHaveLength(1);
  await ask(client, "CONFIG", "SET", "tcp-keepalive", "0");
  await ask(await server.connect(), "PING");
  expect(timers().match(/keepalive/g)).toHaveLength(1);
  await ask(client, "CONFIG", "SET", "tcp-keepalive", "100");
  await ask(await server.connect(), "PING");
  expect(timers()).toMatch(/timer:\(keepalive,1min[34]/);
});

test("a port that somebody has is told for each address", async () => {
  const taken = createServer();
  onTestFinished(() => void taken.close());
  const port = await freePort();
  await new Promise<void>((resolve) => taken.listen(port, "127.0.0.2", resolve));
  const refused = await sandbox().run(["--db", ":memory:", "--port", String(port), "--bind", "127.0.0.1", "127.0.0.2"]);
  expect(refused.stderr).toMatch(new RegExp(`can't listen on 127\\.0\\.0\\.2:${port}: .*EADDRINUSE`));
});
