/** Deadlines across restarts: what has died stays dead, and what was pardoned lives. */
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { ask, askAll, keysOf, scanAll } from "../support/ask.js";
import { eventually, sandbox, sleep } from "../support/server-process.js";

/** Keys with a row in the file, sorted. */
function rowsOf(path: string): string[] {
  const file = new Database(path, { readonly: true });
  try {
    // Both tables as of one moment: the server commits meanwhile.
    const [rows, values] = file.transaction(() => [
      file.prepare<[], { key: string }>("SELECT CAST(key AS TEXT) AS key FROM keys").all(),
      file.prepare<[], { n: number }>("SELECT count(*) AS n FROM bitmaps").all(),
    ])() as [{ key: string }[], { n: number }[]];
    expect(values[0]?.n).toBe(rows.length);
    return rows.map(({ key }) => key).sort();
  } finally {
    file.close();
  }
}

test("a key whose deadline passes while the server is down is gone after the start, for every command", async () => {
  const place = sandbox();
  const first = await place.start();
  const writer = await first.connect();
  await askAll(writer, [
    "SET short 1 PX 700",
    "SETBIT short:bit 3 1",
    "PEXPIRE short:bit 700",
    "SET long 1 EX 1000",
    "SET lasting 1",
  ]);
  await first.stop();
  expect(rowsOf(place.path("bitmapist.db"))).toEqual(["lasting", "long", "short", "short:bit"]);
  await sleep(800);

  const second = await place.start();
  const client = await second.connect();
  expect(await askAll(client, ["GET short", "EXISTS short short:bit", "TTL short", "BITCOUNT short:bit"])).toEqual([
    null,
    0,
    -2,
    0,
  ]);
  expect(await keysOf(client)).toEqual(["lasting", "long"]);
  expect(await scanAll(client)).toEqual(["lasting", "long"]);
  await eventually("DBSIZE is 2", async () => (await ask(client, "DBSIZE")) === 2, 3000);
  await eventually("the rows are gone", () => rowsOf(place.path("bitmapist.db")).length === 2, 5000);

  await second.kill();
  const third = await (await place.start()).connect();
  expect(await keysOf(third)).toEqual(["lasting", "long"]);
});

test("an expired key does not come back after kill -9, nor does its old value under a new key of its name", async () => {
  const place = sandbox();
  const first = await place.start();
  const writer = await first.connect();
  await askAll(writer, ["SET dead 1", "SET reborn 1", "SAVE", "PEXPIRE dead 50", "PEXPIRE reborn 50"]);
  await sleep(100);
  await askAll(writer, ["EXISTS dead", "SETBIT reborn 20 1", "SAVE"]);
  await first.kill();
  const client = await (await place.start()).connect();
  expect(await ask(client, "EXISTS", "dead")).toBe(0);
  expect(await ask(client, "GET", "reborn")).toBe("\x00\x00\x08");
  expect(await ask(client, "TTL", "reborn")).toBe(-1);
});

test("a deadline that was taken away does not delete later, neither in the running server nor after a restart", async () => {
  const place = sandbox();
  const first = await place.start();
  const writer = await first.connect();
  const keys = ["persisted", "set", "renamed-over", "copied-over", "bitop", "mset", "later"];
  await askAll(
    writer,
    keys.map((key) => `SET ${key} x PX 1000`),
  );
  await ask(writer, "SAVE");
  await askAll(writer, [
    "PERSIST persisted",
    "SET set y",
    "SET plain y",
    "RENAME plain renamed-over",
    "SET plain y",
    "COPY plain copied-over REPLACE",
    "BITOP OR bitop plain",
    "MSET mset y",
    "PEXPIRE later 1000000",
    "DEL plain",
  ]);
  await sleep(1300); // past the old deadline, with the cleared ones still unasked for
  await first.kill();

  const second = await place.start();
  const client = await second.connect();
  expect(await keysOf(client)).toEqual([...keys].sort());
  await sleep(300); // some runs of active expiry
  expect(await ask(client, "EXISTS", ...keys)).toBe(keys.length);
  expect(rowsOf(place.path("bitmapist.db"))).toEqual([...keys].sort());
});

test("active expiry takes keys out of the file that nobody asks for", async () => {
  const KEYS = 2000;
  const place = sandbox();
  const server = await place.start();
  const client = await server.connect();
  const keys = Array.from({ length: KEYS }, (_, i) => `k${i}`);
  await askAll(
    client,
    keys.map((key) => ["SET", key, "x"]),
  );
  await ask(client, "SET", "lasting", "1");
  await ask(client, "SAVE");
  expect(rowsOf(place.path("bitmapist.db"))).toHaveLength(KEYS + 1);
  await askAll(
    client,
    keys.map((key) => ["PEXPIRE", key, "100"]),
  );
  await eventually("only one row is left", () => rowsOf(place.path("bitmapist.db")).length === 1, 8000);
  expect(rowsOf(place.path("bitmapist.db"))).toEqual(["lasting"]);
  expect(await ask(client, "DBSIZE")).toBe(1);
  expect(String(await ask(client, "INFO", "stats"))).toContain(`expired_keys:${KEYS}\r\n`);
});

test("active expiry finds keys of every database, also of one that was swapped or moved into", async () => {
  const place = sandbox();
  const first = await place.start();
  const writer = await first.connect();
  await askAll(writer, [
    "SET moved x PX 500",
    "MOVE moved 2",
    "SELECT 3",
    "SET swapped x PX 500",
    "SWAPDB 3 4",
    "SELECT 15",
    "SET last x PX 500",
    "SAVE",
  ]);
  await first.kill();
  await place.start();
  await eventually("no row is left", () => rowsOf(place.path("bitmapist.db")).length === 0, 5000);
});
