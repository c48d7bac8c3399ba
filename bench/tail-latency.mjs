// How long does one of a thousand GETBITs take, among 1,000,000 keys, when requests come at half the rate that Redis can
// serve at most? They come whatever the server does (an open loop).

import { setTimeout as sleep } from "node:timers/promises";
import { Connection, setBits } from "./support/connection.mjs";
import { runLoad } from "./support/load.mjs";
import { settle } from "./support/memory.mjs";
import { Paced } from "./support/paced.mjs";
import { bitKey } from "./support/requests.mjs";
import { ServerProcess } from "./support/server-process.mjs";
import { median, spread } from "./support/stats.mjs";
import { shortNumber, thousands } from "./support/table.mjs";

const keys = 1_000_000;
const ids = 1_000;
const connections = 50;
const pipeline = 1;
const load = 0.5;
const name = "p99.9 of GETBIT at half of Redis' throughput";
const workload = /** @type {const} */ ({ kind: "GETBIT", keys, ids });

/** @typedef {import("./support/result.mjs").Side} Side */
/** @typedef {import("./support/result.mjs").Settings} Settings */
/** @typedef {import("./support/paced.mjs").PacedResult} PacedResult */

/** @type {import("./support/result.mjs").Question} */
export const tailLatency = {
  name: "tail latency",
  rows: [{ name }],
  async run(_, settings) {
    /** @type {ServerProcess[]} */
    const servers = [];
    try {
      for (const side of settings.sides) servers.push(await loaded(side, settings));
      return [await measured(servers, settings)];
    } finally {
      for (const server of servers) await server.discard();
    }
  },
};

/**
 * @param {Side} side
 * @param {Settings} settings
 */
async function loaded(side, { progress }) {
  const server = await ServerProcess.start(side);
  const connection = await Connection.open(server.port);
  await setBits(connection, highestBits());
  await settle(server, connection);
  connection.close();
  server.pause();
  progress(`tail latency: ${side} loaded`);
  return server;
}

/** @returns {Generator<[string, number]>} */
function* highestBits() {
  for (let key = 0; key < keys; key++) yield [bitKey(key, keys), ids - 1];
}

/**
 * @param {readonly ServerProcess[]} servers
 * @param {Settings} settings
 * @returns {Promise<import("./support/result.mjs").Result>}
 */
async function measured(servers, settings) {
  // Without Redis, half of what this server can.
  const measure = /** @type {ServerProcess} */ (servers.at(-1));
  /** @type {Map<Side, PacedResult[]>} */
  const results = new Map(settings.sides.map((side) => [side, []]));
  for (let round = 0; round < settings.rounds; round++) {
    const perSecond = load * (await mostPerSecond(measure, round, settings));
    for (const server of round % 2 === 0 ? servers : [...servers].reverse()) {
      const result = await paced(server, perSecond, round, settings);
      results.get(/** @type {Side} */ (server.side))?.push(result);
      settings.progress(
        `${name}: round ${round + 1} of ${settings.rounds}: ${server.side} ${shortNumber(p999Ms(result))} ms at ${thousands(result.perSecond)}/s`,
      );
    }
  }
  const ours = summary(results.get("ours") ?? []);
  const redisResults = results.get("redis");
  const redis = redisResults && summary(redisResults);
  const ratio = redis && {
    ...spread(ours.rounds.map((ms, round) => (redis.rounds[round] ?? Number.NaN) / ms)),
    median: redis.p999Ms.median / ours.p999Ms.median,
  };
  return {
    question: tailLatency.name,
    name,
    ours,
    ...(redis && { redis }),
    ...(ratio && { ratio }),
    promises: ratio === undefined ? [] : [{ asked: "at most Redis'", holds: ratio.median >= 1 }],
  };
}

/**
 * @param {ServerProcess} server
 * @param {number} round
 * @param {Settings} settings
 */
async function mostPerSecond(server, round, { warmupSeconds, seconds }) {
  server.resume();
  const { operations, seconds: took } = await runLoad({
    port: server.port,
    serverPid: server.pid,
    workload,
    connections,
    pipeline,
    wholeCycles: false,
    seed: round,
    warmupSeconds,
    seconds,
    secondsMax: 60 + 20 * (warmupSeconds + seconds),
  });
  server.pause();
  return (operations * pipeline) / took;
}

/**
 * @param {ServerProcess} server
 * @param {number} perSecond
 * @param {number} seed
 * @param {Settings} settings
 */
async function paced(server, perSecond, seed, { warmupSeconds, seconds }) {
  server.resume();
  const client = await Paced.start({
    port: server.port,
    serverPid: server.pid,
    workload,
    connections,
    pipeline,
    perSecond,
    warmupSeconds,
    seed,
    secondsMax: 60 + 20 * (warmupSeconds + seconds),
  });
  await sleep((warmupSeconds + seconds) * 1000);
  const result = await client.stop();
  server.pause();
  if (result.latencies.total === 0) throw new Error(`${name}: ${server.side} answered nothing in ${seconds} s`);
  return result;
}

/** @param {PacedResult} result */
function p999Ms({ latencies }) {
  return latencies.percentiles().p999 / 1000;
}

/** @param {readonly PacedResult[]} results */
function summary(results) {
  const rounds = results.map(p999Ms);
  const p999 = spread(rounds);
  const perSecond = spread(results.map((result) => result.perSecond));
  const told = results.map(({ latencies }) => latencies.percentiles());
  const medianMs = (/** @type {"p50" | "p99"} */ part) =>
    shortNumber(median(told.map((percentiles) => percentiles[part])) / 1000);
  return {
    figure: `${shortNumber(p999.median)} ms (${shortNumber(p999.min)} to ${shortNumber(p999.max)}) at ${thousands(perSecond.median)}/s`,
    latency: [medianMs("p50"), medianMs("p99"), shortNumber(p999.median)].join(" / "),
    p999Ms: p999,
    rounds,
    perSecond,
    others: { ownPauseMsMax: Math.max(...results.map(({ ownPauseMsMax }) => ownPauseMsMax)) },
    othersBusy: median(results.map(({ core }) => core?.othersPart ?? 0)),
  };
}
