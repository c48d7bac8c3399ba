/** `bitmapist-server check`: it names what is damaged and nothing else, changes nothing, and `--repair` saves all that can be saved. */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkDatabase } from "../../src/storage/check-database.js";
import { ask, askAll, keysOf } from "../support/ask.js";
import { ask as askFile, edit, flipBitOf, PAGE_BYTES, pagesOf, spoilPage } from "../support/corrupt.js";
import { dice, diceOf } from "../support/random.js";
import { type Finished, Sandbox, sandbox, sleep } from "../support/server-process.js";

const SMALL_KEYS = 500;
/** In the template: the small ones, six with names of their own, and one in database 3. */
const KEYS = SMALL_KEYS + 7;
/** Three chunks. */
const LARGE_BYTES = 300_000;
const FOLD_IDLE_MS = 2000;

/** A file with a value of many chunks, one with deltas, bits in the log, binary names, deadlines and a second database. */
const template = new Sandbox();

beforeAll(async () => {
  const server = await template.start({ db: "template.db" });
  const client = await server.connect();
  const random = diceOf(7);
  const large = Buffer.from(Array.from({ length: LARGE_BYTES }, () => random.int(0, 255)));
  const delta = Array.from({ length: 5000 }, (_, i) => ["SETBIT", "delta", String(i * 7919), "1"]);
  const small = Array.from({ length: SMALL_KEYS }, (_, i) => ["SETBIT", `small:${i}`, String(i * 3), "1"]);
  await askAll(client, [["SET", "large", large], ...delta, ...small]);
  await askAll(client, [
    ["SET", "bin\0\xff\n", "\x01"],
    ["SET", "text", "hello"],
    ["SET", "empty", ""],
    ["SET", "volatile", "x", "PXAT", "4102444800123"],
    "SELECT 3",
    "SET three 3",
    "SELECT 0",
    "SAVE",
    "SETBIT delta 77 1",
    "SETBIT delta 79 1",
    "SAVE",
  ]);
  await sleep(FOLD_IDLE_MS + 1000);
  await askAll(client, ["SETBIT text 100 1", "SETBIT delta 79 0", "SETBIT small:7 8 1", "SAVE"]);
  await server.kill();
  edit(template.path("template.db"), "SELECT 1");
  const rows = (table: string) => askFile(template.path("template.db"), `SELECT 1 FROM ${table}`).length;
  expect([rows("keys"), rows("deltas") > 0, rows("log") > 0]).toEqual([KEYS, true, true]);
});

afterAll(() => template.cleanup());

/** A sandbox with a copy of the template in it. */
function copied(): { place: Sandbox; path: string } {
  const place = sandbox();
  const path = place.path("a.db");
  copyFileSync(template.path("template.db"), path);
  return { place, path };
}

function idOf(path: string, key: string): number {
  const hex = Buffer.from(key, "latin1").toString("hex");
  return askFile<{ id: number }>(path, `SELECT id FROM keys WHERE key = X'${hex}'`)[0]!.id;
}

function digest(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

interface Checked extends Finished {
  /** What it says, without the file's name and the last line. */
  lines: string[];
  last: string;
}

/** Checks a file and looks that it and its folder stay as they are. */
async function check(place: Sandbox, name = "a.db", ...args: string[]): Promise<Checked> {
  const files = readdirSync(place.folder).sort();
  const before = digest(place.path(name));
  const { mtimeMs } = statSync(place.path(name));
  const finished = await place.run(["check", name, ...args]);
  expect(finished.stderr).toBe("");
  expect(digest(place.path(name))).toBe(before);
  expect(statSync(place.path(name)).mtimeMs).toBe(mtimeMs);
  expect(
    readdirSync(place.folder)
      .filter((file) => !args.includes(file))
      .sort(),
  ).toEqual(files);
  const lines = finished.stdout.trimEnd().split("\n");
  return { ...finished, lines: lines.map((line) => line.replace(`${name}: `, "")), last: lines.at(-1) ?? "" };
}

/** What is damaged, line by line. */
async function findings(place: Sandbox, ...args: string[]): Promise<string[]> {
  const { lines, code } = await check(place, "a.db", ...args);
  expect(code).toBe(1);
  expect(lines.at(-1)).toMatch(/^DAMAGED: /);
  return lines.slice(0, -1);
}

describe("nothing is wrong", () => {
  test("with values in chunks, deltas and the log", async () => {
    const { place } = copied();
    const { code, lines } = await check(place);
    expect(lines).toEqual([expect.stringMatching(new RegExp(`^fine: ${KEYS} keys, \\d+ bits, \\d+ ms$`))]);
    expect(code).toBe(0);
  });

  test("with a server that goes on writing", async () => {
    const place = sandbox();
    const server = await place.start({ db: "a.db" });
    const client = await server.connect();
    let isWriting = true;
    const writing = (async () => {
      for (let i = 0; isWriting; i++) {
        await askAll(client, [
          ["SETBIT", `k${i % 1000}`, String((i * 7919) % 1_000_000), "1"],
          ["SETBIT", "large", String((i * 104_729) % 2 ** 31), "1"],
          ["SET", `gone${i % 10}`, "x"],
          ["DEL", `gone${(i + 5) % 10}`],
        ]);
      }
    })();
    for (let i = 0; i < 5; i++) {
      await sleep(300);
      const finished = await place.run(["check", "a.db"]);
      expect(finished.stdout).toMatch(/^a\.db: a server has it open; what it has committed is checked\na\.db: fine: /);
      expect(finished.code).toBe(0);
    }
    isWriting = false;
    await writing;
    expect(await ask(client, "PING")).toBe("PONG");
  });

  test("after kill -9, with all commits in the write-ahead log only", async () => {
    const place = sandbox();
    const server = await place.start({ db: "a.db" });
    await askAll(await server.connect(), ["SET k v", "SETBIT b 7 1", "SAVE"]);
    await server.kill();
    expect((await check(place)).lines).toEqual([expect.stringMatching(/^fine: 2 keys, /)]);
    const copy = sandbox();
    for (const name of ["a.db", "a.db-wal"]) copyFileSync(place.path(name), copy.path(name));
    expect((await copy.run(["check", "a.db"])).stdout).toMatch(/^a\.db: fine: 2 keys, /);
  });

  test("after FLUSHDB, SWAPDB and deletions", async () => {
    const place = sandbox();
    const server = await place.start({ db: "a.db" });
    const client = await server.connect();
    const keys = Array.from({ length: 3000 }, (_, i) => ["SETBIT", `k${i}`, String(i * 1000), "1"]);
    await askAll(client, [...keys, "SAVE", "SWAPDB 0 5", "SET other 1", "SAVE"]);
    await askAll(client, ["SELECT 5", "FLUSHDB", "SET later 1", "SAVE"]);
    await server.kill();
    expect((await check(place)).lines).toEqual([expect.stringMatching(/^fine: 2 keys, /)]);
  });
});

describe("damage made through SQLite", () => {
  const large = "SELECT id FROM keys WHERE key = CAST('large' AS BLOB)";
  test.each([
    [
      "a chunk's bytes",
      `UPDATE chunks SET portable = zeroblob(length(portable)) WHERE chunk >> 16 = (${large}) AND chunk & 65535 > 0`,
      [
        /^database 0, key "large" \(id \d+\): (chunk \d+ is not what was written; )+1 of \d+ rows with \d+ bits can be read$/,
      ],
    ],
    [
      "a chunk's checksum",
      "UPDATE chunks SET checksum = checksum + 1 WHERE chunk >> 16 = (SELECT id FROM keys WHERE key = CAST('text' AS BLOB))",
      [/^database 0, key "text" \(id \d+\): chunk 0 is not what was written; 0 of 1 rows with 0 bits can be read$/],
    ],
    [
      "a chunk in another's place",
      "UPDATE chunks SET portable = (SELECT portable FROM chunks LIMIT 1 OFFSET 9) WHERE chunk = (SELECT chunk FROM chunks LIMIT 1 OFFSET 8)",
      [/^database 0, key "small:\d+" \(id \d+\): chunk 0 is not what was written/],
    ],
    [
      "a chunk that is missing",
      `DELETE FROM chunks WHERE chunk >> 16 = (${large}) AND chunk & 65535 = (SELECT max(chunk & 65535) FROM chunks)`,
      [
        /^database 0, key "large" \(id \d+\): it has \d+ chunk bytes, its key says \d+; it has \d+ bits, its key says \d+; \d of \d rows with \d+ bits can be read$/,
      ],
    ],
    [
      "all chunks of a value",
      "DELETE FROM chunks WHERE chunk >> 16 = (SELECT id FROM keys WHERE key = CAST('small:3' AS BLOB))",
      [/^database 0, key "small:3" \(id \d+\): it has no chunk; 0 of 0 rows with 0 bits can be read$/],
    ],
    [
      "a delta",
      "UPDATE deltas SET zeros = ones",
      [
        /^database 0, key "delta" \(id \d+\): delta 0 is not what was written; \d+ of \d+ rows with 5000 bits can be read$/,
      ],
    ],
    [
      "a delta that is missing",
      "DELETE FROM deltas",
      [
        /^database 0, key "delta" \(id \d+\): it has 0 delta bytes, its key says \d+; it has 5000 bits, its key says 5002; /,
      ],
    ],
    [
      "a row of the log",
      "UPDATE log SET words = zeroblob(length(words))",
      [/^log row \d+ is not what was written: bits that are nowhere else are lost with it$/],
    ],
    [
      "a cardinality",
      "UPDATE keys SET cardinality = 7 WHERE key = CAST('empty' AS BLOB)",
      [/^database 0, key "empty" \(id \d+\): it has 0 bits, its key says 7$/],
    ],
    [
      "a length that is too short",
      "UPDATE keys SET byte_length = 1 WHERE key = CAST('small:100' AS BLOB)",
      [/^database 0, key "small:100" \(id \d+\): its bits need 38 bytes, its key says that it has 1$/],
    ],
    [
      "a length that can't be",
      "UPDATE keys SET byte_length = 536870913 WHERE key = CAST('small:100' AS BLOB)",
      [/^database 0, key "small:100" \(id \d+\): its bits need 38 bytes, its key says that it has 536870913$/],
    ],
    [
      "the sizes of the rows",
      "UPDATE keys SET chunk_bytes = chunk_bytes + 1 WHERE key = CAST('small:5' AS BLOB)",
      [/^database 0, key "small:5" \(id \d+\): it has \d+ chunk bytes, its key says \d+$/],
    ],
    [
      "a name",
      "UPDATE keys SET key = CAST('smell:5' AS BLOB) WHERE key = CAST('small:5' AS BLOB)",
      [/^database 0, key "smell:5" \(id \d+\): its hash is \d+, that of its name is \d+$/],
    ],
    [
      "a key's row that is missing, with a value of its own",
      "DELETE FROM keys WHERE key = CAST('small:5' AS BLOB)",
      [/^the value with id \d+, of 1 rows, belongs to no key$/, /^database 0 counts 506 keys, there are 505$/],
    ],
    [
      "a value behind all keys",
      "INSERT INTO chunks SELECT 99999 << 16, portable, checksum FROM chunks LIMIT 1",
      [/^the value with id 99999, of 1 rows, belongs to no key$/],
    ],
    [
      "the counts of a database",
      "UPDATE databases SET keys = 2, volatile_keys = 1 WHERE number = 3",
      [/^database 3 counts 2 keys, there are 1$/, /^database 3 counts 1 keys with a deadline, there are 0$/],
    ],
    [
      "a name that is there twice",
      `INSERT INTO keys SELECT 99999, slot, hash, key, byte_length, cardinality, deadline, chunk_bytes, delta_bytes
         FROM keys WHERE key = CAST('empty' AS BLOB);
       UPDATE databases SET keys = keys + 1 WHERE number = 0`,
      [/^database 0, key "empty" \(id 99999\): it has no chunk; /, /^database 0 has key "empty" more than once$/],
    ],
    [
      "a key that is not in the index of names",
      "DELETE FROM new_names WHERE id = (SELECT id FROM keys WHERE key = CAST('small:5' AS BLOB))",
      [/^database 0, key "small:5" \(id \d+\): it is not in the index of names$/],
    ],
    [
      "a name in the index that no key has",
      "INSERT INTO names VALUES (0, 5, 99999)",
      [/^the index has 507 names of database 0, there are 506 keys$/],
    ],
    [
      "a slot that no database has",
      "UPDATE keys SET slot = 77 WHERE key = CAST('three' AS BLOB); UPDATE databases SET keys = 0 WHERE number = 3",
      [/^slot 77 of no database, key "three" \(id \d+\): no database has its slot$/],
    ],
    ["a database that is missing", "DELETE FROM databases WHERE number = 9", [/^the table of databases is without 9$/]],
    [
      "a database that is to be removed",
      "INSERT INTO dropped_slots VALUES (0)",
      [/^slot 0 is database 0 and is to be removed$/],
    ],
    ["a table that is missing", "DROP TABLE deltas", [/^nothing can be read from it: no such table: (main\.)?deltas$/]],
    [
      "the schema's text",
      "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE keys (' WHERE name = 'keys'",
      [/^nothing can be read from it: no such table: keys$/],
    ],
  ] as const)("%s", async (_what, sql, expected) => {
    const { place, path } = copied();
    edit(path, sql);
    const lines = await findings(place);
    expect(lines).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });

  test("of many kinds at once: each has its line, and the last line counts them", async () => {
    const { place, path } = copied();
    edit(
      path,
      "UPDATE chunks SET checksum = 0 WHERE chunk >> 16 IN (SELECT id FROM keys WHERE key >= CAST('small:1' AS BLOB) AND key < CAST('small:2' AS BLOB))",
    );
    edit(path, "UPDATE databases SET keys = 9 WHERE number = 9");
    const { lines } = await check(place);
    expect(lines.filter((line) => /key "small:1\d*" \(id \d+\): chunk 0 is not/.test(line))).toHaveLength(111);
    expect(lines.at(-1)).toMatch(/^DAMAGED: 111 keys, 1 other findings; read: 507 keys, \d+ bits, \d+ ms$/);
  });

  test("names are shown so that no terminal minds", async () => {
    const { place, path } = copied();
    edit(path, "UPDATE keys SET chunk_bytes = 0 WHERE CAST(key AS TEXT) NOT LIKE 'small%'");
    const lines = await findings(place);
    expect(lines.map((line) => / key (".*?") \(id/.exec(line)?.[1]).sort()).toEqual([
      '"bin\\x00\\xff\\x0a"',
      '"delta"',
      '"empty"',
      '"large"',
      '"text"',
      '"three"',
      '"volatile"',
    ]);
  });
});

describe("damage to the file's bytes", () => {
  test("a bit in an overflow page, which SQLite does not notice, costs its key", async () => {
    const { place, path } = copied();
    const id = idOf(path, "large");
    flipBitOf(
      path,
      askFile<{ portable: Buffer }>(path, `SELECT portable FROM chunks WHERE chunk = ${id} << 16`)[0]!.portable,
    );
    expect(askFile(path, "PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
    const lines = await findings(place);
    expect(lines).toEqual([
      expect.stringMatching(/^database 0, key "large" \(id \d+\): chunk 0 is not what was written; /),
    ]);
  });

  test("a page of small values costs these, and all others are checked", async () => {
    const { place, path } = copied();
    spoilPage(path, pagesOf(path, "chunks", "leaf")[2]!);
    const lines = await findings(place, "--repair", "out.db");
    const lost = lines.filter((line) =>
      /^database 0, key "small:\d+" \(id \d+\): its rows can't all be read: .*; left out$/.test(line),
    );
    expect(lost.length).toBeGreaterThan(10);
    expect(lost.length).toBeLessThan(150);
    expect(lines.filter((line) => line.startsWith("SQLite: chunks page")).length).toBeGreaterThan(0);
    expect(lines.at(-1)).toBe(`out.db: written with ${KEYS - lost.length} keys`);
    await expectServed(place, KEYS - lost.length - 1);
  });

  test("a page of keys costs these; the index tells which, and their values are no strangers", async () => {
    const { place, path } = copied();
    spoilPage(path, pagesOf(path, "keys", "leaf")[3]!);
    const lines = await findings(place, "--repair", "out.db");
    const lost = lines.filter((line) =>
      /^database 0, a key whose name is lost \(id \d+\): its row can't be read: /.test(line),
    );
    expect(lost.length).toBeGreaterThan(10);
    expect(lost.length).toBeLessThan(150);
    expect(lines.filter((line) => line.includes("belongs to no key"))).toEqual([]);
    expect(lines).toContainEqual(`database 0 counts 506 keys, there are ${506 - lost.length}`);
    expect(lines.at(-1)).toBe(`out.db: written with ${KEYS - lost.length} keys`);
    await expectServed(place, KEYS - lost.length - 1);
  });

  test("two pages of keys cost no more than what is on them", async () => {
    const { place, path } = copied();
    const pages = pagesOf(path, "keys", "leaf");
    for (const page of [pages[1], pages[3]]) spoilPage(path, page!);
    const lost = (await findings(place)).filter((line) => line.includes("a key whose name is lost"));
    const ids = lost.map((line) => Number(/\(id (\d+)\)/.exec(line)?.[1]));
    const gaps = ids.filter((id, i) => i > 0 && id !== ids[i - 1]! + 1);
    expect(gaps).toHaveLength(1);
  });

  test("all pages of keys and of their index", async () => {
    const { place, path } = copied();
    for (const tree of ["keys", "names", "new_names"]) {
      for (const kind of ["leaf", "internal"] as const)
        for (const page of pagesOf(path, tree, kind)) spoilPage(path, page);
    }
    const lines = await findings(place, "--repair", "out.db");
    expect(lines).toContainEqual(expect.stringMatching(/^keys with ids from 1 on can't be read: /));
    expect(lines.at(-1)).toBe("out.db: written with 0 keys");
  });

  test("the index: keys are found by their rows, and the repaired file has a good one", async () => {
    const { place, path } = copied();
    for (const page of pagesOf(path, "new_names", "leaf")) spoilPage(path, page);
    const lines = await findings(place, "--repair", "out.db");
    expect(lines).toContainEqual(expect.stringMatching(/^SQLite: new_names page \d+/));
    expect(lines.at(-1)).toBe(`out.db: written with ${KEYS} keys`);
    await expectServed(place, KEYS - 1);
  });

  test("the table of databases: slots become the databases of their numbers", async () => {
    const { place, path } = copied();
    for (const page of pagesOf(path, "databases", "leaf")) spoilPage(path, page);
    const lines = await findings(place, "--repair", "out.db");
    expect(lines).toContainEqual(expect.stringMatching(/^the table of databases can't be read: /));
    expect(lines.slice(-3)).toEqual([
      "out.db: the keys of slot 0, whose database is not known, are in database 0",
      "out.db: the keys of slot 3, whose database is not known, are in database 3",
      `out.db: written with ${KEYS} keys`,
    ]);
    await expectServed(place, KEYS - 1);
  });

  test("a file that is cut off: what is there is checked and saved", async () => {
    const { place, path } = copied();
    const pages = statSync(path).size / PAGE_BYTES;
    truncateSync(path, (pages - 6) * PAGE_BYTES);
    const lines = await findings(place, "--repair", "out.db");
    expect(lines[0]).toBe(`it is cut off: ${pages - 6} of its ${pages} pages are there`);
    expect(
      lines.filter((line) => /^keys with ids (from \d+ on|\d+ to \d+) can't be read/.test(line)).length,
    ).toBeGreaterThan(0);
    expect(Number(/^out\.db: written with (\d+) keys$/.exec(lines.at(-1)!)?.[1])).toBeGreaterThan(0);
    expect((await place.run(["check", "out.db"])).code).toBe(0);
  });

  test.each([
    [
      "every page but the first",
      (path: string, pages: number) => {
        for (let page = 2; page <= pages; page++) spoilPage(path, page);
      },
    ],
    [
      "all but the header",
      (path: string) => {
        const bytes = readFileSync(path);
        writeFileSync(path, Buffer.concat([bytes.subarray(0, 100), Buffer.alloc(bytes.length - 100, 0xa5)]));
      },
    ],
    [
      "the header's page size",
      (path: string) => {
        const bytes = readFileSync(path);
        bytes.writeUInt16BE(512, 16);
        writeFileSync(path, bytes);
      },
    ],
  ] as const)("%s: lines and no stack trace", async (_what, spoil) => {
    const { place, path } = copied();
    spoil(path, statSync(path).size / PAGE_BYTES);
    const finished = await place.run(["check", "a.db", "--repair", "out.db"]);
    expect(finished.code).toBe(1);
    expect(finished.stderr).toBe("");
    expect(finished.stdout).toMatch(/\na\.db: DAMAGED: /);
    expect(finished.stdout).not.toMatch(/\n\s+at |undefined|\[object/);
  });

  test("any page at all: lines and no stack trace, and what is repaired is fine", async () => {
    const { place, path } = copied();
    const pages = statSync(path).size / PAGE_BYTES;
    for (let page = 2; page <= pages; page += 17) {
      copyFileSync(template.path("template.db"), path);
      spoilPage(path, page);
      const out = `out${page}.db`;
      const finished = await place.run(["check", "a.db", "--repair", out]);
      expect([finished.code, finished.stderr], `page ${page}`).toEqual([1, ""]);
      expect(finished.stdout).not.toMatch(/\n\s+at |undefined|\[object/);
      expect((await place.run(["check", out])).stdout, `page ${page}`).toMatch(/^out\d+\.db: fine: \d+ keys/);
    }
  });
});

test("random bits of the file flipped: nothing is thrown, nothing changed, and what is repaired passes its check", async () => {
  const random = dice("check of flipped bits");
  const place = sandbox();
  const good = readFileSync(template.path("template.db"));
  const checked = async (name: string, out?: string) => {
    const lines: string[] = [];
    const onDamage = (line: string) => void lines.push(line);
    const nothing = () => {};
    const events = { onDamage, onServed: nothing, onStructureChecked: nothing, onProgress: nothing };
    await checkDatabase(place.path(name), out && place.path(out), events);
    return lines;
  };
  for (let round = 0; round < 200; round++) {
    const bytes = Buffer.from(good);
    const isHeader = random.next() < 0.5;
    for (let flips = random.int(1, 10); flips > 0; flips--) {
      // Behind the file's header, everywhere or where a page says what is on it.
      const page = random.int(1, bytes.length / PAGE_BYTES - 1) * PAGE_BYTES;
      const at = page + random.int(0, isHeader ? 60 : PAGE_BYTES - 1);
      bytes[at] = (bytes[at] as number) ^ (1 << random.int(0, 7));
    }
    writeFileSync(place.path("a.db"), bytes);
    rmSync(place.path("out.db"), { force: true });
    await checked("a.db", "out.db");
    expect(readFileSync(place.path("a.db")).equals(bytes), `round ${round}`).toBe(true);
    expect(await checked("out.db"), `round ${round}`).toEqual([]);
    expect(readdirSync(place.folder).sort(), `round ${round}`).toEqual(["a.db", "out.db"]);
  }
});

/** Serves the repaired file, which must have passed its check: database 0 has so many keys, and all of them are right. */
async function expectServed(place: Sandbox, keys: number): Promise<void> {
  expect((await check(place, "out.db")).code).toBe(0);
  const client = await (await place.start({ db: "out.db" })).connect();
  expect(await ask(client, "DBSIZE")).toBe(keys);
  const names = await keysOf(client, "small:*");
  const counts = await askAll(
    client,
    names.map((name) => ["BITCOUNT", name]),
  );
  expect(counts.filter((count, i) => count !== (names[i] === "small:7" ? 2 : 1))).toEqual([]);
  const bits = await askAll(
    client,
    names.map((name) => ["GETBIT", name, String(Number(name.slice(6)) * 3)]),
  );
  expect(bits.filter((bit) => bit !== 1)).toEqual([]);
}

describe("a value that is an expression of two others", () => {
  /** `first` and `second` share every sixth bit. After kill -9, with bits of `first` in the log only. */
  async function crashed(): Promise<{ place: Sandbox; path: string }> {
    const place = sandbox();
    const server = await place.start({ db: "a.db" });
    const client = await server.connect();
    const multiples = (of: number) =>
      Array.from({ length: 3000 }, (_, i) => ["SETBIT", `of ${of}`, String(i * of), "1"]);
    await askAll(client, [...multiples(2), ...multiples(3), "SAVE", ["SETBIT", "of 2", "3", "1"]]);
    await askAll(client, [["BITOP", "AND", "both", "of 2", "of 3"], "EXPIRE both 100000", "SAVE"]);
    await server.kill();
    edit(place.path("a.db"), "SELECT 1");
    expect(
      askFile(place.path("a.db"), "SELECT CAST(key AS TEXT) AS key FROM keys JOIN expressions USING (id)"),
    ).toEqual([{ key: "both" }]);
    return { place, path: place.path("a.db") };
  }

  test("is fine, has its bits in a repaired file, and after a start", async () => {
    const { place } = await crashed();
    const { code, lines } = await check(place, "a.db", "--repair", "out.db");
    expect(lines).toContainEqual(expect.stringMatching(/^fine: 3 keys, 7002 bits/));
    expect(code).toBe(0);
    expect(askFile(place.path("out.db"), "SELECT * FROM expressions")).toEqual([]);
    for (const db of ["out.db", "a.db"]) {
      const client = await (await place.start({ db })).connect();
      expect(await askAll(client, ["BITCOUNT both", "GETBIT both 3", "GETBIT both 4"])).toEqual([1001, 1, 0]);
    }
  });

  test.each([
    [
      "what it is of is damaged",
      "UPDATE chunks SET checksum = checksum + 1 WHERE chunk >> 16 = (SELECT id FROM keys WHERE key = CAST('of 3' AS BLOB))",
      [
        /^database 0, key "of 3" \(id \d+\): chunk 0 is not what was written/,
        /^database 0, key "both" \(id \d+\): of what it is made of, .* chunk 0 is not what was written; nothing of it can be read; left out$/,
      ],
    ],
    [
      "it says something else",
      "UPDATE expressions SET expression = replace(expression, 'AND', 'OR')",
      [
        /^database 0, key "both" \(id \d+\): its expression is lost, or not what was written; nothing of it can be read; left out$/,
      ],
    ],
    [
      "its key counts otherwise",
      "UPDATE keys SET cardinality = 7 WHERE key = CAST('both' AS BLOB)",
      [
        /^database 0, key "both" \(id \d+\): its expression gives 1001 bits in 1125 bytes, its key says 7 in 1125; nothing of it can be read; left out$/,
      ],
    ],
    [
      "it has rows of bits too",
      "UPDATE chunks SET chunk = (SELECT id * 65536 FROM expressions) WHERE chunk = (SELECT id * 65536 FROM keys WHERE key = CAST('of 3' AS BLOB))",
      [/^database 0, key "of 3" /, /^database 0, key "both" \(id \d+\): it is an expression, and has 1 rows of bits/],
    ],
    [
      "no key has it",
      "INSERT INTO expressions VALUES (77, 'AND 1 2', 0)",
      [/^the expression with id 77 belongs to no key$/],
    ],
  ])("is damaged where %s", async (_what, sql, expected) => {
    const { place, path } = await crashed();
    edit(path, sql);
    const lines = await findings(place, "--repair", "out.db");
    for (const line of expected) expect(lines).toContainEqual(expect.stringMatching(line));
    expect(lines.length).toBe(expected.length + 1);
    expect((await check(place, "out.db")).code).toBe(0);
  });
});

describe("--repair", () => {
  test("of a good file makes a good one with the same keys, folded and without a log", async () => {
    const { place, path } = copied();
    const { code, lines } = await check(place, "a.db", "--repair", "out.db");
    expect(lines.slice(0, -1)).toEqual([`out.db: written with ${KEYS} keys`]);
    expect(code).toBe(0);
    const rows = (table: string) => askFile(place.path("out.db"), `SELECT 1 FROM ${table}`).length;
    expect([rows("deltas"), rows("log"), rows("dropped_values"), rows("dropped_slots")]).toEqual([0, 0, 0, 0]);
    const [before, after] = [await place.start({ db: path }), await place.start({ db: "out.db" })];
    const [one, other] = [await before.connect(), await after.connect()];
    const names = await keysOf(one);
    expect(await keysOf(other)).toEqual(names);
    for (const command of ["BITCOUNT", "STRLEN", "PEXPIRETIME"]) {
      const requests = names.map((name) => [command, name]);
      expect(await askAll(other, requests)).toEqual(await askAll(one, requests));
    }
    for (const name of ["text", "delta", "bin\0\xff\n"])
      expect(await ask(other, "GET", name)).toBe(await ask(one, "GET", name));
    expect(await askAll(other, ["SELECT 3", "GET three"])).toEqual(["OK", "3"]);
  });

  test("leaves out a value of which a part is lost, and keeps one with wrong figures beside good bits", async () => {
    const { place, path } = copied();
    edit(
      path,
      "UPDATE chunks SET checksum = 0 WHERE chunk >> 16 = (SELECT id FROM keys WHERE key = CAST('large' AS BLOB)) AND chunk & 65535 = 0",
    );
    edit(path, "UPDATE keys SET cardinality = 7 WHERE key = CAST('small:1' AS BLOB)");
    edit(path, "UPDATE keys SET hash = hash + 1 WHERE key = CAST('small:2' AS BLOB)");
    edit(path, "UPDATE keys SET key = CAST('smell:3' AS BLOB) WHERE key = CAST('small:3' AS BLOB)");
    const lines = await findings(place, "--repair", "out.db");
    expect(lines).toContainEqual(expect.stringMatching(/^database 0, key "large" .*; left out$/));
    expect(lines).toContainEqual(expect.stringMatching(/^database 0, key "small:1" .*; saved as its bits are$/));
    expect(lines).toContainEqual(expect.stringMatching(/^database 0, key "smell:3" .*; left out$/));
    const client = await (await place.start({ db: "out.db" })).connect();
    expect(await askAll(client, ["EXISTS large", "BITCOUNT small:1", "EXISTS small:3", "EXISTS smell:3"])).toEqual([
      0, 1, 0, 0,
    ]);
  });

  test("without the log's lost row gives values as they were before it", async () => {
    const { place, path } = copied();
    edit(path, "UPDATE log SET checksum = checksum + 1");
    const lines = await findings(place, "--repair", "out.db");
    expect(lines.at(-1)).toBe(`out.db: written with ${KEYS} keys`);
    const client = await (await place.start({ db: "out.db" })).connect();
    expect(await askAll(client, ["GET text", "BITCOUNT delta", "BITCOUNT small:7"])).toEqual(["hello", 5002, 1]);
  });

  test("of a name that is there twice keeps one", async () => {
    const { place, path } = copied();
    edit(
      path,
      `INSERT INTO keys SELECT 99999, slot, hash, key, byte_length, cardinality, deadline, chunk_bytes, delta_bytes
      FROM keys WHERE key = CAST('empty' AS BLOB)`,
    );
    await findings(place, "--repair", "out.db");
    expect((await check(place, "out.db")).code).toBe(0);
  });

  test("does not touch a file that is there, and makes none where nothing can be read", async () => {
    const { place } = copied();
    writeFileSync(place.path("out.db"), "precious");
    const refused = await place.run(["check", "a.db", "--repair", "out.db"]);
    expect(refused).toMatchObject({
      code: 2,
      stdout: "",
      stderr: "error: out.db is there already: the repaired file must be a new one\n",
    });
    expect(readFileSync(place.path("out.db"), "utf8")).toBe("precious");
    writeFileSync(place.path("text"), "no database");
    const none = await place.run(["check", "text", "--repair", "new.db"]);
    expect(none.stdout).toContain("new.db: not written, since there is nothing to save\n");
    const folder = await place.run(["check", "a.db", "--repair", "missing/out.db"]);
    expect(folder).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(/^error: there is no folder .*missing\n$/),
    });
    expect(readdirSync(place.folder).sort()).toEqual(["a.db", "out.db", "text"]);
  });
});

describe("what can't be checked", () => {
  test.each([
    ["a file that is missing", ["check", "missing.db"], /^error: missing\.db does not exist\n$/],
    ["a folder", ["check", "folder"], /^error: folder is not a file\n$/],
    [
      "a newer schema",
      ["check", "newer.db"],
      /^error: newer\.db was written by a newer bitmapist-server \(schema 999, this one knows \d+\)/,
    ],
    [
      "an older schema",
      ["check", "older.db"],
      /^error: older\.db is of schema 1, whose values have no checksums: serve it once, and then check it\n$/,
    ],
    ["no file named", ["check"], /^error: missing required argument 'file'\n$/],
    ["two files", ["check", "a.db", "b.db"], /^error: too many arguments/],
    ["an option that is none", ["check", "a.db", "--mend", "x"], /^error: unknown option '--mend'\n$/],
    [
      "an option without its value",
      ["check", "a.db", "--repair"],
      /^error: option '--repair <out>' argument missing\n$/,
    ],
  ] as const)("%s: one line and exit code 2", async (_what, argv, words) => {
    const { place, path } = copied();
    mkdirSync(place.path("folder"));
    for (const [name, version] of [
      ["newer.db", 999],
      ["older.db", 1],
    ] as const) {
      copyFileSync(path, place.path(name));
      edit(place.path(name), `PRAGMA user_version = ${version}`);
    }
    const files = readdirSync(place.folder).sort();
    const finished = await place.run(argv);
    expect(finished.stderr).toMatch(words);
    expect(finished).toMatchObject({ code: 2, signal: null, stdout: "" });
    expect(finished.stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(readdirSync(place.folder).sort()).toEqual(files);
  });

  test.each([
    [
      "text",
      Buffer.from("These are somebody's notes.\n".repeat(300)),
      "it is no SQLite file, and nothing can be read from it",
    ],
    ["zeros", Buffer.alloc(3 * PAGE_BYTES), "it is no SQLite file, and nothing can be read from it"],
    ["nothing", Buffer.alloc(0), "it is empty"],
  ] as const)("a file of %s is damage", async (_what, bytes, words) => {
    const place = sandbox();
    writeFileSync(place.path("a.db"), bytes);
    const { code, lines } = await check(place);
    expect(code).toBe(1);
    expect(lines).toEqual([
      words,
      expect.stringMatching(/^DAMAGED: 0 keys, 1 other findings; read: 0 keys, 0 bits, \d+ ms$/),
    ]);
  });

  test("another program's database is none of ours", async () => {
    const place = sandbox();
    const theirs = new Database(place.path("a.db"));
    theirs.exec("CREATE TABLE keys (k TEXT)");
    theirs.close();
    expect((await check(place)).lines[0]).toBe("it is another program's SQLite database");
  });

  test("--help explains, and is no failure", async () => {
    const { code, stdout, stderr } = await sandbox().run(["check", "--help"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/bitmapist-server check FILE \[--repair OUT\]/);
    expect(stdout).toMatch(/Exit codes: 0 nothing is wrong, 1 damage was found, 2 it could not be checked/);
  });
});

test("what a repair that was killed left goes with the next to the same file", async () => {
  const { place } = copied();
  writeFileSync(place.path("out.db.999999999.tmp"), "half");
  writeFileSync(place.path(`out.db.${process.pid}.tmp`), "of a process that runs");
  expect((await place.run(["check", "a.db", "--repair", "out.db"])).code).toBe(0);
  expect(readdirSync(place.folder).sort()).toEqual(["a.db", "out.db", `out.db.${process.pid}.tmp`]);
});
