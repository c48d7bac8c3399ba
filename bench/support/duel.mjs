// Two servers, one machine, the same work: rounds alternate between them and only one of them runs at a time.

import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "./connection.mjs";
import { limitsHere } from "./limits.mjs";
import { runLoad } from "./load.mjs";
import { whilePinging } from "./paced.mjs";
import { ServerProcess } from "./server-process.mjs";
import { Histogram, median, spread } from "./stats.mjs";
import { milliseconds, shortNumber } from "./table.mjs";

/** @typedef {import("./server-process.mjs").Side} Side */
/** @typedef {import("./server-process.mjs").Limit} Limit */
/** @typedef {import("./result.mjs").Result} Result */
/** @typedef {import("./result.mjs").Settings} Settings */
/** @typedef {import("./stats.mjs").Spread} Spread */

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
 * @property {number} [ratioMin] how many times as fast as Redis it is to be
 * @property {number} [waitMsMax] another client is there meanwhile, and is to wait for no longer
 * @property {boolean} [limits] the null server and the echo are asked the same
 */

/**
 * @typedef {object} Duel what is asked of both servers on one data set
 * @property {string} name
 * @property {readonly string[]} [args] further ones for the command lines of both servers
 * @property {readonly Row[]} rows
 * @property {(connection: Connection) => Promise<void>} load puts the data set into an empty server
 * @property {(connection: Connection, side: Side) => Promise<readonly number[]>} verify replies that must be equal on both
 */

/**
 * @typedef {object} Rounds what one server has done in all rounds of a row
 * @property {Spread} perSecond of the row's unit
 * @property {number[]} rounds
 * @property {import("./stats.mjs").Percentiles} percentiles of all rounds together
 * @property {number | null} serverBusy medians of the rounds, see JobResult
 * @property {number | null} clientBusy
 * @property {number | null} othersBusy
 * @property {number} [loadedBytes] memory above the empty process when all was loaded
 * @property {{ maxMs: number, p999Ms: number, ownPauseMsMax: number }} [others] what another client has waited, the longest of all rounds
 */

/** @typedef {import("./load.mjs").JobResult & { pings?: import("./paced.mjs").PacedResult }} Round */

/**
 * @param {Duel} duel
 * @returns {import("./result.mjs").Question}
 */
export function duelQuestion(duel) {
  return {
    name: duel.name,
    rows: duel.rows,
    run: (names, settings) =>
      runDuel(
        duel,
        duel.rows.filter(({ name }) => names.includes(name)),
        settings,
      ),
  };
}

/**
 * @param {Duel} question
 * @param {readonly Row[]} rows those of its rows that are to run
 * @param {Settings} settings
 * @returns {Promise<Result[]>}
 */
async function runDuel(question, rows, settings) {
  /** @type {ServerProcess[]} */
  const servers = [];
  /** @type {Map<Side | Limit, number>} */
  const loadedBytes = new Map();
  try {
    /** @type {(readonly number[])[]} */
    const verified = [];
    for (const side of settings.sides) {
      const server = await ServerProcess.start(side, undefined, { args: question.args ?? [] });
      servers.push(server);
      verified.push(await prepare(question, server, settings));
      loadedBytes.set(side, server.rssBytes() - server.emptyRssBytes);
      server.pause();
    }
    if (verified.some((replies) => replies.some((reply, i) => reply !== verified[0]?.[i])))
      throw new Error(`${question.name}: the servers' replies differ`);
    if (rows.some(({ limits }) => limits))
      for (const limit of limitsHere()) {
        const server = await ServerProcess.start(limit);
        servers.push(server);
        server.pause();
      }
    const results = [];
    for (const row of rows) {
      const asked = servers.filter(({ side }) => row.limits || side === "ours" || side === "redis");
      results.push(await runRow(question, row, asked, loadedBytes, settings));
    }
    return results;
  } finally {
    for (const server of servers) await server.discard();
  }
}

/**
 * @param {Duel} question
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
 * @param {Duel} question
 * @param {Row} row
 * @param {readonly ServerProcess[]} servers
 * @param {ReadonlyMap<Side | Limit, number>} loadedBytes
 * @param {Settings} settings
 * @returns {Promise<Result>}
 */
async function runRow(question, row, servers, loadedBytes, settings) {
  /** @type {Map<Side | Limit, Round[]>} */
  const results = new Map(servers.map((server) => [server.side, []]));
  for (let round = 0; round < settings.rounds; round++) {
    // Who begins changes from round to round.
    const order = round % 2 === 0 ? servers : [...servers].reverse();
    const rates = new Map();
    for (const server of order) {
      server.resume();
      // No row repeats another's bits: setting them again would be less work.
      const result = await runRound(row, server, question.rows.indexOf(row) * 1_000 + round, settings);
      server.pause();
      results.get(server.side)?.push(result);
      rates.set(server.side, perSecond(asked(row, server.side), result));
    }
    const told = servers.map(({ side }) => `${side} ${shortNumber(rates.get(side))}/s`).join(", ");
    settings.progress(`${row.name}: round ${round + 1} of ${settings.rounds}: ${told}`);
  }
  /** @param {Side | Limit} side */
  const of = (side) => {
    const rounds = results.get(side);
    return rounds && { ...summary(asked(row, side), rounds), loadedBytes: loadedBytes.get(side) ?? 0 };
  };
  return resultOf(question, row, /** @type {Rounds} */ (of("ours")), of("redis"), {
    null: of("null"),
    echo: of("echo"),
  });
}

/**
 * @param {Row} row
 * @param {ServerProcess} server
 * @param {number} seed
 * @param {Settings} settings
 * @returns {Promise<Round>}
 */
async function runRound(row, server, seed, { warmupSeconds, seconds }) {
  const load = () =>
    runLoad({
      port: server.port,
      serverPid: server.pid,
      workload: asked(row, server.side).workload,
      connections: row.connections,
      pipeline: row.pipeline,
      wholeCycles: row.wholeCycles,
      echoed: server.side === "echo",
      seed,
      warmupSeconds,
      seconds,
      secondsMax: 60 + 20 * (warmupSeconds + seconds),
    });
  if (row.waitMsMax === undefined) return load();
  const { result, pings } = await whilePinging(server, load);
  return { ...result, pings };
}

/**
 * @param {Duel} question
 * @param {Row} row
 * @param {Rounds} ours
 * @param {Rounds | undefined} redis
 * @param {Record<Limit, Rounds | undefined>} limits
 * @returns {Result}
 */
function resultOf(question, row, ours, redis, limits) {
  const ratio = redis && ratioOf(ours, redis);
  const promises = [];
  if (row.ratioMin !== undefined && ratio !== undefined)
    promises.push({ asked: `at least ${shortNumber(row.ratioMin)} times`, holds: ratio.median >= row.ratioMin });
  if (row.waitMsMax !== undefined && ours.others !== undefined)
    promises.push({
      asked: `others wait at most ${row.waitMsMax} ms`,
      measured: `${toldWait(ours.others)}${redis?.others === undefined ? "" : `, Redis ${toldWait(redis.others)}`}`,
      holds: ours.others.maxMs <= row.waitMsMax,
    });
  /** @param {Rounds | undefined} limit */
  const share = (limit) => limit && ours.perSecond.median / limit.perSecond.median;
  return {
    question: question.name,
    name: row.name,
    ours: { figure: figure(row, ours), latency: toldLatency(ours), ...ours },
    ...(redis && { redis: { figure: figure(row, redis), latency: toldLatency(redis), ...redis } }),
    ...(ratio && { ratio }),
    promises,
    ...(row.limits && {
      shares: { null: share(limits.null), echo: share(limits.echo) },
      limits,
    }),
  };
}

/** @param {NonNullable<Rounds["others"]>} others */
function toldWait({ maxMs, p999Ms }) {
  return `${shortNumber(maxMs)} (p99.9 ${shortNumber(p999Ms)})`;
}

/**
 * @param {Row} row
 * @param {Rounds} rounds
 */
function figure(row, { perSecond: { median, min, max } }) {
  if (row.figure === "time")
    return `${shortNumber(1000 / median)} ms (${shortNumber(1000 / max)} to ${shortNumber(1000 / min)})`;
  return `${shortNumber(median)}/s (${shortNumber(min)} to ${shortNumber(max)})`;
}

/** @param {Rounds} rounds */
function toldLatency({ percentiles: { p50, p99, p999 } }) {
  return [p50, p99, p999].map(milliseconds).join(" / ");
}

/**
 * @param {Rounds} ours
 * @param {Rounds} redis
 * @returns {Spread}
 */
function ratioOf(ours, redis) {
  const pairs = ours.rounds.map((rate, round) => rate / (redis.rounds[round] ?? Number.NaN));
  return { ...spread(pairs), median: ours.perSecond.median / redis.perSecond.median };
}

/** @typedef {Pick<Row, "perOperation" | "workload">} Asked */

/**
 * @param {Row} row
 * @param {Side | Limit} side
 * @returns {Asked}
 */
function asked(row, side) {
  return side === "redis" ? (row.redis ?? row) : row;
}

/**
 * @param {Asked} row
 * @param {Round} result
 */
function perSecond(row, result) {
  return (result.operations * row.perOperation) / result.seconds;
}

/**
 * @param {Asked} row
 * @param {readonly Round[]} results
 * @returns {Rounds}
 */
function summary(row, results) {
  const latencies = new Histogram();
  for (const result of results) latencies.add(result.latencies);
  const rounds = results.map((result) => perSecond(row, result));
  const pings = results.flatMap((result) => result.pings ?? []);
  return {
    perSecond: spread(rounds),
    rounds,
    percentiles: latencies.percentiles(),
    serverBusy: medianKnown(results.map(({ serverBusy }) => serverBusy)),
    clientBusy: medianKnown(results.map(({ clientBusy }) => clientBusy)),
    othersBusy: medianKnown(results.map(({ othersBusy }) => othersBusy)),
    ...(pings.length > 0 && { others: waitOf(pings) }),
  };
}

/** @param {readonly import("./paced.mjs").PacedResult[]} pings of all rounds */
function waitOf(pings) {
  const latencies = new Histogram();
  for (const ping of pings) latencies.add(ping.latencies);
  return {
    maxMs: Math.max(...pings.map(({ maxMs }) => maxMs)),
    p999Ms: latencies.percentiles().p999 / 1000,
    ownPauseMsMax: Math.max(...pings.map(({ ownPauseMsMax }) => ownPauseMsMax)),
  };
}

/** @param {readonly (number | null)[]} values */
function medianKnown(values) {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : median(known);
}
