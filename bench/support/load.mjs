// Runs a load job in the load client's process and returns what it saw.

import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { clientCore, pinned } from "./server-process.mjs";

/**
 * @typedef {object} Job
 * @property {number} port
 * @property {number} serverPid
 * @property {import("./requests.mjs").Workload} workload
 * @property {number} connections
 * @property {number} pipeline
 * @property {number} seed
 * @property {number} warmupSeconds
 * @property {number} seconds
 * @property {boolean} wholeCycles
 * @property {boolean} [echoed] the replies are the requests
 * @property {number} secondsMax after which the job is an error
 */

/**
 * @typedef {object} JobResult
 * @property {number} operations timed batches (or groups of batches) that ended while it measured
 * @property {number} seconds
 * @property {number | null} serverBusy processor seconds of the server in a second
 * @property {number} clientBusy the same for the load client; near 1 it is what limits
 * @property {number | null} othersBusy the same for everything else on the machine, interrupts included
 * @property {{ counts: number[] }} latencies of operations, see Histogram
 */

const clientProgram = fileURLToPath(new URL("load-client.mjs", import.meta.url));

/**
 * @param {Job} job
 * @returns {Promise<JobResult>}
 */
export async function runLoad(job) {
  const [program, args] = pinned(clientCore, [process.execPath, clientProgram]);
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.end(JSON.stringify(job));
  const ended = new Promise((resolve, reject) => child.on("error", reject).on("exit", resolve));
  const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (code !== 0) throw new Error(errors.trim() || `the load client ended with ${code}`);
  return JSON.parse(output);
}
