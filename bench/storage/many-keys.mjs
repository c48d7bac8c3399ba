// 10,000,000 keys: how fast are they made, how soon after its start does the server answer, and is anybody held up
// while all of them are listed?

import { once } from "node:events";
import { connect } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, setBits } from "../support/connection.mjs";
import { settled, waitFor } from "../support/info.mjs";
import { runLoad } from "../support/load.mjs";
import { toldLatencies, whilePinging } from "../support/paced.mjs";
import { dropFromCache, fileBytes } from "../support/process-io.mjs";
import { Random } from "../support/random.mjs";
import { bitKey } from "../support/requests.mjs";
import { ServerProcess } from "../support/server-process.mjs";
import { median } from "../support/stats.mjs";
import { megabytes, shortNumber, thousands } from "../support/table.mjs";
import { scaled } from "../support/values.mjs";

const keysFull = 10_000_000;
const ids = 50_000_000;
const makers = 8;
const ratePerSecondMin = 50_000;
const starts = 5;
const startMsMax = 500;
const startRssMax = 150e6;
const stallMsMax = 10;
const scanCount = 1_000;
const loadBeforeKillSeconds = 3;

/** @typedef {import("../support/paced.mjs").PacedResult} PacedResult */

/** @type {import("../storage.mjs").Question} */
export const manyKeys = {
  name: "10M keys",
  minutesMax: 60,
  async run({ scale, progress }) {
    const keys = scaled(keysFull, scale);
    let server = await ServerProcess.start("ours");
    try {
      const { rate, lastRate } = await makeKeys(server, keys, progress);
      const making = await Connection.open(server.port);
      await waitFor(making, settled, 300);
      making.close();
      const rssAfterMaking = server.rssBytes();
      progress(
        `made at ${thousands(rate)}/s, the last part at ${thousands(lastRate)}/s; RSS ${megabytes(rssAfterMaking)}`,
      );

      const random = new Random(8);
      /** @type {Record<"clean" | "cold" | "killed", { readyMs: number, rss: number }[]>} */
      const ready = { clean: [], cold: [], killed: [] };
      const startAgain = async (/** @type {keyof typeof ready} */ kind) => {
        const firstRequest = ["GETBIT", bitKey(random.below(keys), keys), "0"];
        server = await ServerProcess.start("ours", server.folder, { firstRequest });
        ready[kind].push({ readyMs: server.readyMs, rss: server.rssBytes() });
      };
      for (let i = 0; i < starts; i++) {
        await server.stop();
        await startAgain("clean");
      }
      await server.stop();
      dropFromCache(database(server));
      await startAgain("cold");
      for (let i = 0; i < starts; i++) {
        await setSome(server, keys, i);
        await server.kill();
        await startAgain("killed");
      }
      for (const [kind, runs] of Object.entries(ready))
        progress(`start, ${kind}: ${runs.map(({ readyMs }) => readyMs.toFixed(0)).join(", ")} ms`);

      const connection = await Connection.open(server.port);
      const size = await connection.call("DBSIZE");
      // What the last kill has left is brought home first: here it is the listing that is asked about.
      await waitFor(connection, settled, 300);
      const idle = await whilePinging(server, () => sleep(3_000));
      const scan = await whilePinging(server, () => scanAll(connection, keys));
      progress(`SCAN: ${toldLatencies(scan.pings)}`);
      const some = await whilePinging(server, () => countKeys(server.port, "*77777*"));
      progress(`KEYS of a pattern: ${toldLatencies(some.pings)}`);
      const all = await whilePinging(server, () => countKeys(server.port, "*"));
      progress(`KEYS *: ${toldLatencies(all.pings)}`);
      connection.close();
      const rssAtEnd = server.rssBytes();

      const medianMs = (/** @type {keyof typeof ready} */ kind) => median(ready[kind].map(({ readyMs }) => readyMs));
      const rssMax = (/** @type {keyof typeof ready} */ kind) => Math.max(...ready[kind].map(({ rss }) => rss));
      const expectedSome = countMatches(keys, "77777");
      return {
        findings: [
          {
            asked: `SETBIT on new keys, the last tenth of ${thousands(keys)}: at least ${thousands(ratePerSecondMin)}/s`,
            measured: `${thousands(lastRate)}/s (all: ${thousands(rate)}/s)`,
            holds: lastRate >= ratePerSecondMin,
          },
          {
            asked: `first replies (PING and a GETBIT) at most ${startMsMax} ms after a start, median of ${starts}, clean`,
            measured: `${shortNumber(medianMs("clean"))} ms (file not in the system's cache: ${shortNumber(medianMs("cold"))} ms)`,
            holds: medianMs("clean") <= startMsMax,
          },
          {
            asked: "the same after kill -9 under load",
            measured: `${shortNumber(medianMs("killed"))} ms, at most ${shortNumber(Math.max(...ready.killed.map(({ readyMs }) => readyMs)))} ms`,
            holds: medianMs("killed") <= startMsMax,
          },
          {
            asked: `RSS after a start below ${megabytes(startRssMax)}`,
            measured: `at most ${megabytes(rssMax("clean"))}, after kill -9 under load ${megabytes(rssMax("killed"))} (file: ${megabytes(fileBytes(database(server)))}; after making the keys: ${megabytes(rssAfterMaking)})`,
            holds: Math.max(rssMax("clean"), rssMax("killed")) < startRssMax,
          },
          { asked: "DBSIZE is right", measured: thousands(Number(size)), holds: size === keys },
          {
            asked: "for comparison: GETBIT every ms on the idle server",
            measured: toldLatencies(idle.pings),
          },
          {
            asked: `SCAN COUNT ${thousands(scanCount)} gives each key once`,
            measured: `${thousands(scan.result.found)} keys, ${thousands(scan.result.twice)} twice, in ${shortNumber(scan.result.seconds)} s; longest call ${shortNumber(scan.result.longestMs)} ms`,
            holds: scan.result.found === keys && scan.result.twice === 0,
          },
          stallFinding("SCAN", scan.pings),
          {
            asked: "KEYS of a pattern gives what there is",
            measured: `${thousands(some.result.count)} of ${thousands(expectedSome)} in ${shortNumber(some.result.seconds)} s`,
            holds: some.result.count === expectedSome,
          },
          stallFinding("KEYS of a pattern", some.pings),
          {
            asked: "KEYS * gives all",
            measured: `${thousands(all.result.count)} in ${shortNumber(all.result.seconds)} s (RSS then ${megabytes(rssAtEnd)})`,
            holds: all.result.count === keys,
          },
          stallFinding("KEYS *", all.pings),
        ],
        figures: { keys, rate, lastRate, ready, rssAfterMaking, rssAtEnd, scan: scan.result, some: some.result },
      };
    } finally {
      await server.discard();
    }
  },
};

/** @param {ServerProcess} server */
function database(server) {
  return path.join(server.folder, "bitmapist.db");
}

/**
 * @param {string} what
 * @param {PacedResult} pings
 */
function stallFinding(what, pings) {
  return {
    asked: `while ${what} runs, others wait at most ${stallMsMax} ms`,
    measured: toldLatencies(pings),
    holds: pings.maxMs <= stallMsMax,
  };
}

/**
 * One bit in each key, in no order, by several clients.
 * @param {ServerProcess} server
 * @param {number} keys
 * @param {(line: string) => void} progress
 */
async function makeKeys(server, keys, progress) {
  const connections = await Promise.all(Array.from({ length: makers }, () => Connection.open(server.port)));
  const random = new Random(7);
  const parts = 10;
  const startedAt = performance.now();
  let lastRate = 0;
  const bounds = Array.from({ length: parts + 1 }, (_, i) => Math.round((i * keys) / parts));
  for (let part = 0; part < parts; part++) {
    const [from = 0, to = 0] = bounds.slice(part, part + 2);
    const partStartedAt = performance.now();
    let next = from;
    // All take from one sequence: who is faster makes more.
    const bits = function* () {
      while (next < to) yield/** @type {[string, number]} */ ([bitKey(next++, keys), random.below(ids)]);
    };
    await Promise.all(connections.map((connection) => setBits(connection, bits())));
    lastRate = ((to - from) * 1000) / (performance.now() - partStartedAt);
    progress(`${thousands(to)} keys, ${thousands(lastRate)}/s, RSS ${megabytes(server.rssBytes())}`);
  }
  for (const connection of connections) connection.close();
  return { rate: (keys * 1000) / (performance.now() - startedAt), lastRate };
}

/**
 * Bits on keys that exist, so that the file's log is not empty when the server is killed.
 * @param {ServerProcess} server
 * @param {number} keys
 * @param {number} seed
 */
function setSome(server, keys, seed) {
  return runLoad({
    port: server.port,
    serverPid: server.pid,
    workload: { kind: "SETBIT", keys, ids: 10_000_000 },
    connections: 16,
    pipeline: 16,
    seed,
    warmupSeconds: 0.1,
    seconds: loadBeforeKillSeconds,
    wholeCycles: false,
    secondsMax: 60,
  });
}

/**
 * @param {Connection} connection
 * @param {number} keys
 */
async function scanAll(connection, keys) {
  const seen = new Uint8Array(keys);
  const startedAt = performance.now();
  let cursor = "0";
  let found = 0;
  let twice = 0;
  let longestMs = 0;
  do {
    const calledAt = performance.now();
    const reply = await connection.call("SCAN", cursor, "COUNT", scanCount);
    longestMs = Math.max(longestMs, performance.now() - calledAt);
    const [next, page] = /** @type {[Buffer, Buffer[]]} */ (reply);
    cursor = String(next);
    for (const key of page) {
      const number = Number(key.toString("latin1", "key:".length));
      if (seen[number]) twice++;
      else found++;
      seen[number] = 1;
    }
  } while (cursor !== "0");
  return { found, twice, longestMs, seconds: (performance.now() - startedAt) / 1000 };
}

/**
 * KEYS, without keeping the reply: only its lines are counted.
 * @param {number} port
 * @param {string} pattern
 */
async function countKeys(port, pattern) {
  const startedAt = performance.now();
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  await once(socket, "connect");
  socket.write(`*2\r\n$4\r\nKEYS\r\n$${pattern.length}\r\n${pattern}\r\n`);
  let header = "";
  let lines = 0;
  /** @type {number | undefined} */
  let count;
  for await (const chunk of socket) {
    if (count === undefined) header += chunk.toString("latin1", 0, 64);
    for (const byte of /** @type {Buffer} */ (chunk)) if (byte === 10) lines++;
    count ??= /^\*(\d+)\r\n/.test(header) ? Number(header.slice(1, header.indexOf("\r"))) : undefined;
    if (header.startsWith("-")) throw new Error(`KEYS: ${header}`);
    // A line for the array, and two for each key.
    if (count !== undefined && lines === 1 + 2 * count) break;
  }
  socket.destroy();
  if (count === undefined || lines !== 1 + 2 * count)
    throw new Error(`KEYS ${pattern}: the connection ended after ${lines} lines of ${count} keys`);
  return { count, seconds: (performance.now() - startedAt) / 1000 };
}

/**
 * @param {number} keys
 * @param {string} digits
 */
function countMatches(keys, digits) {
  let count = 0;
  for (let key = 0; key < keys; key++) if (bitKey(key, keys).includes(digits)) count++;
  return count;
}
