/** Debian's python3-redis with its defaults, and bitmapist's own sequences of commands checked against Python's sets. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dice } from "../support/random.js";
import { runProgram, Sandbox, type ServerProcess } from "../support/server-process.js";
import { findPythonWithRedis } from "../support/tools.js";

const python = findPythonWithRedis();

const place = new Sandbox();
let server: ServerProcess;

beforeAll(async () => {
  server = await place.start();
});

afterAll(() => place.cleanup());

async function run(script: string, { port }: ServerProcess, ...args: string[]): Promise<void> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  // -B: no __pycache__ in the sources.
  const { code, stdout, stderr } = await runProgram(python!, ["-B", path, String(port), ...args]);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "", stderr: "" });
}

describe.skipIf(python === undefined)("redis-py with its defaults", () => {
  test.each([
    ["sets, gets and counts bits", "bits"],
    ["keeps every byte of keys and values", "strings"],
    ["lists, renames, expires and deletes keys", "keys"],
    ["runs transactions and pipelines, and sees a watched key change", "transactions"],
    ["subscribes to channels and to what happens to keys, and monitors", "channels"],
    ["uses databases, INFO, CONFIG and connection pools", "connection"],
  ])("%s", (_sentence, scenario) => run("redis_py.py", server, scenario));

  test("gives a password, and is refused without", async () => {
    await run("redis_py.py", await place.start({ db: "locked.db", args: ["--requirepass", "secret"] }), "password");
  });
});

describe.skipIf(python === undefined)("bitmapist", () => {
  test.each([
    ["marks and unmarks events", "mark"],
    ["combines events with AND, OR, XOR and NOT, missing ones too", "operations"],
    ["nests operations", "nested"],
    ["makes a cohort table of 5 by 5", "cohort"],
    ["finds its keys by EXISTS, KEYS and SCAN", "listing"],
    ["deletes its temporary keys, and then all of its events", "deletion"],
  ])("%s", async (sentence, scenario) => {
    const { seed } = dice(`bitmapist ${sentence}`);
    await run("bitmapist.py", server, scenario, String(seed));
  });

  test("finds everything again after kill -9", async () => {
    const { seed } = dice("bitmapist after kill -9");
    const first = await place.start({ db: "killed.db" });
    await run("bitmapist.py", first, "fill", String(seed));
    await first.kill();
    await run("bitmapist.py", await place.start({ db: "killed.db" }), "verify", String(seed));
  });
});
