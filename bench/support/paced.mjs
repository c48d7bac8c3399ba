// Requests at a given rate whatever the server does (an open loop), from a process of its own on the client's core. At
// 1,000 a second on one connection it is the pinger, which tells for how long the server answered nobody.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { CoreWatch, toldUse } from "./core-watch.mjs";
import { clientCore, pinned } from "./server-process.mjs";
import { Histogram } from "./stats.mjs";
import { milliseconds, shortNumber } from "./table.mjs";

/**
 * @typedef {object} PacedJob
 * @property {number} port
 * @property {number} serverPid
 * @property {import("./requests.mjs").BitWorkload} workload
 * @property {number} connections
 * @property {number} pipeline
 * @property {number} perSecond requests
 * @property {number} [warmupSeconds] at the beginning, of which nothing is told
 * @property {number} seed
 * @property {number} secondsMax after which it ends by itself
 */

/**
 * @typedef {object} PacedResult
 * @property {Histogram} latencies of batches, from their sending to their last reply, in microseconds
 * @property {number} maxMs
 * @property {number} maxAtSeconds when it was, from the end of the warm-up
 * @property {number} perSecond requests that were answered
 * @property {import("./core-watch.mjs").CoreUse | undefined} core the server's, meanwhile
 * @property {number} ownPauseMsMax the longest time the client itself was late: so much of the latency may be its own
 */

const program = fileURLToPath(new URL("paced-client.mjs", import.meta.url));
const pingsPerSecond = 1_000;

/** A client that goes on until it is stopped. */
export class Paced {
  #child;
  #output;
  #watch;

  /**
   * @param {import("node:child_process").ChildProcess} child
   * @param {number} serverPid
   */
  constructor(child, serverPid) {
    this.#child = child;
    this.#watch = new CoreWatch(serverPid);
    this.#output = text(/** @type {import("node:stream").Readable} */ (child.stdout));
  }

  /** @param {PacedJob} job */
  static async start(job) {
    // It must be woken in time although the load client keeps the same core busy.
    const [command, args] = pinned(clientCore, ["nice", "-n", "-15", process.execPath, program, JSON.stringify(job)]);
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit", "ipc"] });
    await Promise.race([
      once(child, "message"),
      once(child, "exit").then(() => Promise.reject(new Error("the paced client ended at its start"))),
    ]);
    return new Paced(child, job.serverPid);
  }

  /**
   * A GETBIT every millisecond.
   * @param {{ port: number, pid: number }} server
   */
  static ping({ port, pid }) {
    const workload = /** @type {const} */ ({ kind: "GETBIT", keys: 10, ids: 10 });
    return Paced.start({
      port,
      serverPid: pid,
      workload,
      connections: 1,
      pipeline: 1,
      perSecond: pingsPerSecond,
      seed: 1,
      secondsMax: 3_600,
    });
  }

  /** @returns {Promise<PacedResult>} */
  async stop() {
    const core = this.#watch.stop();
    if (this.#child.connected) this.#child.send("stop");
    const result = JSON.parse(await this.#output);
    const latencies = new Histogram();
    latencies.add(result.latencies);
    return { ...result, latencies, core };
  }
}

/**
 * Runs something with a pinger beside it.
 * @template T
 * @param {{ port: number, pid: number }} server
 * @param {() => Promise<T>} work
 * @returns {Promise<{ result: T, pings: PacedResult }>}
 */
export async function whilePinging(server, work) {
  const pinger = await Paced.ping(server);
  try {
    const result = await work();
    return { result, pings: await pinger.stop() };
  } catch (error) {
    await pinger.stop().catch(() => {});
    throw error;
  }
}

/** @param {PacedResult} result */
export function toldLatencies({ latencies, maxMs, ownPauseMsMax, core }) {
  const { p50, p99, p999 } = latencies.percentiles();
  return `p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}, p99.9 ${milliseconds(p999)}, max ${shortNumber(maxMs)} ms (the client's own pauses: up to ${shortNumber(ownPauseMsMax)} ms${toldUse(core)})`;
}
