// Ten times as much data as memory: is every reply right, does memory stay bounded, and are the keys that fit as fast as if
// there were nothing else?

import { setTimeout as sleep } from "node:timers/promises";
import { Connection, encodeCommand } from "../support/connection.mjs";
import { field, info, settled, waitFor } from "../support/info.mjs";
import { runLoad } from "../support/load.mjs";
import { Random } from "../support/random.mjs";
import { bitKey } from "../support/requests.mjs";
import { largest, Sampler } from "../support/sampler.mjs";
import { ServerProcess } from "../support/server-process.mjs";
import { median } from "../support/stats.mjs";
import { megabytes, shortNumber, thousands } from "../support/table.mjs";
import { getBit, randomBits } from "../support/values.mjs";

const membersMax = 1_000_000;
const dataToMemory = 10;
const memoryFull = 256 * 1024 * 1024;
const memoryTenth = 64 * 1024 * 1024;
const memoryMin = 16 * 1024 * 1024;
// A value of so many members lies in so many times as many ids: like 1,000,000 users of 50,000,000.
const idsPerMember = 50;
const overheadBytesMax = 150e6;
const ratioMin = 0.8;
const ids = 1_000_000;
const bitsChecked = 4;
const rounds = 3;
const roundSecondsDefault = 5;
const slowKeysPerSecond = 100;

/** @typedef {{ key: string, members: number, range: number, seed: number }} Value */

/** @type {import("../storage.mjs").Question} */
export const beyondMemory = {
  name: "beyond memory",
  minutesMax: 60,
  async run({ scale, seconds = roundSecondsDefault, progress }) {
    const memory = maxMemory(scale);
    const values = makeValues(memory * dataToMemory);
    const dataBytes = values.reduce((sum, { members }) => sum + sizeOf(members), 0);
    const server = await ServerProcess.start("ours", undefined, { args: ["--maxmemory", String(memory)] });
    const connection = await Connection.open(server.port);
    const bound = memory + overheadBytesMax;
    /** @type {{ phase: string, rssMax: number }[]} */
    const phases = [];
    const phase = async (/** @type {string} */ name, /** @type {() => Promise<unknown>} */ work) => {
      const sampler = new Sampler(50, () => server.rssBytes());
      try {
        await work();
      } finally {
        await sampler.stop();
      }
      const rssMax = largest(sampler.samples, (bytes) => bytes);
      phases.push({ phase: name, rssMax });
      progress(`${name}: RSS at most ${megabytes(rssMax)} of ${megabytes(bound)}`);
    };
    progress(`${thousands(values.length)} keys, about ${megabytes(dataBytes)}; maxmemory ${megabytes(memory)}`);
    try {
      await phase("load", () => load(connection, values));
      await waitFor(connection, settled, 300);
      let wrong = 0;
      await phase("pass over all keys", async () => {
        wrong += await check(connection, values);
      });
      await phase("SETBIT over all keys", () =>
        runBits(server, "SETBIT", values.length, values.length, 1, 3 * seconds),
      );
      await phase("second pass", async () => {
        wrong += await check(connection, values, { exact: false });
      });
      const hot = await hotSubset(server, connection, values, memory, seconds, progress);
      const { evicted_keys: evicted = 0 } = await info(connection, "stats");
      return {
        findings: [
          {
            asked: `${thousands(values.length)} keys, ${shortNumber(dataBytes / memory)} times maxmemory of ${megabytes(memory)}: BITCOUNT and ${bitsChecked} GETBITs of each as the client knows them`,
            measured: `${thousands(wrong)} of ${thousands(2 * values.length)} keys differ (${thousands(evicted)} times a key left memory)`,
            holds: wrong === 0,
          },
          ...phases.map(({ phase: name, rssMax }) => ({
            asked: `RSS at most ${megabytes(bound)} (maxmemory + ${megabytes(overheadBytesMax)}): ${name}`,
            measured: megabytes(rssMax),
            holds: rssMax <= bound,
          })),
          {
            asked: `hot keys that fit, beside a slow pass over all (${slowKeysPerSecond} keys a second): at least ${ratioMin} of alone`,
            measured: `${shortNumber(hot.besidePass / hot.alone)} (${thousands(hot.besidePass)}/s to ${thousands(hot.alone)}/s)`,
            holds: hot.besidePass / hot.alone >= ratioMin,
          },
          {
            asked: `the same alone: at least ${ratioMin} of a server without maxmemory`,
            measured: `${shortNumber(hot.alone / hot.unbounded)} (to ${thousands(hot.unbounded)}/s)`,
            holds: hot.alone / hot.unbounded >= ratioMin,
          },
        ],
        figures: { keys: values.length, dataBytes, memory, wrong, phases, hot, evicted },
      };
    } finally {
      connection.close();
      await server.discard();
    }
  },
};

/** @param {number} scale */
function maxMemory(scale) {
  if (scale >= 0.1) return Math.round(memoryTenth + ((memoryFull - memoryTenth) * (scale - 0.1)) / 0.9);
  return Math.round(Math.max(memoryMin, memoryTenth * scale * 10));
}

/**
 * As many values of mixed size as make so many bytes. How large one is has nothing to do with its place in the order.
 * @param {number} bytes
 * @returns {Value[]}
 */
function makeValues(bytes) {
  const random = new Random(5);
  const sizes = [];
  for (let sum = 0; sum < bytes; ) {
    const members = Math.max(1, Math.floor(membersMax ** (random.below(2 ** 30) / 2 ** 30)));
    sizes.push(members);
    sum += sizeOf(members);
  }
  return sizes.map((members, i) => ({
    key: bitKey(i, sizes.length),
    members,
    range: Math.max(64, members * idsPerMember),
    seed: 10_000 + i,
  }));
}

/**
 * About what the server needs for a value: Roaring's arrays of two bytes a member, or its own of four.
 * @param {number} members
 */
function sizeOf(members) {
  return 150 + (members <= 256 ? 4 * members : 400 + 2 * members + (8 * members * idsPerMember) / 65_536);
}

/** @param {Value} value */
function contents({ members, range, seed }) {
  return randomBits(new Random(seed), members, range);
}

/**
 * @param {Connection} connection
 * @param {readonly Value[]} values
 */
async function load(connection, values) {
  const bytesMax = 8e6;
  /** @type {Buffer[]} */
  let requests = [];
  let bytes = 0;
  const flush = async () => {
    await connection.send(Buffer.concat(requests), requests.length);
    requests = [];
    bytes = 0;
  };
  for (const value of values) {
    const request = encodeCommand(["SET", value.key, contents(value)]);
    requests.push(request);
    bytes += request.length;
    if (bytes > bytesMax) await flush();
  }
  if (requests.length > 0) await flush();
}

/**
 * @param {Connection} connection
 * @param {readonly Value[]} values
 * @param {{ exact: boolean }} [options] not exact: there may be more bits by now
 * @returns {Promise<number>} keys with a wrong reply
 */
async function check(connection, values, { exact } = { exact: true }) {
  const random = new Random(6);
  let wrong = 0;
  for (const value of values) {
    const bytes = contents(value);
    const offsets = Array.from({ length: bitsChecked }, () => random.below(value.range));
    const [count, ...bits] = await connection.pipeline([
      ["BITCOUNT", value.key],
      ...offsets.map((offset) => ["GETBIT", value.key, offset]),
    ]);
    const counted = exact ? count === value.members : Number(count) >= value.members;
    const gotten = bits.every((bit, i) => {
      const expected = getBit(bytes, offsets[i] ?? 0);
      return bit === expected || (!exact && expected === 0);
    });
    if (!counted || !gotten) wrong++;
  }
  return wrong;
}

/**
 * @param {ServerProcess} server
 * @param {"GETBIT" | "SETBIT"} kind
 * @param {number} keys
 * @param {number} keysUsed
 * @param {number} seed
 * @param {number} seconds
 */
async function runBits(server, kind, keys, keysUsed, seed, seconds) {
  const pipeline = 16;
  const result = await runLoad({
    port: server.port,
    serverPid: server.pid,
    workload: { kind, keys, ids, keysUsed },
    connections: 50,
    pipeline,
    seed,
    warmupSeconds: 1,
    seconds,
    wholeCycles: false,
    secondsMax: 120 + 20 * seconds,
  });
  return (result.operations * pipeline) / result.seconds;
}

/**
 * GETBIT on the first keys, which together take about half of the memory: alone, beside a pass, and without a bound; by turns.
 * @param {ServerProcess} server
 * @param {Connection} connection
 * @param {readonly Value[]} values
 * @param {number} memory
 * @param {number} seconds
 * @param {(line: string) => void} progress
 */
async function hotSubset(server, connection, values, memory, seconds, progress) {
  let keysUsed = 0;
  // The SETBITs have added to each about ids' worth of single bits, a few hundred bytes.
  for (let bytes = 0; keysUsed < values.length && bytes < memory / 2; keysUsed++)
    bytes += sizeOf(values[keysUsed]?.members ?? 0) + 2_000;
  const all = values.length;
  const run = (/** @type {number} */ seed) => runBits(server, "GETBIT", all, keysUsed, seed, seconds);
  /** @type {{ alone: number[], besidePass: number[], unbounded: number[] }} */
  const rates = { alone: [], besidePass: [], unbounded: [] };
  for (let round = 0; round < rounds; round++) {
    rates.alone.push(await run(100 + round));
    const pass = new SlowPass(connection, values);
    rates.besidePass.push(await run(200 + round));
    await pass.stop();
    await connection.call("CONFIG", "SET", "maxmemory", "0");
    rates.unbounded.push(await run(300 + round));
    await connection.call("CONFIG", "SET", "maxmemory", String(memory));
    await run(400 + round);
    progress(
      `hot subset of ${thousands(keysUsed)} keys, round ${round + 1} of ${rounds}: ${shortNumber(rates.alone.at(-1) ?? 0)}/s, ${shortNumber(rates.besidePass.at(-1) ?? 0)}/s beside a pass, ${shortNumber(rates.unbounded.at(-1) ?? 0)}/s unbounded`,
    );
  }
  const { resident_keys: resident } = await info(connection, "memory");
  return {
    keysUsed,
    resident,
    rates,
    alone: median(rates.alone),
    besidePass: median(rates.besidePass),
    unbounded: median(rates.unbounded),
    loads: field(await info(connection, "memory"), "value_misses"),
  };
}

/** Counts all keys again and again, a few at a time. */
class SlowPass {
  #stopping = false;
  #done;

  /**
   * @param {Connection} connection
   * @param {readonly Value[]} values
   */
  constructor(connection, values) {
    this.#done = this.#run(connection, values);
    this.#done.catch(() => {});
  }

  async stop() {
    this.#stopping = true;
    await this.#done;
  }

  /**
   * @param {Connection} connection
   * @param {readonly Value[]} values
   */
  async #run(connection, values) {
    for (;;) {
      for (const { key } of values) {
        if (this.#stopping) return;
        await connection.call("BITCOUNT", key);
        await sleep(1000 / slowKeysPerSecond);
      }
    }
  }
}
