// Does the write-ahead log stay small under load, also when others have the file open? And after somebody has read for a
// long time, so that it had to grow?

import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { Connection } from "../support/connection.mjs";
import { runLoad } from "../support/load.mjs";
import { fileBytes } from "../support/process-io.mjs";
import { Random } from "../support/random.mjs";
import { largest, Sampler } from "../support/sampler.mjs";
import { ServerProcess } from "../support/server-process.mjs";
import { megabytes, shortNumber } from "../support/table.mjs";
import { randomBits, scaled, scaledPowerOfTen } from "../support/values.mjs";

const keysFull = 10_000;
const ids = 1_000_000;
const walBytesMax = 80e6;
const phaseSecondsDefault = 20;
const largeValueBytes = 250_000;

/** @typedef {{ server: ServerProcess, outside: import("better-sqlite3").Database, walBytes: () => number, setbits: (seconds: number) => Promise<unknown>, seconds: number, largeKeys: number }} Bench */

/** @type {import("../storage.mjs").Question} */
export const walBound = {
  name: "WAL bounded",
  minutesMax: 15,
  async run({ scale, seconds = phaseSecondsDefault, progress }) {
    const server = await ServerProcess.start("ours");
    const database = path.join(server.folder, "bitmapist.db");
    const outside = new Database(database, { readonly: true });
    const walBytes = () => fileBytes(`${database}-wal`);
    const keys = scaledPowerOfTen(keysFull, scale);
    let seed = 0;
    const setbits = (/** @type {number} */ time) =>
      runLoad({
        port: server.port,
        serverPid: server.pid,
        workload: { kind: "SETBIT", keys, ids },
        connections: 50,
        pipeline: 16,
        seed: seed++,
        warmupSeconds: 0.1,
        seconds: time,
        wholeCycles: false,
        secondsMax: 60 + 20 * time,
      });
    try {
      const bench = { server, outside, walBytes, setbits, seconds, largeKeys: scaled(400, scale) };
      const idle = await sampled(bench, () => setbits(seconds));
      progress(`an idle reader: ${megabytes(idle.max)}`);
      const large = await sampled(bench, () => setLarge(bench));
      progress(`large values: ${megabytes(large.max)}`);
      const { held, heldSeconds, after, backAfterSeconds } = await holdSnapshot(bench);
      progress(`a long read: ${megabytes(held.max)}, back after ${backAfterSeconds ?? "never"} s`);
      return {
        findings: [
          {
            asked: `(a) SETBIT for ${seconds} s, somebody has the file open: -wal below ${megabytes(walBytesMax)}`,
            measured: `at most ${megabytes(idle.max)}`,
            holds: idle.max < walBytesMax,
          },
          {
            asked: `(a) SET of values of ${megabytes(largeValueBytes)}, for ${seconds} s: the same`,
            measured: `at most ${megabytes(large.max)}`,
            holds: large.max < walBytesMax,
          },
          {
            asked: `(b) both while a read transaction is open for ${shortNumber(heldSeconds)} s: how far it grows`,
            measured: `${megabytes(held.max)}`,
          },
          {
            asked: `(b) when it has ended: -wal below ${megabytes(walBytesMax)} again`,
            measured:
              backAfterSeconds === undefined
                ? `no: ${megabytes(after)} after ${seconds} s of further load`
                : `after ${shortNumber(backAfterSeconds)} s`,
            holds: backAfterSeconds !== undefined,
          },
        ],
        figures: { idle, large, held, after, backAfterSeconds },
      };
    } finally {
      outside.close();
      await server.discard();
    }
  },
};

/**
 * @param {Bench} bench
 * @param {() => Promise<unknown>} work
 */
async function sampled({ walBytes }, work) {
  const sampler = new Sampler(20, walBytes);
  try {
    await work();
  } finally {
    await sampler.stop();
  }
  return { max: largest(sampler.samples, (bytes) => bytes), last: walBytes() };
}

/** @param {Bench} bench */
async function setLarge({ server, seconds, largeKeys }) {
  const connection = await Connection.open(server.port);
  const random = new Random(3);
  const values = Array.from({ length: 16 }, () => randomBits(random, largeValueBytes, largeValueBytes * 8));
  const end = performance.now() + seconds * 1000;
  try {
    while (performance.now() < end) {
      await connection.pipeline(values.map((value) => ["SET", `large:${random.below(largeKeys)}`, value]));
    }
  } finally {
    connection.close();
  }
}

/** @param {Bench} bench */
async function holdSnapshot(bench) {
  const { outside, walBytes, seconds } = bench;
  const load = () => Promise.all([bench.setbits(seconds), setLarge(bench)]);
  const startedAt = performance.now();
  outside.exec("BEGIN");
  outside.prepare("SELECT count(*) FROM databases").get();
  const held = await sampled(bench, load);
  outside.exec("COMMIT");
  const endedAt = performance.now();
  /** @type {number | undefined} */
  let backAfterSeconds;
  const further = load();
  const deadline = endedAt + seconds * 1000;
  while (performance.now() < deadline) {
    if (walBytes() < walBytesMax) backAfterSeconds ??= (performance.now() - endedAt) / 1000;
    await sleep(10);
  }
  await further;
  return { held, heldSeconds: (endedAt - startedAt) / 1000, after: walBytes(), backAfterSeconds };
}
