// Two servers, one machine, the same work: rounds alternate between them and only one of them runs at a time.

import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "./connection.mjs";
import { runLoad } from "./load.mjs";
import { ServerProcess } from "./server-process.mjs";
import { Histogram, median, spread } from "./stats.mjs";
import { shortNumber } from "./table.mjs";

/** @typedef {import("./server-process.mjs").Side} Side */

/**
 * @typedef {object} Row one line of the table
 * @property {string} name
 * @property {"rate" | "time"} figure operations in a second, or milliseconds for one
 * @property {string} unit
 * @property {number} perOperation how much of the unit one timed operation of the load client is
 * @property {number} connections
 * @property {number} pipeline
 * @property {boolean} wholeCycles
 * @property {import("./requests.mjs").Workload} workload
 * @property {{ perOperation: number, workload: import("./requests.mjs").Workload }} [redis] what Redis is asked instead
 */

/**
 * @typedef {object} Question what is asked of both servers on one data set
 * @property {string} name
 * @property {readonly Row[]} rows
 * @property {(connection: Connection) => Promise<void>} load puts the data set into an empty server
 * @property {(connection: Connection, side: Side) => Promise<readonly number[]>} verify replies that must be equal on both
 */

/**
 * @typedef {object} SideResult
 * @property {Spread} perSecond of the row's unit
 * @property {number[]} rounds
 * @property {import("./stats.mjs").Percentiles} latency of all rounds together
 * @property {number | null} serverBusy medians of the rounds, see JobResult
 * @property {number | null} clientBusy
 * @property {number | null} othersBusy
 */

/**
 * @typedef {object} RowResult
 * @property {string} question
 * @property {Row} row
 * @property {SideResult} ours
 * @property {SideResult | undefined} redis
 * @property {Spread | undefined} ratio ours to Redis: of the medians, and lowest and highest of the rounds' pairs
 */

/** @typedef {import("./stats.mjs").Spread} Spread */
/** @typedef {{ rounds: number, seconds: number, warmupSeconds: number, sides: readonly Side[], progress: (line: string) => void }} Settings */

/**
 * @param {Question} question
 * @param {readonly Row[]} rows those of its rows that are to run
 * @param {Settings} settings
 * @returns {Promise<RowResult[]>}
 */
export async function duel(question, rows, settings) {
  /** @type {ServerProcess[]} */
  const servers = [];
  try {
    /** @type {(readonly number[])[]} */
    const verified = [];
    for (const side of settings.sides) {
      const server = await ServerProcess.start(side);
      servers.push(server);
      verified.push(await prepare(question, server, settings));
      server.pause();
    }
    if (verified.some((replies) => replies.some((reply, i) => reply !== verified[0]?.[i])))
      throw new Error(`${question.name}: the servers' replies differ`);
    const results = [];
    for (const row of rows) results.push(await runRow(question, row, servers, settings));
    return results;
  } finally {
    for (const server of servers) await server.discard();
  }
}

/**
 * @param {Question} question
 * @param {ServerProcess} server
 * @param {Settings} settings
 */
async function prepare(question, server, settings) {
  const startedAt = performance.now();
  const connection = await Connection.open(server.port);
  try {
    await question.load(connection);
    const replies = await question.verify(connection, server.side);
    // What is still on its way to the disk belongs to loading.
    await sleep(2_000);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    settings.progress(`${question.name}: ${server.side} loaded and read in ${seconds} s`);
    return replies;
  } finally {
    connection.close();
  }
}

/**
 * @param {Question} question
 * @param {Row} row
 * @param {readonly ServerProcess[]} servers
 * @param {Settings} settings
 * @returns {Promise<RowResult>}
 */
async function runRow(question, row, servers, settings) {
  /** @type {Map<Side, import("./load.mjs").JobResult[]>} */
  const results = new Map(servers.map((server) => [server.side, []]));
  for (let round = 0; round < settings.rounds; round++) {
    // Who begins changes from round to round.
    const order = round % 2 === 0 ? servers : [...servers].reverse();
    const rates = new Map();
    for (const server of order) {
      server.resume();
      const result = await runLoad({
        port: server.port,
        serverPid: server.pid,
        workload: asked(row, server.side).workload,
        connections: row.connections,
        pipeline: row.pipeline,
        wholeCycles: row.wholeCycles,
        // No row repeats another's bits: setting them again would be less work.
        seed: question.rows.indexOf(row) * 1_000 + round,
        warmupSeconds: settings.warmupSeconds,
        seconds: settings.seconds,
        secondsMax: 60 + 20 * (settings.warmupSeconds + settings.seconds),
      });
      server.pause();
      results.get(server.side)?.push(result);
      rates.set(server.side, perSecond(asked(row, server.side), result));
    }
    const told = servers.map(({ side }) => `${side} ${shortNumber(rates.get(side))}/s`).join(", ");
    settings.progress(`${row.name}: round ${round + 1} of ${settings.rounds}: ${told}`);
  }
  const ours = summary(asked(row, "ours"), results.get("ours") ?? []);
  const redisResults = results.get("redis");
  const redis = redisResults && summary(asked(row, "redis"), redisResults);
  return { question: question.name, row, ours, redis, ratio: redis && ratioOf(ours, redis) };
}

/**
 * @param {SideResult} ours
 * @param {SideResult} redis
 * @returns {Spread}
 */
function ratioOf(ours, redis) {
  const pairs = ours.rounds.map((rate, round) => rate / (redis.rounds[round] ?? Number.NaN));
  return { ...spread(pairs), median: ours.perSecond.median / redis.perSecond.median };
}

/** @typedef {Pick<Row, "perOperation" | "workload">} Asked */

/**
 * @param {Row} row
 * @param {Side} side
 * @returns {Asked}
 */
function asked(row, side) {
  return side === "redis" ? (row.redis ?? row) : row;
}

/**
 * @param {Asked} row
 * @param {import("./load.mjs").JobResult} result
 */
function perSecond(row, result) {
  return (result.operations * row.perOperation) / result.seconds;
}

/**
 * @param {Asked} row
 * @param {readonly import("./load.mjs").JobResult[]} results
 * @returns {SideResult}
 */
function summary(row, results) {
  const latencies = new Histogram();
  for (const result of results) latencies.add(result.latencies);
  const rounds = results.map((result) => perSecond(row, result));
  return {
    perSecond: spread(rounds),
    rounds,
    latency: latencies.percentiles(),
    serverBusy: medianKnown(results.map(({ serverBusy }) => serverBusy)),
    clientBusy: medianKnown(results.map(({ clientBusy }) => clientBusy)),
    othersBusy: medianKnown(results.map(({ othersBusy }) => othersBusy)),
  };
}

/** @param {readonly (number | null)[]} values */
function medianKnown(values) {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : median(known);
}
