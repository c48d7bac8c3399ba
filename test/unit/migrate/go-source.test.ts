/**
 * The fixtures `small` and `large` come from the real bbolt and Roaring libraries of Go: test/fixtures/go/main.go. `server-bbolt` and
 * `server-sqlite` are files that the Go bitmapist-server (Doist/bitmapist-server, before and since SQLite) left behind after SETBIT, BITOP,
 * EXPIRE, RENAME and DEL, with what it answered to GET, BITCOUNT and PTTL; it was built with Debian's bbolt, Roaring and SQLite libraries.
 */
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import { GoSource, openGoBolt } from "../../../src/migrate/go-source.js";
import { MigrateError, type Source } from "../../../src/migrate/item.js";
import { openGoDatabase } from "../../../src/storage/go-database.js";
import { temporaryFolder } from "../../support/temporary-folder.js";

interface Expected {
  key: string;
  cardinality: number;
  sum: string;
  expire_at: string;
}

/** What the Go program says of a key, and what is read. */
interface Found {
  key: string;
  cardinality: number;
  sum: bigint;
  deadline: number;
  byteLength: number;
  last: number;
}

function fixture(name: string): Buffer {
  return gunzipSync(readFileSync(new URL(`../../fixtures/go/${name}.gz`, import.meta.url)));
}

function expectedOf(name: string) {
  return (JSON.parse(fixture(`${name}.json`).toString()) as Expected[]).map(({ key, cardinality, sum, expire_at }) => ({
    key: Buffer.from(key, "base64").toString("latin1"),
    cardinality,
    sum: BigInt(sum),
    deadline: expire_at === "0" ? NO_DEADLINE : Number(BigInt(expire_at) / 1_000_000n),
  }));
}

async function read(source: Source): Promise<Found[]> {
  const found: Found[] = [];
  try {
    for await (const { key, bitmap, deadline, database } of source.items(() => {})) {
      expect(database).toBe(0);
      const { members, cardinality, byteLength } = bitmap;
      const sum = members.reduce((sum, id) => sum + BigInt(id), 0n);
      found.push({ key, cardinality, sum, deadline, byteLength, last: members.at(-1) ?? -8 });
      bitmap.dispose();
    }
  } finally {
    await source.close();
  }
  return found;
}

function byKey<T extends { key: string }>(all: T[]): T[] {
  return all.sort((a, b) => (a.key < b.key ? -1 : 1));
}

async function readBolt(path: string): Promise<Found[]> {
  return await read(new GoSource(path, openGoBolt(path)));
}

async function count(path: string): Promise<number> {
  const source = new GoSource(path, openGoBolt(path));
  let items = 0;
  try {
    for await (const { bitmap } of source.items()) {
      bitmap.dispose();
      items++;
    }
  } finally {
    await source.close();
  }
  return items;
}

test.each(["small", "large", "server-bbolt"])(
  "every key of a bbolt file of the Go server is read: %s",
  async (name) => {
    const path = temporaryFolder()("bitmapist.db");
    writeFileSync(path, fixture(`${name}.db`));
    const found = await readBolt(path);
    const expected = expectedOf(name);
    expect(expected.length).toBeGreaterThan(3);
    expect(byKey(found.map(({ byteLength, last, ...rest }) => rest))).toEqual(byKey(expected));
    for (const { byteLength, last } of found) expect(byteLength).toBe(Math.floor(last / 8) + 1);
  },
);

test("a bbolt file that is damaged in any byte is read, or refused with a page's number or a key; and no key is made up", async () => {
  const path = temporaryFolder()("bitmapist.db");
  const whole = fixture("small.db");
  writeFileSync(path, whole);
  // Behind the last page that ever was in use the file is zeros.
  const [pageBytes, pages] = [whole.readUInt32LE(16 + 8), Number(whole.readBigUInt64LE(16 + 40))];
  let refused = 0;
  const file = openSync(path, "r+");
  for (let at = 0; at < pageBytes * pages; at++) {
    writeSync(file, Buffer.of((whole[at] as number) ^ 0xff), 0, 1, at);
    try {
      expect(await count(path)).toBeLessThanOrEqual(4);
    } catch (error) {
      expect(error).toBeInstanceOf(MigrateError);
      expect((error as Error).message).toContain(path);
      refused++;
    }
    writeSync(file, whole, at, 1, at);
  }
  closeSync(file);
  expect(refused).toBeGreaterThan(100);
});

test("a bbolt file that is cut off anywhere is refused, or read where nothing is missing", async () => {
  const path = temporaryFolder()("bitmapist.db");
  const whole = fixture("large.db");
  const { length: keys } = expectedOf("large");
  for (let bytes = 0; bytes < whole.length; bytes += 100_003) {
    writeFileSync(path, whole.subarray(0, bytes));
    const result = await readBolt(path).catch((error: unknown) => error);
    if (Array.isArray(result)) expect(result).toHaveLength(keys);
    else expect(result).toBeInstanceOf(MigrateError);
  }
});

test("a tree that goes in a circle is refused", async () => {
  const path = temporaryFolder()("bitmapist.db");
  const bytes = fixture("large.db");
  const pageBytes = bytes.readUInt32LE(16 + 8);
  let branches = 0;
  for (let page = 2; page * pageBytes < bytes.length; page++) {
    const at = page * pageBytes;
    if (bytes.readBigUInt64LE(at) !== BigInt(page) || bytes.readUInt16LE(at + 8) !== 1) continue;
    branches++;
    // Its first child is itself.
    bytes.writeBigUInt64LE(BigInt(page), at + 16 + 8);
  }
  expect(branches).toBeGreaterThan(0);
  writeFileSync(path, bytes);
  await expect(readBolt(path)).rejects.toThrow(/is damaged: page \d+: the tree goes in a circle/);
});

test("a bbolt file that is written while it is read is refused at the end", async () => {
  const path = temporaryFolder()("bitmapist.db");
  const [small, large] = [fixture("small.db"), fixture("large.db")];
  writeFileSync(path, large);
  const source = new GoSource(path, openGoBolt(path));
  const items = source.items();
  (await items.next()).value?.bitmap.dispose();
  // Metas of an earlier transaction: those of the other file.
  const pageBytes = large.readUInt32LE(16 + 8);
  const other = Buffer.from(large);
  small.copy(other, 16, 16, 16 + 64);
  other.fill(0, pageBytes, pageBytes + 80);
  writeFileSync(path, other);
  await expect(
    (async () => {
      for await (const { bitmap } of items) bitmap.dispose();
    })(),
  ).rejects.toThrow(/was written while it was read/);
  await source.close();
});

test("the rows of the Go server's SQLite file are read, of any bytes", async () => {
  const path = temporaryFolder()("bitmapist.db");
  const bolt = temporaryFolder()("bolt.db");
  writeFileSync(bolt, fixture("large.db"));
  const file = new Database(path);
  file.exec(`CREATE TABLE bitmaps(name TEXT PRIMARY KEY NOT NULL CHECK(name!=''), expireat INTEGER NOT NULL DEFAULT 0, bytes BLOB NOT NULL);
    CREATE INDEX idx_bitmaps_expireat ON bitmaps(expireat);`);
  const insert = file.prepare("INSERT INTO bitmaps VALUES (CAST(? AS TEXT), ?, ?)");
  for (const { key, expireAt, portable } of openGoBolt(bolt).rows()) insert.run(key, expireAt, portable);
  insert.run(Buffer.from("\xffnot text", "latin1"), 0, Buffer.from([0x3a, 0x30, 0, 0, 0, 0, 0, 0]));
  file.close();
  const found = await read(new GoSource(path, openGoDatabase(path)));
  const added = { key: "\xffnot text", cardinality: 0, sum: 0n, deadline: NO_DEADLINE };
  const rest = found.map(({ byteLength, last, ...rest }) => rest);
  expect(byKey(rest)).toEqual(byKey([...expectedOf("large"), added]));
});

test("every key of the Go server's own SQLite file is read", async () => {
  const path = temporaryFolder()("bitmapist.db");
  writeFileSync(path, fixture("server-sqlite.db"));
  const found = await read(new GoSource(path, openGoDatabase(path)));
  expect(byKey(found.map(({ byteLength, last, ...rest }) => rest))).toEqual(byKey(expectedOf("server-sqlite")));
  for (const { byteLength, last } of found) expect(byteLength).toBe(Math.floor(last / 8) + 1);
});

test("a row of an SQLite file that lacks its value is refused by its key", async () => {
  const path = temporaryFolder()("bitmapist.db");
  new Database(path)
    .exec("CREATE TABLE bitmaps(name, expireat, bytes); INSERT INTO bitmaps(name) VALUES ('a')")
    .close();
  await expect(read(new GoSource(path, openGoDatabase(path)))).rejects.toThrow(/the value of "a" is no Roaring bitmap/);
});

test("an SQLite file of another program is refused", () => {
  const path = temporaryFolder()("other.db");
  new Database(path).exec("CREATE TABLE bitmaps(a)").close();
  expect(() => openGoDatabase(path)).toThrow(/is an SQLite file of another program/);
});

test("where SQLite can't make its files beside it, that is said", () => {
  const path = temporaryFolder()("bitmapist.db");
  writeFileSync(path, fixture("server-sqlite.db"));
  mkdirSync(`${path}-wal`);
  expect(() => openGoDatabase(path)).toThrow(/^can't read .*: .* \(SQLite makes files beside it: its folder must be/);
});
