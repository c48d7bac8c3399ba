/**
 * Valid requests with their bytes broken, from many connections at once. Whatever they come to mean, the server must
 * live, and a good client beside them must be served as if they were not there.
 *
 *   FUZZ_MS=600000   how long (default: ten seconds)
 *   SEED=...         the seed a failure printed
 */
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startOurs } from "../differential/ours.js";
import type { Target } from "../differential/runner.js";
import { type Dice, dice, diceOf } from "../support/random.js";
import { encodeRequest, RawClient } from "../support/raw-client.js";

const FUZZ_MS = Number(process.env.FUZZ_MS ?? 10_000);
const BAD_CLIENTS = 8;
const REQUESTS_MAX = 6;
const MUTATIONS_MAX = 4;
/** How long a bad client stays to see what comes back. */
const STAY_MS_MAX = 4;
/** The longest the good client may wait for one reply. */
const PATIENCE_MS = 2000;

/** Nothing that may end the server or other connections, or touch database 15, which is the good client's. */
const REQUESTS: readonly (readonly string[])[] = [
  ["SET", "a", "value", "EX", "100", "GET"],
  ["GET", "a"],
  ["MSET", "a", "1", "b", "2"],
  ["MGET", "a", "b"],
  ["GETRANGE", "a", "-10", "99"],
  ["SETBIT", "a", "1000", "1"],
  ["GETBIT", "b", "77"],
  ["BITCOUNT", "a", "0", "-1", "BIT"],
  ["BITPOS", "a", "1", "2", "-1"],
  ["BITOP", "AND", "c", "a", "b"],
  ["BITOP", "DIFF1", "c", "a", "b"],
  ["DEL", "a", "b"],
  ["EXPIRE", "a", "100", "NX"],
  ["PEXPIREAT", "b", "1900000000000"],
  ["RENAME", "a", "b"],
  ["COPY", "a", "c", "DB", "3", "REPLACE"],
  ["KEYS", "[a-c]*\\?"],
  ["SCAN", "0", "MATCH", "a*", "COUNT", "10"],
  ["MULTI"],
  ["EXEC"],
  ["WATCH", "a"],
  ["HELLO", "3", "SETNAME", "me"],
  ["CLIENT", "INFO"],
  ["COMMAND", "DOCS", "get"],
  ["COMMAND", "GETKEYS", "MSET", "a", "1"],
  ["CONFIG", "GET", "*"],
  ["INFO", "all"],
  ["SELECT", "2"],
];

/** What headers are made of, and what is likely to be wrong with them. */
const SPICE = [
  "\r\n",
  "\r",
  "\n",
  "$",
  "*",
  "$-1\r\n",
  "*-1\r\n",
  "*0\r\n",
  "$0\r\n\r\n",
  "\x00",
  "\xff",
  '"',
  "'",
  "\\x",
  " ",
  "-",
  "+1",
  "007",
];
const NUMBERS = [
  "0",
  "1",
  "-1",
  "7",
  "64",
  "65536",
  "1048576",
  "1048577",
  "2147483647",
  "4294967295",
  "4294967296",
  "9223372036854775808",
];

function mutate(bytes: string, random: Dice): string {
  const at = random.int(0, bytes.length);
  const span = random.int(1, 12);
  switch (random.pick(["flip", "cut", "drop", "double", "spice", "number"])) {
    case "flip":
      return bytes.slice(0, at) + String.fromCharCode(random.int(0, 255)) + bytes.slice(at + 1);
    case "cut":
      return bytes.slice(0, at);
    case "drop":
      return bytes.slice(0, at) + bytes.slice(at + span);
    case "double":
      return bytes.slice(0, at) + bytes.slice(Math.max(0, at - span));
    case "spice":
      return bytes.slice(0, at) + random.pick(SPICE) + bytes.slice(at);
    default: {
      const numbers = [...bytes.matchAll(/-?\d+/g)];
      const found = numbers[random.int(0, Math.max(0, numbers.length - 1))];
      if (found === undefined) return bytes;
      return bytes.slice(0, found.index) + random.pick(NUMBERS) + bytes.slice(found.index + found[0].length);
    }
  }
}

function payload(random: Dice): Buffer {
  let bytes = "";
  for (let n = random.int(1, REQUESTS_MAX); n > 0; n -= 1) {
    const argv = random.pick(REQUESTS);
    bytes += random.next() < 0.2 ? `${argv.join(" ")}\r\n` : encodeRequest(argv).toString("latin1");
  }
  for (let n = random.int(0, MUTATIONS_MAX); n > 0; n -= 1) bytes = mutate(bytes, random);
  return Buffer.from(bytes, "latin1");
}

let target: Target;

beforeAll(async () => {
  target = await startOurs();
});

afterAll(async () => {
  await target?.stop();
});

test("broken requests end nothing but their own connection", { timeout: FUZZ_MS + 60_000 }, async () => {
  const { seed } = dice("broken requests");
  const until = performance.now() + FUZZ_MS;
  let connections = 0;

  async function badClient(random: Dice): Promise<void> {
    while (performance.now() < until) {
      const socket = connect({ port: target.port, host: "127.0.0.1" });
      socket.on("error", () => {}); // being thrown out is what it came for
      if (random.next() < 0.5) socket.resume();
      await once(socket, "connect");
      const bytes = payload(random);
      const half = random.int(0, bytes.length);
      socket.write(bytes.subarray(0, half));
      await new Promise((resolve) => setTimeout(resolve, random.int(0, STAY_MS_MAX)));
      if (!socket.destroyed) socket.write(bytes.subarray(half));
      await new Promise((resolve) => setTimeout(resolve, random.int(0, STAY_MS_MAX)));
      socket.destroy();
      connections += 1;
    }
  }

  async function goodClient(random: Dice): Promise<number> {
    const client = await RawClient.connect(target.port, { timeoutMs: PATIENCE_MS });
    expect(await client.call("SELECT", "15")).toBe("+OK\r\n");
    const bits = new Map<number, number>();
    let calls = 0;
    while (performance.now() < until) {
      const offset = random.int(0, 5000);
      const bit = random.int(0, 1);
      expect(await client.call("SETBIT", "good", String(offset), String(bit))).toBe(`:${bits.get(offset) ?? 0}\r\n`);
      bits.set(offset, bit);
      calls += 1;
    }
    const ones = [...bits.values()].filter((each) => each === 1).length;
    expect(await client.call("BITCOUNT", "good")).toBe(`:${ones}\r\n`);
    client.close();
    return calls;
  }

  const bad = Array.from({ length: BAD_CLIENTS }, (_, i) => badClient(diceOf(seed + 1 + i)));
  const [calls] = await Promise.all([goodClient(diceOf(seed)), ...bad]);
  console.log(`${connections} connections with broken requests, ${calls} calls of the good client`);
  expect(connections).toBeGreaterThan(0);
  expect(calls).toBeGreaterThan(0);
});
