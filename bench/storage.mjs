// `npm run bench:storage`: does the storage keep its promises? Each question makes its own server and data, measures, and
// says what was asked, what was measured and whether that holds. Table on stdout, progress on stderr.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { always } from "./storage/always.mjs";
import { beyondMemory } from "./storage/beyond-memory.mjs";
import { flushCost } from "./storage/flush-cost.mjs";
import { garbageCollection } from "./storage/garbage-collection.mjs";
import { hotKeys } from "./storage/hot-keys.mjs";
import { leaks } from "./storage/leaks.mjs";
import { logBound } from "./storage/log-bound.mjs";
import { manyKeys } from "./storage/many-keys.mjs";
import { walBound } from "./storage/wal-bound.mjs";
import { watchOthers } from "./support/core-watch.mjs";
import { canPin, describeMachine, machineLine } from "./support/machine.mjs";
import { clientCore } from "./support/server-process.mjs";
import { markdownTable } from "./support/table.mjs";

const usage = `Usage: npm run bench:storage -- [options]
  --only TEXT     only questions whose name contains the text; several with commas
  --scale S       part of the full data, 0.01 to 1 (default 1), to try it out
  --seconds S     time of the phases that only take time, instead of each question's own
  --json FILE     also write every figure there
  --svg DIR       also draw there what grows over time
  --strict        end with exit code 1 when anything asked does not hold
  --list          names the questions`;

// In cores, above this a figure is not only ours.
const othersBusyMax = 0.15;

/**
 * @typedef {object} Finding a line of the table
 * @property {string} asked
 * @property {string} measured
 * @property {boolean} [holds] missing where nothing was asked for
 */

/**
 * @typedef {object} Setting
 * @property {number} scale
 * @property {number | undefined} seconds
 * @property {string | undefined} svg
 * @property {(line: string) => void} progress
 */

/**
 * @typedef {object} Question
 * @property {string} name
 * @property {number} minutesMax at full scale, after which something hangs
 * @property {(setting: Setting) => Promise<{ findings: Finding[], figures: Record<string, unknown> }>} run
 */

/** @type {readonly Question[]} */
const questions = [flushCost, hotKeys, always, logBound, walBound, beyondMemory, manyKeys, garbageCollection, leaks];

/** @typedef {{ question: string, findings: Finding[], figures: Record<string, unknown>, seconds: number, othersBusy: number | undefined }} Answer others in cores */

async function main() {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: "" },
      scale: { type: "string", default: "1" },
      seconds: { type: "string" },
      json: { type: "string" },
      svg: { type: "string" },
      strict: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(usage);
  if (values.list) return console.log(questions.map(({ name }) => name).join("\n"));
  const scale = Number(values.scale);
  if (!(scale >= 0.01 && scale <= 1)) throw new Error(`--scale must be 0.01 to 1, not "${values.scale}"`);
  const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
  if (seconds !== undefined && !(seconds > 0)) throw new Error(`--seconds must be above 0, not "${values.seconds}"`);
  const asked = questions.filter(({ name }) => values.only.split(",").some((text) => name.includes(text)));
  if (asked.length === 0) throw new Error(`no question's name contains "${values.only}"; see --list`);
  stayOffTheServersCore();

  const machine = describeMachine();
  /** @type {Answer[]} */
  const answers = [];
  const report = () => {
    console.log(findingTable(answers));
    console.log(`\nScale ${scale}. ${machineLine(machine)}.`);
    const disturbed = answers.filter(({ othersBusy = 0 }) => othersBusy > othersBusyMax);
    if (disturbed.length > 0) {
      const told = disturbed.map(({ question, othersBusy = 0 }) => `${question} (${othersBusy.toFixed(2)} cores)`);
      console.log(`Other programs disturbed the machine in: ${told.join(", ")}.`);
    }
    if (values.json !== undefined)
      writeFileSync(values.json, `${JSON.stringify({ machine, scale, seconds, answers }, null, 2)}\n`);
  };
  for (const question of asked) {
    const guard = setTimeout(
      () => {
        answers.push(failed(question, new Error(`did not end within ${question.minutesMax} minutes`), 0));
        report();
        // Its servers and folders go with this process.
        process.exit(1);
      },
      question.minutesMax * 60_000 + 1000 * (seconds ?? 0) * 10,
    );
    answers.push(await answer(question, { scale, seconds, svg: values.svg }));
    clearTimeout(guard);
  }
  report();
  const holds = answers.every(({ findings }) => findings.every((finding) => finding.holds !== false));
  if (values.strict && !holds) process.exitCode = 1;
}

/**
 * @param {Question} question
 * @param {Omit<Setting, "progress">} setting
 * @returns {Promise<Answer>}
 */
async function answer(question, setting) {
  const startedAt = performance.now();
  const elapsed = () => (performance.now() - startedAt) / 1000;
  const others = watchOthers();
  progress(`${question.name}: begins`);
  try {
    const tell = (/** @type {string} */ line) => progress(`${question.name}, ${elapsed().toFixed(0)} s: ${line}`);
    const { findings, figures } = await question.run({ ...setting, progress: tell });
    for (const finding of findings) progress(`  ${mark(finding)} ${finding.asked}: ${finding.measured}`);
    return { question: question.name, findings, figures, seconds: elapsed(), othersBusy: others() };
  } catch (error) {
    return failed(question, error, elapsed());
  }
}

/**
 * @param {Question} question
 * @param {unknown} error
 * @param {number} seconds
 * @returns {Answer}
 */
function failed({ name }, error, seconds) {
  progress(`${name}: ${error instanceof Error ? error.stack : error}`);
  process.exitCode = 1;
  const measured = `FAILED: ${error instanceof Error ? error.message.replaceAll(/\s+/g, " ").slice(0, 300) : error}`;
  return {
    question: name,
    findings: [{ asked: "an answer", measured, holds: false }],
    figures: {},
    seconds,
    othersBusy: undefined,
  };
}

/** @param {readonly Answer[]} answers */
function findingTable(answers) {
  return markdownTable(
    ["question", "asked", "measured", "holds"],
    answers.flatMap(({ question, findings }) =>
      findings.map((finding) => [question, finding.asked, finding.measured, mark(finding)]),
    ),
  );
}

/** @param {Finding} finding */
function mark({ holds }) {
  return holds === undefined ? "-" : holds ? "yes" : "NO";
}

/** This process makes data and checks replies: that must not take the server's processor. Its children inherit the core. */
function stayOffTheServersCore() {
  if (canPin()) spawnSync("taskset", ["-a", "-c", "-p", String(clientCore), String(process.pid)]);
  else progress("processes can't be bound to cores here: server and clients disturb each other");
}

/** @param {string} line */
function progress(line) {
  process.stderr.write(`${line}\n`);
}

try {
  await main();
} catch (error) {
  progress(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
