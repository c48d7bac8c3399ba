/** BITADD and its like: what each replies, what it does to the length of the string, and what it refuses. */
import { beforeEach, describe, expect, test } from "vitest";
import { BITS_ONE_BY_ONE_MAX, BITSCAN_COUNT_MAX, LISTED_IDS, OFFSET_MAX } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { VALUE } from "../../../src/keyspace/entry-table.js";
import { replyValue } from "../../support/ask.js";
import { TestServer } from "./harness.js";

let server: TestServer;
let client: ReturnType<TestServer["connect"]>;

beforeEach(() => {
  server = new TestServer();
  client = server.connect();
});

const ask = (request: string) => replyValue(client.say(request));
const every = (step: number, count: number, first = 0) => Array.from({ length: count }, (_, i) => first + i * step);
const add = (key: string, ids: readonly number[]) => replyValue(client.runAll(["BITADD", key, ...ids.map(String)]));

/** The kind of what is in memory of a key's value. */
function kindOf(key: string): number {
  const { keyspace } = server;
  const entry = keyspace.lookup(keyspace.databases[0]!, key)!;
  return entry.database.contents.entries.valueKind(entry.number);
}

/** Keys of the same ids, by how their value is kept. `unmade` is what a BITOP gave. */
function keysOfAllKinds(ids: readonly number[]): Record<string, string> {
  for (const name of ["native", "unmade"]) add(name, ids);
  for (const id of ids) client.say(`SETBIT containers ${id} 1`);
  client.say("BITCOUNT native 0 0");
  client.say("BITOP OR unmade native unmade");
  expect([kindOf("containers"), kindOf("native"), kindOf("unmade")]).toEqual([
    VALUE.CONTAINERS,
    VALUE.NATIVE,
    VALUE.NATIVE,
  ]);
  return { containers: "containers", native: "native", unmade: "unmade" };
}

describe("BITADD and BITREM", () => {
  test("count what is different afterwards, each id once", () => {
    expect(ask("BITADD k 5 1 5 300")).toBe(3);
    expect(ask("BITADD k 1 2")).toBe(1);
    expect(ask("BITRANGE k 0 -1")).toEqual([1, 2, 5, 300]);
    expect(ask("BITREM k 5 5 6 4000000000")).toBe(1);
    expect(ask("BITRANGE k 0 -1")).toEqual([1, 2, 300]);
    expect(ask("BITREM missing 1")).toBe(0);
    expect(ask("EXISTS missing")).toBe(0);
  });

  test.each([
    ["few", [9, 70_000]],
    ["many", every(70, 1000, 9).concat(9)],
  ])("%s ids lengthen the string as SETBIT does, and nothing shortens it", (_name, ids) => {
    const last = Math.max(...ids);
    add("k", ids);
    expect(ask("STRLEN k")).toBe(Math.floor(last / 8) + 1);
    expect(replyValue(client.run("BITREM", "k", ...ids.map(String), "4294967295"))).toBe(new Set(ids).size);
    expect(ask("STRLEN k")).toBe(Math.floor(last / 8) + 1);
    expect(ask("BITCOUNT k")).toBe(0);
    expect(ask("EXISTS k")).toBe(1);
  });

  test("take the first and the last id that there is", () => {
    expect(ask(`BITADD k 0 ${OFFSET_MAX}`)).toBe(2);
    expect(ask("STRLEN k")).toBe(2 ** 29);
    expect(ask("BITMAX k")).toBe(OFFSET_MAX);
    expect(ask(`BITREM k 0 ${OFFSET_MAX}`)).toBe(2);
  });

  test("leave a small value an array, and make one of many ids native and of few an array", () => {
    add("small", every(65_536, BITS_ONE_BY_ONE_MAX));
    expect(kindOf("small")).toBe(VALUE.SMALL);
    add("large", every(1000, 5000));
    expect(kindOf("large")).toBe(VALUE.NATIVE);
    client.run("BITREM", "large", ...every(1000, 4900).map(String));
    expect(kindOf("large")).toBe(VALUE.SMALL);
  });

  test("a value that was empty is as small as it gets", () => {
    add("run", every(1, 100_000));
    expect(ask("BITSTAT run")).toEqual(expect.arrayContaining(["run-containers", 2, "run-ids", 100_000]));
  });

  test("tell WATCH and the log what has changed, and nothing when nothing has", () => {
    const other = server.connect();
    const outcome = (request: string) => {
      client.say("WATCH k");
      other.say(request);
      client.say("MULTI");
      return client.say("EXEC");
    };
    const aborted = "*-1\r\n";
    expect(outcome("BITADD k 1 2")).toBe(aborted);
    server.keyspace.takeBatch();
    for (const request of ["BITADD k 1 2", "BITREM k 3", "BITADDRANGE k 1 2", "BITREMRANGE k 9 99", "BITOPTIMIZE k"]) {
      expect(outcome(request), request).toBe("*0\r\n");
    }
    expect(server.keyspace.isDirty).toBe(false);
    for (const request of ["BITREM k 2", "BITADDRANGE k 5 9", "BITREMRANGE k 5 6"]) {
      expect(outcome(request), request).toBe(aborted);
    }
    expect(server.keyspace.isDirty).toBe(true);
  });

  test("a bulk goes into the log as bits where that is less, else as the value", () => {
    add("k", every(1000, 200_000));
    server.keyspace.takeBatch();
    add("k", every(1000, 600, 1));
    expect(server.keyspace.logBytes).toBe(600 * 12);
    add("k", every(1000, 70_000, 2));
    expect(server.keyspace.logValueBytes).toBeGreaterThan(0);
  });
});

describe("BITADDRANGE and BITREMRANGE", () => {
  test("take both ends, and nothing where the first is behind the last", () => {
    expect(ask("BITADDRANGE k 10 20")).toBe(11);
    expect(ask("BITADDRANGE k 15 1000000")).toBe(999_980);
    expect(ask("STRLEN k")).toBe(125_001);
    expect(ask("BITREMRANGE k 11 999999")).toBe(999_989);
    expect(ask("BITRANGE k 0 -1")).toEqual([10, 1_000_000]);
    expect(ask("BITADDRANGE new 5 4")).toBe(0);
    expect(ask("EXISTS new")).toBe(0);
    expect(ask("BITREMRANGE k 20 10")).toBe(0);
    expect(ask("BITREMRANGE missing 0 10")).toBe(0);
  });

  test("all there is", () => {
    expect(ask(`BITADDRANGE k 0 ${OFFSET_MAX}`)).toBe(2 ** 32);
    expect(ask("BITCOUNT k")).toBe(2 ** 32);
    expect(ask("BITSELECT k -1")).toBe(OFFSET_MAX);
    expect(ask(`BITRANK k ${OFFSET_MAX}`)).toBe(OFFSET_MAX);
    expect(ask(`BITREMRANGE k 0 ${OFFSET_MAX - 1}`)).toBe(OFFSET_MAX);
    expect(ask("BITRANGE k 0 -1")).toEqual([OFFSET_MAX]);
    expect(ask("STRLEN k")).toBe(2 ** 29);
  });
});

describe("reading", () => {
  test("a key that is not there, and one without ids", () => {
    client.say("SETBIT zeros 100 0");
    for (const key of ["missing", "zeros"]) {
      for (const request of ["BITMIN", "BITMAX"]) expect(ask(`${request} ${key}`), request).toBe(-1);
      for (const rank of [0, 1, -1]) expect(ask(`BITSELECT ${key} ${rank}`)).toBe(-1);
      expect(ask(`BITRANK ${key} 100`)).toBe(-1);
      expect(ask(`BITRANGE ${key} 0 -1`)).toEqual([]);
      expect(ask(`BITRANGE ${key} 0 100 BYID`)).toEqual([]);
      expect(ask(`BITSCAN ${key} 0`)).toEqual(["0", []]);
      expect(ask(`BITCONTAINS ${key} ALL 100`)).toBe(0);
      expect(ask(`BITCONTAINS ${key} ANY 100`)).toBe(0);
      expect(ask(`BITOPTIMIZE ${key}`)).toBe(0);
      expect(client.say(`BITJACCARD ${key} missing`)).toBe("$2\r\n-1\r\n");
    }
    expect(ask("BITSTAT missing")).toBeNull();
    expect(ask("DBSIZE")).toBe(1);
  });

  test("small values: by rank, which counts from the end where it is negative", () => {
    client.say("BITADD k 3 1 4 15 9");
    expect(["BITMIN k", "BITMAX k"].map(ask)).toEqual([1, 15]);
    expect([0, 1, 4, 5, -1, -5, -6].map((rank) => ask(`BITSELECT k ${rank}`))).toEqual([1, 3, 15, -1, 15, 1, -1]);
    expect([1, 3, 15, 2, 16].map((id) => ask(`BITRANK k ${id}`))).toEqual([0, 1, 4, -1, -1]);
    expect(ask("BITRANGE k 1 2")).toEqual([3, 4]);
    expect(ask("BITRANGE k -2 -1")).toEqual([9, 15]);
    expect(ask("BITRANGE k 3 100")).toEqual([9, 15]);
    expect(ask("BITRANGE k 3 1")).toEqual([]);
    expect(ask("BITRANGE k 5 9")).toEqual([]);
    expect(ask("BITRANGE k 2 9 byid")).toEqual([3, 4, 9]);
    expect(ask("BITRANGE k 9 2 BYID")).toEqual([]);
    expect(ask("BITCONTAINS k ALL 1 15")).toBe(1);
    expect(ask("BITCONTAINS k all 1 2")).toBe(0);
    expect(ask("BITCONTAINS k ANY 2 4000000000 4")).toBe(1);
    expect(ask("BITCONTAINS k ANY 2 5")).toBe(0);
  });

  test.each(["containers", "native", "unmade"])("a large value of kind %s", (kind) => {
    const ids = every(37, 20_000, 5);
    const key = keysOfAllKinds(ids)[kind]!;
    expect(ask(`BITCONTAINS ${key} ALL 5 42 ${ids.at(-1)}`)).toBe(1);
    expect(ask(`BITCONTAINS ${key} ANY 6 7 43`)).toBe(0);
    expect(ask(`BITSELECT ${key} 12345`)).toBe(ids[12_345]);
    expect(ask(`BITRANK ${key} ${ids[12_345]}`)).toBe(12_345);
    expect(ask(`BITRANGE ${key} -3 -1`)).toEqual(ids.slice(-3));
    expect(ask(`BITRANGE ${key} 6 200 BYID`)).toEqual(ids.filter((id) => id > 5 && id <= 200));
    expect(ask(`BITRANGE ${key} 0 -1`)).toEqual(ids);
  });

  test("a page of BITSCAN goes on where the last ended, whatever was removed or added meanwhile", () => {
    add("k", every(3, 100));
    expect(ask("BITSCAN k 0")).toEqual(["28", every(3, 10)]);
    client.say("BITREM k 30 27");
    client.say("BITADD k 28 1");
    expect(ask("BITSCAN k 28 COUNT 3")).toEqual(["37", [28, 33, 36]]);
    expect(ask("BITSCAN k 290 COUNT 1000")).toEqual(["0", [291, 294, 297]]);
    expect(ask("BITSCAN k 291 COUNT 3")).toEqual(["0", [291, 294, 297]]);
    expect(ask("BITSCAN k 298 COUNT 1 COUNT 5")).toEqual(["0", []]);
    expect(ask(`BITSCAN k ${OFFSET_MAX}`)).toEqual(["0", []]);
  });

  test("a page has so many ids at most, whatever COUNT says", () => {
    add("k", every(2, BITSCAN_COUNT_MAX + 1));
    const [cursor, ids] = ask("BITSCAN k 0 COUNT 9223372036854775807") as [string, number[]];
    expect(ids).toEqual(every(2, BITSCAN_COUNT_MAX));
    expect(ask(`BITSCAN k ${cursor}`)).toEqual(["0", [BITSCAN_COUNT_MAX * 2]]);
  });

  test("a long BITRANGE is what it was when it was asked for, and lets go of the value at its end", () => {
    const ids = every(100, LISTED_IDS * 3 + 1);
    add("k", ids);
    const { keyspace } = server;
    const value = () => keyspace.bitmap(keyspace.lookup(keyspace.databases[0]!, "k")!);
    const before = value();
    // The transaction's replies leave together, after the removal.
    client.sayAll("MULTI", "BITRANGE k 0 -1", "BITREMRANGE k 0 4294967295", "BITRANGE k 0 -1");
    expect(replyValue(client.say("EXEC"))).toEqual([ids, ids.length, []]);
    expect(value()).not.toBe(before);

    add("k", ids);
    client.say("CLIENT REPLY OFF");
    client.say("BITRANGE k 0 -1");
    client.say("CLIENT REPLY ON");
    expect(value().isShared).toBe(false);
    expect(ask("BITRANGE k 0 -1")).toEqual(ids);
    expect(value().isShared).toBe(false);
  });

  test("BITJACCARD", () => {
    client.sayAll("BITADD a 1 2 3", "BITADD b 2 3 4", "BITADD c 9");
    expect(ask("BITJACCARD a b")).toBe("0.5");
    expect(ask("BITJACCARD a a")).toBe("1");
    expect(ask("BITJACCARD a c")).toBe("0");
    expect(ask("BITJACCARD a missing")).toBe("0");
    client.say("HELLO 3");
    expect(client.say("BITJACCARD b a")).toBe(",0.5\r\n");
    expect(client.say("BITJACCARD missing missing")).toBe(",-1\r\n");
  });
});

describe("BITSTAT and BITOPTIMIZE", () => {
  const statOf = (key: string) => {
    const flat = ask(`BITSTAT ${key}`) as (string | number)[];
    return Object.fromEntries(every(2, flat.length / 2).map((i) => [flat[i], flat[i + 1]]));
  };

  test("BITSTAT tells the same of a value however it is kept, and leaves it so", () => {
    const ids = every(37, 4000).concat(every(2, 30_000, 200_000));
    const keys = keysOfAllKinds(ids);
    for (const key of Object.values(keys)) {
      expect(statOf(key)).toEqual({
        "byte-length": 32_500,
        cardinality: 34_000,
        containers: 4,
        "array-containers": 3,
        "array-ids": 4000,
        "array-bytes": 8000,
        "bitset-containers": 1,
        "bitset-ids": 30_000,
        "bitset-bytes": 8192,
        "run-containers": 0,
        "run-ids": 0,
        "run-bytes": 0,
      });
    }
    expect(kindOf("containers")).toBe(VALUE.CONTAINERS);
  });

  test("of a small value, and as a map in RESP3", () => {
    client.say("BITADD k 1 2 70000");
    client.say("HELLO 3");
    expect(client.say("BITSTAT k")).toMatch(/^%12\r\n\$11\r\nbyte-length\r\n:8751\r\n\$11\r\ncardinality\r\n:3\r\n/);
    expect(client.say("BITSTAT missing")).toBe("_\r\n");
    client.say("HELLO 2");
    expect(statOf("k")).toEqual({
      "byte-length": 8751,
      cardinality: 3,
      containers: 2,
      "array-containers": 2,
      "array-ids": 3,
      "array-bytes": 6,
      "bitset-containers": 0,
      "bitset-ids": 0,
      "bitset-bytes": 0,
      "run-containers": 0,
      "run-ids": 0,
      "run-bytes": 0,
    });
  });

  test("BITOPTIMIZE makes runs of what was set bit by bit, and says what that saves", () => {
    for (let id = 0; id < 70_000; id++) client.say(`SETBIT k ${id} 1`);
    expect(statOf("k")).toMatchObject({ "bitset-containers": 2, "run-containers": 0 });
    const before = ask("MEMORY USAGE k") as number;
    const saved = ask("BITOPTIMIZE k") as number;
    expect(saved).toBeGreaterThan(8000);
    expect(ask("MEMORY USAGE k")).toBe(before - saved);
    expect(statOf("k")).toMatchObject({ "run-containers": 2, "run-ids": 70_000, containers: 2 });
    expect(ask("BITOPTIMIZE k")).toBe(0);
    expect(ask("BITCOUNT k")).toBe(70_000);
    expect(ask("STRLEN k")).toBe(8750);
  });

  test("BITOPTIMIZE leaves what is held by others as it is", () => {
    add("a", every(3, 5000));
    client.say("BITOP NOT b a");
    client.say("BITOPTIMIZE a");
    client.say("BITOPTIMIZE b");
    expect(ask("BITCOUNT b")).toBe((ask("STRLEN a") as number) * 8 - 5000);
    expect(ask("BITRANGE a 0 -1")).toEqual(every(3, 5000));
  });
});

describe("a change shows in no other key", () => {
  test.each([
    ["BITADD", ["BITADD", "a", ...every(1, 2000).map(String)]],
    ["BITREM", ["BITREM", "a", ...every(3, 2000).map(String)]],
    ["BITADDRANGE", ["BITADDRANGE", "a", "0", "50000"]],
    ["BITREMRANGE", ["BITREMRANGE", "a", "0", "50000"]],
    ["a few ids", ["BITADD", "a", "1", "2"]],
  ])("%s on a source and on a result of BITOP", (_name, request) => {
    add("a", every(3, 30_000));
    add("b", every(5, 30_000));
    const and = every(15, 6000);
    client.say("BITOP AND result a b");
    client.say("COPY result copy");
    client.run(...request);
    expect(ask("BITRANGE result 0 -1")).toEqual(and);
    client.say("BITOP AND result copy copy");
    client.run(request[0]!, "result", ...request.slice(2));
    expect(ask("BITRANGE copy 0 -1")).toEqual(and);
    expect(ask("BITRANGE b 0 -1")).toEqual(every(5, 30_000));
  });
});

test("no native memory is left behind", () => {
  const before = Bitmap.usedBytes();
  const ids = every(7, 100_000);
  for (let round = 0; round < 5; round++) {
    add("k", ids);
    client.say("BITADDRANGE k 5 500000");
    client.say("BITRANGE k 0 -1");
    client.say("BITJACCARD k missing");
    client.say("BITOPCARD OR k missing missing LIMIT 1000");
    client.say("BITREMRANGE k 0 5000000");
    client.say("DEL k");
    server.keyspace.takeBatch();
  }
  // But for what native objects, some 1,000 of them, keep until they are collected. One value a round would be 400 KB.
  expect(Bitmap.usedBytes() - before).toBeLessThan(150_000);
});

describe("BITOPCARD with LIMIT", () => {
  beforeEach(() => {
    add("a", every(2, 3000));
    add("b", every(3, 3000));
    add("c", every(5, 3000));
    client.say("BITADD LIMIT 1");
  });

  test("counts up to there, and without bound where it is 0", () => {
    expect(ask("BITOPCARD AND a b LIMIT 10")).toBe(10);
    expect(ask("BITOPCARD and a b limit 0")).toBe(1000);
    expect(ask("BITOPCARD AND a b LIMIT 5000")).toBe(1000);
    expect(ask("BITOPCARD NOT a LIMIT 7")).toBe(7);
    expect(ask("BITOPCARD OR a b c missing LIMIT 9223372036854775807")).toBe(ask("BITOPCARD OR a b c"));
    expect(ask("BITOPCARD AND a b missing LIMIT 1")).toBe(0);
  });

  test("is no option without a key before it", () => {
    expect(ask("BITOPCARD OR LIMIT")).toBe(1);
    expect(ask("BITOPCARD OR LIMIT a")).toBe(3001);
    expect(ask("BITOPCARD OR LIMIT LIMIT 1")).toBe(1);
    expect(client.say("BITOPCARD OR a LIMIT c")).toBe("-ERR LIMIT can't be negative\r\n");
    expect(client.say("BITOPCARD OR a LIMIT -1")).toBe("-ERR LIMIT can't be negative\r\n");
    expect(client.say("BITOPCARD NAND a LIMIT 1")).toBe("-ERR syntax error\r\n");
    expect(client.say("BITOPCARD DIFF a LIMIT 1")).toContain("must be called with at least two source keys");
    expect(client.say("BITOPCARD NOT a b LIMIT 1")).toContain("must be called with a single source key");
  });
});

test.each([
  ["BITADD k 1 -1", "bit offset is not an integer or out of range"],
  ["BITADD k 4294967296", "bit offset is not an integer or out of range"],
  ["BITADD k 1 01", "bit offset is not an integer or out of range"],
  ["BITREM k one", "bit offset is not an integer or out of range"],
  ["BITADDRANGE k 1 4294967296", "bit offset is not an integer or out of range"],
  ["BITREMRANGE k x 1", "bit offset is not an integer or out of range"],
  ["BITCONTAINS k SOME 1", "syntax error"],
  ["BITCONTAINS k ANY 1 x", "bit offset is not an integer or out of range"],
  ["BITCONTAINS k ANY", "wrong number of arguments for 'bitcontains' command"],
  ["BITRANK k -1", "bit offset is not an integer or out of range"],
  ["BITSELECT k x", "value is not an integer or out of range"],
  ["BITRANGE k 0 x", "value is not an integer or out of range"],
  ["BITRANGE k 0 -1 BYID", "bit offset is not an integer or out of range"],
  ["BITRANGE k 0 -1 BYNAME", "syntax error"],
  ["BITRANGE k 0 1 BYID BYID", "syntax error"],
  ["BITSCAN k -1", "invalid cursor"],
  ["BITSCAN k 4294967296", "invalid cursor"],
  ["BITSCAN k x", "invalid cursor"],
  ["BITSCAN k 0 COUNT", "syntax error"],
  ["BITSCAN k 0 COUNT 0", "syntax error"],
  ["BITSCAN k 0 COUNT x", "value is not an integer or out of range"],
  ["BITSCAN k 0 MATCH x", "syntax error"],
  ["BITADD k", "wrong number of arguments for 'bitadd' command"],
  ["BITMIN k k", "wrong number of arguments for 'bitmin' command"],
])("%s is refused and changes nothing", (request, reason) => {
  expect(client.say(request)).toBe(`-ERR ${reason}\r\n`);
  expect(ask("DBSIZE")).toBe(0);
});

test("commands of the redis-roaring module reply what they reply there", () => {
  const exchanges = [
    ["R.SETBIT k 5 1", ":0\r\n"],
    ["R.SETBIT k 5 1", ":1\r\n"],
    ["R.GETBIT k 5", ":1\r\n"],
    ["R.GETBIT k 6", ":0\r\n"],
    ["R.SETINTARRAY k 9 3 3 7", "+OK\r\n"],
    ["R.GETINTARRAY k", "*3\r\n:3\r\n:7\r\n:9\r\n"],
    ["R.APPENDINTARRAY k 1 3", "+OK\r\n"],
    ["R.RANGEINTARRAY k 1 2", "*2\r\n:3\r\n:7\r\n"],
    ["R.RANGEINTARRAY k 2 4294967295", "*2\r\n:7\r\n:9\r\n"],
    ["R.RANGEINTARRAY k 4 9", "*0\r\n"],
    ["R.RANGEINTARRAY k 2 1", "*0\r\n"],
    ["R.DELETEINTARRAY k 7 8", "+OK\r\n"],
    ["R.MIN k", ":1\r\n"],
    ["R.MAX k", ":9\r\n"],
    ["R.APPENDINTARRAY new 70000", "+OK\r\n"],
    ["R.MAX new", ":70000\r\n"],
    ["R.MIN missing", ":-1\r\n"],
    ["R.MAX missing", ":-1\r\n"],
    ["R.GETINTARRAY missing", "*0\r\n"],
    ["R.RANGEINTARRAY missing 0 5", "*0\r\n"],
    ["R.DELETEINTARRAY missing 1", "+OK\r\n"],
    ["R.GETBIT missing 1", ":0\r\n"],
    ["R.SETINTARRAY k 4294967296", "-ERR bit offset is not an integer or out of range\r\n"],
    ["R.BITCOUNT k", "-ERR unknown command 'R.BITCOUNT', with args beginning with: 'k' \r\n"],
  ] as const;
  for (const [request, reply] of exchanges) expect(client.say(request), request).toBe(reply);
  client.sayAll("EXPIRE k 100", "R.APPENDINTARRAY k 5");
  expect(ask("TTL k")).toBe(100);
  client.say("R.SETINTARRAY k 5");
  expect(ask("TTL k")).toBe(-1);
  expect(ask("STRLEN k")).toBe(1);
});
