/** Files for analysts and the Go server's databases, end to end: the built program writes and reads them. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { ask } from "../support/ask.js";
import { edit } from "../support/corrupt.js";
import { runProgram, type Sandbox, SERVER_BIN, sandbox } from "../support/server-process.js";

const LATER = Date.now() + 3_600_000_000;

/** Values in several databases, with deadlines, zeros at the end, and keys that are no text. */
async function filled(): Promise<Sandbox> {
  const box = sandbox();
  const server = await box.start({ db: "full.db" });
  const client = await server.connect();
  for (const database of [0, 7]) {
    await ask(client, "SELECT", database);
    for (let i = 0; i < 200; i++) await ask(client, "SETBIT", `key:${i % 20}`, i * i * 1000, "1");
    await ask(client, "SETBIT", "longer", 80_000, "1");
    await ask(client, "SETBIT", "longer", 800_000, "0");
    await ask(client, "SET", Buffer.from([0xff, 0, 0x2c, 0x22, 0x0a]), "binary key");
    await ask(client, "SET", 'text, "quoted"\n', "text");
    await ask(client, "SET", "empty", "");
    await ask(client, "PEXPIREAT", "key:3", LATER + database);
  }
  await server.stop();
  return box;
}

async function run(box: Sandbox, argv: readonly string[], input = "") {
  return await runProgram(process.execPath, [SERVER_BIN, ...argv], { cwd: box.folder, input });
}

/** Everything in a database file, a line for each key. */
async function everything(box: Sandbox, db: string, format = "ndjson"): Promise<string[]> {
  const { code, stdout } = await run(box, ["export", "--format", format, "--db", db]);
  expect(code).toBe(0);
  return stdout.split("\n").sort();
}

describe("what is exported and imported again is the same", () => {
  test.each(["ndjson", "roaring"])("%s: with lengths and deadlines", async (format) => {
    const box = await filled();
    const out = await run(box, ["export", `out.${format}`, "--format", format, "--db", "full.db"]);
    expect(out).toMatchObject({ code: 0, stderr: "" });
    expect(out.stdout).toMatch(/^out\.\w+: 48 keys moved from full\.db\n/);
    expect(out.stdout).toContain("not verified, a file of this format is not read back");
    const back = await run(box, ["import", `out.${format}`, "--db", "again.db"]);
    expect(back).toMatchObject({ code: 0, stderr: "" });
    expect(back.stdout).toContain("verified: 48 keys");
    const before = await everything(box, "full.db");
    expect(before).toHaveLength(49);
    expect(before.filter((line) => line.includes(`"expires_at":${LATER + 7}`))).toHaveLength(1);
    expect(await everything(box, "again.db")).toEqual(before);
  });

  test("csv: the ids", async () => {
    const box = await filled();
    expect((await run(box, ["export", "out.csv", "--format", "csv", "--db", "full.db"])).code).toBe(0);
    expect((await run(box, ["import", "out.csv", "--db", "again.db"])).code).toBe(0);
    const before = await everything(box, "full.db", "csv");
    expect(before.length).toBeGreaterThan(400);
    expect(await everything(box, "again.db", "csv")).toEqual(before);
  });

  test("through a pipe, the keys of a pattern", async () => {
    const box = await filled();
    const out = await run(box, ["export", "--format", "ndjson", "--db", "full.db", "--match", "key:1?"]);
    expect(out.code).toBe(0);
    const back = await run(box, ["import", "-", "--format", "ndjson", "--db", "again.db"], out.stdout);
    expect(back).toMatchObject({ code: 0, stderr: "" });
    const expected = (await everything(box, "full.db")).filter((line) => line === "" || /"key":"key:1\d"/.test(line));
    expect(expected).toHaveLength(21);
    expect(await everything(box, "again.db")).toEqual(expected);
  });
});

test("statistics are as BITCOUNT, STRLEN and PEXPIRETIME say", async () => {
  const box = await filled();
  const { stdout } = await run(box, ["export", "--format", "ndjson", "--statistics", "--db", "full.db"]);
  const server = await box.start({ db: "full.db" });
  const client = await server.connect();
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, number | string | null>);
  expect(lines).toHaveLength(48);
  for (const { database, key, cardinality, byte_length, expires_at } of lines) {
    const name = String(key).startsWith("base64:")
      ? Buffer.from(String(key).slice(7), "base64")
      : Buffer.from(String(key));
    await ask(client, "SELECT", Number(database));
    expect(await ask(client, "BITCOUNT", name)).toBe(cardinality);
    expect(await ask(client, "STRLEN", name)).toBe(byte_length);
    expect(await ask(client, "PEXPIRETIME", name)).toBe(expires_at ?? -1);
  }
});

test("an import replaces a key, and adds to it with --merge", async () => {
  const box = sandbox();
  const rows = (text: string) => ["import", "-", "--format", "csv", "--db", "db", ...text.split(" ").filter(Boolean)];
  await run(box, rows(""), "key,id\na,1\na,2\nb,5\n");
  await run(box, rows("--merge"), "key,id\na,9\nc,1\n");
  expect(await everything(box, "db", "csv")).toEqual([
    "",
    "0,a,1",
    "0,a,2",
    "0,a,9",
    "0,b,5",
    "0,c,1",
    "database,key,id",
  ]);
  const again = await run(box, rows(""), "key,id\na,7\n");
  expect(again.stdout).toContain("verified: 1 keys");
  expect(await everything(box, "db", "csv")).toEqual(["", "0,a,7", "0,b,5", "0,c,1", "database,key,id"]);
});

test("a bad line is told with its number, and nothing of its file is imported", async () => {
  const box = sandbox();
  const good = Array.from({ length: 1000 }, (_, i) => `k${i % 10},${i}`).join("\n");
  writeFileSync(box.path("bad.csv"), `key,id\n${good}\nk1,x\n`);
  const { code, stderr } = await run(box, ["import", "bad.csv", "--db", "db"]);
  expect(code).toBe(1);
  expect(stderr).toBe('error: bad.csv:1002: "x" is no id: it must be an integer from 0 on; broken off after 0 keys\n');
  expect(existsSync(box.path("db"))).toBe(false);
});

test("a database of this server is imported as any file, with lengths, deadlines and all databases", async () => {
  const box = await filled();
  const { code, stdout } = await run(box, ["import", "full.db", "--db", "copy.db"]);
  expect(code).toBe(0);
  expect(stdout).toContain("verified: 48 keys");
  expect(await everything(box, "copy.db")).toEqual(await everything(box, "full.db"));
  await run(box, ["import", "full.db", "--db", "part.db", "--match", "key:1?"]);
  expect(await everything(box, "part.db", "csv")).toContainEqual(expect.stringMatching(/^7,key:19,\d+$/));
  expect((await everything(box, "part.db")).length).toBe(21);
});

test("an archive with a name twice is refused: which one is meant?", async () => {
  const box = sandbox();
  await run(box, ["import", "-", "--format", "csv", "--db", "db"], "key,id\na,1\n");
  await run(box, ["export", "one.tar", "--format", "roaring", "--db", "db"]);
  const one = readFileSync(box.path("one.tar"));
  writeFileSync(box.path("two.tar"), Buffer.concat([one.subarray(0, -1024), one]));
  const { code, stderr } = await run(box, ["import", "two.tar", "--db", "other"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^error: two\.tar: 0\/a\.roaring is there twice \(before byte \d+\); broken off after 1 keys$/m,
  );
});

test("a mark before the text does not hide what a file is", async () => {
  const box = sandbox();
  writeFileSync(box.path("rows"), "\ufeffkey,id\na,1\n");
  writeFileSync(box.path("lines"), '\ufeff{"key":"b","ids":[2]}\n');
  for (const file of ["rows", "lines"])
    expect(await run(box, ["import", file, "--db", "db"])).toMatchObject({ code: 0 });
  expect(await everything(box, "db", "csv")).toEqual(["", "0,a,1", "0,b,2", "database,key,id"]);
});

test("a pipe or a device stays what it is", async () => {
  const box = await filled();
  await runProgram("mkfifo", [box.path("pipe")]);
  for (const way of [
    ["pipe", "--format", "csv"],
    ["--rdb", "pipe"],
  ]) {
    const { code, stderr } = await run(box, ["export", ...way, "--db", "full.db"]);
    expect([code, stderr]).toEqual([1, "error: pipe is no file; what is to go there can be written to stdout\n"]);
  }
  expect(statSync(box.path("pipe")).isFIFO()).toBe(true);
});

test("an export that breaks off leaves the file that was there, and nothing beside it", async () => {
  const box = await filled();
  edit(box.path("full.db"), "UPDATE chunks SET portable = zeroblob(3)");
  writeFileSync(box.path("out.csv"), "mine");
  const { code, stderr } = await run(box, ["export", "out.csv", "--format", "csv", "--db", "full.db"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: key ".*" of database \d+: the value with id \d+ is damaged in the database file/);
  expect(readFileSync(box.path("out.csv"), "utf8")).toBe("mine");
  expect(readdirSync(box.folder).filter((name) => name.startsWith("out."))).toEqual(["out.csv"]);
});

test("mistakes are one line", async () => {
  const box = await filled();
  edit(box.path("other.db"), "CREATE TABLE bitmaps (id INTEGER)");
  const mistakes: [string, string][] = [
    [
      "export out.csv --db full.db",
      "error: argument 'target' is 'out.csv', which is no URL of a Redis; a file needs --format",
    ],
    ["export full.db --format csv --db full.db", "error: argument 'target' names the database itself"],
    [
      "export --statistics --format roaring --db full.db",
      "error: option '--statistics' is for --format csv and --format ndjson",
    ],
    ["export x --statistics --db full.db", "error: option '--statistics' needs --format csv or --format ndjson"],
    ["export nowhere/out.csv --format csv --db full.db", "error: can't write nowhere/out.csv: ENOENT"],
    ["import - --db x.db", "error: for stdin --format must say what it is"],
    ["import full.db --db full.db", "error: argument 'source' names the database itself"],
    ["import other.db --db x.db", "error: other.db is an SQLite file of another program"],
    ["import full.db --db :memory:", "error: option '--db <file>' must be a file"],
    ["export --format csv --db :memory:", "error: option '--db <file>' must be a file"],
    ["import full.db --db nowhere/x.db", "error: can't make nowhere/x.db: ENOENT"],
    ["import full.db --db x.db --tls", "error: option '--tls' is for a link to a running Redis by TLS"],
    [
      "export redis://127.0.0.1:1 --db full.db --insecure",
      "error: option '--insecure' is for a link to a running Redis",
    ],
    [
      "import redis://127.0.0.1:1 --resume --dry-run",
      "error: option '--resume' cannot be used with option '--dry-run'",
    ],
    ["import absent.csv --db x.db", "error: can't read absent.csv: ENOENT"],
  ];
  for (const [argv, message] of mistakes) {
    const { code, stderr } = await run(box, argv.split(" "));
    expect([argv, code]).toEqual([argv, 1]);
    expect(stderr.slice(0, message.length)).toBe(message);
    expect(stderr.trimEnd()).not.toContain("\n");
  }
  expect(existsSync(box.path("x.db"))).toBe(false);
});

test("a bbolt file of the Go server is imported, and served", async () => {
  const box = sandbox();
  writeFileSync(box.path("go.db"), gunzipSync(readFileSync(new URL("../fixtures/go/small.db.gz", import.meta.url))));
  const { code, stdout } = await run(box, ["import", "go.db", "--db", "new.db"]);
  expect(code).toBe(0);
  expect(stdout).toContain("verified: 4 keys");
  const client = await (await box.start({ db: "new.db" })).connect();
  expect(await ask(client, "BITCOUNT", "a")).toBe(3);
  expect(await ask(client, "GETBIT", "a", 1000)).toBe(1);
  expect(await ask(client, "EXISTS", "empty")).toBe(1);
  expect(await ask(client, "PEXPIRETIME", "later")).toBe(4_102_444_800_000);
  expect(await ask(client, "STRLEN", Buffer.from([0xff, 0, 0x2c, 0x22]))).toBe(2 ** 29);
});
