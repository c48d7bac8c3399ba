/** What the server must not touch, or can't use: one clear line on stderr, exit code 1, and the file as it was. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { ask, askAll, keysOf } from "../support/ask.js";
import { edit, PAGE_BYTES, rootOf, spoilPage } from "../support/corrupt.js";
import { diceOf } from "../support/random.js";
import { type Finished, runProgram, type Sandbox, SERVER_BIN, sandbox } from "../support/server-process.js";

/** Everybody's user id for nobody. */
const NOBODY = 65534;

function digest(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** One line, for people, that contains `words`, and exit code 1. */
function expectOneLine(finished: Finished, words: RegExp): void {
  expect(finished.stderr.trimEnd()).toMatch(words);
  expect(finished.stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(finished.stderr).not.toMatch(/\n\s+at |node:internal|undefined|\[object/);
  expect(finished).toMatchObject({ code: 1, signal: null, stdout: "" });
}

function serve(place: Sandbox, db: string, ...args: string[]): Promise<Finished> {
  return place.run(["--addr", "127.0.0.1:0", "--db", db, ...args]);
}

/** Serves `name`, which must be refused, and looks that it and its folder stay as they are. */
async function expectUntouched(place: Sandbox, name: string, words: RegExp): Promise<void> {
  const before = digest(place.path(name));
  const files = readdirSync(place.folder).sort();
  const { mtimeMs } = statSync(place.path(name));
  expectOneLine(await serve(place, name), words);
  expect(digest(place.path(name))).toBe(before);
  expect(statSync(place.path(name)).mtimeMs).toBe(mtimeMs);
  expect(readdirSync(place.folder).sort()).toEqual(files);
}

/** A database of ours with some keys, at rest. */
async function makeDatabase(place: Sandbox, name: string, keys = 50): Promise<void> {
  const server = await place.start({ db: name });
  const client = await server.connect();
  await askAll(
    client,
    Array.from({ length: keys }, (_, i) => ["SET", `key:${i}`, `value ${i} ${"x".repeat(500)}`]),
  );
  await server.stop();
}

test("a file in use by another server is refused, and the first server goes on", async () => {
  const place = sandbox();
  const first = await place.start();
  const client = await first.connect();
  await ask(client, "SET", "k", "v");
  await ask(client, "SAVE");
  const before = digest(place.path("bitmapist.db"));
  const files = readdirSync(place.folder).sort();

  expectOneLine(await serve(place, "bitmapist.db"), /bitmapist\.db is in use by another bitmapist-server/);

  expect(digest(place.path("bitmapist.db"))).toBe(before);
  expect(readdirSync(place.folder).sort()).toEqual(files);
  await ask(client, "SET", "k", "w");
  expect(await first.stop()).toEqual({ code: 0, signal: null });
  const after = await (await place.start()).connect();
  expect(await ask(after, "GET", "k")).toBe("w");
});

test("a file in use under another name, by a symbolic link, is refused", async () => {
  const place = sandbox();
  const first = await place.start();
  const client = await first.connect();
  await ask(client, "SET", "k", "v");
  await ask(client, "SAVE");
  symlinkSync(place.path("bitmapist.db"), place.path("link.db"));
  expectOneLine(await serve(place, "link.db"), /is in use by another bitmapist-server/);
  expect(await ask(client, "GET", "k")).toBe("v");
});

test("a file in use is refused also when the lock beside it may be read only", async () => {
  const place = sandbox();
  const user = await ordinaryUser();
  if (user === undefined) return;
  await makeDatabase(place, "bitmapist.db", 1);
  chmodSync(place.folder, 0o777);
  chmodSync(place.path("bitmapist.db"), 0o666);
  for (const name of readdirSync(place.folder)) if (name.endsWith("-lock")) chmodSync(place.path(name), 0o444);
  const first = await place.start({ user }).catch((error: Error) => error);
  // Not to start at all is as good.
  if (first instanceof Error) return;
  const finished = await place.run(["--addr", "127.0.0.1:0", "--db", "bitmapist.db"], user);
  expectOneLine(finished, /is in use by another bitmapist-server/);
});

test("after kill -9 of its server a file is free at once", async () => {
  const place = sandbox();
  const first = await place.start();
  await first.kill();
  const second = await place.start();
  expect(await ask(await second.connect(), "PING")).toBe("PONG");
});

test("a port that is taken is told with the port, and the file stays as it is", async () => {
  const place = sandbox();
  await makeDatabase(place, "bitmapist.db");
  const before = digest(place.path("bitmapist.db"));
  const taken = createServer();
  onTestFinished(() => void taken.close());
  const port = await listening(taken);
  const finished = await place.run(["--addr", `127.0.0.1:${port}`, "--db", "bitmapist.db"]);
  expectOneLine(finished, new RegExp(`can't listen on 127\\.0\\.0\\.1:${port}: .*EADDRINUSE`));
  expect(digest(place.path("bitmapist.db"))).toBe(before);
});

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

test("a host that does not exist is told", async () => {
  const place = sandbox();
  const finished = await place.run(["--addr", "no-such-host.invalid:0", "--db", ":memory:"]);
  expectOneLine(finished, /can't listen on no-such-host\.invalid/);
});

test("a folder that is missing is told, and not made", async () => {
  const place = sandbox();
  expectOneLine(await serve(place, "missing/bitmapist.db"), /can't write to the folder .*missing/);
  expect(existsSync(place.path("missing"))).toBe(false);
});

test("a file in the place of the folder is told", async () => {
  const place = sandbox();
  writeFileSync(place.path("file"), "x");
  expectOneLine(await serve(place, "file/bitmapist.db"), /can't write to the folder .*file/);
  expect(readFileSync(place.path("file"), "utf8")).toBe("x");
});

test("a folder that may not be written is told", async () => {
  const place = sandbox();
  const user = await ordinaryUser();
  if (user === undefined) return;
  mkdirSync(place.path("closed"));
  chmodSync(place.folder, 0o755);
  chmodSync(place.path("closed"), 0o555);
  const finished = await place.run(["--addr", "127.0.0.1:0", "--db", "closed/bitmapist.db"], user);
  expectOneLine(finished, /can't write to the folder .*closed.*EACCES/);
  expect(readdirSync(place.path("closed"))).toEqual([]);
});

test("a database that may be read but not written is refused at the start", async () => {
  const place = sandbox();
  const user = await ordinaryUser();
  if (user === undefined) return;
  await makeDatabase(place, "bitmapist.db");
  chmodSync(place.folder, 0o777);
  chmodSync(place.path("bitmapist.db"), 0o444);
  const before = digest(place.path("bitmapist.db"));
  const finished = await place.run(["--addr", "127.0.0.1:0", "--db", "bitmapist.db"], user);
  expect(digest(place.path("bitmapist.db"))).toBe(before);
  expectOneLine(finished, /bitmapist\.db/);
});

/** For the superuser there is no closed folder: the server is run as nobody. undefined, with a word, where that can't be. */
async function ordinaryUser(): Promise<{ uid?: number; gid?: number } | undefined> {
  if (process.getuid?.() !== 0) return {};
  const nobody = { uid: NOBODY, gid: NOBODY };
  const tried = await runProgram(process.execPath, [SERVER_BIN, "--version"], { ...nobody, cwd: "/" }).catch(
    () => undefined,
  );
  if (tried?.code === 0) return nobody;
  console.log("NOT TESTED: run by root, who may write everywhere, and nobody else may start the server here");
  return undefined;
}

test("a directory as --db is told, and stays empty", async () => {
  const place = sandbox();
  mkdirSync(place.path("folder.db"));
  expectOneLine(await serve(place, "folder.db"), /folder\.db is not a file/);
  expect(readdirSync(place.path("folder.db"))).toEqual([]);
  expect(readdirSync(place.folder)).toEqual(["folder.db"]);
});

test.each([
  ["text", Buffer.from("These are somebody's notes.\n".repeat(300))],
  ["a few bytes", Buffer.from("short")],
  ["one zero byte", Buffer.alloc(1)],
  ["zeros", Buffer.alloc(3 * PAGE_BYTES)],
  ["a Redis dump", Buffer.from("REDIS0011\xfa\x09redis-ver\x057.0.15\xff", "latin1")],
  ["a name of SQLite's, cut off", Buffer.from("SQLite format 3\0")],
])("a file that is no database (%s) is refused and left untouched", async (_what, bytes) => {
  const place = sandbox();
  writeFileSync(place.path("other.file"), bytes);
  await expectUntouched(place, "other.file", /other\.file is .*left untouched/);
});

test("another program's SQLite database is refused and left untouched", async () => {
  const place = sandbox();
  for (const [name, applicationId] of [
    ["none.db", 0],
    ["theirs.db", 0x12345678],
  ] as const) {
    const theirs = new Database(place.path(name));
    theirs.pragma(`application_id = ${applicationId}`);
    theirs.exec("CREATE TABLE keys (k TEXT); INSERT INTO keys VALUES ('precious')");
    theirs.close();
  }
  await expectUntouched(place, "none.db", /none\.db is another program's SQLite database; it was left untouched/);
  await expectUntouched(place, "theirs.db", /theirs\.db is another program's SQLite database; it was left untouched/);
});

test("a database of a newer schema is refused with both numbers and left untouched", async () => {
  const place = sandbox();
  await makeDatabase(place, "newer.db");
  const newer = new Database(place.path("newer.db"));
  newer.pragma("user_version = 999");
  newer.pragma("journal_mode = DELETE");
  newer.close();
  await expectUntouched(
    place,
    "newer.db",
    /newer\.db was written by a newer bitmapist-server \(schema 999, this one knows \d+\)/,
  );
});

test("an empty file becomes a database", async () => {
  const place = sandbox();
  writeFileSync(place.path("empty.db"), "");
  const first = await place.start({ db: "empty.db" });
  await ask(await first.connect(), "SET", "k", "v");
  await first.stop();
  const second = await place.start({ db: "empty.db" });
  expect(await ask(await second.connect(), "GET", "k")).toBe("v");
});

/** Overwrites all pages from this one on, the first being number 1, with bytes that are none. */
function spoil(path: string, firstPage: number): void {
  const bytes = readFileSync(path);
  const random = diceOf(7);
  for (let at = (firstPage - 1) * PAGE_BYTES; at < bytes.length; at++) bytes[at] = random.int(0, 255);
  writeFileSync(path, bytes);
}

/** Damage that a start sees, and what it says of it. */
const DAMAGE: readonly (readonly [string, (path: string) => void, string])[] = [
  [
    "with nothing but garbage behind a good header",
    (path) => {
      const bytes = readFileSync(path);
      const random = diceOf(7);
      for (let at = 100; at < bytes.length; at++) bytes[at] = random.int(0, 255);
      // The figures that a cut is seen by.
      bytes.copyWithin(92, 24, 28);
      writeFileSync(path, bytes);
    },
    "malformed",
  ],
  ["whose pages behind the schema are garbage", (path) => spoil(path, 2), "malformed"],
  ["that was cut off", (path) => truncateSync(path, 5 * PAGE_BYTES), "it is cut off, 5 of \\d+ pages are there"],
  [
    "that was cut off within a page",
    (path) => truncateSync(path, 5 * PAGE_BYTES + 77),
    "it is cut off, 5 of \\d+ pages are there",
  ],
  [
    "that was cut off by a byte",
    (path) => truncateSync(path, statSync(path).size - 1),
    "it is cut off, \\d+ of \\d+ pages are there",
  ],
  [
    "with a malformed schema",
    (path) =>
      edit(
        path,
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE keys (' WHERE name = 'keys'",
      ),
    "malformed database schema",
  ],
  ["without one of its tables", (path) => edit(path, "DROP TABLE dropped_values"), "no such table: dropped_values"],
  [
    "whose databases are lost",
    (path) => edit(path, "DELETE FROM databases"),
    "its table of databases has no database 0",
  ],
  [
    "without one of its databases",
    (path) => edit(path, "DELETE FROM databases WHERE number = 7"),
    "its table of databases has no database 7",
  ],
  ["whose table of databases can't be read", (path) => spoilPage(path, rootOf(path, "databases")), "malformed"],
  ["whose root of all keys can't be read", (path) => spoilPage(path, rootOf(path, "keys")), "malformed"],
  ["whose root of all values can't be read", (path) => spoilPage(path, rootOf(path, "chunks")), "malformed"],
  ["whose index can't be read", (path) => spoilPage(path, rootOf(path, "names")), "malformed"],
  ["whose index of new keys can't be read", (path) => spoilPage(path, rootOf(path, "new_names")), "malformed"],
  [
    "with a row of the log that is not what was written",
    (path) => edit(path, "INSERT INTO log VALUES (3, X'0102', 7)"),
    "log row 3 is not what was written",
  ],
];

test.each(DAMAGE)(
  "a database %s is refused in one line that names check, and left untouched",
  async (_what, damage, words) => {
    const place = sandbox();
    await makeDatabase(place, "made.db");
    // Without its lock: no refusal makes one.
    copyFileSync(place.path("made.db"), place.path("corrupt.db"));
    damage(place.path("corrupt.db"));
    const line = `can't open the database corrupt\\.db: it is damaged \\(.*${words}.*\\) and was left untouched; bitmapist-server check corrupt\\.db tells more$`;
    await expectUntouched(place, "corrupt.db", new RegExp(line));
  },
);

test("damage that only the write-ahead log has, after a kill -9, is refused, and neither file is touched", async () => {
  const place = sandbox();
  await makeDatabase(place, "corrupt.db");
  const open = new Database(place.path("corrupt.db"));
  onTestFinished(() => void open.close());
  open.pragma("wal_autocheckpoint = 0");
  open.exec("INSERT INTO log VALUES (3, X'0102', 7)");
  const wal = digest(place.path("corrupt.db-wal"));
  await expectUntouched(place, "corrupt.db", /log row 3 is not what was written/);
  expect(digest(place.path("corrupt.db-wal"))).toBe(wal);
});

test("garbage where the values are costs these values, not the server", async () => {
  const place = sandbox();
  await makeDatabase(place, "corrupt.db", 2000);
  const bytes = readFileSync(place.path("corrupt.db"));
  // The values are what makes the file long: the second half is theirs.
  spoil(place.path("corrupt.db"), Math.floor(bytes.length / PAGE_BYTES / 2));
  await expectNoStackTrace(place, "corrupt.db");
});

/** Either the server is refused in one line, or it answers every request and logs no stack trace. */
async function expectNoStackTrace(place: Sandbox, name: string): Promise<void> {
  const server = await place.start({ db: name }).catch((error: Error) => error);
  if (server instanceof Error) {
    expectOneLine(await serve(place, name), /can't open the database/);
    return;
  }
  const client = await server.connect();
  const replies = await client.pipeline(Array.from({ length: 2000 }, (_, i) => ["GET", `key:${i}`]));
  expect(replies).toHaveLength(2000);
  expect(replies.some((reply) => reply.startsWith("-"))).toBe(true);
  for (const reply of replies.filter((text) => text.startsWith("-"))) expect(reply).toMatch(/^-ERR [^\r\n]+\r\n$/);
  await client.pipeline([
    ["KEYS", "*"],
    ["SCAN", "0"],
    ["RANDOMKEY"],
    ["SET", "key:1", "x"],
    ["SETBIT", "key:2", "0", "1"],
  ]);
  expect(await ask(client, "PING")).toBe("PONG");
  expect(server.log).not.toMatch(/\n\s+at /);
  await server.kill();
}

test.each([
  [["--addr", "6379"], /--addr/],
  [["--addr", "127.0.0.1:port"], /--addr/],
  [["--addr", "127.0.0.1:65536"], /--addr/],
  [["--addr", "::1:6379"], /--addr/],
  [["--addr"], /--addr/],
  [["--db", ""], /--db/],
  [["--db"], /--db/],
  [["--db", "a.db", "--bak", "./a.db"], /--bak/],
  [["--appendfsync", "sometimes"], /--appendfsync/],
  [["--appendfsync=yes"], /--appendfsync/],
  [["--loglevel", "loud"], /--loglevel/],
  [["--slowlog-log-slower-than", "-2"], /--slowlog-log-slower-than/],
  [["--slowlog-max-len", "many"], /--slowlog-max-len/],
  [["--latency-monitor-threshold", "1.5"], /--latency-monitor-threshold/],
  [["--latency-tracking", "maybe"], /--latency-tracking/],
  [["--debug=perhaps"], /--debug/],
  [["-debug=perhaps"], /debug/],
  [["--no-such-option"], /--no-such-option/],
  [["-nosuch=1"], /nosuch/],
  [["serve", "extra"], /extra/],
  [["no-such-command"], /no-such-command/],
] as const)("the command line %j is refused in one line, and no file is made", async (argv, words) => {
  const place = sandbox();
  expectOneLine(await place.run(argv), words);
  expect(readdirSync(place.folder)).toEqual([]);
});

test("a database that is refused is served again once the reason is gone", async () => {
  const place = sandbox();
  await makeDatabase(place, "bitmapist.db", 3);
  const version = setVersion(place.path("bitmapist.db"), 999);
  expectOneLine(await serve(place, "bitmapist.db"), /newer/);
  setVersion(place.path("bitmapist.db"), version);
  const client = await (await place.start()).connect();
  expect(await keysOf(client)).toEqual(["key:0", "key:1", "key:2"]);
});

/** Returns what the version was. Closed, so that the new one is in the file itself. */
function setVersion(path: string, version: number): number {
  const file = new Database(path);
  const before = file.pragma("user_version", { simple: true }) as number;
  file.pragma(`user_version = ${version}`);
  file.close();
  return before;
}

test("a newer schema is seen also while it is in the write-ahead log only, as after a kill -9 of the newer server", async () => {
  const place = sandbox();
  await makeDatabase(place, "bitmapist.db", 3);
  const newer = new Database(place.path("bitmapist.db"));
  onTestFinished(() => void newer.close());
  newer.pragma("wal_autocheckpoint = 0");
  newer.pragma("user_version = 999");
  const before = digest(place.path("bitmapist.db"));
  expectOneLine(await serve(place, "bitmapist.db"), /written by a newer bitmapist-server \(schema 999/);
  expect(digest(place.path("bitmapist.db"))).toBe(before);
});
