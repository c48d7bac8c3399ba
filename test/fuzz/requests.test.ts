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
import { COMMAND_TABLE } from "../../src/commands/table.js";
import { Argv } from "../../src/resp/argv.js";
import { startOurs } from "../differential/ours.js";
import type { Target } from "../differential/runner.js";
import { GOOD_DATABASE, goodRequest, LEFT_OUT, mutate, REQUESTS } from "../support/broken-requests.js";
import { type Dice, dice, diceOf } from "../support/random.js";
import { RawClient } from "../support/raw-client.js";

const FUZZ_MS = Number(process.env.FUZZ_MS ?? 10_000);
const BAD_CLIENTS = 8;
const REQUESTS_MAX = 6;
const MUTATIONS_MAX = 4;
/** How long a bad client stays to see what comes back. */
const STAY_MS_MAX = 4;
/** The longest the good client may wait for one reply. */
const PATIENCE_MS = 10_000;

function payload(random: Dice): Buffer {
  let bytes = "";
  for (let n = random.int(1, REQUESTS_MAX); n > 0; n -= 1) bytes += goodRequest(random);
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

test("requests of all commands are broken, but for those that are left out", () => {
  const named = REQUESTS.map((argv) => COMMAND_TABLE.find(Argv.of(...argv))?.name);
  expect(named).not.toContain(undefined);
  const commands = COMMAND_TABLE.all.filter(({ subcommands, arity }) => subcommands === undefined || arity === -1);
  const missing = commands.map(({ name }) => name).filter((name) => !named.includes(name));
  expect(missing.sort()).toEqual(Object.keys(LEFT_OUT).sort());
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
    expect(await client.call("SELECT", String(GOOD_DATABASE))).toBe("+OK\r\n");
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
