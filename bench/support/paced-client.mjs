// The paced client's process: see paced.mjs. Sends what is due every millisecond, also while earlier requests are
// unanswered, so that a server that stands still is seen by all requests of that time.

import { Random } from "./random.mjs";
import { replySocket } from "./reply-socket.mjs";
import { makeBatches, refresh } from "./requests.mjs";
import { Histogram } from "./stats.mjs";

// A server that is so far behind is not measured any more.
const unansweredMax = 1_000_000;
const lastRepliesMs = 5_000;

/** @type {import("./paced.mjs").PacedJob} */
const job = JSON.parse(process.argv[2] ?? "");
const latencies = new Histogram();
let maxMs = 0;
let maxAt = 0;
let ownPauseMsMax = 0;
let unanswered = 0;

class PacedConnection {
  #random;
  #batch;
  #socket;
  #linesLeft;
  /** When the batches that are unanswered were sent. */
  #sentAt = /** @type {number[]} */ ([]);
  #first = 0;

  /** @param {number} index */
  constructor(index) {
    this.#random = new Random(job.seed * 100_003 + index);
    const [batch] = makeBatches(job.workload, job.pipeline, this.#random);
    this.#batch = /** @type {import("./requests.mjs").Batch} */ (batch);
    this.#linesLeft = this.#batch.replyLines;
    const name = `connection ${index}`;
    this.#socket = replySocket({ port: job.port, name, onLines: (lines) => this.#take(lines), fail });
  }

  connected() {
    return new Promise((resolve) => this.#socket.once("connect", resolve));
  }

  send() {
    refresh(this.#batch, this.#random);
    this.#sentAt.push(performance.now());
    this.#socket.write(Buffer.from(this.#batch.bytes));
    unanswered++;
  }

  /** @param {number} lines how many lines of replies have come */
  #take(lines) {
    const now = performance.now();
    this.#linesLeft -= lines;
    for (; this.#linesLeft <= 0; this.#linesLeft += this.#batch.replyLines) this.#answered(now);
  }

  /** @param {number} now */
  #answered(now) {
    const tookMs = now - (this.#sentAt[this.#first++] ?? now);
    if (this.#first > 1_024) {
      this.#sentAt = this.#sentAt.slice(this.#first);
      this.#first = 0;
    }
    unanswered--;
    if (now < countedFrom) return;
    latencies.record(tookMs * 1000);
    if (tookMs <= maxMs) return;
    maxMs = tookMs;
    maxAt = now;
  }
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  process.stderr.write(`paced client: ${message}\n`);
  process.exit(1);
}

const connections = Array.from({ length: job.connections }, (_, index) => new PacedConnection(index));
await Promise.all(connections.map((connection) => connection.connected()));
const startedAt = performance.now();
const countedFrom = startedAt + (job.warmupSeconds ?? 0) * 1000;
const batchesPerMs = job.perSecond / job.pipeline / 1000;
let sent = 0;
let next = 0;
let lastTick = startedAt;

function tick() {
  const now = performance.now();
  const lateMs = now - lastTick - 1;
  if (lateMs > ownPauseMsMax && now > countedFrom) ownPauseMsMax = lateMs;
  // What this process slept through is not made up for: it would come in one lump.
  if (lateMs > 5) sent = Math.floor((now - startedAt) * batchesPerMs);
  lastTick = now;
  for (const due = Math.floor((now - startedAt) * batchesPerMs); sent < due; sent++) {
    connections[next]?.send();
    next = (next + 1) % connections.length;
  }
  if (unanswered > unansweredMax) fail("the server is too far behind");
}

const timer = setInterval(tick, 1);
process.on("message", finish);
process.on("disconnect", () => process.exit(1));
setTimeout(finish, job.secondsMax * 1000).unref();
process.send?.("ready");

async function finish() {
  clearInterval(timer);
  const stoppedAt = performance.now();
  while (unanswered > 0 && performance.now() - stoppedAt < lastRepliesMs)
    await new Promise((resolve) => setTimeout(resolve, 1));
  const result = {
    latencies: latencies.toJSON(),
    maxMs,
    maxAtSeconds: (maxAt - countedFrom) / 1000,
    perSecond: (latencies.total * job.pipeline * 1000) / (stoppedAt - countedFrom),
    ownPauseMsMax,
  };
  process.stdout.write(JSON.stringify(result), () => process.exit(0));
}
