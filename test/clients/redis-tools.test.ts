/** redis-cli and redis-benchmark, as people call them. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask, askAll, keysOf } from "../support/ask.js";
import { encodeRequest, type RawClient } from "../support/raw-client.js";
import { type Finished, runProgram, Sandbox, type ServerProcess } from "../support/server-process.js";
import { findTool } from "../support/tools.js";

const cliProgram = findTool("redis-cli");
const benchmarkProgram = findTool("redis-benchmark");

const place = new Sandbox();
let server: ServerProcess;
let client: RawClient;

beforeAll(async () => {
  server = await place.start();
  client = await server.connect();
});

beforeEach(async () => {
  await ask(client, "FLUSHALL");
});

afterAll(() => place.cleanup());

/** Redis' environment variables of the caller would change what the tools do. */
const { REDISCLI_AUTH: _auth, ...ENV } = process.env;

function cli(args: readonly string[], input?: string | Buffer, env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  const options = { env: { ...ENV, HOME: place.folder, ...env }, ...(input === undefined ? {} : { input }) };
  return runProgram("redis-cli", ["-h", "127.0.0.1", "-p", String(server.port), ...args], options);
}

describe.skipIf(cliProgram === undefined)("redis-cli", () => {
  const says = async (args: readonly string[], input?: string | Buffer) => {
    const { code, stdout, stderr } = await cli(args, input);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return stdout;
  };

  test.each([["-2"], ["-3"]])("runs one command with %s", async (protocol) => {
    expect(await says([protocol, "PING"])).toBe("PONG\n");
    expect(await says([protocol, "SETBIT", "k", "7", "1"])).toBe("0\n");
    expect(await says([protocol, "--no-raw", "GETBIT", "k", "7"])).toBe("(integer) 1\n");
    expect(await says([protocol, "--no-raw", "GET", "k"])).toBe('"\\x01"\n');
    expect(await says([protocol, "--no-raw", "GET", "missing"])).toBe("(nil)\n");
    expect(await says([protocol, "--no-raw", "KEYS", "*"])).toBe('1) "k"\n');
    expect(await says([protocol, "INFO", "server"])).toMatch(/^redis_version:7\./m);
    expect((await cli([protocol, "NOSUCH", "x"])).stdout).toMatch(
      /^ERR unknown command 'NOSUCH', with args beginning with: 'x'/,
    );
  });

  test("with -e an error reply is an exit code", async () => {
    expect((await cli(["-e", "SETBIT", "k", "x", "1"])).code).toBe(1);
    expect((await cli(["-e", "SETBIT", "k", "0", "1"])).code).toBe(0);
  });

  test("runs the lines of its stdin, MULTI among them", async () => {
    const lines = [
      "SETBIT k 1 1",
      "MULTI",
      "SETBIT k 2 1",
      "BITCOUNT k",
      "EXEC",
      'SET "a b" "\\x00\\xff"',
      'STRLEN "a b"',
    ];
    const out = await says([], `${lines.join("\n")}\n`);
    const replies = out.split("\n").filter((line) => line !== "");
    expect(replies).toEqual(["0", "OK", "QUEUED", "QUEUED", "0", "2", "OK", "2"]);
    expect(await ask(client, "GET", "a b")).toBe("\0\xff");
  });

  test("has help for the server's commands, which it asks for with COMMAND DOCS", async () => {
    const out = await says([], "HELP BITCOUNT\nHELP EXPIRETIME\n");
    expect(out).toMatch(/BITCOUNT[\s\S]*summary:.* \S[\s\S]*since:.* 2\.6\.0[\s\S]*group:.* bitmap/);
    expect(out).toMatch(/EXPIRETIME[\s\S]*since:.* 7\.0\.0[\s\S]*group:.* generic/);
  });

  test("takes a value from stdin with -x and gives it back to the byte", async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    expect(await says(["-x", "SET", "bytes"], bytes)).toBe("OK\n");
    expect(await ask(client, "GET", "bytes")).toBe(bytes.toString("latin1"));
  });

  test("scans with --scan, of another database with -n", async () => {
    await askAll(client, [
      "SELECT 3",
      ...Array.from({ length: 500 }, (_, i) => `SET key:${i} x`),
      "SET other x",
      "SELECT 0",
    ]);
    const keys = (await says(["-n", "3", "--scan", "--pattern", "key:*"])).trim().split("\n");
    expect(new Set(keys).size).toBe(500);
    expect(await says(["--scan"])).toBe("");
  });

  test("loads with --pipe, and every reply comes back", async () => {
    const requests = Array.from({ length: 10_000 }, (_, i) => encodeRequest(["SETBIT", `p:${i % 10}`, String(i), "1"]));
    const out = await says(["--pipe"], Buffer.concat(requests));
    expect(out).toContain("errors: 0, replies: 10000");
    expect(await ask(client, "BITCOUNT", "p:3")).toBe(1000);
  });

  test("finds the longest value with --bigkeys", async () => {
    await askAll(client, ["SET small x", "SETBIT big 8000 1"]);
    const out = await says(["--bigkeys"]);
    expect(out).toMatch(/Biggest string found '"big"' has 1001 bytes/);
    expect(out).toContain("2 strings with 1002 bytes");
  });

  test.each([["-2"], ["-3"]])("prints JSON and CSV of a reply with %s", async (protocol) => {
    await askAll(client, ["MSET a 1 b 2"]);
    expect(JSON.parse(await says([protocol, "--json", "MGET", "a", "b", "c"]))).toEqual(["1", "2", null]);
    expect(await says([protocol, "--csv", "MGET", "a", "b", "c"])).toBe('"1","2",NULL\n');
  });

  test("repeats with -r", async () => {
    expect(await says(["-r", "3", "-i", "0.01", "SETBIT", "k", "1", "1"])).toBe("0\n1\n1\n");
  });

  test("gives the password with -a, --user and REDISCLI_AUTH, and shows NOAUTH without", async () => {
    const locked = await place.start({ db: "locked.db", args: ["--requirepass", "secret"] });
    const call = async (args: string[], env: NodeJS.ProcessEnv = {}) => {
      const options = { env: { ...ENV, HOME: place.folder, ...env } };
      return (await runProgram("redis-cli", ["-h", "127.0.0.1", "-p", String(locked.port), ...args], options)).stdout;
    };
    expect(await call(["PING"])).toBe("NOAUTH Authentication required.\n\n");
    expect(await call(["-a", "secret", "--no-auth-warning", "PING"])).toBe("PONG\n");
    expect(await call(["-3", "--user", "default", "--pass", "secret", "--no-auth-warning", "PING"])).toBe("PONG\n");
    expect(await call(["PING"], { REDISCLI_AUTH: "secret" })).toBe("PONG\n");
  });

  test("ends the server with SHUTDOWN", async () => {
    const ending = await place.start({ db: "ending.db" });
    const finished = await runProgram("redis-cli", ["-h", "127.0.0.1", "-p", String(ending.port), "SHUTDOWN"], {
      env: ENV,
    });
    expect(finished.stdout).toBe("");
    expect(await ending.exit()).toEqual({ code: 0, signal: null });
  });
});

describe.skipIf(benchmarkProgram === undefined)("redis-benchmark", () => {
  const bench = async (...args: string[]) => {
    const finished = await runProgram(
      "redis-benchmark",
      ["-h", "127.0.0.1", "-p", String(server.port), "-q", ...args],
      { env: ENV },
    );
    expect(`${finished.stdout}${finished.stderr}`).not.toMatch(/error|warning|could not/i);
    expect(finished.code).toBe(0);
    return finished.stdout.replaceAll(/[^\r\n]*\r/g, "");
  };

  test.each([["1"], ["16"]])("its tests ping, set, get and mset run with pipelines of %s", async (pipeline) => {
    const out = await bench("-t", "ping,set,get,mset", "-n", "4000", "-c", "50", "-P", pipeline, "-r", "1000");
    for (const name of ["PING_INLINE", "PING_MBULK", "SET", "GET", "MSET (10 keys)"]) {
      expect(out).toContain(`${name}: `);
    }
    expect(await ask(client, "DBSIZE")).toBeGreaterThan(500);
  });

  test("SETBIT and GETBIT of random keys run, and the bits are there", async () => {
    // Its random numbers have leading zeros, which no offset may have.
    await bench("-n", "5000", "-c", "50", "-P", "16", "-r", "100000", "SETBIT", "bench:__rand_int__", "700", "1");
    await bench("-n", "5000", "-c", "50", "-r", "100000", "GETBIT", "bench:__rand_int__", "700");
    const keys = await keysOf(client);
    expect(keys.length).toBeGreaterThan(1000);
    expect(await ask(client, "BITCOUNT", keys[0]!)).toBe(1);
  });
});
