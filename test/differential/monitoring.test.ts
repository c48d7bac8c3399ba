/**
 * What monitors ask for (SLOWLOG, LATENCY, INFO, CONFIG, COMMAND, CLUSTER ...), asked of this server and of a redis-server: the same
 * requests one after the other, and the same replies but for times and addresses, which are covered before they are compared.
 * The redis-server's clock stands still, so that nothing takes long there.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RawClient } from "../support/raw-client.js";
import { redisMissing, sayRedisMissing } from "../support/redis-server.js";
import { startOurs } from "./ours.js";
import { startRedis } from "./redis.js";
import type { Target } from "./runner.js";

sayRedisMissing("what monitors ask for, of redis-server too");

/** A request as words, or as arguments; and what of its reply need not be the same. */
interface Step {
  request: string | string[];
  cover?: (reply: string) => string;
}

const step = (request: Step["request"], cover?: Step["cover"]): Step =>
  cover === undefined ? { request } : { request, cover };

/** SLOWLOG GET: time and duration of each entry, and the client's port. */
const coverEntries = (reply: string) =>
  reply.replace(/\*6\r\n(:\d+\r\n):\d+\r\n:\d+\r\n/g, "*6\r\n$1").replace(/\$\d+\r\n127\.0\.0\.1:\d+/g, "ADDRESS");

/** INFO: the lines of fields that match, without durations, in the order of the alphabet. */
const lines = (field: RegExp) => (reply: string) =>
  reply
    .split("\r\n")
    .filter((line) => field.test(line))
    .map((line) =>
      line
        .replace(/avg_ttl=\d+/, "")
        .replace(/usec=\d+,usec_per_call=[\d.]+/, "")
        .replace(/=\d+\.\d+/g, "="),
    )
    .sort()
    .join("\n");

const onlyHeadings = (reply: string) => reply.match(/# \w+/g)?.join(" ") ?? reply;
const onlyType = (reply: string) => reply.slice(0, 1);

const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i));

/** As far as they are known to both servers: what a request is refused with. */
const PARAMETERS: readonly (readonly [string, readonly string[]])[] = [
  [
    "slowlog-log-slower-than",
    ["x", "-2", "", "1.5", "99999999999999999999", " 1", "5000000", "9007199254740992", "-1", "10000"],
  ],
  ["slowlog-max-len", ["x", "-1", "", "1.5", "99999999999999999999", "5", "128"]],
  ["latency-monitor-threshold", ["x", "-1", "", "1.5", "5000", "0"]],
  ["latency-tracking", ["x", "", "1", "NO", "no", "YES", "yes"]],
  [
    "latency-tracking-info-percentiles",
    ["x", "-1", "101", "50 x", "50 -1", "1.5", "50 99.99 100", "0", "", "50 99 99.9"],
  ],
];

const SCRIPTS: Record<string, Step[]> = {
  "CONFIG of what is timed": PARAMETERS.flatMap(([name, values]) => [
    step(`CONFIG GET ${name}`),
    ...values.flatMap((value) => [step(["CONFIG", "SET", name, value]), step(`CONFIG GET ${name}`)]),
  ]),

  "SLOWLOG of everything": [
    ...["CONFIG SET slowlog-log-slower-than 0", "SLOWLOG RESET", "SLOWLOG LEN", "CLIENT SETNAME me"].map((each) =>
      step(each),
    ),
    step(["SET", "k", "x".repeat(128)]),
    step(["SET", "k", "x".repeat(129)]),
    step(["SET", "k", "\xff\r\n\0".repeat(100)]),
    ...[30, 31, 32, 40].map((count) => step(["DEL", ...numbers(count)])),
    ...["AUTH one", "AUTH a two", "HELLO 2 AUTH default three SETNAME you", "HELLO 2 SETNAME me"].map((each) =>
      step(each, onlyType),
    ),
    ...["CONFIG SET requirepass secret", "CONFIG SET maxmemory 0 REQUIREPASS secret", "AUTH secret"].map((each) =>
      step(each),
    ),
    step(["CONFIG", "SET", "requirepass", ""]),
    ...["NOSUCH a", "GET", "SETBIT k 1 2", "SETBIT k 1 1", "GETBIT k 1", "SetBit k 2 1", "CLUSTER INFO", "EVALX"].map(
      (each) => step(each),
    ),
    ...["MULTI", "SET a 1", "GET a", "SETBIT a 1 1", "EXEC", "MULTI", "DISCARD"].map((each) => step(each)),
    step("SLOWLOG GET 3", coverEntries),
    step("SLOWLOG GET", coverEntries),
    step("SLOWLOG GET -1", coverEntries),
    step("SLOWLOG GET 0", coverEntries),
    step("SLOWLOG LEN"),
    step("CONFIG SET slowlog-max-len 2"),
    step("SLOWLOG GET", coverEntries),
    step("SLOWLOG LEN"),
    step("CONFIG SET slowlog-max-len 0"),
    step("SLOWLOG LEN"),
    step("CONFIG SET slowlog-max-len 128 slowlog-log-slower-than -1"),
    step("SLOWLOG RESET"),
    step("SET a 1"),
    step("SLOWLOG LEN"),
    step("CONFIG SET slowlog-log-slower-than 10000"),
    ...["GET x", "GET -2", "GET 1.5", "GET 99999999999", "GET 1 2", "FOO", "LEN x", "RESET x"].map((each) =>
      step(`SLOWLOG ${each}`),
    ),
    step("SLOWLOG"),
  ],

  "SLOWLOG in RESP3": [
    step("HELLO 3", onlyType),
    step("CONFIG SET slowlog-log-slower-than 0"),
    step("SLOWLOG RESET"),
    step("SET a 1"),
    step("SLOWLOG GET", coverEntries),
    step("CONFIG SET slowlog-log-slower-than 10000"),
    step("HELLO 2", onlyType),
  ],

  LATENCY: [
    ...["LATEST", "HISTORY command", "GRAPH command", "RESET", "RESET command"].map((each) => step(`LATENCY ${each}`)),
    step(["LATENCY", "GRAPH", "a\r\nb"]),
    ...["FOO", "HISTORY", "LATEST x", "GRAPH", "DOCTOR x", "HELP x"].map((each) => step(`LATENCY ${each}`)),
    step("LATENCY"),
    step("CONFIG RESETSTAT"),
    step("LATENCY HISTOGRAM nonsense strlen"),
    step("STRLEN a"),
    step("LATENCY HISTOGRAM nonsense strlen", (reply) => reply.slice(0, reply.indexOf("histogram_usec"))),
    step("CONFIG SET latency-tracking no"),
    step("EXISTS a"),
    step("LATENCY HISTOGRAM exists"),
    step("CONFIG SET latency-tracking yes"),
    step("EXISTS a"),
    step("LATENCY HISTOGRAM exists", (reply) => reply.slice(0, reply.indexOf("histogram_usec"))),
  ],

  INFO: [
    ...[
      "",
      " default",
      " all",
      " EVERYTHING",
      " default commandstats",
      " cpu cpu SERVER",
      " foo",
      " foo cpu",
      " modules",
    ].map((each) => step(`INFO${each}`, onlyHeadings)),
    step("INFO foo"),
    step("INFO modules"),
    step("INFO cluster"),
    step("FLUSHALL"),
    step("SET a 1"),
    step("SELECT 3"),
    step("SET a 1 EX 100"),
    step("INFO keyspace", lines(/^db/)),
    step("SELECT 0"),
    step("FLUSHALL"),
    step("CONFIG RESETSTAT"),
    step("INFO commandstats", lines(/^cmdstat/)),
    step("INFO errorstats"),
    ...[
      "NOSUCH",
      "GET",
      "SET a b c",
      "GET a",
      "INCR a",
      "EXEC",
      "SETBIT a 1 2",
      "GETBIT a 1",
      "CLIENT GETNAME",
      "CLIENT FOO",
    ].map((each) => step(each)),
    ...[
      "SET s x",
      "INCR s",
      "RENAME nosuch a",
      "RESTORE r 0 x",
      "MULTI",
      "SET a",
      "EXEC",
      "MULTI",
      "INCR s",
      "EXEC",
    ].map((each) => step(each)),
    step("INFO commandstats", lines(/^cmdstat/)),
    step("INFO errorstats", lines(/^errorstat/)),
    step("INFO stats", lines(/^(?:total_error_replies|total_commands_processed|keyspace_hits|keyspace_misses):/)),
    step("INFO latencystats", lines(/^latency_percentiles_usec_(?:get|set|client)/)),
    step("CONFIG SET latency-tracking-info-percentiles 50"),
    step("INFO latencystats", lines(/^latency_percentiles_usec_(?:get|set|client)/)),
    step(["CONFIG", "SET", "latency-tracking-info-percentiles", "50 99 99.9"]),
    step("CONFIG RESETSTAT"),
    step("INFO errorstats"),
    step(
      "INFO stats",
      lines(/^(?:total_error_replies|total_commands_processed|keyspace_hits|total_connections_received):/),
    ),
  ],

  "a server that is alone": [
    ...[
      "INFO",
      "SLOTS",
      "NODES",
      "SHARDS",
      "MYID",
      "HELP",
      "KEYSLOT k",
      "KEYSLOT",
      "FOO",
      "INFO x",
      "MEET a",
      "COUNTKEYSINSLOT 1",
    ].map((each) => step(`CLUSTER ${each}`)),
    ...[
      "CLUSTER",
      "READONLY",
      "READWRITE",
      "ASKING",
      "READONLY x",
      "ROLE",
      "ROLE x",
      "MODULE LIST",
      "MODULE",
      "MODULE FOO",
    ].map((each) => step(each)),
    ...["MODULE LOAD", "MODULE LOAD x", "MODULE LOADEX x", "MODULE UNLOAD x", "MODULE LIST x", "SENTINEL MASTERS"].map(
      (each) => step(each),
    ),
    ...[
      "REPLICAOF NO ONE",
      "slaveof no one",
      "REPLICAOF",
      "REPLICAOF a",
      "REPLICAOF a b",
      "SLAVEOF a 65536",
      "REPLICAOF a -1",
      "REPLICAOF NO x",
    ].map((each) => step(each)),
    ...["MULTI", "ROLE", "REPLICAOF NO ONE", "CLUSTER SLOTS", "READONLY", "EXEC"].map((each) => step(each)),
  ],

  "COMMAND GETKEYSANDFLAGS and LIST": [
    ...[
      "SET k v",
      "SET k v EX 5 get",
      "SET k GET",
      "BITFIELD k GET u8 0 OVERFLOW sat",
      "BITFIELD k GET u8 0 SET u8 0 1",
      "BITFIELD k GET u8",
      "BITFIELD k",
      "GET k",
      "MSET a 1 b 2",
      "BITOP AND d s t",
      "RENAME a b",
      "COPY a b",
      "PING x",
      "NOSUCH x",
      "GET a b",
      "OBJECT ENCODING k",
      "CLIENT GETNAME",
    ].flatMap((each) => [step(`COMMAND GETKEYSANDFLAGS ${each}`), step(`COMMAND GETKEYS ${each}`)]),
    step("COMMAND GETKEYSANDFLAGS"),
    step("COMMAND GETKEYSANDFLAGS GET"),
    ...[
      "FILTERBY MODULE x",
      "FILTERBY ACLCAT nonsense",
      "FILTERBY PATTERN setb*",
      "FILTERBY FOO x",
      "FILTERBY PATTERN",
      "FOO",
    ].map((each) => step(`COMMAND LIST ${each}`)),
    step("HELLO 3", onlyType),
    step("COMMAND GETKEYSANDFLAGS MSET a 1 b 2"),
    step("HELLO 2", onlyType),
  ],
};

describe.skipIf(redisMissing !== undefined)("asked of both servers", () => {
  let ours: Target;
  let redis: Target;

  beforeAll(async () => {
    [ours, redis] = await Promise.all([startOurs(), startRedis()]);
  });

  afterAll(() => Promise.all([ours.stop(), redis.stop()]));

  test.each(Object.keys(SCRIPTS))("%s", async (name) => {
    const clients = await Promise.all([RawClient.connect(ours.port), RawClient.connect(redis.port)]);
    try {
      for (const { request, cover = (reply: string) => reply } of SCRIPTS[name] as Step[]) {
        const argv = typeof request === "string" ? request.split(" ") : request;
        const [mine, theirs] = await Promise.all(clients.map(async (client) => cover(await client.call(...argv))));
        expect(mine, JSON.stringify(argv).slice(0, 200)).toBe(theirs);
      }
    } finally {
      for (const client of clients) client.close();
    }
  });
});
