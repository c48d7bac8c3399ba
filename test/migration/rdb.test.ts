/** RDB files of a real redis-server imported, and files that were exported loaded by one: every key compared, bit for bit. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { RdbError } from "../../src/rdb/string.js";
import { dice } from "../support/random.js";
import { RawClient } from "../support/raw-client.js";
import { readAll } from "../support/rdb-file.js";
import { RedisServer, redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { runProgram, type Sandbox, SERVER_BIN, type ServerProcess, sandbox } from "../support/server-process.js";

sayRedisMissing("RDB files against redis-server");

const MB = 1e6;
/** Longer values are compared by their number of bits and a few ranges. */
const COMPARED_BYTES_MAX = 8 * MB;
const DATABASES = [0, 3, 15];

/** A redis-server that loads `dump.rdb` of the sandbox if there is one, and saves to it. */
async function redisIn(box: Sandbox, args: string[] = []): Promise<RawClient> {
  const files = ["--dir", box.folder, "--dbfilename", "dump.rdb"];
  const server = await RedisServer.start(Date.now(), [...files, ...args]);
  onTestFinished(() => server.stop());
  const client = await RawClient.connect(server.port);
  onTestFinished(() => client.close());
  return client;
}

function bytes(seed: string, length: number, density: number): Buffer {
  const random = dice(seed);
  const out = Buffer.alloc(length);
  for (let bits = Math.round(length * 8 * density); bits > 0; bits--) {
    const bit = random.int(0, length * 8 - 1);
    out[bit >> 3] = (out[bit >> 3] as number) | (0x80 >> (bit & 7));
  }
  return out;
}

/** Strings in every encoding, with and without deadlines, in several databases. */
async function fillStrings(client: RawClient, deadline: number): Promise<void> {
  const strings: [string, string | Buffer][] = [
    ["", ""],
    ["empty", ""],
    ["i8", "-128"],
    ["i16", "32767"],
    ["i32", "-2147483648"],
    ["i33", "2147483648"],
    ["17", "no number"],
    ["raw\r\n\x00\xff", Buffer.from([0xff, 0, 0x80])],
    ["a long name ".repeat(20), "x"],
    ["lzf", "ab".repeat(1000)],
    ["noise", bytes("noise", 200_000, 0.4)],
    ["dense", bytes("dense", 3 * MB, 0.3)],
    ["sparse", bytes("sparse", 5 * MB, 0.00001)],
    ["spread", bytes("spread", 700_000, 0.01)],
  ];
  for (const database of DATABASES) {
    await client.call("SELECT", String(database));
    for (const [key, value] of strings) await client.call("SET", key, value);
    await client.call("PEXPIREAT", "lzf", String(deadline + database));
    await client.call("PEXPIREAT", "sparse", String(deadline * 2));
  }
  await client.call("SETBIT", "largest", "4294967295", "1");
  await client.call("SETBIT", "largest", "12345", "1");
}

/** Values of the other types, small and large, in the encodings that Redis chooses for them. */
async function fillOthers(client: RawClient): Promise<number> {
  const LARGE = 700;
  const many = Array.from({ length: LARGE }, (_, i) => String(i));
  const requests: string[][] = [
    ["RPUSH", "list", "a", "1"],
    ["RPUSH", "long list", ...many, "x".repeat(10_000)],
    ["SADD", "intset", "1", "2", "70000"],
    ["SADD", "set", "a", "b"],
    ["SADD", "large set", ...many, "x"],
    ["ZADD", "zset", "1.5", "a", "-inf", "b"],
    ["ZADD", "large zset", ...many.flatMap((i) => [i, `member ${i}`])],
    ["HSET", "hash", "f", "v"],
    ["HSET", "large hash", ...many.flatMap((i) => [i, "v".repeat(100)])],
    ["XADD", "stream", "1-1", "f", "v"],
    ["XADD", "stream", "2-1", "f", "w"],
    ["XGROUP", "CREATE", "stream", "group", "0"],
    ["XREADGROUP", "GROUP", "group", "consumer", "STREAMS", "stream", ">"],
    ["XADD", "empty stream", "1-1", "f", "v"],
    ["XDEL", "empty stream", "1-1"],
    ["PEXPIREAT", "hash", "9999999999999"],
    ["FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)"],
  ];
  for (const request of requests) expect(await client.call(...request)).not.toMatch(/^-/);
  return 11;
}

/** Every key of `client` is in `other` with the same value and deadline, and nothing else is. */
async function expectSame(client: RawClient, other: RawClient, isOther: (key: string) => boolean): Promise<number> {
  let compared = 0;
  for (let database = 0; database < 16; database++) {
    await client.call("SELECT", String(database));
    await other.call("SELECT", String(database));
    const keys = (await keysOf(client)).filter((key) => !isOther(key));
    expect(await keysOf(other)).toEqual(keys);
    for (const key of keys) {
      expect(await facts(other, key), JSON.stringify(key)).toEqual(await facts(client, key));
      compared++;
    }
  }
  return compared;
}

async function keysOf(client: RawClient): Promise<string[]> {
  const reply = await client.call("KEYS", "*");
  return [...reply.matchAll(/\$(\d+)\r\n/g)].length === 0 ? [] : bulks(reply).sort();
}

/** The bulks of an array, whatever bytes they have. */
function bulks(reply: string): string[] {
  const found: string[] = [];
  for (let at = reply.indexOf("\r\n") + 2; at < reply.length; ) {
    const end = reply.indexOf("\r\n", at);
    const length = Number(reply.slice(at + 1, end));
    found.push(reply.slice(end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
  return found;
}

async function facts(client: RawClient, key: string): Promise<string[]> {
  const raw = Buffer.from(key, "latin1");
  const length = await client.call("STRLEN", raw);
  const parts = [length, await client.call("PEXPIRETIME", raw), await client.call("BITCOUNT", raw)];
  if (Number(length.slice(1)) <= COMPARED_BYTES_MAX) parts.push(await client.call("GET", raw));
  else
    for (const start of [0, 1500, 300_000_000, 2 ** 29 - 70_000])
      parts.push(await client.call("GETRANGE", raw, String(start), String(start + 69_999)));
  return parts;
}

async function command(box: Sandbox, ...argv: string[]) {
  return await runProgram(process.execPath, [SERVER_BIN, ...argv], { cwd: box.folder, timeoutMs: 50_000 });
}

async function ours(server: ServerProcess): Promise<RawClient> {
  return await server.connect();
}

describe.skipIf(redisMissing !== undefined)("an RDB file of redis-server", () => {
  const deadline = Date.now() + 86_400_000;

  test.each([
    ["as it is usual", []],
    ["without compression", ["--rdbcompression", "no"]],
    ["without a checksum", ["--rdbchecksum", "no"]],
    [
      "with small encodings for nothing",
      ["--hash-max-listpack-entries", "0", "--zset-max-listpack-entries", "0", "--set-max-intset-entries", "0"],
    ],
    ["with access frequencies", ["--maxmemory-policy", "allkeys-lfu"]],
  ])("%s is imported", async (_name, args) => {
    const box = sandbox();
    const redis = await redisIn(box, args);
    await fillStrings(redis, deadline);
    await redis.call("SELECT", "7");
    const others = await fillOthers(redis);
    expect(await redis.call("SAVE")).toBe("+OK\r\n");
    const { code, stdout, stderr } = await command(box, "import", "dump.rdb", "--db", "b.db");
    expect(stderr).toContain("dump.rdb: functions are left out, 1 libraries");
    expect(stderr.includes("has no checksum")).toBe(args.includes("--rdbchecksum"));
    expect(code).toBe(0);
    for (const name of ["a list", "a set", "a sorted set", "a hash", "a stream"])
      expect(stdout).toContain(`, ${name}\n`);
    const client = await ours(await box.start({ db: "b.db" }));
    const compared = await expectSame(redis, client, (key) => /list|set|hash|stream/.test(key));
    expect(compared).toBe(3 * 14 + 1);
    expect(stdout).toContain(`${compared} keys moved`);
    expect(stdout).toContain(`verified: ${compared} keys`);
    expect([...stdout.matchAll(/skipped: "/g)].length).toBe(others);
  });

  test("is whole or nothing is taken: changed anywhere, cut off anywhere, with commands behind it", async () => {
    const random = dice("damage to a file of redis-server");
    const box = sandbox();
    const redis = await redisIn(box);
    for (let i = 0; i < 20; i++) await redis.call("SET", `key ${i}`, bytes(`key ${i}`, 500 * i, 0.01));
    await redis.call("SAVE");
    const good = readFileSync(box.path("dump.rdb"));
    const damaged = Buffer.from(good);
    const at = random.int(9, good.length - 1);
    damaged[at] = (damaged[at] as number) ^ (1 << random.int(0, 7));
    const cases: [Buffer, RegExp][] = [
      [damaged, /^error: bad\.rdb is damaged, at byte \d+: .*; nothing was taken from it/m],
      [
        good.subarray(0, random.int(10, good.length - 1)),
        /^error: bad\.rdb is damaged, at byte \d+: it is cut off; nothing was/m,
      ],
      [
        Buffer.concat([good, Buffer.from("*1\r\n$4\r\nPING\r\n")]),
        /^error: bad\.rdb goes on after its end at byte \d+/m,
      ],
    ];
    for (const [file, error] of cases) {
      writeFileSync(box.path("bad.rdb"), file);
      const { code, stdout, stderr } = await command(box, "import", "bad.rdb", "--db", "b.db");
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(error);
    }
    expect(readdirSync(box.folder).filter((name) => name.startsWith("b.db"))).toEqual([]);
  });

  test("shows each of its bits that is changed", async () => {
    const box = sandbox();
    const redis = await redisIn(box);
    await redis.call("MSET", "raw", "\x80\x01\xff", "number", "12345", "lzf", "ab".repeat(300));
    await redis.call("PEXPIREAT", "raw", String(deadline));
    for (const request of [
      ["RPUSH", "list", "a"],
      ["SADD", "set", "1"],
      ["XADD", "stream", "1-1", "f", "v"],
    ])
      await redis.call(...request);
    await redis.call("SAVE");
    const good = readFileSync(box.path("dump.rdb"));
    expect(readAll(good).keys.length).toBe(6);
    for (let bit = 0; bit < good.length * 8; bit++) {
      const flipped = Buffer.from(good);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => readAll(flipped), `bit ${bit}`).toThrow(RdbError);
    }
  });

  test("goes into a running server too, and only in part where a pattern says so", async () => {
    const box = sandbox();
    const redis = await redisIn(box);
    await redis.call("MSET", "a:1", "x", "a:2", "y", "b:1", "z");
    await redis.call("SAVE");
    const server = await box.start();
    const { code, stderr } = await command(
      box,
      "import",
      "dump.rdb",
      "--match",
      "a:*",
      "--to",
      `redis://127.0.0.1:${server.port}`,
    );
    expect([code, stderr]).toEqual([0, ""]);
    expect(await keysOf(await ours(server))).toEqual(["a:1", "a:2"]);
  });
});

describe.skipIf(redisMissing !== undefined)("a database that is exported as an RDB file", () => {
  const deadline = Date.now() + 86_400_000;

  test("is what redis-check-rdb passes and redis-server loads", async () => {
    const box = sandbox();
    const server = await box.start({ db: "b.db" });
    const filled = await ours(server);
    await fillStrings(filled, deadline);
    await server.stop();
    writeFileSync(box.path("dump.rdb"), "what was there before");
    const { code, stdout, stderr } = await command(box, "export", "--rdb", "dump.rdb", "--db", "b.db");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(`verified: ${3 * 14 + 1} keys`);
    expect(readFileSync(box.path("dump.rdb")).length).toBeLessThan(3 * 4.5 * MB + 7 * MB);
    const check = await runProgram("redis-check-rdb", [box.path("dump.rdb")]);
    expect(check).toMatchObject({ code: 0 });
    expect(check.stdout).toContain("Checksum OK");
    expect(check.stdout).toContain(`${3 * 14 + 1} keys read`);
    const redis = await redisIn(box);
    const client = await ours(await box.start({ db: "b.db" }));
    expect(await expectSame(client, redis, () => false)).toBe(3 * 14 + 1);
  });

  test("comes back as it was", async () => {
    const box = sandbox();
    const first = await box.start({ db: "one.db" });
    await fillStrings(await ours(first), deadline);
    await first.stop();
    expect(await command(box, "export", "--rdb", "out.rdb", "--db", "one.db")).toMatchObject({ code: 0 });
    expect(await command(box, "import", "out.rdb", "--db", "two.db")).toMatchObject({ code: 0 });
    const [one, two] = [await ours(await box.start({ db: "one.db" })), await ours(await box.start({ db: "two.db" }))];
    expect(await expectSame(one, two, () => false)).toBe(3 * 14 + 1);
  });

  test("may be a running server's", async () => {
    const box = sandbox();
    const server = await box.start();
    await (await ours(server)).call("MSET", "a", "1", "b", "2");
    const { code, stderr } = await command(
      box,
      "export",
      "--rdb",
      "dump.rdb",
      "--from",
      `redis://127.0.0.1:${server.port}`,
    );
    expect([code, stderr]).toEqual([0, ""]);
    expect(await keysOf(await redisIn(box))).toEqual(["a", "b"]);
  });

  test("leaves nothing and spoils nothing where it can't be made", async () => {
    const box = sandbox();
    const server = await box.start({ db: "b.db" });
    await (await ours(server)).call("SET", "k", "v");
    await server.stop();
    const files = readdirSync(box.folder);
    for (const [target, error] of [
      ["b.db", "error: option '--rdb <file>' names the database itself"],
      [".", "error: . is a folder"],
      ["nowhere/out.rdb", "error: can't write nowhere/out.rdb: ENOENT"],
    ] as const) {
      const { code, stderr } = await command(box, "export", "--rdb", target, "--db", "b.db");
      expect(code).toBe(1);
      expect(stderr).toContain(error);
    }
    const dry = await command(box, "export", "--rdb", "out.rdb", "--db", "b.db", "--dry-run");
    expect(dry).toMatchObject({ code: 0, stderr: "" });
    expect(readdirSync(box.folder)).toEqual(files);
    expect(existsSync(box.path("out.rdb"))).toBe(false);
  });
});
