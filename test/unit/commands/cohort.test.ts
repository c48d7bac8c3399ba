/** COHORT: who of each row is in each column, with filters, in steps, in percent; and BITOPCARD. */
import { beforeEach, describe, expect, test } from "vitest";
import { readReply } from "../../support/raw-client.js";
import { TestServer } from "./harness.js";

let server: TestServer;
let client: ReturnType<TestServer["connect"]>;

/** What a client makes of the reply: nested arrays, numbers and strings. */
function ask(request: string): unknown {
  const read = readReply(Buffer.from(client.say(request), "latin1"));
  if ("need" in read) throw new Error("the reply is cut off");
  const plain = ({ type, text, items }: typeof read.reply): unknown => {
    if (items !== undefined) return items.map(plain);
    if (type === "_") return undefined;
    return type === ":" || type === "," ? Number(text) : text;
  };
  return plain(read.reply);
}

const users = { "w:1": [1, 2, 3, 4], "w:2": [2, 3, 9], "w:3": [3, 4, 9, 10], paid: [2, 3, 4, 10], left: [4] };

beforeEach(() => {
  server = new TestServer();
  client = server.connect();
  for (const [key, ids] of Object.entries(users)) for (const id of ids) client.say(`SETBIT ${key} ${id} 1`);
});

describe("COHORT", () => {
  test("counts each row, and with each column", () => {
    expect(ask("COHORT ROWS 2 w:1 w:2 COLUMNS 3 w:1 w:2 w:3")).toEqual(["w:1", [4, 4, 2, 2], "w:2", [3, 2, 3, 2]]);
  });

  test("is a map in RESP3", () => {
    client.say("HELLO 3");
    expect(client.say("COHORT ROWS 1 w:1 COLUMNS 1 w:2")).toBe("%1\r\n$3\r\nw:1\r\n*2\r\n:4\r\n:2\r\n");
  });

  test("with STEPS compares a row with the columns from its own on, as far as there are any", () => {
    const keys = "3 w:1 w:2 w:3";
    expect(ask(`COHORT ROWS ${keys} COLUMNS ${keys} STEPS 2`)).toEqual([
      "w:1",
      [4, 4, 2],
      "w:2",
      [3, 3, 2],
      "w:3",
      [4, 4],
    ]);
    expect(ask(`COHORT ROWS ${keys} COLUMNS 1 w:1 STEPS 5`)).toEqual(["w:1", [4, 4], "w:2", [3], "w:3", [4]]);
  });

  test("takes filters for all or for each, one after the other", () => {
    expect(ask("COHORT ROWS 2 w:1 w:2 AND 1 paid COLUMNS 1 w:3")).toEqual(["w:1", [3, 2], "w:2", [2, 1]]);
    expect(ask("COHORT ROWS 2 w:1 w:2 AND 1 paid DIFF 1 left COLUMNS 1 w:3")).toEqual(["w:1", [2, 1], "w:2", [2, 1]]);
    expect(ask("COHORT ROWS 2 w:1 w:2 or 2 w:2 left COLUMNS 1 w:3 AND 1 paid")).toEqual(["w:1", [5, 2], "w:2", [4, 2]]);
  });

  test("gives percent of the row", () => {
    expect(ask("COHORT ROWS 1 w:2 COLUMNS 2 w:1 w:2 PERCENT")).toEqual(["w:2", [3, String((2 / 3) * 100), "100"]]);
    client.say("HELLO 3");
    expect(ask("COHORT ROWS 1 w:2 COLUMNS 2 w:1 w:2 PERCENT")).toEqual(["w:2", [3, (2 / 3) * 100, 100]]);
  });

  test("leaves a cell empty where its row or its column is, and tells 0 where nobody came back", () => {
    client.say("HELLO 3");
    expect(ask("COHORT ROWS 2 w:1 none COLUMNS 3 w:1 none w:3")).toEqual([
      "w:1",
      [4, 4, undefined, 2],
      "none",
      [0, undefined, undefined, undefined],
    ]);
    expect(ask("COHORT ROWS 1 left COLUMNS 1 w:2")).toEqual(["left", [1, 0]]);
  });

  test("changes nothing and counts its keys as read", () => {
    const before = ask("DBSIZE");
    const { keyspaceHits: hits, keyspaceMisses: misses } = server.stats;
    ask("COHORT ROWS 2 w:1 none COLUMNS 1 w:1");
    expect(ask("DBSIZE")).toBe(before);
    expect([server.stats.keyspaceHits - hits, server.stats.keyspaceMisses - misses]).toEqual([1, 1]);
  });

  test.each([
    ["COHORT ROWS 1 a COLUMNS", "wrong number of arguments"],
    ["COHORT COLUMNS 1 a ROWS 1 a", "syntax error"],
    ["COHORT ROWS 1 a COLUMNS 1 a NONSENSE", "syntax error"],
    ["COHORT ROWS 1 a COLUMNS 1 a STEPS", "syntax error"],
    ["COHORT ROWS 1 a AND 1 b c COLUMNS 1 a", "syntax error"],
    ["COHORT ROWS 1 a b COLUMNS 1 a", "syntax error"],
    ["COHORT ROWS 0 COLUMNS 1 a STEPS 1", "numkeys should be greater than 0"],
    ["COHORT ROWS x a COLUMNS 1 a", "value is not an integer or out of range"],
    ["COHORT ROWS 1 a COLUMNS 9 a", "Number of keys can't be greater than number of args"],
    ["COHORT ROWS 1 a COLUMNS 9223372036854775807 a", "Number of keys can't be greater than number of args"],
    ["COHORT ROWS 3 a b c AND 2 d e COLUMNS 1 a", "a filter has one key, or as many as what it filters"],
    ["COHORT ROWS 1 a COLUMNS 1 a STEPS 0", "STEPS should be greater than 0"],
  ])("%s is refused", (request, reason) => {
    expect(client.say(request)).toContain(`-ERR ${reason}`);
  });

  test("refuses a table of too many cells before it counts any", () => {
    const keys = ["400", ...Array.from({ length: 400 }, () => "k")].join(" ");
    expect(client.say(`COHORT ROWS ${keys} COLUMNS ${keys}`)).toBe(
      "-ERR the table would have more than 100000 cells\r\n",
    );
    expect(client.say(`COHORT ROWS ${keys} COLUMNS ${keys} STEPS 20`)).toMatch(/^\*800\r\n/);
  });
});

test("COHORT refuses more keys and filters than it may have, and what would take too long, before it counts", () => {
  const rows = ["5001", ...Array.from({ length: 5001 }, () => "w:1")].join(" ");
  expect(client.say(`COHORT ROWS ${rows} AND 1 paid COLUMNS 1 w:1`)).toBe(
    "-ERR the table would take more than 10000 keys and filters\r\n",
  );
  client.say("SETBIT far 4294967295 1");
  client.say("BITOP NOT dense far");
  client.say("SETBIT dense 0 0");
  const dense = ["300", ...Array.from({ length: 300 }, () => "dense")].join(" ");
  for (const request of [`COHORT ROWS ${dense} COLUMNS ${dense}`, `COHORT ROWS ${dense} OR 1 dense COLUMNS 1 w:1`]) {
    expect(client.say(request)).toBe("-ERR the table would take longer than 2000 ms, ask for a part of it\r\n");
  }
});

test("COHORT looks at no column that no row reaches", () => {
  const before = server.stats.keyspaceHits;
  expect(ask("COHORT ROWS 1 w:1 COLUMNS 3 w:1 w:2 w:3 STEPS 2")).toEqual(["w:1", [4, 4, 2]]);
  expect(server.stats.keyspaceHits - before).toBe(2);
});

test("COMMAND GETKEYS of a COHORT that is none says so", () => {
  expect(client.say("COMMAND GETKEYS COHORT ROWS x a COLUMNS 1 b")).toBe(
    "-ERR Invalid arguments specified for command\r\n",
  );
});

describe("BITOPCARD", () => {
  test.each([
    ["AND w:1 w:2", 2],
    ["OR w:1 w:2 w:3", 6],
    ["XOR w:1 none", 4],
    ["NOT w:1", 4],
    ["NOT none", 0],
    ["DIFF w:1 w:2", 2],
    ["DIFF1 w:1 w:2", 1],
    ["ANDOR w:1 w:2 w:3", 3],
    ["ONE w:1 w:2 w:3", 2],
  ])("%s is %i", (request, count) => {
    expect(ask(`BITOPCARD ${request}`)).toBe(count);
  });

  test("refuses what BITOP refuses", () => {
    expect(client.say("BITOPCARD NAND a b")).toBe("-ERR syntax error\r\n");
    expect(client.say("BITOPCARD NOT a b")).toBe("-ERR BITOP NOT must be called with a single source key.\r\n");
    expect(client.say("BITOPCARD DIFF a")).toBe("-ERR BITOP DIFF must be called with at least two source keys.\r\n");
  });
});
