/** The file itself: what other programs read in it, how soon a large one is served, and who may come in. */
import { existsSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import Database from "better-sqlite3";
import roaring from "roaring";
import { describe, expect, test } from "vitest";
import { ask, askAll } from "../support/ask.js";
import { ConnectionClosed, type RawClient } from "../support/raw-client.js";
import { sandbox, sleep } from "../support/server-process.js";

const { RoaringBitmap32 } = roaring;

interface Row {
  id: number;
  key: Buffer;
  byteLength: number;
  cardinality: number;
  deadline: number | null;
  /** Bytes of its chunks. */
  bytes: number;
  bits: number[];
}

function readRows(path: string): Row[] {
  const file = new Database(path, { readonly: true });
  try {
    const keys = file.prepare<[], Omit<Row, "bytes" | "bits">>(
      "SELECT id, key, byte_length AS byteLength, cardinality, deadline FROM keys ORDER BY key",
    );
    const chunks = file.prepare<[number], { portable: Buffer }>("SELECT portable FROM chunks WHERE chunk / 65536 = ?");
    return keys.all().map((row) => {
      const portables = chunks.all(row.id).map(({ portable }) => portable);
      const bits = portables.flatMap((portable) => [...RoaringBitmap32.deserialize(portable, "portable")]);
      return { ...row, bits, bytes: portables.reduce((sum, { length }) => sum + length, 0) };
    });
  } finally {
    file.close();
  }
}

test("SQLite shows keys, lengths, cardinalities and deadlines, and any Roaring library reads the bits", async () => {
  const place = sandbox();
  const server = await place.start();
  const client = await server.connect();
  const dense = Array.from({ length: 300 }, (_, i) => ["SETBIT", "dense", String(1000 + i), "1"]);
  await askAll(client, [
    ["SETBIT", "bits", "0", "1"],
    ["SETBIT", "bits", "4294967295", "1"],
    ["SETBIT", "bits", "77777", "1"],
    ["SETBIT", "bits", "77777", "0"],
    ["SET", "text", "hello"],
    ["SETBIT", "zeros", "100", "0"],
    ["SET", "empty", ""],
    ["SET", "bin\0\xff", "\x01"],
    ["SET", "volatile", "x", "PXAT", "4102444800123"],
    ["BITOP", "NOT", "not", "text"],
    ...dense,
    ["SAVE"],
  ]);

  // While the server runs: an outside reader does not disturb it, nor it the reader.
  const rows = new Map(readRows(place.path("bitmapist.db")).map((row) => [row.key.toString("latin1"), row]));
  const bitsIn = (key: string) => rows.get(key)!.bits;
  const shown = (key: string) => {
    const { byteLength, cardinality, deadline } = rows.get(key)!;
    return [byteLength, cardinality, deadline];
  };
  expect([...rows.keys()].sort()).toEqual(["bin\0\xff", "bits", "dense", "empty", "not", "text", "volatile", "zeros"]);
  expect(shown("bits")).toEqual([2 ** 29, 2, null]);
  expect(bitsIn("bits")).toEqual([0, 4294967295]);
  expect(shown("text")).toEqual([5, 21, null]);
  expect(bitsIn("text").slice(0, 3)).toEqual([1, 2, 4]); // h is 0x68, the most significant bit first
  expect(shown("zeros")).toEqual([13, 0, null]);
  expect(bitsIn("zeros")).toEqual([]);
  expect(shown("empty")).toEqual([0, 0, null]);
  expect(shown("volatile")).toEqual([1, 4, 4102444800123]);
  expect(shown("not")).toEqual([5, 19, null]);
  expect(bitsIn("dense")).toEqual(Array.from({ length: 300 }, (_, i) => 1000 + i));
  // Run containers where they are smaller: 300 bits in a row are far less than 600 bytes.
  expect(rows.get("dense")!.bytes).toBeLessThan(40);
  // And the view for people says it without Roaring.
  const file = new Database(place.path("bitmapist.db"), { readonly: true });
  expect(file.prepare("SELECT * FROM bitmaps WHERE key = 'volatile'").get()).toMatchObject({
    database: 0,
    key: "volatile",
    cardinality: 4,
    byte_length: 1,
    expires: "2100-01-01 00:00:00.123",
  });
  expect(file.prepare("SELECT count(*) FROM bitmaps").pluck().get()).toBe(8);
  file.close();
  expect(await ask(client, "PING")).toBe("PONG");
});

test("the file says whose it is, which version, and passes SQLite's own check after kill -9", async () => {
  const place = sandbox();
  const server = await place.start();
  const client = await server.connect();
  await askAll(
    client,
    Array.from({ length: 500 }, (_, i) => ["SETBIT", `k${i % 50}`, String(i * i), "1"]),
  );
  await ask(client, "SAVE");
  await askAll(client, ["FLUSHDB", "SET k v"]);
  await sleep(30);
  await server.kill();
  const file = new Database(place.path("bitmapist.db"));
  expect(file.pragma("application_id", { simple: true })).toBe(0x424d6170);
  expect(file.pragma("user_version", { simple: true })).toBeGreaterThan(0);
  expect(file.pragma("journal_mode", { simple: true })).toBe("wal");
  expect(file.pragma("integrity_check", { simple: true })).toBe("ok");
  file.close();
});

test("a reader that keeps its transaction open does not stop the server's writes", async () => {
  const place = sandbox();
  const server = await place.start();
  const client = await server.connect();
  await askAll(client, ["SET k before", "SAVE"]);
  const reader = new Database(place.path("bitmapist.db"), { readonly: true });
  try {
    reader.exec("BEGIN");
    const count = () => (reader.prepare("SELECT count(*) AS n FROM keys").get() as { n: number }).n;
    expect(count()).toBe(1);
    await askAll(client, ["SET l after", "SAVE"]);
    expect(count()).toBe(1);
    reader.exec("COMMIT");
    expect(count()).toBe(2);
  } finally {
    reader.close();
  }
});

test("with 100,000 keys on disk the first reply comes in less than 3 s, and every key is there", async () => {
  const KEYS = 100_000;
  const place = sandbox();
  const first = await place.start();
  const writer = await first.connect();
  for (let base = 0; base < KEYS; base += 5000) {
    const requests = Array.from({ length: 5000 }, (_, i) => ["SETBIT", `key:${base + i}`, String(base + i), "1"]);
    await writer.pipeline(requests);
  }
  await first.stop();

  const second = await place.start();
  console.log(`first PING reply with ${KEYS} keys on disk: ${Math.round(second.startMs)} ms after the process start`);
  expect(second.startMs).toBeLessThan(3000);
  const client = await second.connect();
  expect(await ask(client, "DBSIZE")).toBe(KEYS);
  expect(
    await askAll(client, ["GETBIT key:99999 99999", "GETBIT key:0 0", "BITCOUNT key:50000", "EXISTS key:100000"]),
  ).toEqual([1, 1, 1, 0]);
  expect(await ask(client, "KEYS", "key:1234?")).toHaveLength(10);
});

test("--appendfsync no saves at the end as well, and kill -9, which takes no memory of the system, loses nothing old", async () => {
  const place = sandbox();
  const args = ["--appendfsync", "no"];
  const first = await place.start({ args });
  const writer = await first.connect();
  expect(await ask(writer, "CONFIG", "GET", "appendfsync")).toEqual(["appendfsync", "no"]);
  await ask(writer, "SET", "one", "1");
  await sleep(1500);
  await first.kill();

  const second = await place.start({ args });
  const client = await second.connect();
  expect(await ask(client, "GET", "one")).toBe("1");
  await ask(client, "SET", "two", "2");
  expect(await second.stop()).toEqual({ code: 0, signal: null });
  const after = await (await place.start()).connect();
  expect(await ask(after, "MGET", "one", "two")).toEqual(["1", "2"]);
});

test("a relative --db is meant from the folder the server was started in", async () => {
  const place = sandbox();
  const server = await place.start({ db: "./bitmapist.db" });
  await ask(await server.connect(), "SET", "k", "v");
  await server.stop();
  expect(readRows(place.path("bitmapist.db")).map(({ key }) => key.toString())).toEqual(["k"]);
});

describe("--requirepass", () => {
  const start = async () => {
    const server = await sandbox().start({ args: ["--requirepass", "pass word"] });
    return { server, client: await server.connect() };
  };

  test("nothing but AUTH, HELLO, QUIT and RESET is answered before the password", async () => {
    const { client } = await start();
    for (const request of [
      "PING",
      "GET k",
      "SET k v",
      "INFO",
      "COMMAND",
      "MULTI",
      "CONFIG GET *",
      "SHUTDOWN NOSAVE",
      "CLIENT ID",
    ]) {
      expect(await client.call(...request.split(" ")), request).toBe("-NOAUTH Authentication required.\r\n");
    }
    expect(await client.call("HELLO", "3")).toMatch(
      /^-NOAUTH HELLO must be called with the client already authenticated/,
    );
    expect(await client.call("RESET")).toBe("+RESET\r\n");
    expect(await client.call("QUIT")).toBe("+OK\r\n");
    await client.closed;
  });

  test("AUTH with the password lets in, with another it does not", async () => {
    const { client } = await start();
    const wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    expect(await client.call("AUTH", "wrong")).toBe(wrong);
    expect(await client.call("AUTH", "")).toBe(wrong);
    expect(await client.call("AUTH", "other", "pass word")).toBe(wrong);
    expect(await client.call("PING")).toBe("-NOAUTH Authentication required.\r\n");
    expect(await client.call("AUTH", "pass word")).toBe("+OK\r\n");
    expect(await client.call("PING")).toBe("+PONG\r\n");
    expect(await client.call("AUTH", "wrong")).toBe(wrong);
    expect(await client.call("PING")).toBe("+PONG\r\n");
    expect(await client.call("AUTH", "default", "pass word")).toBe("+OK\r\n");
  });

  test("HELLO AUTH lets in and chooses the protocol at once", async () => {
    const { server, client } = await start();
    expect(await client.call("HELLO", "3", "AUTH", "default", "wrong")).toMatch(/^-WRONGPASS/);
    expect(await client.call("PING")).toBe("-NOAUTH Authentication required.\r\n");
    expect(await client.call("HELLO", "3", "AUTH", "default", "pass word", "SETNAME", "me")).toMatch(/^%7\r\n/);
    expect(await client.call("GET", "missing")).toBe("_\r\n");
    expect(await client.call("CLIENT", "GETNAME")).toBe("$2\r\nme\r\n");
    const other = await server.connect();
    expect(await other.call("HELLO", "2", "AUTH", "default", "pass word")).toMatch(/^\*14\r\n/);
  });

  test("RESET takes the permission back", async () => {
    const { client } = await start();
    expect(await client.call("AUTH", "pass word")).toBe("+OK\r\n");
    expect(await client.call("RESET")).toBe("+RESET\r\n");
    expect(await client.call("PING")).toBe("-NOAUTH Authentication required.\r\n");
  });

  const sendAndClose = async (client: RawClient, bytes: string) => {
    client.send(bytes);
    const [reply] = await client.replies(1);
    await client.closed;
    return reply;
  };

  test("a client without the password can't make the server hold much", async () => {
    const { server } = await start();
    const tooMany = "-ERR Protocol error: unauthenticated multibulk length\r\n";
    const tooLong = "-ERR Protocol error: unauthenticated bulk length\r\n";
    expect(await sendAndClose(await server.connect(), "*11\r\n")).toBe(tooMany);
    expect(await sendAndClose(await server.connect(), "*1000000\r\n")).toBe(tooMany);
    expect(await sendAndClose(await server.connect(), "*2\r\n$4\r\nAUTH\r\n$16385\r\n")).toBe(tooLong);

    const inside = await server.connect();
    inside.send("*10\r\n$4\r\nAUTH\r\n$16384\r\n");
    await sleep(50);
    expect(inside.isClosed).toBe(false);
  });

  test("behind AUTH in the same chunk the usual limits hold", async () => {
    const { client } = await start();
    const del = `*12\r\n$3\r\nDEL\r\n${"$1\r\nk\r\n".repeat(11)}`;
    const big = `*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20000\r\n${"x".repeat(20000)}\r\n`;
    client.send(`*2\r\n$4\r\nAUTH\r\n$9\r\npass word\r\n${del}${big}`);
    expect(await client.replies(3)).toEqual(["+OK\r\n", ":0\r\n", "+OK\r\n"]);
  });

  test("without a password set AUTH is an error and nothing else is", async () => {
    const server = await sandbox().start();
    const client = await server.connect();
    expect(await client.call("AUTH", "x")).toMatch(/^-ERR AUTH <password> called without any password configured/);
    expect(await client.call("PING")).toBe("+PONG\r\n");
    client.send("*2000000\r\n");
    expect(await client.replies(1)).toEqual(["-ERR Protocol error: invalid multibulk length\r\n"]);
    await expect(client.call("PING")).rejects.toThrow(ConnectionClosed);
  });
});

describe("a --db that is a link", () => {
  test.each(["always", "everysec", "no"])("is saved where it leads, and its log is there, under %s", async (mode) => {
    const place = sandbox();
    mkdirSync(place.path("real"));
    writeFileSync(place.path("real/data.db"), "");
    symlinkSync("real/data.db", place.path("link.db"));
    const server = await place.start({ db: "link.db", args: ["--appendfsync", mode] });
    const client = await server.connect();
    expect(await askAll(client, ["SET a x", "SAVE", "SET b y", "WAITAOF 1 0 0"])).toEqual(["OK", "OK", "OK", [1, 0]]);
    expect(String(await ask(client, "INFO", "persistence"))).toMatch(/wal_bytes:[1-9]/);
    expect(lstatSync(place.path("link.db")).isSymbolicLink()).toBe(true);
    expect(existsSync(place.path("real/data.db-wal"))).toBe(true);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
  });

  test("makes the file where it leads, and is one with it for a second server", async () => {
    const place = sandbox();
    mkdirSync(place.path("real"));
    symlinkSync("real/data.db", place.path("link.db"));
    const server = await place.start({ db: "link.db" });
    const client = await server.connect();
    expect(await askAll(client, ["SET a x", "SAVE"])).toEqual(["OK", "OK"]);
    expect(lstatSync(place.path("link.db")).isSymbolicLink()).toBe(true);
    expect(readRows(place.path("real/data.db")).map(({ key }) => key.toString())).toEqual(["a"]);
    await expect(place.start({ db: "real/data.db" })).rejects.toThrow(/in use/);
  });
});
