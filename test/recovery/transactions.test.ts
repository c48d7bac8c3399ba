/** The file is at every moment a prefix of history, and never half of a transaction. */
import { expect, test } from "vitest";
import { ask } from "../support/ask.js";
import { dice } from "../support/random.js";
import type { RawClient } from "../support/raw-client.js";
import { type ServerProcess, sandbox, sleep } from "../support/server-process.js";

const DURABLE_MS = 1500;

/** Bit n of a string, as Redis counts. */
function bitsOf(bytes: string): number[] {
  const bits: number[] = [];
  for (let i = 0; i < bytes.length; i++) {
    for (let bit = 0; bit < 8; bit++) if ((bytes.charCodeAt(i) & (0x80 >> bit)) !== 0) bits.push(i * 8 + bit);
  }
  return bits;
}

async function get(client: RawClient, key: string): Promise<string> {
  return String((await ask(client, "GET", key)) ?? "");
}

test("an EXEC is on disk whole or not at all, at whatever moment kill -9 comes", async () => {
  const KILLS = 8;
  const place = sandbox();
  const random = dice("kill -9 amid transactions");
  let next = 0;
  for (let round = 0; round < KILLS; round++) {
    const server = await place.start();
    const client = await server.connect();
    const [a, b, or] = [await get(client, "a"), await get(client, "b"), await get(client, "or")];
    const message = `round ${round}, seed ${random.seed}`;
    expect(b, message).toBe(a);
    expect(or, message).toBe(a);
    expect(await get(client, "last"), message).toBe(a === "" ? "" : String(bitsOf(a).length - 1));
    expect(await ask(client, "EXISTS", "old", "new"), message).toBe(a === "" ? 0 : 1);
    // Without gaps, from the first on: a prefix of what was acknowledged or under way.
    const bits = bitsOf(a);
    expect(bits, message).toEqual(bits.map((_, i) => i));
    expect(bits.length, message).toBeLessThanOrEqual(next);
    next = bits.length;
    const killed = sleep(random.int(100, 1100)).then(() => server.kill());
    next = await transactUntilKilled(client, next);
    await killed;
  }

  const client = await (await place.start()).connect();
  expect(await get(client, "b")).toBe(await get(client, "a"));
});

/** Returns how many transactions may have been run: one may have been whose reply never came. */
async function transactUntilKilled(client: RawClient, from: number): Promise<number> {
  for (let i = from; ; i++) {
    const offset = String(i);
    const [source, target] = i % 2 === 0 ? ["old", "new"] : ["new", "old"];
    try {
      await client.pipeline([
        ["MULTI"],
        ["SETBIT", "a", offset, "1"],
        ["SETBIT", "b", offset, "1"],
        ["BITOP", "OR", "or", "a", "b"],
        ["SET", "last", offset],
        ["SET", source!, "x"],
        ["RENAME", source!, target!],
        ["EXEC"],
      ]);
    } catch {
      return i + 1;
    }
    // Leave the machine to the others in this test run.
    if (i % 20 === 0) await sleep(1);
  }
}

test("after kill -9 everything older than 1.5 s is there, and nothing but a prefix of what was sent", async () => {
  const place = sandbox();
  const random = dice("kill -9 amid SETBIT");
  const server = await place.start();
  const writer = await server.connect();
  const acknowledged: number[] = [];
  const killAtMs = performance.now() + 2000 + random.int(0, 600);
  while (performance.now() < killAtMs) {
    const base = acknowledged.length;
    const requests = Array.from({ length: 10 }, (_, i) => ["SETBIT", "seq", String(base + i), "1"]);
    await writer.pipeline(requests);
    const nowMs = performance.now();
    for (let i = 0; i < requests.length; i++) acknowledged.push(nowMs);
    await sleep(1);
  }
  const killedMs = performance.now();
  await server.kill();

  const client = await (await place.start()).connect();
  const bits = bitsOf(await get(client, "seq"));
  expect(bits).toEqual(bits.map((_, i) => i));
  const durable = acknowledged.filter((ms) => ms < killedMs - DURABLE_MS).length;
  expect(durable).toBeGreaterThan(0);
  expect(bits.length).toBeGreaterThanOrEqual(durable);
  expect(bits.length).toBeLessThanOrEqual(acknowledged.length);
});

test("BGSAVE inside a transaction does not tear it", async () => {
  const place = sandbox();
  let server: ServerProcess = await place.start();
  for (let round = 0; round < 3; round++) {
    const client = await server.connect();
    const i = String(round);
    await client.pipeline([["MULTI"], ["SETBIT", "a", i, "1"], ["BGSAVE"], ["SETBIT", "b", i, "1"], ["EXEC"]]);
    await sleep(100); // enough for a commit that began in the midst, too little for the next flush
    await server.kill();
    server = await place.start();
    const after = await server.connect();
    expect(await get(after, "b")).toBe(await get(after, "a"));
  }
});

test("a transaction that was not executed leaves nothing", async () => {
  const place = sandbox();
  const first = await place.start();
  const [client, discarding, failing] = [await first.connect(), await first.connect(), await first.connect()];
  await client.pipeline([["MULTI"], ["SET", "open", "1"]]);
  await discarding.pipeline([["MULTI"], ["SET", "discarded", "1"], ["DISCARD"]]);
  const replies = await failing.pipeline([["MULTI"], ["SET", "failed", "1"], ["SETBIT", "failed"], ["EXEC"]]);
  expect(replies.at(-1)).toContain("EXECABORT");
  await first.stop();
  const after = await (await place.start()).connect();
  expect(await ask(after, "DBSIZE")).toBe(0);
});
