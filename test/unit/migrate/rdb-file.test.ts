/** RDB files as source and target of a move; redis-server's own are in test/migration. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { MEMORY_DB } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import { type Item, MigrateError, type Skipped } from "../../../src/migrate/item.js";
import { KeyspaceTarget } from "../../../src/migrate/keyspace-target.js";
import { Mover } from "../../../src/migrate/mover.js";
import { RdbSource } from "../../../src/migrate/rdb-source.js";
import { RdbTarget } from "../../../src/migrate/rdb-target.js";
import { Store } from "../../../src/store.js";
import { type FileOptions, length, long, rdbFile, readAll, row } from "../../support/rdb-file.js";
import { temporaryFolder } from "../../support/temporary-folder.js";
import { noise } from "../storage/store.js";

const MIB = 2 ** 20;

/** What a source gave: of each key its name, bits and length. */
interface Read {
  items: [database: number, key: string, members: number[], byteLength: number, deadline: number][];
  skipped: Skipped[];
  troubles: string[];
  error: unknown;
}

async function readFile(path: string): Promise<Read> {
  const read: Read = { items: [], skipped: [], troubles: [], error: undefined };
  const source = await RdbSource.open(path, {
    onTrouble: (message) => void read.troubles.push(message),
    takePieces: async () => undefined,
  });
  try {
    for await (const { database, key, bitmap, deadline } of source.items((skipped) => read.skipped.push(skipped))) {
      read.items.push([database, key, [...bitmap.members], bitmap.byteLength, deadline]);
      bitmap.dispose();
    }
    expect(source.share).toBe(1);
  } catch (error) {
    read.error = error;
  } finally {
    await source.close();
  }
  return read;
}

const BODY = row(
  ...[0, "a", "\x80\x01", 1, "list", 1, "element", 254, 9, 252, long(1_800_000_000_123)],
  ...[0, "b", 0xc3, length(5), length(7), 1, 0x40, 0, 0x60, 0, 2, "set", 1, "member", 245, "#!lua"],
);

async function readBytes(bytes: Buffer): Promise<Read> {
  const path = temporaryFolder()("dump.rdb");
  writeFileSync(path, bytes);
  const read = await readFile(path);
  const without = (text: string) => text.replaceAll(path, "dump.rdb");
  if (read.error instanceof MigrateError) read.error = new MigrateError(without(read.error.message));
  return { ...read, troubles: read.troubles.map(without) };
}

const readBody = (body: Buffer, options?: FileOptions) => readBytes(rdbFile(body, options));

test("a file's strings are items, and the rest is skipped by name", async () => {
  expect(await readBody(BODY)).toEqual({
    items: [
      [0, "a", [0, 15], 2, NO_DEADLINE],
      [9, "b", [1], 7, 1_800_000_000_123],
    ],
    skipped: [
      { database: 0, key: "list", reason: "a list" },
      { database: 9, key: "set", reason: "a set" },
    ],
    troubles: ["dump.rdb: functions are left out, 1 libraries"],
    error: undefined,
  });
});

test("a file without a checksum is said to have none", async () => {
  const trouble = "dump.rdb has no checksum: it is not known whether it is as it was written";
  for (const options of [{ checksum: "off" }, { version: 3 }] as const) {
    const read = await readBody(row(0, "k", "v"), options);
    expect(read).toMatchObject({ items: [[0, "k", [1, 2, 3, 5, 6], 1, NO_DEADLINE]], troubles: [trouble] });
  }
});

test("of a file that is damaged at its end nothing is taken", async () => {
  const file = rdbFile(BODY);
  file[file.length - 1] = (file.at(-1) as number) ^ 1;
  const { items, skipped, error } = await readBytes(file);
  expect([items, skipped]).toEqual([[], []]);
  expect(error).toEqual(
    new MigrateError(
      `dump.rdb is damaged, at byte ${file.length}: the checksum is not that of what was read; nothing was taken from it`,
    ),
  );
});

test("damage that only shows when strings are read, in a file without a checksum, says how many keys came before", async () => {
  const { items, error } = await readBody(row(0, "k", "v", 1, "l", 0, 0, "z", 0xc3, 4, 6, 0, 0x61, 0x60, 1), {
    checksum: "off",
  });
  expect(items.length).toBe(1);
  expect(error).toEqual(
    new MigrateError("dump.rdb is damaged, at byte 24: LZF that copies from before its string; 2 keys came before"),
  );
});

test("a file that goes on after its end is refused: the keys of an append-only file's beginning are old", async () => {
  const { items, error } = await readBytes(Buffer.concat([rdbFile(BODY), Buffer.from("*1\r\n$8\r\nFLUSHALL\r\n")]));
  expect(items).toEqual([]);
  expect(error).toBeInstanceOf(MigrateError);
  expect(String(error)).toContain("goes on after its end");
});

test("no bit of a file can be changed without being told, and nothing is taken then", async () => {
  const good = rdbFile(row(BODY, 0, "n", 0xc0, 5));
  expect((await readBytes(good)).error).toBeUndefined();
  for (let bit = 0; bit < good.length * 8; bit++) {
    const flipped = Buffer.from(good);
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    const { items, error } = await readBytes(flipped);
    expect(items, `bit ${bit}`).toEqual([]);
    expect(error, `bit ${bit}`).toBeInstanceOf(MigrateError);
  }
});

test("a file that is not there can't be read", async () => {
  await expect(
    RdbSource.open("/nowhere/dump.rdb", { onTrouble: () => {}, takePieces: async () => undefined }),
  ).rejects.toThrow(/^can't read \/nowhere\/dump.rdb: ENOENT: no such file/);
});

test("a dense string goes into a keyspace in pieces", async () => {
  const dense = noise(12 * MIB + 5);
  const path = temporaryFolder()("dump.rdb");
  const store = Store.open(MEMORY_DB, (message) => expect.fail(message));
  onTestFinished(() => store.close());
  const target = new KeyspaceTarget(store.keyspace, store.saver);
  let takers = 0;
  const read = async (body: Buffer) => {
    writeFileSync(path, rdbFile(body, { checksum: "off" }));
    const takePieces = () => {
      takers++;
      return target.takePieces();
    };
    const source = await RdbSource.open(path, { onTrouble: () => {}, takePieces });
    return await new Mover(source, target, { verify: true }).run().finally(() => source.close());
  };
  const report = await read(row(0, "before", "x", 0, "dense", dense.toString("latin1"), 0, "behind", "y"));
  expect(report).toMatchObject({ keys: 3, verified: 3, mismatches: 0 });
  expect(takers).toBe(1);
  const [database] = store.keyspace.databases;
  const value = database && store.keyspace.read(database, "dense");
  expect(value?.bitmap.bytes(0, dense.length).equals(dense)).toBe(true);
  value?.bitmap.dispose();
});

/** A target that makes `out.rdb` in a folder of its own. */
async function targetInFolder(verify = true) {
  const inFolder = temporaryFolder();
  const [path, name] = [inFolder("out.rdb.tmp"), inFolder("out.rdb")];
  const publish = () => renameSync(path, name);
  const target = await RdbTarget.open({ name, path, publish, discard: () => rmSync(path) }, { verify });
  return { target, path, name };
}

function itemOf(database: number, key: string, members: number[], byteLength: number, deadline = NO_DEADLINE): Item {
  return { database, key, bitmap: Bitmap.fromMembers(Uint32Array.from(members), byteLength), deadline };
}

test("items of any database, put at the same time, are a file, and each is read back from it once", async () => {
  const { target, path, name } = await targetInFolder();
  const items = Array.from({ length: 1000 }, (_, i) => itemOf(i % 3, `key ${i}`, [i, 8 * i + 7], i + 1, i + 1e12));
  await Promise.all([
    ...items.map((item) => target.put(item)),
    target.put(itemOf(15, "sparse", [2 ** 32 - 1], 2 ** 29)),
    target.put(itemOf(0, "", [], 0)),
  ]);
  expect(await target.facts(0, "key 999")).toEqual({ cardinality: 2, byteLength: 1000, deadline: 999 + 1e12 });
  expect([existsSync(path), existsSync(name)]).toEqual([true, false]);
  await target.finish();
  expect([existsSync(path), existsSync(name)]).toEqual([false, true]);
  expect(await target.facts(15, "sparse")).toEqual({ cardinality: 1, byteLength: 2 ** 29, deadline: NO_DEADLINE });
  expect(await target.facts(0, "")).toEqual({ cardinality: 0, byteLength: 0, deadline: NO_DEADLINE });
  expect(await target.facts(0, "")).toBeUndefined();
  expect(await target.facts(3, "key 0")).toBeUndefined();
  await target.close();
  expect(readFileSync(name).length).toBeLessThan(7_000_000);
  const { items: read, error } = await readFile(name);
  expect(error).toBeUndefined();
  expect(read.length).toBe(1002);
  expect(read.slice(0, 1000)).toEqual(
    Array.from({ length: 1000 }, (_, i) => [
      i % 3,
      `key ${i}`,
      i === 8 * i + 7 ? [i] : [i, 8 * i + 7],
      i + 1,
      i + 1e12,
    ]),
  );
  expect(read[1000]).toEqual([15, "sparse", [2 ** 32 - 1], 2 ** 29, NO_DEADLINE]);
});

test("facts are those of the bytes in the file, and not of what was put", async () => {
  const { target, path } = await targetInFolder();
  await target.put(itemOf(0, "k", [9, 11], 2));
  await target.facts(0, "nothing");
  const before = await target.facts(0, "k");
  expect(before).toEqual({ cardinality: 2, byteLength: 2, deadline: NO_DEADLINE });
  await target.put(itemOf(0, "l", [1, 9], 2));
  await target.put(itemOf(0, "m", [1], 1));
  await target.facts(0, "m");
  const bytes = readFileSync(path);
  const at = bytes.indexOf(Buffer.from([1, 0x6c, 2, 0x40, 0x40]));
  bytes[at + 3] = 0xff;
  writeFileSync(path, bytes);
  expect(await target.facts(0, "l")).toEqual({ cardinality: 9, byteLength: 2, deadline: NO_DEADLINE });
  await target.close();
});

test("a file that was not finished is not there", async () => {
  const { target, path, name } = await targetInFolder();
  await target.put(itemOf(0, "k", [1], 1));
  await target.close();
  expect([existsSync(path), existsSync(name)]).toEqual([false, false]);
});

test("without keys it is a file too", async () => {
  const { target, name } = await targetInFolder(false);
  await target.finish();
  await target.close();
  expect(readAll(readFileSync(name)).keys).toEqual([]);
});

test("bitmaps that were put are let go of, also where they can't be written", async () => {
  const SET_BYTES = 200_000;
  for (const path of [temporaryFolder()("out.rdb"), "/dev/full"]) {
    const target = await RdbTarget.open(
      { name: "out.rdb", path, publish: () => {}, discard: () => {} },
      { verify: false },
    );
    const before = Bitmap.usedBytes();
    for (let i = 0; i < 10; i++) {
      const members = Array.from({ length: SET_BYTES / 2 }, (_, member) => member * 7);
      await target.put(itemOf(0, `key ${i}`, members, SET_BYTES * 8)).catch(() => {});
    }
    expect(Bitmap.usedBytes()).toBeLessThan(before + SET_BYTES);
    await target.close();
  }
});

test("a disk that is full is told of, to whoever puts next and at the end", async () => {
  const made = { name: "out.rdb", path: "/dev/full", publish: () => expect.fail("published"), discard: () => {} };
  const target = await RdbTarget.open(made, { verify: true });
  const full = "can't write out.rdb: ENOSPC: no space left on device";
  await expect(target.put(itemOf(0, "k", [2 ** 32 - 1], 2 ** 29))).rejects.toThrow(full);
  await expect(target.put(itemOf(0, "l", [1], 1))).rejects.toThrow(full);
  await expect(target.finish()).rejects.toThrow(full);
  await target.close();
});

test("a file that can't be made is told of at once", async () => {
  const made = { name: "out.rdb", path: "/nowhere/out.rdb", publish: () => {}, discard: () => {} };
  await expect(RdbTarget.open(made, { verify: true })).rejects.toThrow("can't write out.rdb: ENOENT: no such file");
});
