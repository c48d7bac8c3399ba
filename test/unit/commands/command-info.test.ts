/**
 * The command table against a real Redis': redis-7.0.15-commands.json is what redis-server 7.0.15 answers to COMMAND in RESP3
 * (record-redis-commands.mjs), redis-7.0.15-arguments.json the arguments in its answer to COMMAND DOCS. Every row that both have must say the same, save for what DIFFERENCES names.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { keyPositions } from "../../../src/commands/command.js";
import { REDIS_COMMAND_NAMES } from "../../../src/commands/redis-commands.js";
import { type Argument, parseSyntax } from "../../../src/commands/syntax.js";
import { COMMAND_TABLE } from "../../../src/commands/table.js";
import { REDIS_VERSION } from "../../../src/config.js";
import { Argv } from "../../../src/resp/argv.js";
import { type Reply, readReply } from "../../support/raw-client.js";
import { TestServer } from "./harness.js";

/** A row of COMMAND as JSON: name, arity, flags, first, last, step, categories, tips, key specs, subcommands. */
type Row = [
  name: string,
  arity: number,
  flags: string[],
  first: number,
  last: number,
  step: number,
  categories: string[],
  tips: string[],
  keySpecs: unknown[],
  subcommands: Row[],
];

const ROARING = "for clients of the redis-roaring module";

/** What is meant to differ, and why. Everything else that differs is a mistake. */
const DIFFERENCES = {
  /** Commands that Redis 7.0.15 does not have. */
  ours: {
    bitadd: "many ids in one request",
    bitaddrange: "a range of ids without sending them",
    bitcontains: "many GETBITs, and one answer",
    bitjaccard: "how alike two sets are, without a key for what they share",
    bitmax: "the largest id: BITPOS finds the smallest only",
    bitmin: "beside BITMAX; BITPOS of a 1",
    bitopcard: "how many bits a BITOP would set, without a key for them",
    bitoptimize: "runs for what was set bit by bit",
    bitrange: "ids, where Redis gives bytes only",
    bitrank: "where an id stands, and whether it is there, in one answer",
    bitrem: "many ids in one request",
    bitremrange: "a range of ids without sending them",
    bitscan: "ids page by page",
    bitselect: "samples and percentiles",
    bitstat: "why a value takes the memory it takes",
    "client|no-touch": "Redis 7.2's: who only looks at keys keeps none of them in memory",
    "client|setinfo": "Redis 7.2's: today's clients send it on every connection",
    cohort: "a table of bitmapist's in one command",
    "r.appendintarray": ROARING,
    "r.deleteintarray": ROARING,
    "r.getbit": ROARING,
    "r.getintarray": ROARING,
    "r.max": ROARING,
    "r.min": ROARING,
    "r.rangeintarray": ROARING,
    "r.setbit": ROARING,
    "r.setintarray": ROARING,
    slurp: "the Go bitmapist-server has it",
    waitaof: "Redis 7.2's: how a client waits for the disk, whatever appendfsync is",
  } as Record<string, string>,
};

const FIXTURE = new URL(`./redis-${REDIS_VERSION}-commands.json`, import.meta.url);
const ARGUMENTS_FIXTURE = new URL(`./redis-${REDIS_VERSION}-arguments.json`, import.meta.url);
const REDIS = new Map((JSON.parse(readFileSync(FIXTURE, "utf8")) as Row[]).map((row) => [row[0], row]));
const OURS = rowsOf("COMMAND");

/** A RESP3 reply as JSON: maps as objects, sets and arrays as arrays. */
function toJson({ type, text, items }: Reply): unknown {
  if (items === undefined) return type === ":" ? Number(text) : text;
  const values = items.map(toJson);
  if (type !== "%") return values;
  const pairs = Array.from({ length: values.length / 2 }, (_, i) => [values[2 * i], values[2 * i + 1]]);
  return Object.fromEntries(pairs);
}

function rowsOf(request: string): Map<string, Row> {
  const client = new TestServer().connect();
  client.say("HELLO 3");
  const read = readReply(Buffer.from(client.say(request), "latin1"));
  if ("need" in read) throw new Error("the reply is cut off");
  return new Map((toJson(read.reply) as Row[]).map((row) => [row[0], row]));
}

/** Rows of commands and of their subcommands, which lose their own list of subcommands. */
function flat(rows: Map<string, Row>): Map<string, Row> {
  return new Map(
    [...rows.values()]
      .flatMap((row) => [row, ...row[9]])
      .map((row) => [row[0], [...row.slice(0, 9), []] as unknown as Row]),
  );
}

/** How many words a request has at least for these arguments. */
function leastOf(list: readonly Argument[]): number {
  let words = 0;
  for (const { type, token, flags, arguments: inner = [] } of list) {
    if (flags.includes("optional")) continue;
    const own = { oneof: Math.min(...inner.map((each) => leastOf([each]))), block: leastOf(inner) };
    words += type === "oneof" || type === "block" ? own[type] : 1;
    if (token !== undefined && type !== "pure-token") words++;
  }
  return words;
}

const ours = flat(OURS);
const redis = flat(REDIS);
const shared = [...ours.keys()].filter((name) => redis.has(name));

test("rules of users may name every command of Redis'", () => {
  expect([...REDIS_COMMAND_NAMES].sort()).toEqual([...redis.keys()].sort());
});

test("the fixture is of the Redis whose version we tell", () => {
  expect(REDIS.size).toBeGreaterThan(200);
  expect(REDIS.get("command")?.[1]).toBe(-1);
});

test("commands that Redis does not have are named with a reason", () => {
  expect([...ours.keys()].filter((name) => !redis.has(name))).toEqual(Object.keys(DIFFERENCES.ours));
});

test("commands that are here have all of Redis' subcommands", () => {
  const names = (row: Row | undefined) => (row?.[9] ?? []).map(([name]) => name);
  const wanted = [...OURS.keys()].flatMap((name) => names(REDIS.get(name)));
  expect(wanted.length).toBeGreaterThan(50);
  expect(wanted.filter((name) => !ours.has(name))).toEqual([]);
});

describe.each(shared)("COMMAND INFO %s says what Redis says", (name) => {
  const [, arity, flags, first, last, step, categories, tips, keySpecs] = ours.get(name) as Row;
  const [, ...theirs] = redis.get(name) as Row;
  test("arity", () => expect(arity).toBe(theirs[0]));
  test("flags, in Redis' order", () => expect(flags).toEqual(theirs[1]));
  test("first key, last key and step", () => expect([first, last, step]).toEqual(theirs.slice(2, 5)));
  test("categories, in Redis' order", () => expect(categories).toEqual(theirs[5]));
  test("tips", () => expect(tips).toEqual(theirs[6]));
  test("key specifications", () => expect(keySpecs).toEqual(theirs[7]));
});

describe("COMMAND DOCS tells of the arguments that Redis tells of", () => {
  const theirs = new Map(JSON.parse(readFileSync(ARGUMENTS_FIXTURE, "utf8")) as [string, unknown][]);

  test("the fixture has them", () => {
    expect(theirs.size).toBeGreaterThan(200);
  });

  test.each(shared)("%s", (name) => {
    const client = new TestServer().connect();
    client.say("HELLO 3");
    const read = readReply(Buffer.from(client.say(`COMMAND DOCS ${name}`), "latin1"));
    if ("need" in read) throw new Error("the reply is cut off");
    const docs = toJson(read.reply) as Record<string, { arguments?: unknown }>;
    expect(docs[name]?.arguments).toEqual(theirs.get(name));
  });
});

test("COMMAND INFO without names is COMMAND, and COMMAND COUNT its length", () => {
  expect(rowsOf("COMMAND INFO")).toEqual(OURS);
  expect(new TestServer().connect().say("COMMAND COUNT")).toBe(`:${OURS.size}\r\n`);
});

test("COMMAND INFO of a name that is none, of an HTTP word and of a subcommand", () => {
  const client = new TestServer().connect();
  expect(client.say("COMMAND INFO nonsense post host:")).toBe("*3\r\n$-1\r\n$-1\r\n$-1\r\n");
  expect(client.say("COMMAND INFO client|id")).toMatch(/^\*1\r\n\*10\r\n\$9\r\nclient\|id\r\n/);
});

test("COMMAND INFO names commands in any case", () => {
  const client = new TestServer().connect();
  const lower = client.say("COMMAND INFO setbit");
  for (const spelling of ["SETBIT", "SetBit"]) expect(client.say(`COMMAND INFO ${spelling}`)).toBe(lower);
});

describe("the table", () => {
  const rows = COMMAND_TABLE.rows.flatMap((row) => [row, ...(row.subcommands ?? [])]);

  test("has its rows in the order of their names, each once", () => {
    const names = COMMAND_TABLE.rows.map(({ name }) => name);
    expect(names).toEqual([...new Set(names)].sort());
  });

  test.each(rows.map((row) => [row.name, row] as const))("%s has words for the documentation", (name, row) => {
    expect(row.summary).toMatch(/^[A-Z].*\.$/);
    expect(row.since).toMatch(/^\d+\.\d+\.\d+$/);
    expect(name).toBe(name.toLowerCase());
  });

  test.each(rows.map((row) => [row.name, row] as const))("%s has the arguments that its arity asks for", (_, row) => {
    const words = row.name.split("|").length;
    const inLine = parseSyntax(row.syntax ?? "");
    const isOpen = row.subcommands === undefined && inLine.some(({ flags }) => flags.length > 0);
    if (row.subcommands === undefined && row.arity > 0) expect(isOpen).toBe(false);
    if (row.subcommands === undefined) expect(words + leastOf(inLine)).toBeLessThanOrEqual(Math.abs(row.arity));
  });

  test.each([
    ["get k", [1]],
    ["mset k v k v", [1, 3]],
    ["mset k v k", [1, 3]],
    ["bitop and k k k k", [2, 3, 4, 5]],
    ["bitopcard and k k", [2, 3]],
    ["bitopcard and k k limit 5", [2, 3]],
    ["bitopcard and limit 5", [2, 3]],
    ["bitopcard and k limit", [2, 3]],
    ["bitadd k 1 2", [1]],
    ["bitjaccard k k", [1, 2]],
    ["rename k k", [1, 2]],
    ["del k k k", [1, 2, 3]],
    ["ping text", []],
    ["cohort rows 2 k k columns 1 k", [3, 4, 7]],
    ["cohort rows 1 rows and 1 k diff 1 k columns 2 columns and or 2 k k steps 1", [3, 6, 9, 12, 13, 16, 17]],
  ])("%s has its keys at %j", (request, positions) => {
    const argv = Argv.of(...request.split(" "));
    const row = COMMAND_TABLE.find(argv);
    expect(row && keyPositions(row, argv)).toEqual(positions);
  });

  test("COMMAND INFO tells of keys behind a word", () => {
    const [, , , first, last, step, , , specs] = OURS.get("cohort") as Row;
    expect([first, last, step]).toEqual([0, 0, 0]);
    expect(specs).toMatchObject([
      {
        flags: ["RO", "access", "incomplete"],
        begin_search: { type: "keyword", spec: { keyword: "ROWS", startfrom: 1 } },
        find_keys: { type: "keynum", spec: { keynumidx: 0, firstkey: 1, keystep: 1 } },
      },
      { begin_search: { spec: { keyword: "COLUMNS" } } },
    ]);
  });
});
