/** docs/looking-into-the-file.md: its programs and queries, as they stand there, say what the server says. */
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ask, askAll } from "../support/ask.js";
import { runProgram, type Sandbox, sandbox } from "../support/server-process.js";
import { findTool } from "../support/tools.js";

const DOCUMENT = readFileSync(new URL("../../docs/looking-into-the-file.md", import.meta.url), "utf8");
const MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));

const sqlite = findTool("sqlite3");
const python = findTool("python3");

/** The blocks of one language, in their order. */
function blocks(language: string): string[] {
  return [...DOCUMENT.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, "g"))].map(
    ([, text]) => text as string,
  );
}

function queries(): string[] {
  return blocks("sh").filter((text) => text.startsWith("sqlite3"));
}

async function run(place: Sandbox, program: string, ...args: string[]): Promise<string> {
  const finished = await runProgram(program, args, { cwd: place.folder });
  expect(finished).toMatchObject({ code: 0, stderr: "" });
  return finished.stdout;
}

/** yesterday.db, and today.db with some changes; copy.db is the same as today.db. */
async function copies(): Promise<{ place: Sandbox; expected: Map<string, number[]> }> {
  const place = sandbox();
  const server = await place.start();
  const client = await server.connect();
  const backup = async (name: string) => {
    const finished = await place.run(["backup", name, "--addr", `127.0.0.1:${server.port}`]);
    expect(finished.code).toBe(0);
  };
  const set = (key: string, offsets: number[]) => offsets.map((offset) => ["SETBIT", key, String(offset), "1"]);
  const expected = new Map([
    ["list", Array.from({ length: 5000 }, (_, i) => (i * 1_000_003) % 2 ** 32)],
    ["bits", Array.from({ length: 20_000 }, (_, i) => i * 3)],
    ["runs", Array.from({ length: 30_000 }, (_, i) => 100_000 + i)],
    ["one", [4294967295]],
  ]);
  for (const [key, offsets] of expected) await askAll(client, set(key, offsets));
  const random = Buffer.from(Array.from({ length: 400_000 }, (_, i) => (i * 7919) % 251));
  await askAll(client, [
    "SETBIT kept 7 1",
    "SETBIT gone 7 1",
    "SETBIT moved:1 7 1",
    "SET a:1 x",
    "SET a:2 y",
    ["SET", "bin\0", "x"],
  ]);
  await ask(client, "SET", "large", random);
  await backup("yesterday.db");
  await askAll(client, [
    "DEL gone",
    "SETBIT new 1 1",
    "SETBIT moved:1 7 0",
    "SETBIT moved:1 6 1",
    "EXPIREAT a:1 4102444800",
  ]);
  await askAll(client, ["SETBIT large 1000000 1", "SETBIT large 1000001 1"]);
  await backup("today.db");
  await backup("copy.db");
  await server.stop();
  for (const offsets of expected.values()) offsets.sort((a, b) => a - b);
  return { place, expected };
}

test("the programs in JavaScript and Python read every kind of container", async () => {
  const { place, expected } = await copies();
  symlinkSync(MODULES, place.path("node_modules"));
  writeFileSync(place.path("bits.mjs"), blocks("js")[0]!);
  writeFileSync(place.path("bits.py"), blocks("python")[0]!);
  for (const [key, offsets] of expected) {
    const found = await run(place, process.execPath, "bits.mjs", "copy.db", key);
    expect(found.replace(/\s+/g, ""), key).toBe(`${offsets.length}[${offsets.slice(0, 10).join(",")}]`);
    if (python === undefined) continue;
    expect(await run(place, python, "bits.py", "copy.db", key)).toBe(
      `${offsets.length} [${offsets.slice(0, 10).join(", ")}]\n`,
    );
  }
});

test.skipIf(python === undefined)("the program in Python reads values with deltas too, and finds damage", async () => {
  const place = sandbox();
  writeFileSync(place.path("bits.py"), blocks("python")[0]!);
  const server = await place.start();
  const client = await server.connect();
  const offsets = Array.from({ length: 5000 }, (_, i) => i * 7919);
  await askAll(client, [
    ...offsets.map((offset) => ["SETBIT", "k", String(offset), "1"]),
    "SAVE",
    "SETBIT k 0 0",
    "SETBIT k 1 1",
    "SAVE",
  ]);
  await server.stop();
  expect(await run(place, python as string, "bits.py", "bitmapist.db", "k")).toMatch(/^5000 \[1, 7919, /);
});

test.skipIf(sqlite === undefined)("the queries show keys and families", async () => {
  const { place } = await copies();
  const [keys, families] = queries();
  const shown = await run(place, "sh", "-c", keys as string);
  expect(shown).toMatch(/│ database │ +key +│ cardinality │ byte_length │ disk_bytes │ redis_bytes │ +expires +│ id │/);
  expect(shown).toMatch(/│ 0 +│ large +│ \d+ +│ 400000 +│ \d+ +│ 400075 /);
  const grouped = await run(place, "sh", "-c", families as string);
  expect(grouped).toMatch(/│ a: +│ 2 +│ /);
  const all = await run(place, sqlite as string, "-readonly", "copy.db", "SELECT key, expires FROM bitmaps");
  expect(all).toContain("X'62696E00'|\n");
  expect(all).toContain("a:1|2100-01-01 00:00:00.000\n");
});

test.skipIf(sqlite === undefined)("the comparison names what has changed, and nothing else", async () => {
  const { place } = await copies();
  const shown = await run(place, "sh", "-c", queries()[2] as string);
  const rows = [...shown.matchAll(/^│ (new|gone|changed) +│ (\d+) +│ (\S+) +│ (\d*) +│ (\d*) +│$/gm)].map((row) =>
    row.slice(1).join(" "),
  );
  expect(rows.map((row) => row.replace(/large (\d+) (\d+)/, (_all, a, b) => `large +${b - a}`))).toEqual([
    "changed 0 a:1 4 4",
    "changed 0 large +2",
    "changed 0 moved:1 1 1",
    "gone 0 gone 1 ",
    "new 0 new  1",
  ]);
});
