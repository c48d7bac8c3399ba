/** `import`, `export` and SLURP as an operator runs them: the built program, real servers, exit codes and what is said at the end. */
import { copyFileSync, existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ask, askAll, keysOf } from "../support/ask.js";
import { makeCertificate } from "../support/certificates.js";
import { RawClient } from "../support/raw-client.js";
import { startPeer } from "../support/redis-peer.js";
import { RedisServer, redisMissing, sayRedisMissing } from "../support/redis-server.js";
import {
  eventually,
  freePort,
  runProgram,
  Sandbox,
  SERVER_BIN,
  ServerProcess,
  sandbox,
  sleep,
} from "../support/server-process.js";
import { TcpProxy } from "../support/tcp-proxy.js";
import { findTool } from "../support/tools.js";

const MB = 1024 * 1024;

sayRedisMissing("import and export");
const live = test.skipIf(redisMissing !== undefined);

async function startRedis(...args: string[]): Promise<{ server: RedisServer; client: RawClient; url: string }> {
  const server = await RedisServer.start(Date.now(), args);
  onTestFinished(() => server.stop());
  const client = await RawClient.connect(server.port);
  onTestFinished(() => client.close());
  return { server, client, url: `redis://127.0.0.1:${server.port}` };
}

async function run(place: Sandbox, argv: readonly string[], env: Record<string, string> = {}) {
  const all = { ...process.env, ...env };
  const finished = await runProgram(process.execPath, [SERVER_BIN, ...argv], { cwd: place.folder, env: all });
  // How often it tells how far it is depends on the machine.
  return { ...finished, stderr: finished.stderr.replace(/^.* keys\/s, .*\n/gm, "") };
}

/** Everything of a server: for each key of each database its value and deadline. */
async function contents(client: RawClient, databases: readonly number[]): Promise<Map<string, unknown>> {
  const all = new Map<string, unknown>();
  for (const database of databases) {
    await ask(client, "SELECT", database);
    for (const key of await keysOf(client)) {
      const head = await ask(client, "GETRANGE", key, 0, 4 * MB);
      all.set(`${database} ${key}`, [head, await ask(client, "STRLEN", key), await ask(client, "PEXPIRETIME", key)]);
    }
  }
  await ask(client, "SELECT", 0);
  return all;
}

/** 1,002 keys in database 0, one of which is a list, and one in database 3. */
async function fill(client: RawClient): Promise<void> {
  const deadline = String(Date.now() + 3_600_000);
  await askAll(
    client,
    Array.from({ length: 1000 }, (_, i) => ["SETBIT", `k:${i}`, String(i * 50), "1"]),
  );
  await askAll(client, [["SET", "text", "hello"], ["PEXPIREAT", "text", deadline], "RPUSH list a"]);
  await ask(client, "SET", "large", Buffer.alloc(2 * MB, "ab"));
  await askAll(client, ["SELECT 3", "SETBIT three 80000000 1", ["PEXPIREAT", "three", deadline], "SELECT 0"]);
}

live("a Redis into a file: the summary's numbers are what is there, and a server serves them", async () => {
  const { client, url } = await startRedis();
  await fill(client);
  const place = sandbox();
  const { code, stdout, stderr } = await run(place, ["import", url, "--db", "in.db"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const lines = stdout.split("\n");
  expect(lines[0]).toBe(`in.db: 1,003 keys moved from ${url}`);
  expect(lines[1]).toMatch(
    /^ {2}database 0: 1,002 keys, 5\.0 MB as strings, [\d.]+ [KM]B as bitmaps: [\d.]+ times smaller$/,
  );
  expect(lines[2]).toMatch(/^ {2}database 3: 1 keys, 9\.5 MB as strings, 18 B as bitmaps: 555,556 times smaller$/);
  expect(lines[3]).toBe("  skipped: 1 keys, a list");
  expect(lines[4]).toBe('  skipped: "list" of database 0, a list');
  expect(lines[5]).toMatch(/^ {2}14\.5 MB as strings, /);
  expect(lines.at(-2)).toBe("  verified: 1,003 keys have the source's length, number of bits and deadline");

  const server = await place.start({ db: "in.db" });
  await ask(client, "DEL", "list");
  expect(await contents(await server.connect(), [0, 3])).toEqual(await contents(client, [0, 3]));
});

live("--dry-run says what it would save, and writes nothing", async () => {
  const { client, url } = await startRedis();
  await fill(client);
  const place = sandbox();
  const { code, stdout } = await run(place, ["import", `${url}/3`, "--db", "in.db", "--dry-run"]);
  expect(code).toBe(0);
  expect(stdout).toContain("1 keys would be moved to in.db, nothing was written\n");
  expect(stdout).toContain(
    '  large: "three" of database 3, 9.5 MB as strings, 18 B as bitmaps: 555,556 times smaller\n',
  );
  expect(stdout).not.toContain("verified");
  expect(existsSync(place.path("in.db"))).toBe(false);
});

live("an import that was killed goes on where it was", async () => {
  const { client, server } = await startRedis();
  await fill(client);
  const keys = 20_000;
  await askAll(
    client,
    Array.from({ length: keys }, (_, i) => ["SETBIT", `more:${i}`, "7", "1"]),
  );
  const place = sandbox();
  // The link breaks amid the keys, and nobody is let in again: the import waits, and is killed.
  const proxy = await TcpProxy.start(server.port, [600_000]);
  const argv = ["import", `redis://127.0.0.1:${proxy.port}`, "--db", "in.db"];
  const importing = new ServerProcess(argv, { cwd: place.folder });
  onTestFinished(() => importing.cleanup());
  await eventually("the link is cut", () => {
    if (proxy.cuts.length === 0) proxy.isDown = true;
    return proxy.isDown;
  });
  await importing.logged(/connecting again/);
  // What was moved until then is committed after half a second by itself.
  await sleep(2000);
  expect(await importing.kill()).toEqual({ code: null, signal: "SIGKILL" });
  proxy.isDown = false;
  const { code, stdout } = await run(place, [...argv, "--resume"]);
  expect(code).toBe(0);
  const count = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1]?.replaceAll(",", ""));
  const [moved, there] = [count(/: ([\d,]+) keys moved/), count(/skipped: ([\d,]+) keys, in the target already/)];
  expect(there).toBeGreaterThan(1000);
  expect(moved + there).toBe(keys + 1003);
  const after = await place.start({ db: "in.db" });
  expect(await ask(await after.connect(), "DBSIZE")).toBe(keys + 1002);
});

live("into a running server, out of it into a redis-server, and back", async () => {
  const { client, url } = await startRedis();
  const second = await startRedis();
  await fill(client);
  await ask(client, "SETBIT", "huge", "4294967295", "1");
  const place = sandbox();
  const ours = await place.start();
  const ourUrl = `redis://localhost:${ours.port}`;
  const into = await run(place, ["import", url, "--to", ourUrl]);
  expect([into.code, into.stderr]).toEqual([0, ""]);
  expect(into.stdout).toContain("  verified: 1,004 keys have");
  await ask(client, "DEL", "list");
  const expected = await contents(client, [0, 3]);
  expect(await contents(await ours.connect(), [0, 3])).toEqual(expected);

  await ask(second.client, "SET", "k:7", "what was there before");
  const out = await run(place, ["export", second.url, "--from", ourUrl]);
  expect([out.code, out.stderr]).toEqual([0, ""]);
  expect(out.stdout).toContain("  verified: 1,004 keys have");
  expect(await contents(second.client, [0, 3])).toEqual(expected);

  const mixed = await run(place, ["export", `${second.url}/7`, "--from", ourUrl]);
  expect(mixed.code).toBe(1);
  expect(mixed.stderr).toMatch(/^error: keys of databases 0 and 3 would be mixed in database 7: name one of them/);
  await ask(second.client, "FLUSHALL");
  expect((await run(place, ["export", `${second.url}/7`, "--from", `${ourUrl}/3`])).code).toBe(0);
  await ask(second.client, "SELECT", "7");
  expect(await keysOf(second.client)).toEqual(["three"]);
  await ask(second.client, "SELECT", "0");

  await ours.stop();
  await ask(second.client, "FLUSHALL");
  const fromFile = await run(place, ["export", second.url, "--match", "k:1*"]);
  expect([fromFile.code, fromFile.stderr]).toEqual([0, ""]);
  expect(await ask(second.client, "DBSIZE")).toBe(111);
});

live("a value that is not as the source says is named at the end, and the exit code is 1", async () => {
  const { client, server } = await startRedis();
  await fill(client);
  // It tells of one bit more than there is, whoever asks and how often.
  const port = await startPeer(server.port, async (redis, argv) => {
    if (argv[0] !== "BITCOUNT" || argv[1] !== "k:500") return undefined;
    return (await redis.call(...argv)).replace(":1", ":2");
  });
  const { code, stdout } = await run(sandbox(), ["import", `redis://127.0.0.1:${port}`]);
  expect(code).toBe(1);
  expect(stdout.split("\n").slice(-4)).toEqual([
    "  verified: 1,002 keys have the source's length, number of bits and deadline",
    '  DIFFERENT: "k:500" of database 0: 2 bits are set in the source, 1 in the target',
    "  DIFFERENT: 1 keys in all",
    "",
  ]);
  const unasked = await run(sandbox(), ["import", `redis://127.0.0.1:${port}`, "--no-verify"]);
  expect(unasked.code).toBe(0);
  expect(unasked.stdout).toContain("  not verified, as --no-verify says\n");
});

live("what can't be done is one line and exit code 1", async () => {
  const { client, url } = await startRedis();
  const place = sandbox();
  const refused = async (...argv: string[]) => {
    const { code, stdout, stderr } = await run(place, argv);
    expect([code, stdout, stderr.split("\n").length], stderr).toEqual([1, "", 2]);
    return stderr.trim();
  };
  expect(await refused("import")).toBe("error: missing required argument 'source'");
  expect(await refused("export")).toBe("error: missing required argument 'target'");
  expect(await refused("import", "none.rdb")).toMatch(/^error: can't read none\.rdb: ENOENT/);
  expect(await refused("import", "redis://127.0.0.1:1")).toMatch(/^error: can't connect to 127\.0\.0\.1:1: /);
  expect(existsSync(place.path("bitmapist.db"))).toBe(false);
  expect(await refused("import", `${url}/x`)).toMatch(/^error: a database is a number, .* ends with \/x$/);
  expect(await refused("import", `${url}/99`)).toMatch(/ERR DB index is out of range$/);
  expect(await refused("import", url, "--to", url, "--db", "x")).toMatch(/cannot be used with/);
  expect(await refused("import", "--resume", "none.rdb")).toMatch(/^error: option '--resume' is for a running Redis/);
  expect(await refused("export", url, "--db", "none.db")).toBe("error: can't read none.db: there is no such file");
  expect(await refused("export", "out.txt")).toMatch(/^error: /);
  await ask(client, "CONFIG", "SET", "requirepass", "s3cret");
  expect(await refused("import", url)).toMatch(/NOAUTH/);
  const wrong = await refused("import", url.replace("//", "//:wr0ng@"));
  expect(wrong).toMatch(/WRONGPASS/);
  expect(wrong).not.toContain("wr0ng");
  expect(existsSync(place.path("none.db"))).toBe(false);
  await place.start({ db: "served.db" });
  expect(await refused("import", url.replace("//", "//:s3cret@"), "--db", "served.db")).toMatch(/served\.db/);
});

describe("TLS", () => {
  let certificates: Sandbox;
  const openssl = findTool("openssl", ["version"]);

  beforeAll(() => {
    if (openssl === undefined) return;
    certificates = new Sandbox();
    makeCertificate(certificates, "ca", false);
    for (const name of ["server", "client"]) makeCertificate(certificates, name, true);
  });
  afterAll(() => certificates?.cleanup());

  test.skipIf(redisMissing !== undefined || openssl === undefined)(
    "a user with a password over rediss://",
    async () => {
      const place = sandbox();
      for (const name of ["ca", "server", "client"]) {
        for (const end of ["pem", "key"])
          copyFileSync(certificates.path(`${name}.${end}`), place.path(`${name}.${end}`));
      }
      const tlsPort = await freePort();
      const tls = [
        "--tls-port",
        tlsPort,
        "--tls-cert-file",
        place.path("server.pem"),
        "--tls-key-file",
        place.path("server.key"),
      ];
      const { client } = await startRedis(...tls.map(String), "--tls-ca-cert-file", place.path("ca.pem"));
      await fill(client);
      await ask(client, "ACL", "SETUSER", "mover", "on", ">pass:w%rd/", "~*", "+@all");
      const url = `rediss://mover:pass%3Aw%25rd%2F@localhost:${tlsPort}`;
      const withClient = ["--cert", "client.pem", "--key", "client.key"];
      const { code, stderr, stdout } = await run(place, ["import", url, "--cacert", "ca.pem", ...withClient]);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toContain(`bitmapist.db: 1,003 keys moved from rediss://localhost:${tlsPort}\n`);

      const unknown = await run(place, ["import", url, ...withClient]);
      expect(unknown.code).toBe(1);
      expect(unknown.stderr).toMatch(/certificate/);
      const insecure = await run(place, ["import", url, "--insecure", ...withClient, "--db", "insecure.db"]);
      expect(insecure.code).toBe(0);
      const byOption = [
        "import",
        `redis://localhost:${tlsPort}`,
        "--tls",
        "--insecure",
        ...withClient,
        "--db",
        "env.db",
      ];
      const password = { REDISCLI_AUTH: "not that of the default user" };
      // It has none yet, and the password may be for the other end.
      expect((await run(place, byOption, password)).code).toBe(0);
      await ask(client, "CONFIG", "SET", "requirepass", "another");
      expect((await run(place, byOption, password)).stderr).toMatch(/WRONGPASS/);
    },
  );
});

describe("SLURP", () => {
  live("brings keys and deadlines while others are served, and answers OK at the end", async () => {
    const { client, server: redis } = await startRedis();
    await fill(client);
    await ask(client, "SETBIT", "zeros", "100", "0");
    const server = await sandbox().start();
    const ours = await server.connect();
    const slurped = ask(ours, "SLURP", `localhost:${redis.port}`);
    expect(await ask(await server.connect(), "PING")).toBe("PONG");
    expect(await slurped).toBe("OK");
    await ask(client, "DEL", "list");
    expect(await contents(ours, [0])).toEqual(await contents(client, [0]));
    expect(server.log).toMatch(
      /SLURP of localhost:\d+ database 0: 1003 keys are here, 1003 of them verified and 0 expired meanwhile; 1 were skipped/,
    );

    const three = await server.connect(9);
    expect(await ask(three, "slurp", `127.0.0.1:${redis.port}`, "3")).toBe("OK");
    expect(await keysOf(three)).toEqual(["three"]);
  });

  live("says why nothing came", async () => {
    const port = await freePort();
    const server = await sandbox().start();
    const ours = await server.connect();
    await expect(ask(ours, "SLURP", `127.0.0.1:${port}`)).rejects.toThrow(`ERR can't connect to 127.0.0.1:${port}`);
    await server.logged(/SLURP of 127\.0\.0\.1:\d+ database 0 failed: can't connect/);
    const { server: redis } = await startRedis();
    await expect(ask(ours, "SLURP", `127.0.0.1:${redis.port}`, "16")).rejects.toThrow("ERR DB index is out of range");
    expect(await ask(ours, "DBSIZE")).toBe(0);
  });

  live("ends when the server stops", async () => {
    const { client, server: redis } = await startRedis();
    await fill(client);
    const proxy = await TcpProxy.start(redis.port, [20_000]);
    const server = await sandbox().start();
    const ours = await server.connect();
    const slurped = ask(ours, "SLURP", `127.0.0.1:${proxy.port}`).catch((error: Error) => error.message);
    await eventually("the link is cut", () => {
      if (proxy.cuts.length === 0) proxy.isDown = true;
      return proxy.isDown;
    });
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    await slurped;
  });
});
