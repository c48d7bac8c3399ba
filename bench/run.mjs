// `npm run bench`: this server and redis-server side by side in one run, as one table. Both sync once a second, each
// has one core and the load client another. Table on stdout, progress on stderr.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bitCommands } from "./bit-commands.mjs";
import { cohortTable } from "./cohort-table.mjs";
import { markEvent } from "./mark-event.mjs";
import { duel } from "./support/duel.mjs";
import { canPin, describeMachine, machineLine } from "./support/machine.mjs";
import { markdownTable, milliseconds, shortNumber } from "./support/table.mjs";

const usage = `Usage: npm run bench -- [options]
  --rounds N      rounds of each row on each side, alternating (default 5)
  --seconds S     time measured in a round (default 3)
  --warmup S      time before it that does not count (default 1)
  --only TEXT     only rows whose name contains the text; several with commas
  --json FILE     also write every figure there
  --readme        also put the table between <!-- bench --> and <!-- /bench --> in README.md
  --readme-file F that file instead of README.md
BENCH_SELF=redis puts a redis-server in this server's place, to see the bench's own error.`;

const questions = [bitCommands, markEvent, cohortTable];
// Above these, in cores, a figure is not only the server's.
const clientBusyMax = 0.95;
const serverBusyMin = 0.9;
const othersBusyMax = 0.15;

/** @typedef {import("./support/duel.mjs").RowResult} RowResult */
/** @typedef {import("./support/duel.mjs").SideResult} SideResult */

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "3" },
      warmup: { type: "string", default: "1" },
      only: { type: "string", default: "" },
      json: { type: "string" },
      readme: { type: "boolean", default: false },
      "readme-file": { type: "string", default: fileURLToPath(new URL("../README.md", import.meta.url)) },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const machine = describeMachine();
  if (machine.redis === undefined) progress("redis-server is not installed: only this server's figures follow");
  const settings = {
    rounds: positive("rounds", values.rounds),
    seconds: positive("seconds", values.seconds),
    warmupSeconds: positive("warmup", values.warmup),
    sides: /** @type {const} */ (["ours", "redis"]).filter((side) => side === "ours" || machine.redis !== undefined),
    progress,
  };

  /** @type {RowResult[]} */
  const results = [];
  for (const question of questions) {
    const rows = question.rows.filter((row) => values.only.split(",").some((text) => row.name.includes(text)));
    if (rows.length > 0) results.push(...(await duel(question, rows, settings)));
  }
  if (results.length === 0) throw new Error(`no row's name contains "${values.only}"`);

  const report = [
    resultTable(results),
    "",
    `Median of ${settings.rounds} alternating rounds of ${settings.seconds} s (lowest to highest). Ratio: how many times as fast as Redis. Latency: p50 / p99 / p99.9 in milliseconds, of a whole pipeline, transaction or cell.`,
    `${pinningNote()} Both sync once a second; redis-server runs with \`--appendonly yes --appendfsync everysec\` and does not rewrite its log meanwhile.`,
    `${machineLine(machine)}.`,
    ...doubts(results),
  ].join("\n");
  console.log(report);
  if (values.json !== undefined)
    writeFileSync(
      values.json,
      `${JSON.stringify({ machine, settings: { ...settings, progress: undefined }, results }, null, 2)}\n`,
    );
  if (values.readme) rewriteBlock(values["readme-file"], report);
}

/** @param {string} line */
function progress(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * @param {string} name
 * @param {string} text
 */
function positive(name, text) {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} must be a number above 0, not "${text}"`);
  return value;
}

/** @param {readonly RowResult[]} results */
function resultTable(results) {
  return markdownTable(
    ["work", "bitmapist-server", "Redis", "ratio", "latency", "Redis' latency"],
    results.map(({ row, ours, redis, ratio }) => [
      row.name,
      figure(row, ours),
      redis ? figure(row, redis) : "-",
      ratio === undefined
        ? "-"
        : `**${shortNumber(ratio.median)}** (${shortNumber(ratio.min)} to ${shortNumber(ratio.max)})`,
      latency(ours),
      redis ? latency(redis) : "-",
    ]),
  );
}

/**
 * @param {import("./support/duel.mjs").Row} row
 * @param {SideResult} result
 */
function figure(row, { perSecond: { median, min, max } }) {
  if (row.figure === "time")
    return `${shortNumber(1000 / median)} ms (${shortNumber(1000 / max)} to ${shortNumber(1000 / min)})`;
  return `${shortNumber(median)}/s (${shortNumber(min)} to ${shortNumber(max)})`;
}

/** @param {SideResult} result */
function latency({ latency: { p50, p99, p999 } }) {
  return [p50, p99, p999].map(milliseconds).join(" / ");
}

function pinningNote() {
  return canPin()
    ? "Each server ran on one core, alone, and the load client on another."
    : "Processes could not be bound to cores here, so that server and client disturb each other.";
}

/**
 * What a reader must know before believing the figures.
 * @param {readonly RowResult[]} results
 */
function doubts(results) {
  /** @param {(side: SideResult) => boolean} test */
  const rowsWhere = (test) =>
    results.filter(({ ours, redis }) => test(ours) || (redis !== undefined && test(redis))).map(({ row }) => row.name);
  const clientLimited = rowsWhere(
    ({ clientBusy, serverBusy }) => (clientBusy ?? 0) > clientBusyMax && (serverBusy ?? 0) < serverBusyMin,
  );
  const disturbed = rowsWhere(({ othersBusy }) => (othersBusy ?? 0) > othersBusyMax);
  return [
    ...(clientLimited.length > 0 ? [`The load client was the limit in: ${clientLimited.join("; ")}.`] : []),
    ...(disturbed.length > 0 ? [`Other programs disturbed the machine in: ${disturbed.join("; ")}.`] : []),
  ];
}

/**
 * @param {string} file
 * @param {string} report
 */
function rewriteBlock(file, report) {
  const text = readFileSync(file, "utf8");
  const block = /(<!-- bench -->)[\s\S]*?(<!-- \/bench -->)/;
  if (!block.test(text)) throw new Error(`${file} has no block <!-- bench --> ... <!-- /bench -->`);
  writeFileSync(
    file,
    text.replace(block, (_, begin, end) => `${begin}\n${report}\n${end}`),
  );
}

try {
  await main();
} catch (error) {
  progress(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
