/** A value that is not what was written answers its own commands with an error, and no others; replacing it heals it. */
import { expect, test } from "vitest";
import { ask, askAll } from "../support/ask.js";
import { ask as askFile, edit, flipBitOf } from "../support/corrupt.js";
import { diceOf } from "../support/random.js";
import type { RawClient } from "../support/raw-client.js";
import { type Sandbox, type ServerProcess, sandbox } from "../support/server-process.js";

const DAMAGED = "-ERR the value is damaged in the database file, see the server's log and bitmapist-server check\r\n";
/** Several chunks, each of many pages. */
const LARGE_BYTES = 300_000;
const random = diceOf(7);
const large = () => Buffer.from(Array.from({ length: LARGE_BYTES }, () => random.int(0, 255)));
const BAD = large();
const GOOD = large();

interface Damaged {
  place: Sandbox;
  server: ServerProcess;
  client: RawClient;
  /** The damaged key's id. */
  id: number;
}

/** Serves a database in which the key `bad` is damaged by `damage`, which gets the file and the key's id. */
async function serveDamaged(damage: (path: string, id: number) => void): Promise<Damaged> {
  const place = sandbox();
  const path = place.path("a.db");
  const first = await place.start({ db: "a.db" });
  const others = Array.from({ length: 200 }, (_, i) => ["SET", `good:${i}`, `value ${i}`]);
  await askAll(await first.connect(), [
    ...others,
    ["SET", "bad", BAD],
    ["SET", "good", GOOD],
    "EXPIREAT bad 4102444800",
  ]);
  await first.stop();
  const { id } = askFile<{ id: number }>(path, "SELECT id FROM keys WHERE key = CAST('bad' AS BLOB)")[0]!;
  damage(path, id);
  const server = await place.start({ db: "a.db" });
  return { place, server, client: await server.connect(), id };
}

const DAMAGE: readonly (readonly [string, (path: string, id: number) => void])[] = [
  [
    "a chunk's bytes, changed through SQLite",
    (path, id) => edit(path, `UPDATE chunks SET portable = zeroblob(length(portable)) WHERE chunk = (${id} << 16)`),
  ],
  [
    "a bit in an overflow page of the file",
    (path, id) => {
      const rows = askFile<{ portable: Buffer }>(path, `SELECT portable FROM chunks WHERE chunk = (${id} << 16)`);
      flipBitOf(path, rows[0]!.portable);
    },
  ],
];

test.each(DAMAGE)("%s: its own commands are refused, all others are right", async (_what, damage) => {
  const { place, server, client, id } = await serveDamaged(damage);
  for (const request of [
    ["GET", "bad"],
    ["BITCOUNT", "bad"],
    ["GETBIT", "bad", "7"],
    ["SETBIT", "bad", "7", "1"],
    ["BITPOS", "bad", "1"],
    ["GETRANGE", "bad", "0", "10"],
    ["MGET", "good:1", "bad"],
    ["BITOP", "OR", "target", "good", "bad"],
  ]) {
    expect(await client.call(...request), request.join(" ")).toBe(DAMAGED);
  }
  // What needs no bits.
  expect(await askAll(client, ["EXISTS bad", "TTL good", "PEXPIRETIME bad", "TYPE bad", "DBSIZE"])).toEqual([
    1,
    -1,
    4102444800000,
    "string",
    202,
  ]);
  const names = Array.from({ length: 200 }, (_, i) => `good:${i}`);
  expect(await ask(client, "MGET", ...names)).toEqual(names.map((_, i) => `value ${i}`));
  expect(await ask(client, "GET", "good")).toBe(GOOD.toString("latin1"));
  expect(await askAll(client, ["SET new 1", "SETBIT good:7 1000 1", "SAVE"])).toEqual(["OK", 0, "OK"]);
  await server.logged(
    new RegExp(`warning command get failed: the value with id ${id} is damaged in the database file: `),
  );
  expect(server.log).not.toMatch(/\n\s+at /);
  const checked = await place.run(["check", "a.db"]);
  expect(checked.stdout).toMatch(
    new RegExp(`\na\\.db: database 0, key "bad" \\(id ${id}\\): chunk 0 is not what was written; `),
  );
  expect(checked.stdout).toMatch(/\na\.db: DAMAGED: 1 keys, 0 other findings; /);
  expect(checked.code).toBe(1);
});

test.each([
  ["SET", ["SET", "bad", "healed"], "healed"],
  ["DEL and SETBIT", ["DEL", "bad"], undefined],
  ["BITOP over it", ["BITOP", "NOT", "bad", "good:1"], undefined],
  ["RENAME over it", ["RENAME", "good:1", "bad"], "value 1"],
  ["FLUSHDB", ["FLUSHDB"], undefined],
] as const)("%s heals it, and the next start finds nothing wrong", async (_what, request, value) => {
  for (const [, damage] of DAMAGE) {
    const { place, server, client } = await serveDamaged(damage);
    await ask(client, ...request);
    if (value !== undefined) expect(await ask(client, "GET", "bad")).toBe(value);
    await ask(client, "SETBIT", "bad", "3", "1");
    const healed = await ask(client, "GET", "bad");
    await server.stop();
    const checked = await place.run(["check", "a.db"]);
    expect(checked.stdout).toMatch(/^a\.db: fine: /);
    expect(await ask(await (await place.start({ db: "a.db" })).connect(), "GET", "bad")).toBe(healed);
  }
});

test("bits that the log has for a damaged value are not lost, and the server goes on", async () => {
  const place = sandbox();
  const first = await place.start({ db: "a.db" });
  const client = await first.connect();
  await askAll(client, [
    ["SET", "bad", BAD],
    ["SET", "good", GOOD],
    "SAVE",
    "SETBIT bad 0 1",
    "SETBIT good 0 1",
    "SAVE",
  ]);
  await first.kill();
  edit(
    place.path("a.db"),
    "UPDATE chunks SET checksum = checksum + 1 WHERE chunk >> 16 = (SELECT id FROM keys WHERE key = CAST('bad' AS BLOB))",
  );
  const second = await place.start({ db: "a.db" });
  const after = await second.connect();
  expect(await after.call("GETBIT", "bad", "0")).toBe(DAMAGED);
  expect(await askAll(after, ["GETBIT good 0", "SET other 1", "SAVE"])).toEqual([1, "OK", "OK"]);
  expect(await second.stop()).toEqual({ code: 0, signal: null });
  const deltas = askFile(
    place.path("a.db"),
    "SELECT 1 FROM deltas WHERE delta >> 16 = (SELECT id FROM keys WHERE key = CAST('bad' AS BLOB))",
  );
  expect(deltas).toHaveLength(1);
});
