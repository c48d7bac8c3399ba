/** `bitmapist-server backup`: a whole copy beside a server or without one, and no half of one whatever happens. */
import { spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { ask, askAll, keysOf } from "../support/ask.js";
import { ask as askFile, edit } from "../support/corrupt.js";
import {
  eventually,
  type Finished,
  freePort,
  type Sandbox,
  SERVER_BIN,
  type ServerProcess,
  sandbox,
  sleep,
} from "../support/server-process.js";

const DONE = /^copy\.db: copy of \S+, \d+ bytes, \d+ ms\n$/;

/** One line for people, and exit code 1. */
function expectRefused(finished: Finished, words: RegExp): void {
  expect(finished.stderr).toMatch(words);
  expect(finished.stderr).toMatch(/^error: [^\n]+\n$/);
  expect(finished).toMatchObject({ code: 1, signal: null, stdout: "" });
}

function expectDone(finished: Finished): void {
  expect(finished).toMatchObject({ code: 0, signal: null, stderr: "" });
  expect(finished.stdout).toMatch(DONE);
}

/** Whether a copy is fine and in order: no log, no deltas, nothing to remove, SQLite's plain journal. */
async function expectInOrder(place: Sandbox, name = "copy.db"): Promise<void> {
  expect((await place.run(["check", name])).stdout).toMatch(/^copy\.db: fine: /);
  for (const table of ["log", "deltas", "dropped_values", "dropped_slots"]) {
    expect(askFile(place.path(name), `SELECT 1 FROM ${table}`), table).toEqual([]);
  }
  expect(askFile(place.path(name), "PRAGMA journal_mode")).toEqual([{ journal_mode: "delete" }]);
  expect(readdirSync(place.folder).filter((file) => file.includes("tmp") || file.startsWith(`${name}-`))).toEqual([]);
}

async function fill(server: ServerProcess, keys = 500): Promise<void> {
  const client = await server.connect();
  const requests = Array.from({ length: keys }, (_, i) => ["SETBIT", `key:${i}`, String(i * 31), "1"]);
  const large = Array.from({ length: 5000 }, (_, i) => ["SETBIT", "large", String((i * 104_729) % 2 ** 31), "1"]);
  await askAll(client, [...requests, ...large, "SAVE", "SETBIT large 7 1", "SETBIT key:7 0 1", "SAVE"]);
}

describe("--db", () => {
  test("of a file at rest: the copy has everything, and the file is as it was", async () => {
    const place = sandbox();
    const server = await place.start();
    await fill(server);
    await server.stop();
    const before = readFileSync(place.path("bitmapist.db"));
    const files = readdirSync(place.folder);
    expectDone(await place.run(["backup", "copy.db"]));
    expect(readFileSync(place.path("bitmapist.db")).equals(before)).toBe(true);
    expect(readdirSync(place.folder).sort()).toEqual([...files, "copy.db"].sort());
    await expectInOrder(place);
    const client = await (await place.start({ db: "copy.db" })).connect();
    expect(await askAll(client, ["DBSIZE", "BITCOUNT large", "BITCOUNT key:7", "GETBIT key:499 15469"])).toEqual([
      501, 5001, 2, 1,
    ]);
  });

  test("of a file in use: what is committed, while the server goes on", async () => {
    const place = sandbox();
    const server = await place.start({ db: "a.db" });
    await fill(server);
    expectDone(await place.run(["backup", "copy.db", "--db", "a.db"]));
    await expectInOrder(place);
    const client = await server.connect();
    expect(await ask(client, "SET", "later", "1")).toBe("OK");
    expect(await askFile(place.path("copy.db"), "SELECT count(*) AS keys FROM keys")).toEqual([{ keys: 501 }]);
  });

  test("after kill -9, with commits in the write-ahead log and bits in the file's log", async () => {
    const place = sandbox();
    const server = await place.start({ db: "a.db" });
    await fill(server);
    await server.kill();
    const wal = readFileSync(place.path("a.db-wal"));
    expectDone(await place.run(["backup", "copy.db", "-db=a.db"]));
    expect(readFileSync(place.path("a.db-wal")).equals(wal)).toBe(true);
    await expectInOrder(place);
    expect(askFile(place.path("copy.db"), "SELECT cardinality FROM bitmaps WHERE key = 'large'")).toEqual([
      { cardinality: 5001 },
    ]);
  });

  test("replaces an older copy, and a copy of a copy is the same", async () => {
    const place = sandbox();
    const server = await place.start({ db: "a.db" });
    await fill(server);
    await server.stop();
    expectDone(await place.run(["backup", "copy.db", "--db", "a.db"]));
    edit(place.path("a.db"), "DELETE FROM chunks; DELETE FROM keys; UPDATE databases SET keys = 0");
    expectDone(await place.run(["backup", "copy.db", "--db", "a.db"]));
    expect(askFile(place.path("copy.db"), "SELECT 1 FROM keys")).toEqual([]);
    const again = await place.run(["backup", "second.db", "--db", "copy.db"]);
    expect(again.code).toBe(0);
    expect(statSync(place.path("second.db")).size).toBe(statSync(place.path("copy.db")).size);
  });

  test("what it copies is compact, however much is brought home", async () => {
    const place = sandbox();
    const server = await place.start({ db: "a.db" });
    const client = await server.connect();
    await askAll(client, [["SET", "k", Buffer.alloc(200_000, "xyz")], "SAVE"]);
    const bits = Array.from({ length: 50_000 }, (_, i) => ["SETBIT", "k", String((i * 7919) % 1_600_000), "1"]);
    await askAll(client, [...bits, "SAVE"]);
    await server.kill();
    expectDone(await place.run(["backup", "copy.db", "--db", "a.db"]));
    const [{ free }, { pages }] = [
      askFile<{ free: number }>(place.path("copy.db"), "SELECT freelist_count AS free FROM pragma_freelist_count")[0]!,
      askFile<{ pages: number }>(place.path("copy.db"), "SELECT page_count AS pages FROM pragma_page_count")[0]!,
    ];
    expect(free * 10).toBeLessThanOrEqual(pages);
  });
});

describe("--addr", () => {
  test("has everything that was acknowledged before it", async () => {
    const place = sandbox();
    const server = await place.start({ db: "sub db.db" });
    await fill(server);
    const client = await server.connect();
    for (let i = 0; i < 20; i++) await ask(client, "SETBIT", "late", i, 1);
    expectRefused(await place.run(["backup"]), /missing required argument 'target'/);
    const finished = await place.run(["backup", "copy.db", "--addr", `127.0.0.1:${server.port}`]);
    expect(finished).toMatchObject({ code: 0, stderr: "" });
    expect(finished.stdout).toContain(`copy.db: copy of ${place.path("sub db.db")}, `);
    await expectInOrder(place);
    expect(askFile(place.path("copy.db"), "SELECT cardinality FROM bitmaps WHERE key = 'late'")).toEqual([
      { cardinality: 20 },
    ]);
  });

  test("from another folder, with a password by option or environment", async () => {
    const place = sandbox();
    const server = await place.start({ args: ["--requirepass", "sécret"] });
    const other = sandbox();
    const to = ["--addr", `localhost:${server.port}`];
    expectRefused(
      await other.run(["backup", "copy.db", ...to]),
      /localhost:\d+ answers: NOAUTH Authentication required\./,
    );
    expectRefused(
      await other.run(["backup", "copy.db", ...to, "--password", "wrong"]),
      /localhost:\d+ answers: WRONGPASS /,
    );
    expectDone(await other.run(["backup", "copy.db", ...to, "--password", "sécret"]));
    const env = { ...process.env, REDISCLI_AUTH: "sécret" };
    expectDone(await other.run(["backup", "copy.db", ...to], { env }));
    expect(readdirSync(other.folder)).toEqual(["copy.db"]);
  });

  test("of nobody, and of somebody else", async () => {
    const place = sandbox();
    const port = await freePort();
    expectRefused(
      await place.run(["backup", "copy.db", "--addr", `127.0.0.1:${port}`]),
      /can't connect to 127\.0\.0\.1:\d+: .*ECONNREFUSED/,
    );
    const web = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    onTestFinished(() => void web.close());
    const webPort = await new Promise<number>((resolve) => {
      web.listen(0, "127.0.0.1", () => resolve((web.address() as { port: number }).port));
    });
    expectRefused(
      await place.run(["backup", "copy.db", "--addr", `127.0.0.1:${webPort}`]),
      /: what it sends is not Redis' protocol/,
    );
    expect(readdirSync(place.folder)).toEqual([]);
  });

  test("of a server that keeps nothing", async () => {
    const place = sandbox();
    const server = await place.start({ db: ":memory:" });
    expectRefused(
      await place.run(["backup", "copy.db", "--addr", `127.0.0.1:${server.port}`]),
      /127\.0\.0\.1:\d+ keeps its data in memory only \(:memory:\): there is no file to copy/,
    );
  });

  /** A server that gives any file as its own, as one in a container or behind a forwarded port does. */
  async function claims(dir: string, file: string): Promise<string> {
    const bulk = (text: string) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (bytes) => {
        const request = bytes.toString();
        if (request.includes("SAVE")) socket.write("+OK\r\n");
        else if (request.includes("dbfilename")) socket.write(`*2\r\n${bulk("dbfilename")}${bulk(file)}`);
        else socket.write(`*2\r\n${bulk("dir")}${bulk(dir)}`);
      });
    });
    onTestFinished(() => void server.close());
    return await new Promise((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve(`127.0.0.1:${(server.address() as { port: number }).port}`));
    });
  }

  test("whose file is not here, or is another's here", async () => {
    const place = sandbox();
    expectRefused(
      await place.run(["backup", "copy.db", "--addr", await claims("/no/such/folder", "data.db")]),
      /can't read \/no\/such\/folder\/data\.db, the file of 127\.0\.0\.1:\d+; run this where the server runs: ENOENT/,
    );
    const server = await place.start({ db: "a.db" });
    await server.stop();
    expectRefused(
      await place.run(["backup", "copy.db", "--addr", await claims(place.folder, "a.db")]),
      /no server has .*\/a\.db open here, so it is not the file of 127\.0\.0\.1:\d+: run this where the server runs/,
    );
    expect(existsSync(place.path("copy.db"))).toBe(false);
  });
});

describe("a target", () => {
  async function made(): Promise<Sandbox> {
    const place = sandbox();
    const server = await place.start({ db: "a.db" });
    await fill(server, 10);
    await server.stop();
    return place;
  }

  test("that is the database itself, under any name, is refused", async () => {
    const place = await made();
    symlinkSync(place.path("a.db"), place.path("link.db"));
    linkSync(place.path("a.db"), place.path("hard.db"));
    const before = readFileSync(place.path("a.db"));
    for (const target of ["a.db", "./a.db", "link.db", "hard.db"]) {
      expectRefused(
        await place.run(["backup", target, "--db", "a.db"]),
        /is the database itself: a copy needs a file of its own/,
      );
    }
    expect(readFileSync(place.path("a.db")).equals(before)).toBe(true);
  });

  test("that a server has open is refused, and the server goes on", async () => {
    const place = await made();
    const server = await place.start({ db: "other.db" });
    await ask(await server.connect(), "SET", "precious", "1");
    expectRefused(await place.run(["backup", "other.db", "--db", "a.db"]), /other\.db is in use by a bitmapist-server/);
    expect(await keysOf(await server.connect())).toEqual(["precious"]);
  });

  test("beside which another's write-ahead log lies is refused: it would be taken for the copy's", async () => {
    const place = await made();
    const server = await place.start({ db: "old.db" });
    await askAll(await server.connect(), ["SET old 1", "SAVE"]);
    await server.kill();
    expectRefused(
      await place.run(["backup", "old.db", "--db", "a.db"]),
      /old\.db-wal is there: it belongs to another database/,
    );
    expect(await keysOf(await (await place.start({ db: "old.db" })).connect())).toEqual(["old"]);
  });

  test("in a folder that is missing, or that is a folder, is refused", async () => {
    const place = await made();
    mkdirSync(place.path("folder"));
    writeFileSync(place.path("folder/inside"), "x");
    expectRefused(
      await place.run(["backup", "missing/copy.db", "--db", "a.db"]),
      /can't copy a\.db to missing\/copy\.db: /,
    );
    expectRefused(await place.run(["backup", "folder", "--db", "a.db"]), /can't copy a\.db to folder: /);
    expect(readdirSync(place.folder).sort()).toEqual(["a.db", "a.db-lock", "folder"]);
    expect(readdirSync(place.path("folder"))).toEqual(["inside"]);
  });

  test("is not touched when the source can't be read or is none", async () => {
    const place = await made();
    writeFileSync(place.path("copy.db"), "precious");
    writeFileSync(place.path("text"), "no database, but long enough for a header of one hundred bytes ".repeat(3));
    copyFileSync(place.path("a.db"), place.path("damaged.db"));
    edit(place.path("damaged.db"), "INSERT INTO log VALUES (1, X'00', 0)");
    for (const [source, words] of [
      ["missing.db", /can't read missing\.db: ENOENT/],
      ["text", /text is not a bitmapist-server database/],
      ["damaged.db", /can't copy damaged\.db to copy\.db: .*log row 1 is not what was written/],
    ] as const) {
      expectRefused(await place.run(["backup", "copy.db", "--db", source]), words);
      expect(readFileSync(place.path("copy.db"), "utf8")).toBe("precious");
    }
    expect(readdirSync(place.folder).filter((name) => name.includes("tmp"))).toEqual([]);
  });
});

test.each([
  [
    ["backup", "copy.db", "--db", "a.db", "--addr", "127.0.0.1:1"],
    /option '--addr <host:port>' cannot be used with option '--db <file>'/,
  ],
  [["backup", "copy.db", "--addr", "6379"], /--addr/],
  [["backup", "copy.db", "--password", "x"], /option '--password <password>' is for a server's, which --addr names/],
  [["backup", "copy.db", "other.db"], /too many arguments/],
  [["backup", "copy.db", "--bak", "x"], /unknown option '--bak'/],
] as const)("the command line %j is refused in one line", async (argv, words) => {
  const place = sandbox();
  expectRefused(await place.run(argv), words);
  expect(readdirSync(place.folder)).toEqual([]);
});

describe("a copy that is cut short", () => {
  /** A file large enough that copying it takes a while, and an older copy. */
  async function large(): Promise<Sandbox> {
    const place = sandbox();
    const server = await place.start({ db: "a.db" });
    const client = await server.connect();
    const value = Buffer.alloc(1_000_000, "some bytes ");
    for (let i = 0; i < 150; i++) await ask(client, "SET", `k${i}`, value);
    await server.stop();
    writeFileSync(place.path("copy.db"), "older");
    return place;
  }

  async function interrupted(place: Sandbox, signal: NodeJS.Signals): Promise<{ pid: number; exit: string | null }> {
    const child = spawn(process.execPath, [SERVER_BIN, "backup", "copy.db", "--db", "a.db"], {
      cwd: place.folder,
      stdio: "ignore",
    });
    const exited = new Promise<string | null>((resolve) => child.once("exit", (_code, ended) => resolve(ended)));
    const temporary = place.path(`copy.db.${child.pid}.tmp`);
    await eventually("the copy has begun", () => existsSync(temporary) || child.exitCode !== null);
    await sleep(20);
    child.kill(signal);
    return { pid: child.pid as number, exit: await exited };
  }

  test.each(["SIGINT", "SIGTERM"] as const)("by %s leaves the older copy and nothing else", async (signal) => {
    const place = await large();
    expect((await interrupted(place, signal)).exit).toBe(signal);
    expect(readFileSync(place.path("copy.db"), "utf8")).toBe("older");
    // SQLite's two files, empty, stay beside a database that a reader of it did not close.
    const others = readdirSync(place.folder).filter((name) => !/^a\.db(-wal|-shm|-lock)?$/.test(name));
    expect(others).toEqual(["copy.db"]);
  });

  test("by kill -9 leaves the older copy and a file that the next one removes", async () => {
    const place = await large();
    const { pid, exit } = await interrupted(place, "SIGKILL");
    expect(exit).toBe("SIGKILL");
    expect(readFileSync(place.path("copy.db"), "utf8")).toBe("older");
    const leftover = `copy.db.${pid}.tmp`;
    expect(readdirSync(place.folder)).toContain(leftover);
    writeFileSync(place.path(`copy.db.${process.pid}.tmp`), "of a process that runs");
    const finished = await place.run(["backup", "copy.db", "--db", "a.db"]);
    expect(finished.code).toBe(0);
    expect(finished.stderr).toContain(`removed ${leftover}, which a backup that was killed left\n`);
    expect(readdirSync(place.folder).filter((name) => name.includes(".tmp"))).toEqual([`copy.db.${process.pid}.tmp`]);
    expect((await place.run(["check", "copy.db"])).code).toBe(0);
  });
});

test("a copy is as readable for others as any file that is made", async () => {
  const place = sandbox();
  const server = await place.start({ db: "a.db" });
  await server.stop();
  chmodSync(place.path("a.db"), 0o600);
  expectDone(await place.run(["backup", "copy.db", "--db", "a.db"]));
  expect(statSync(place.path("copy.db")).mode & 0o400).toBe(0o400);
});
