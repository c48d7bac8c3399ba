// `npm run bench`: this server and redis-server side by side in one run, as one table. Both sync once a second, each
// has one core and the load client another. Table on stdout, progress on stderr.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bitCommands } from "./bit-commands.mjs";
import { cohortTable } from "./cohort-table.mjs";
import { markEvent } from "./mark-event.mjs";
import { memory } from "./memory.mjs";
import { oneYear } from "./one-year.mjs";
import { realData } from "./real-data.mjs";
import { sparseValues } from "./sparse-values.mjs";
import { limitsHere } from "./support/limits.mjs";
import { canPin, describeMachine, machineLine } from "./support/machine.mjs";
import { resultTable } from "./support/result.mjs";
import { tailLatency } from "./tail-latency.mjs";

const usage = `Usage: npm run bench -- [options]
  --rounds N      rounds of each row on each side, alternating (default 5)
  --seconds S     time measured in a round (default 1)
  --warmup S      time before it that does not count (default 0.5)
  --only TEXT     only rows whose name contains the text; several with commas
  --long          also rows that take minutes, which run by themselves only where --only names them
  --realdata DIR  also rows over the bitmaps of that folder's files, see support/bitmap-file.mjs
  --days N        days of the year of users (default 365), to try it out
  --json FILE     also write every figure there
  --readme        also put the table between <!-- bench --> and <!-- /bench --> in README.md
  --readme-file F that file instead of README.md
BENCH_SELF=redis puts a redis-server in this server's place, to see the bench's own error.`;

/** @type {readonly import("./support/result.mjs").Question[]} */
const questions = [bitCommands, markEvent, cohortTable, sparseValues, memory, tailLatency, oneYear];
// Above these, in cores, a figure is not only the server's.
const clientBusyMax = 0.95;
const serverBusyMin = 0.9;
const othersBusyMax = 0.15;
// Above this, in milliseconds, what another client has waited is not only the server's.
const ownPauseMsMax = 2;

/** @typedef {import("./support/result.mjs").Result} Result */
/** @typedef {import("./support/result.mjs").Measured} Measured */

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "1" },
      warmup: { type: "string", default: "0.5" },
      only: { type: "string", default: "" },
      realdata: { type: "string" },
      days: { type: "string", default: "365" },
      long: { type: "boolean", default: false },
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
  if (!limitsHere().includes("echo")) progress("gcc is not installed or this is not Linux: the C echo is left out");
  if (machine.redis === undefined) progress("redis-server is not installed: only this server's figures follow");
  const settings = {
    rounds: positive("rounds", values.rounds),
    seconds: positive("seconds", values.seconds),
    warmupSeconds: positive("warmup", values.warmup),
    days: positive("days", values.days),
    sides: /** @type {const} */ (["ours", "redis"]).filter((side) => side === "ours" || machine.redis !== undefined),
    progress,
  };

  /** @type {Result[]} */
  const results = [];
  const asked = [...questions, ...(values.realdata === undefined ? [] : realData(values.realdata))];
  for (const question of asked) {
    const names = question.rows.map(({ name }) => name);
    const rows = names.filter((name) => values.only.split(",").some((text) => name.includes(text)));
    if (rows.length > 0 && (!question.isLong || values.long || values.only !== ""))
      results.push(...(await question.run(rows, settings)));
  }
  if (results.length === 0) throw new Error(`no row's name contains "${values.only}"`);

  const report = [
    resultTable(results),
    "",
    `Median of ${settings.rounds} alternating rounds of ${settings.seconds} s (lowest to highest). Ratio: how many times as fast as Redis, or as small. Latency: p50 / p99 / p99.9 in milliseconds, of a whole pipeline, transaction or cell; what others wait: the longest, and p99.9, of another client's GETBIT every millisecond. Memory is RSS above the empty process, of one run.`,
    "Share: of what a server in Node that only parses and gives each request the same reply reaches, and an echo in C.",
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

function pinningNote() {
  return canPin()
    ? "Each server ran on one core, alone, and the load client on another."
    : "Processes could not be bound to cores here, so that server and client disturb each other.";
}

/**
 * What a reader must know before believing the figures.
 * @param {readonly Result[]} results
 */
function doubts(results) {
  /** @param {(side: Measured) => boolean} test */
  const rowsWhere = (test) =>
    results.filter(({ ours, redis }) => test(ours) || (redis !== undefined && test(redis))).map(({ name }) => name);
  /** @param {{ clientBusy?: number | null, serverBusy?: number | null }} side */
  const isClientLimited = ({ clientBusy, serverBusy }) =>
    (clientBusy ?? 0) > clientBusyMax && (serverBusy ?? 0) < serverBusyMin;
  const clientLimited = rowsWhere(isClientLimited);
  const limitsOfClient = results.flatMap(({ name, limits = {} }) =>
    Object.entries(limits).flatMap(([limit, rounds]) =>
      rounds !== undefined && isClientLimited(rounds) ? [`${name} (${limit})`] : [],
    ),
  );
  const paused = rowsWhere(({ others }) => (others?.ownPauseMsMax ?? 0) > ownPauseMsMax);
  const disturbed = rowsWhere(({ othersBusy }) => (othersBusy ?? 0) > othersBusyMax);
  return [
    ...(clientLimited.length > 0 ? [`The load client was the limit in: ${clientLimited.join("; ")}.`] : []),
    ...(limitsOfClient.length > 0
      ? [
          `The share is of what the load client can, since that was the limit and not the server, in: ${limitsOfClient.join("; ")}.`,
        ]
      : []),
    ...(paused.length > 0
      ? [`The client that waits was itself held up for more than ${ownPauseMsMax} ms in: ${paused.join("; ")}.`]
      : []),
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
