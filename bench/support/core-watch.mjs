// Who else was on the server's core: without it, nobody can tell a server that was slow from one that was not let run.
// Linux only; elsewhere it knows nothing.

import { readdirSync, readFileSync } from "node:fs";
import { serverCore } from "./server-process.mjs";

const nsPerSecond = 1e9;
const ticksPerSecond = 100;

/** @typedef {{ othersPart: number, waitedPart: number }} CoreUse parts of the time: others on the core, the main thread ready and not run */

export class CoreWatch {
  #pid;
  #before;

  /** @param {number} pid the server's */
  constructor(pid) {
    this.#pid = pid;
    this.#before = look(pid);
  }

  /** @returns {CoreUse | undefined} since the watch began */
  stop() {
    const after = look(this.#pid);
    if (after === undefined || this.#before === undefined) return undefined;
    const seconds = (after.at - this.#before.at) / 1000;
    const busy = after.coreBusy - this.#before.coreBusy;
    const own = after.ran - this.#before.ran;
    return {
      othersPart: Math.max(0, (busy - own) / seconds),
      waitedPart: (after.mainWaited - this.#before.mainWaited) / seconds,
    };
  }
}

/** @param {CoreUse | undefined} use */
export function toldUse(use) {
  if (use === undefined) return "";
  const percent = (/** @type {number} */ part) => `${(100 * part).toFixed(0)} %`;
  return `; others had ${percent(use.othersPart)} of the server's core, it waited ${percent(use.waitedPart)} of the time to run`;
}

/**
 * Processor seconds that all other programs took, on all cores, from now on until the returned function is called. The
 * children of this process count as its own once they have ended.
 * @returns {() => number | undefined} in cores
 */
export function watchOthers() {
  const before = lookAtMachine();
  return () => {
    const after = lookAtMachine();
    if (before === undefined || after === undefined) return undefined;
    return Math.max(0, after.busy - before.busy - (after.own - before.own)) / ((after.at - before.at) / 1000);
  };
}

/** @param {number} pid */
function look(pid) {
  try {
    let ran = 0;
    let mainWaited = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const [run = 0, wait = 0] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1")
        .split(" ")
        .map(Number);
      ran += run / nsPerSecond;
      if (Number(thread) === pid) mainWaited = wait / nsPerSecond;
    }
    return { at: performance.now(), ran, mainWaited, coreBusy: busySeconds(`cpu${serverCore}`) };
  } catch {
    return undefined;
  }
}

function lookAtMachine() {
  try {
    const fields = readFileSync("/proc/self/stat", "latin1").split(") ")[1]?.split(" ") ?? [];
    // utime stime cutime cstime
    const own = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond;
    return { at: performance.now(), own, busy: busySeconds("cpu") };
  } catch {
    return undefined;
  }
}

/** @param {string} cpu as /proc/stat names it */
function busySeconds(cpu) {
  const line = readFileSync("/proc/stat", "latin1")
    .split("\n")
    .find((each) => each.startsWith(`${cpu} `));
  // user nice system idle iowait irq softirq steal
  const ticks = line?.trim().split(/\s+/).slice(1, 9).map(Number) ?? [];
  const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return (ticks.reduce((sum, count) => sum + count, 0) - idle) / ticksPerSecond;
}
