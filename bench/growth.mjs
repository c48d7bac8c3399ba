// `npm run bench:growth`: how do the rows of the bench grow with the number of keys, of members and of connections? Both servers,
// in alternating rounds, at each power of ten; a table on stdout and the curves as SVG.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { bitRow } from "./support/bit-rows.mjs";
import { cohortRows } from "./support/cohort-rows.mjs";
import { setBits } from "./support/connection.mjs";
import { duelQuestion } from "./support/duel.mjs";
import { describeMachine, machineLine } from "./support/machine.mjs";
import { markEventRow } from "./support/mark-event-row.mjs";
import { Random } from "./support/random.mjs";
import { bitKey, cohortKey } from "./support/requests.mjs";
import { svgPlot } from "./support/svg.mjs";
import { markdownTable, megabytes, shortNumber, thousands } from "./support/table.mjs";
import { randomBits } from "./support/values.mjs";

const usage = `Usage: npm run bench:growth -- [options]
  --svg DIR       where to draw (default docs/plots)
  --axis NAMES    only these: keys, members, connections; several with commas
  --max N         most keys and members (default 10000000)
  --rounds N      rounds of each row on each side, alternating (default 3)
  --seconds S     time measured in a round (default 1)
  --json FILE     also write every figure there`;

const pipeline = 16;
const smallest = 1_000;
const connectionsMax = 10_000;
// Beside those that are counted, for those that load and look.
const connectionsBeside = 100;
const warmupSeconds = 0.5;
/** Of the axis of keys: a bit in each. */
const idsOfKeys = 1_000;
/** Of the axis of members: so many keys, which are as long in Redis whatever is in them. */
const idsOfMembers = 100_000_000;
const cohortSize = 5;
const keysOfMembers = 2 * cohortSize;
/** Of the axis of connections. */
const keysOfConnections = 10_000;

/** @typedef {import("./support/result.mjs").Result} Result */
/** @typedef {Omit<import("./support/duel.mjs").Duel, "name" | "verify">} Work at one place of an axis */
/** @typedef {{ name: string, title: string, places: readonly number[], work: (place: number) => Work }} Axis */
/** @typedef {{ place: number, results: readonly Result[] }} Measured */

/**
 * @param {number} max
 * @returns {Axis[]}
 */
function axes(max) {
  return [
    {
      name: "keys",
      title: `keys (one bit each; pipelines of ${pipeline}, 50 connections)`,
      places: powersOfTen(smallest, max),
      work: (keys) => ({
        rows: [
          bitRow("GETBIT", pipeline, { keys, ids: idsOfKeys }),
          bitRow("BITCOUNT", pipeline, { keys, ids: idsOfKeys }),
          bitRow("SETBIT", pipeline, { keys, ids: idsOfKeys }),
          markEventRow(keys, idsOfKeys),
        ],
        load: async (connection) => {
          await setBits(connection, highestBits(keys, idsOfKeys));
        },
      }),
    },
    {
      name: "members",
      title: `members of each of ${keysOfMembers} keys, below ${thousands(idsOfMembers)}`,
      places: powersOfTen(smallest, max),
      work: (members) => ({
        rows: [
          bitRow("GETBIT", pipeline, { keys: keysOfMembers, ids: idsOfMembers }),
          // Redis may need longer for a pipeline than a round is.
          { ...bitRow("BITCOUNT", pipeline, { keys: keysOfMembers, ids: idsOfMembers }), wholeCycles: true },
          ...cohortRows(cohortSize, cohortSize),
          // The last: where members are few it soon makes more of them.
          bitRow("SETBIT", pipeline, { keys: keysOfMembers, ids: idsOfMembers }),
        ],
        load: (connection) => loadMembers(connection, members),
      }),
    },
    {
      name: "connections",
      title: `connections (${thousands(keysOfConnections)} keys, no pipelines)`,
      places: powersOfTen(1, connectionsMax),
      work: (connections) => ({
        args: ["--maxclients", String(connectionsMax + connectionsBeside)],
        rows: [
          .../** @type {const} */ (["GETBIT", "BITCOUNT", "SETBIT"]).map((kind) =>
            bitRow(kind, 1, { keys: keysOfConnections, ids: idsOfKeys }),
          ),
          markEventRow(keysOfConnections, idsOfKeys),
        ].map((row) => ({ ...row, connections })),
        load: async (connection) => {
          await setBits(connection, highestBits(keysOfConnections, idsOfKeys));
        },
      }),
    },
  ];
}

async function main() {
  const { values } = parseArgs({
    options: {
      svg: { type: "string", default: "docs/plots" },
      axis: { type: "string", default: "" },
      max: { type: "string", default: "10000000" },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "1" },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(usage);
  const machine = describeMachine();
  const settings = {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    warmupSeconds,
    days: 0,
    sides: /** @type {const} */ (["ours", "redis"]).filter((side) => side === "ours" || machine.redis !== undefined),
    progress,
  };
  const asked = axes(Number(values.max)).filter(({ name }) =>
    values.axis.split(",").some((text) => name.includes(text)),
  );
  if (asked.length === 0) throw new Error(`there is no axis "${values.axis}"`);
  mkdirSync(values.svg, { recursive: true });
  const figures = [];
  for (const axis of asked) {
    const measured = await measuredAlong(axis, settings);
    figures.push({ axis: axis.name, measured });
    console.log(`${growthTable(axis, measured)}\n`);
    writeFileSync(path.join(values.svg, `growth-${axis.name}.svg`), drawn(axis, measured));
  }
  console.log(`Median of ${settings.rounds} alternating rounds of ${settings.seconds} s. ${machineLine(machine)}.`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, figures }, null, 2)}\n`);
}

/**
 * @param {Axis} axis
 * @param {import("./support/result.mjs").Settings} settings
 */
async function measuredAlong({ name, places, work }, settings) {
  /** @type {Measured[]} */
  const measured = [];
  for (const place of places) {
    const at = `${thousands(place)} ${name}`;
    progress(`${at}: begins`);
    const duel = { ...work(place), name: at, verify: async () => [] };
    const names = duel.rows.map((row) => row.name);
    measured.push({ place, results: await duelQuestion(duel).run(names, settings) });
  }
  return measured;
}

/**
 * @param {Axis} axis
 * @param {readonly Measured[]} measured
 */
function growthTable({ name }, measured) {
  return markdownTable(
    [name, "work", "bitmapist-server", "Redis", "ratio", "memory", "Redis' memory"],
    measured.flatMap(({ place, results }) =>
      results.map(({ name: work, ours, redis, ratio }) => [
        thousands(place),
        work,
        ours.figure,
        redis?.figure ?? "-",
        ratio === undefined ? "-" : shortNumber(ratio.median),
        toldMemory(ours),
        redis === undefined ? "-" : toldMemory(redis),
      ]),
    ),
  );
}

/** @param {import("./support/result.mjs").Measured} measured */
function toldMemory({ loadedBytes = 0 }) {
  return megabytes(loadedBytes);
}

/**
 * @param {Axis} axis
 * @param {readonly Measured[]} measured
 */
function drawn({ name, title }, measured) {
  const rows = measured[0]?.results.map((row) => row.name) ?? [];
  /**
   * @param {string} of
   * @param {string} yLabel
   * @param {(results: readonly Result[], side: "ours" | "redis") => number | undefined} figure
   */
  const panel = (of, yLabel, figure) => ({
    title: of,
    yLabel,
    lines: /** @type {const} */ ([
      ["bitmapist-server", "ours"],
      ["Redis", "redis"],
    ]).map(([label, side]) => ({
      name: label,
      points: measured.flatMap(({ place, results }) => {
        const y = figure(results, side);
        // What is 0 has no place on such an axis.
        return y === undefined || y <= 0 ? [] : [{ x: place, y }];
      }),
    })),
  });
  return svgPlot({
    title: `Growth with ${title}`,
    xLabel: name,
    isLogarithmic: true,
    panels: [
      ...rows.map((row) =>
        panel(
          row,
          "per second",
          (results, side) => results.find((each) => each.name === row)?.[side]?.perSecond?.median,
        ),
      ),
      panel("memory above the empty process", "MB", (results, side) => (results[0]?.[side]?.loadedBytes ?? 0) / 1e6),
    ],
  });
}

/**
 * @param {number} from a power of ten
 * @param {number} to
 */
function powersOfTen(from, to) {
  const powers = [];
  for (let power = from; power <= to; power *= 10) powers.push(power);
  return powers;
}

/**
 * @param {number} keys
 * @param {number} ids
 * @returns {Generator<[string, number]>}
 */
function* highestBits(keys, ids) {
  for (let key = 0; key < keys; key++) yield [bitKey(key, keys), ids - 1];
}

/**
 * @param {import("./support/connection.mjs").Connection} connection
 * @param {number} members
 */
async function loadMembers(connection, members) {
  const random = new Random(7);
  for (let i = 0; i < keysOfMembers; i++) {
    const value = randomBits(random, members, idsOfMembers);
    await connection.call("SET", bitKey(i, keysOfMembers), value);
    await connection.call("SET", cohortKey(i), value);
  }
}

/** @param {string} line */
function progress(line) {
  process.stderr.write(`${line}\n`);
}

try {
  await main();
} catch (error) {
  progress(`bench:growth: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
