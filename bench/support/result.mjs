// What every question of `npm run bench` gives: rows of one table, each with what was promised of it.

import { markdownTable, shortNumber } from "./table.mjs";

/** @typedef {import("./server-process.mjs").Side} Side */

/**
 * @typedef {object} Settings
 * @property {number} rounds
 * @property {number} seconds
 * @property {number} warmupSeconds
 * @property {number} days of the year of users
 * @property {readonly Side[]} sides
 * @property {(line: string) => void} progress
 */

/**
 * @typedef {object} Question
 * @property {string} name
 * @property {readonly { name: string }[]} rows
 * @property {boolean} [isLong] takes minutes: it runs when a row of it is named, or all are asked for
 * @property {(names: readonly string[], settings: Settings) => Promise<Result[]>} run the rows of these names
 */

/**
 * @typedef {object} Measured of one server; whatever else it has is for the JSON only
 * @property {string} figure as the table shows it
 * @property {string} latency
 * @property {number | null} [serverBusy] in cores, see JobResult
 * @property {number | null} [clientBusy]
 * @property {number | null} [othersBusy]
 * @property {{ ownPauseMsMax: number }} [others]
 * @property {number} [loadedBytes] memory above the empty process, before anything was measured
 * @property {import("./stats.mjs").Spread} [perSecond]
 */

/** @typedef {{ asked: string, measured?: string, holds: boolean }} Promised */

/**
 * @typedef {object} Result a row
 * @property {string} question
 * @property {string} name
 * @property {Measured} ours
 * @property {Measured} [redis]
 * @property {import("./stats.mjs").Spread} [ratio] how many times as good as Redis: of the medians, and lowest and highest of the rounds' pairs
 * @property {readonly Promised[]} promises
 * @property {{ null: number | undefined, echo: number | undefined }} [shares] of what a server that does nothing reaches
 * @property {Record<string, { clientBusy?: number | null, serverBusy?: number | null } | undefined>} [limits] those servers
 */

/** @param {readonly Result[]} results */
export function resultTable(results) {
  return markdownTable(
    [
      "work",
      "bitmapist-server",
      "Redis",
      "ratio",
      "latency",
      "Redis' latency",
      "share of null server / C echo",
      "asked",
    ],
    results.map(({ name, ours, redis, ratio, shares, promises }) => [
      name,
      ours.figure,
      redis?.figure ?? "-",
      ratio === undefined ? "-" : toldRatio(ratio),
      ours.latency,
      redis?.latency ?? "-",
      shares === undefined ? "-" : [shares.null, shares.echo].map(toldShare).join(" / "),
      promises.length === 0 ? "-" : promises.map(toldPromise).join("; "),
    ]),
  );
}

/** @param {import("./stats.mjs").Spread} ratio of one run only where its ends are the same */
function toldRatio({ median, min, max }) {
  const told = `**${shortNumber(median)}**`;
  return min === max ? told : `${told} (${shortNumber(min)} to ${shortNumber(max)})`;
}

/** @param {number | undefined} share */
function toldShare(share) {
  return share === undefined ? "-" : share.toFixed(2);
}

/** @param {Promised} promised */
function toldPromise({ asked, measured, holds }) {
  return `${asked}: ${measured === undefined ? "" : `${measured}, `}${holds ? "yes" : "**no**"}`;
}
