// The load client: a process of its own on a core of its own. Reads a job as JSON from stdin, runs it, writes what it
// saw as JSON to stdout; how busy it was is part of the result.

import { readFileSync } from "node:fs";
import { Random } from "./random.mjs";
import { replySocket } from "./reply-socket.mjs";
import { makeBatches, refresh } from "./requests.mjs";
import { Histogram } from "./stats.mjs";

const clockTicksPerSecond = 100;

/** @type {import("./load.mjs").Job} */
const job = JSON.parse(readFileSync(0, "utf8"));

let measuring = false;
let stopping = false;
let latencies = new Histogram();

class LoadConnection {
  #random;
  #batches;
  #batchIndex = 0;
  #linesLeft = 0;
  #startedAt = 0;
  #socket;
  /** Resolves when the connection has stopped, after the cycle of its batches. */
  stopped;
  /** @type {() => void} */
  #stop = () => {};

  /** @param {number} index */
  constructor(index) {
    this.#random = new Random(job.seed * 100_003 + index);
    const batches = makeBatches(job.workload, job.pipeline, this.#random);
    this.#batches = job.echoed ? batches.map(echoed) : batches;
    this.stopped = new Promise((resolve) => {
      this.#stop = () => resolve(undefined);
    });
    const name = `connection ${index}`;
    this.#socket = replySocket({ port: job.port, name, onLines: (lines) => this.#take(lines), fail });
  }

  connected() {
    return new Promise((resolve) => this.#socket.once("connect", resolve));
  }

  start() {
    this.#startedAt = performance.now();
    this.#send();
  }

  #send() {
    const batch = this.#batch();
    if (batch.fields.length > 0) refresh(batch, this.#random);
    this.#linesLeft = batch.replyLines;
    this.#socket.write(batch.bytes);
  }

  #batch() {
    return /** @type {import("./requests.mjs").Batch} */ (this.#batches[this.#batchIndex]);
  }

  /** @param {number} lines how many lines of replies have come */
  #take(lines) {
    this.#linesLeft -= lines;
    if (this.#linesLeft < 0) fail("more replies than requests");
    if (this.#linesLeft === 0) this.#next();
  }

  #next() {
    const { endsOperation } = this.#batch();
    this.#batchIndex = (this.#batchIndex + 1) % this.#batches.length;
    if (endsOperation) {
      const now = performance.now();
      if (measuring) latencies.record((now - this.#startedAt) * 1000);
      this.#startedAt = now;
      if (stopping && this.#batchIndex === 0) return this.#stop();
    }
    this.#send();
  }
}

/**
 * A batch as it comes back from an echo: its own lines.
 * @param {import("./requests.mjs").Batch} batch
 */
function echoed(batch) {
  return { ...batch, replyLines: batch.bytes.toString("latin1").split("\n").length - 1 };
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  process.stderr.write(`load client: ${message}\n`);
  process.exit(1);
}

/** @param {number} seconds */
function wait(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** Processor seconds of the server, all its threads; undefined where the system does not tell (not Linux). */
function serverCpuSeconds() {
  try {
    const fields = readFileSync(`/proc/${job.serverPid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / clockTicksPerSecond;
  } catch {
    return undefined;
  }
}

/** Processor seconds that all cores spent on anything. */
function machineCpuSeconds() {
  try {
    // user nice system idle iowait irq softirq steal
    const ticks = readFileSync("/proc/stat", "latin1").split(/\s+/).slice(1, 9).map(Number);
    const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
    return (ticks.reduce((sum, count) => sum + count, 0) - idle) / clockTicksPerSecond;
  } catch {
    return undefined;
  }
}

/** Processor seconds of the server, this client and the whole machine until now. */
function cpuSeconds() {
  return { server: serverCpuSeconds(), client: clientCpuSeconds(), machine: machineCpuSeconds() };
}

function clientCpuSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

// Whatever hangs, this process does not.
setTimeout(() => fail("the job did not end in time"), job.secondsMax * 1000).unref();

const connections = Array.from({ length: job.connections }, (_, index) => new LoadConnection(index));
await Promise.all(connections.map((connection) => connection.connected()));
for (const connection of connections) connection.start();
await wait(job.warmupSeconds);

latencies = new Histogram();
measuring = true;
const startedAt = performance.now();
const before = cpuSeconds();
await wait(job.seconds);
// A workload of unequal batches ends with its cycle, so that each batch is in the figure equally often.
stopping = true;
if (job.wholeCycles) await Promise.all(connections.map((connection) => connection.stopped));
measuring = false;
const seconds = (performance.now() - startedAt) / 1000;
const after = cpuSeconds();
/** @param {"server" | "client" | "machine"} who */
const busy = (who) => ((after[who] ?? Number.NaN) - (before[who] ?? Number.NaN)) / seconds;

/** @type {import("./load.mjs").JobResult} */
const result = {
  operations: latencies.total,
  seconds,
  serverBusy: busy("server"),
  clientBusy: busy("client"),
  othersBusy: Math.max(0, busy("machine") - busy("server") - busy("client")),
  latencies: latencies.toJSON(),
};
process.stdout.write(JSON.stringify(result), () => process.exit(0));
