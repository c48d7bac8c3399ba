/** A value that the file has as an expression of others: it is what it was when it was made, whoever changes those, and after a crash. */
import { expect, test } from "vitest";
import { ask, askAll } from "../support/ask.js";
import { ask as askFile } from "../support/corrupt.js";
import { dice } from "../support/random.js";
import { sandbox } from "../support/server-process.js";

const KEYS = 40;
const ROUNDS = 3;
/** To read one takes as long as a commit. */
const VALUE_BYTES = 500_000;

/** Waits without letting anything else of this process run. */
function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test("is read in one state of the file, while a commit changes what it is of", async () => {
  const random = dice("expressions");
  const server = await sandbox().start({ args: ["--enable-debug-command", "local"] });
  const [reader, writer] = await Promise.all([server.connect(), server.connect()]);
  const value = Buffer.from(Array.from({ length: VALUE_BYTES }, () => random.int(0, 255)));
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < KEYS; i++) {
      await askAll(reader, [
        ["SET", `a${i}`, value],
        ["SET", `b${i}`, Buffer.alloc(VALUE_BYTES, 0xff)],
      ]);
      await ask(reader, "BITOP", "AND", `result${i}`, `a${i}`, `b${i}`);
    }
    const expected = await ask(reader, "BITCOUNT", "a0");
    await ask(reader, "DEBUG", "RELOAD");
    for (let i = 0; i < KEYS; i++) {
      const changed = askAll(writer, [["SET", `b${i}`, "x"], "SAVE"]);
      spin(random.int(0, 3));
      expect(await ask(reader, "BITCOUNT", `result${i}`)).toBe(expected);
      await changed;
    }
  }
});

test("is the same after kill -9, and when its source changes then", async () => {
  const place = sandbox();
  const first = await place.start({ db: "a.db" });
  await askAll(await first.connect(), [
    ["SET", "a", Buffer.alloc(5000, 0x55)],
    ["SET", "b", Buffer.alloc(4000, 0x0f)],
    "BITOP AND both a b",
    "BITOP NOT none a",
    "EXPIRE both 1000",
    "SAVE",
  ]);
  await first.kill();
  const expressions = "SELECT key FROM bitmaps WHERE expression IS NOT NULL ORDER BY key";
  expect(askFile(place.path("a.db"), expressions)).toEqual([{ key: "both" }, { key: "none" }]);
  const second = await place.start({ db: "a.db" });
  await askAll(await second.connect(), ["SETBIT a 0 1", "DEL b", "SAVE"]);
  await second.kill();
  expect(askFile(place.path("a.db"), expressions)).toEqual([]);
  const client = await (await place.start({ db: "a.db" })).connect();
  expect(
    await askAll(client, ["BITCOUNT both", "BITCOUNT none", "GETBIT none 0", "TTL both", "EXISTS b", "STRLEN both"]),
  ).toEqual([4000 * 2, 5000 * 4, 1, expect.any(Number), 0, 5000]);
});

test("that is stored again changes nothing in the file, and SAVE, WAITAOF and the end do not wait for it", async () => {
  for (const appendfsync of ["always", "everysec"]) {
    const server = await sandbox().start({ db: "a.db", args: ["--appendfsync", appendfsync] });
    const client = await server.connect();
    await askAll(client, ["SET a x", "SET b y", "BITOP AND r a b", "SAVE"]);
    expect(await askAll(client, ["BITOP AND r a b", "SETRANGE a 0 x", "WAITAOF 1 0 1000", "SAVE", "GET r"])).toEqual([
      1,
      1,
      [1, 0],
      "OK",
      "x",
    ]);
    await server.stop();
  }
});
