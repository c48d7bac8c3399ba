// When the disk is slow, are clients slowed instead of memory filled? An outside process keeps SQLite's write lock for a
// while, once for less and once for more than the writer's patience; ten clients go on writing.

import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { Connection, encodeCommand } from "../support/connection.mjs";
import { committed, field, info, waitFor } from "../support/info.mjs";
import { Random } from "../support/random.mjs";
import { largest, Sampler } from "../support/sampler.mjs";
import { ServerProcess } from "../support/server-process.mjs";
import { megabytes, shortNumber, thousands } from "../support/table.mjs";
import { randomBits, scaled, setBit } from "../support/values.mjs";

const writers = 10;
const pipeline = 64;
const keysPerWriter = 20;
const ids = 1_000_000;
const valueBytesFull = 100_000;
// One chunk of each client may come on top before it is stopped.
const slackBytes = 1e6;

/**
 * With SETBITs only, the age of the changes stops the writers long before 8 MB; a buffer of 256 KB is full sooner.
 * @type {readonly { name: string, buffer: string, bytes: number, kinds: readonly ("SETBIT" | "SET")[], holdSeconds: number }[]}
 */
const trials = [
  { name: "SETBIT, 256 KB", buffer: "256kb", bytes: 256 * 1024, kinds: ["SETBIT"], holdSeconds: 3 },
  { name: "SETBIT, 256 KB", buffer: "256kb", bytes: 256 * 1024, kinds: ["SETBIT"], holdSeconds: 8 },
  { name: "SETBIT and SET, 8 MB", buffer: "8mb", bytes: 8 * 1024 * 1024, kinds: ["SETBIT", "SET"], holdSeconds: 3 },
  { name: "SETBIT and SET, 8 MB", buffer: "8mb", bytes: 8 * 1024 * 1024, kinds: ["SETBIT", "SET"], holdSeconds: 8 },
];

/** @type {import("../storage.mjs").Question} */
export const logBound = {
  name: "log bounded",
  minutesMax: 15,
  async run({ scale, progress }) {
    const findings = [];
    const figures = [];
    for (const trial of trials) {
      const result = await run(trial, scaled(valueBytesFull, Math.max(scale, 0.1)));
      progress(
        `${trial.name}, locked for ${trial.holdSeconds} s: ${megabytes(result.uncommittedMax)} uncommitted, ${thousands(result.written)} writes, ${thousands(result.refused)} refused`,
      );
      const what = `${trial.name}, the file locked for ${trial.holdSeconds} s`;
      const isLong = trial.holdSeconds > 5;
      findings.push(
        {
          asked: `${what}: uncommitted bytes stay below the bound`,
          measured: `at most ${megabytes(result.uncommittedMax)} of ${megabytes(trial.bytes)}`,
          holds: result.uncommittedMax <= trial.bytes + slackBytes,
        },
        {
          asked: `${what}: ${isLong ? "refused at most with -MISCONF" : "no command fails"}, the others wait`,
          measured: `${thousands(result.written)} written, ${thousands(result.refused)} refused${result.refused > 0 ? ` (${[...result.errors].join("; ").slice(0, 200)})` : ""}, longest wait ${shortNumber(result.longestMs / 1000)} s, writes again ${shortNumber(result.againMs / 1000)} s after the lock`,
          holds: isLong
            ? [...result.errors].every((error) => error.startsWith("MISCONF"))
            : result.refused === 0 && result.longestMs < (trial.holdSeconds + 2) * 1000,
        },
        {
          asked: `${what}: after SAVE and kill -9 every bit is as the clients know it`,
          measured: `${thousands(result.keys)} values compared, ${thousands(result.wrong)} differ`,
          holds: result.wrong === 0 && result.keys > 0,
        },
      );
      figures.push({ ...trial, ...result, errors: [...result.errors] });
    }
    return { findings, figures: { trials: figures } };
  },
};

/**
 * @param {typeof trials[number]} trial
 * @param {number} valueBytes
 */
async function run(trial, valueBytes) {
  const options = { args: ["--write-buffer", trial.buffer] };
  let server = await ServerProcess.start("ours", undefined, options);
  const clients = await Promise.all(
    Array.from({ length: writers }, async (_, i) => {
      const kind = /** @type {"SETBIT" | "SET"} */ (trial.kinds[i % trial.kinds.length]);
      return new WritingClient(await Connection.open(server.port), i, kind, valueBytes);
    }),
  );
  let watching = await Connection.open(server.port);
  const sampler = new Sampler(20, async () => field(await info(watching, "persistence"), "uncommitted_bytes"));
  try {
    for (const client of clients) client.start();
    await sleep(1_000);
    const releasedAt = await lockOut(path.join(server.folder, "bitmapist.db"), trial.holdSeconds);
    await sleep(3_000);
    for (const client of clients) await client.stop();
    const samples = await sampler.stop();
    await waitFor(watching, committed, 60);
    await watching.call("SAVE");
    for (const client of clients) client.close();
    watching.close();
    await server.kill();
    server = await ServerProcess.start("ours", server.folder, options);
    watching = await Connection.open(server.port);
    let wrong = 0;
    let keys = 0;
    for (const client of clients) {
      for (const [key, bytes] of client.model) {
        keys++;
        const reply = /** @type {Buffer | null} */ (await watching.call("GET", key));
        if (reply === null || !sameBits(reply, bytes)) wrong++;
      }
    }
    return {
      uncommittedMax: largest(samples, (bytes) => bytes),
      written: clients.reduce((sum, { written }) => sum + written, 0),
      refused: clients.reduce((sum, { refused }) => sum + refused, 0),
      errors: new Set(clients.flatMap(({ errors }) => [...errors])),
      longestMs: Math.max(...clients.map(({ longestMs }) => longestMs)),
      againMs: Math.min(...clients.map((client) => client.firstWriteAfter(releasedAt))) - releasedAt,
      keys,
      wrong,
    };
  } finally {
    await sampler.stop().catch(() => {});
    for (const client of clients) client.close();
    watching.close();
    await server.discard();
  }
}

/**
 * Keeps others from writing to the file; returns when that ended.
 * @param {string} file
 * @param {number} seconds
 */
async function lockOut(file, seconds) {
  const outside = new Database(file, { timeout: 30_000 });
  try {
    outside.exec("BEGIN IMMEDIATE");
    await sleep(seconds * 1000);
    outside.exec("ROLLBACK");
    return performance.now();
  } finally {
    outside.close();
  }
}

/**
 * @param {Buffer} a
 * @param {Buffer} b
 */
function sameBits(a, b) {
  const length = Math.min(a.length, b.length);
  const isZero = (/** @type {Buffer} */ bytes) => bytes.subarray(length).every((byte) => byte === 0);
  return a.subarray(0, length).equals(b.subarray(0, length)) && isZero(a) && isZero(b);
}

/** A client that writes pipeline after pipeline, and knows what was acknowledged. */
class WritingClient {
  /** @type {Map<string, Buffer>} */
  model = new Map();
  written = 0;
  refused = 0;
  /** @type {Set<string>} */
  errors = new Set();
  longestMs = 0;
  #connection;
  #name;
  #kind;
  #random;
  #values;
  #stopping = false;
  /** @type {Promise<void>} */
  #done = Promise.resolve();
  /** When pipelines ended in which something was written. */
  #writtenAt = /** @type {number[]} */ ([]);

  /**
   * @param {Connection} connection
   * @param {number} index
   * @param {"SETBIT" | "SET"} kind
   * @param {number} valueBytes
   */
  constructor(connection, index, kind, valueBytes) {
    this.#connection = connection;
    this.#name = `writer:${index}`;
    this.#kind = kind;
    this.#random = new Random(1_000 + index);
    this.#values = Array.from({ length: 8 }, () => randomBits(this.#random, valueBytes, valueBytes * 8));
  }

  start() {
    this.#done = this.#run();
    this.#done.catch(() => {});
  }

  async stop() {
    this.#stopping = true;
    await this.#done;
  }

  close() {
    this.#connection.close();
  }

  /** @param {number} time */
  firstWriteAfter(time) {
    return this.#writtenAt.find((at) => at > time) ?? Number.POSITIVE_INFINITY;
  }

  async #run() {
    while (!this.#stopping) {
      const writes = Array.from({ length: this.#kind === "SET" ? 4 : pipeline }, () => this.#next());
      const startedAt = performance.now();
      const bytes = Buffer.concat(writes.map(({ request }) => encodeCommand(request)));
      const replies = await this.#connection.send(bytes, writes.length, { keepErrors: true });
      const endedAt = performance.now();
      this.longestMs = Math.max(this.longestMs, endedAt - startedAt);
      let written = 0;
      replies.forEach((reply, i) => {
        if (reply instanceof Error) {
          this.refused++;
          this.errors.add(reply.message);
          return;
        }
        writes[i]?.apply();
        written++;
      });
      this.written += written;
      if (written > 0) this.#writtenAt.push(endedAt);
      // A refused client tries again, but not at once.
      if (written < replies.length) await sleep(50);
    }
  }

  #next() {
    const key = `${this.#name}:${this.#random.below(keysPerWriter)}`;
    if (this.#kind === "SET") {
      const value = this.#random.pick(this.#values);
      return { request: ["SET", key, value], apply: () => void this.model.set(key, value) };
    }
    const offset = this.#random.below(ids);
    const apply = () => {
      const bytes = this.model.get(key) ?? Buffer.alloc(ids / 8);
      this.model.set(key, bytes);
      setBit(bytes, offset);
    };
    return { request: ["SETBIT", key, offset, 1], apply };
  }
}
