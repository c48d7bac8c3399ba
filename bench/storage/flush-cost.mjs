// Does a flush cost what changed, and not what exists? 1,000 bitmaps of 1,000,000 members each; one new bit in each of
// them every second. First in real time; then as fast as it goes, flush by flush the same, until every bitmap's deltas
// have been folded, so that the figure holds all that a bit ever costs.

import { existsSync, rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, encodeCommand } from "../support/connection.mjs";
import { committed, field, info, settled, waitFor } from "../support/info.mjs";
import { fileBytes, processIo } from "../support/process-io.mjs";
import { Random } from "../support/random.mjs";
import { largest, Sampler } from "../support/sampler.mjs";
import { ServerProcess } from "../support/server-process.mjs";
import { megabytes, shortNumber, thousands } from "../support/table.mjs";
import { temporaryFolder } from "../support/temporary-folder.mjs";
import { randomBits, scaled } from "../support/values.mjs";

const keys = 1_000;
const membersFull = 1_000_000;
const rangeFull = 50_000_000;
const realSecondsDefault = 60;
// The server flushes twice a second.
const flushesPerSecond = 2;
const ageMsMax = 1_000;
const fileRatioMax = 2;
const changedBytesPerBit = 4;
const logRecordBytes = 12;
const settleSecondsMax = 600;
const lapseSecondsMax = 45 * 60;
// Every bitmap has been folded when the deltas, having grown, have nearly all gone.
const grownPart = 0.1;
const gonePart = 0.25;

/** @typedef {{ bits: number, wrote: number, toStorage: number, flushes: number, ageMsMax: number, fileBytesMax: number, walBytesMax: number, seconds: number }} Cost */

/** @type {import("../storage.mjs").Question} */
export const flushCost = {
  name: "flush cost",
  minutesMax: 90,
  async run({ scale, seconds = realSecondsDefault, progress }) {
    const folder = temporaryFolder();
    const backup = path.join(folder, "backup.db");
    const server = await ServerProcess.start("ours", folder, { args: ["--bak", backup] });
    const connection = await Connection.open(server.port);
    try {
      const bits = new Bits(scaled(membersFull, scale), scaled(rangeFull, scale));
      await bits.load(connection, progress);
      await waitFor(connection, settled, settleSecondsMax);
      const folded = await backupBytes(server, backup);
      progress(`loaded and settled: file ${megabytes(fileBytes(database(server)))}, folded copy ${megabytes(folded)}`);

      const real = await measure(server, connection, () => realTime(connection, bits, seconds));
      progress(`${seconds} s in real time: ${told(real)}`);
      const lapse = await measure(server, connection, () => timeLapse(server, connection, bits, progress));
      progress(`time lapse: ${told(lapse)}`);
      const foldedAfter = await backupBytes(server, backup);

      const wholeBytes = folded / keys;
      const fileRatio = Math.max(real.fileBytesMax, lapse.fileBytesMax) / Math.min(folded, foldedAfter);
      return {
        findings: [
          {
            asked: `real time: bytes written per changed bit (${thousands(keys)} keys of ${thousands(bits.members)} members, 1 bit a second each, ${seconds} s)`,
            measured: perBit(real),
          },
          {
            asked: "of it, per flush",
            measured: `${shortNumber(real.wrote / real.flushes / 1024)} KiB for ${shortNumber(real.bits / real.flushes)} bits (${thousands(real.flushes)} flushes), of which ${shortNumber((real.bits / real.flushes) * 0.028)} KB are the log's row and the rest SQLite's pages`,
          },
          {
            asked: "far less than rewriting the values (at most 1 %)",
            measured: `${shortNumber((100 * real.wrote) / (real.bits * wholeBytes))} % of ${megabytes(real.bits * wholeBytes)}`,
            holds: real.wrote < 0.01 * real.bits * wholeBytes || scale < 0.2,
          },
          {
            asked: `the writer keeps up: oldest uncommitted change below ${thousands(ageMsMax)} ms`,
            measured: `${shortNumber(real.ageMsMax)} ms`,
            holds: real.ageMsMax < ageMsMax,
          },
          {
            asked: `steady state with folds: bytes written per changed bit (${thousands(lapse.bits / keys)} bits in each key, ${shortNumber(lapse.bits / keys / 3600)} h at 1 a second)`,
            measured: perBit(lapse),
          },
          {
            asked: `file at most ${fileRatioMax} times its folded copy`,
            measured: `${shortNumber(fileRatio)} times (log at most ${megabytes(Math.max(real.walBytesMax, lapse.walBytesMax))} beside it)`,
            holds: fileRatio <= fileRatioMax,
          },
        ],
        figures: { real, lapse, folded, foldedAfter },
      };
    } finally {
      connection.close();
      await server.discard();
    }
  },
};

/** @param {ServerProcess} server */
function database(server) {
  return path.join(server.folder, "bitmapist.db");
}

/** @param {Cost} cost */
function told({ bits, seconds, ageMsMax: age, ...cost }) {
  return `${thousands(bits)} bits in ${shortNumber(seconds)} s, ${megabytes(cost.wrote)} written, ${thousands(cost.flushes)} flushes, oldest ${shortNumber(age)} ms`;
}

/** @param {Cost} cost */
function perBit({ bits, wrote, toStorage }) {
  const each = wrote / bits;
  return `${shortNumber(each)} bytes: ${shortNumber(each / changedBytesPerBit)} times the ${changedBytesPerBit} bytes of a bit, ${shortNumber(each / logRecordBytes)} times a record of ${logRecordBytes}; the system wrote ${shortNumber(toStorage / bits)}`;
}

/** The bits that are set: never one twice, as far as anybody notices. */
class Bits {
  #random = new Random(11);

  /**
   * @param {number} members
   * @param {number} range
   */
  constructor(members, range) {
    this.members = members;
    this.range = range;
  }

  /**
   * @param {Connection} connection
   * @param {(line: string) => void} progress
   */
  async load(connection, progress) {
    for (let key = 0; key < keys; key++) {
      await connection.call("SET", keyName(key), randomBits(this.#random, this.members, this.range));
      if ((key + 1) % 200 === 0) progress(`${thousands(key + 1)} bitmaps loaded`);
    }
  }

  /**
   * A SETBIT in each of the keys from `from` on, below `to`.
   * @param {number} from
   * @param {number} to
   */
  requests(from, to) {
    const commands = [];
    for (let key = from; key < to; key++) {
      commands.push(encodeCommand(["SETBIT", keyName(key), this.#random.below(this.range), 1]));
    }
    return Buffer.concat(commands);
  }
}

/** @param {number} key */
function keyName(key) {
  return `active:${String(key).padStart(4, "0")}`;
}

/**
 * What some work costs, until it is settled. The work returns how many bits it has changed.
 * @param {ServerProcess} server
 * @param {Connection} connection
 * @param {() => Promise<number>} work
 * @returns {Promise<Cost>}
 */
async function measure(server, connection, work) {
  const watching = await Connection.open(server.port);
  const before = { ...processIo(server.pid), ...(await info(connection, "persistence", "stats")) };
  const startedAt = performance.now();
  const sampler = new Sampler(100, async () => ({
    ageMs: field(await info(watching, "persistence"), "oldest_uncommitted_ms"),
    fileBytes: fileBytes(database(server)),
    walBytes: fileBytes(`${database(server)}-wal`),
  }));
  try {
    const bits = await work();
    const seconds = (performance.now() - startedAt) / 1000;
    const samples = await sampler.stop();
    await waitFor(connection, settled, settleSecondsMax);
    await waitForQuiet(server);
    const after = { ...processIo(server.pid), ...(await info(connection, "persistence", "stats")) };
    const sent = field(after, "total_net_output_bytes") - field(before, "total_net_output_bytes");
    return {
      bits,
      // Replies are written with the same calls as files.
      wrote: after.wrote - before.wrote - sent,
      toStorage: after.toStorage - before.toStorage,
      flushes: field(after, "flushes") - field(before, "flushes"),
      ageMsMax: largest(samples, ({ ageMs }) => ageMs),
      fileBytesMax: largest(samples, (sample) => sample.fileBytes),
      walBytesMax: largest(samples, (sample) => sample.walBytes),
      seconds,
    };
  } finally {
    await sampler.stop().catch(() => {});
    watching.close();
  }
}

/**
 * Folding may go on after the log is empty.
 * @param {ServerProcess} server
 */
async function waitForQuiet(server) {
  for (let wrote = 0, round = 0; round < settleSecondsMax; round++) {
    await sleep(1_000);
    const now = processIo(server.pid).wrote;
    if (now - wrote < 100_000) return;
    wrote = now;
  }
}

/**
 * @param {Connection} connection
 * @param {Bits} bits
 * @param {number} seconds
 */
async function realTime(connection, bits, seconds) {
  const slices = 100;
  const startedAt = performance.now();
  let changed = 0;
  for (let slice = 0; slice < seconds * slices; slice++) {
    const from = (slice % slices) * (keys / slices);
    await sleep(Math.max(0, startedAt + (slice * 1000) / slices - performance.now()));
    changed += ones(await connection.send(bits.requests(from, from + keys / slices), keys / slices));
  }
  return changed;
}

/**
 * Second after second as in real time, each with its flushes, but without waiting for the clock.
 * @param {ServerProcess} server
 * @param {Connection} connection
 * @param {Bits} bits
 * @param {(line: string) => void} progress
 */
async function timeLapse(server, connection, bits, progress) {
  await connection.call("CONFIG", "SET", "appendfsync", "no");
  const startedAt = performance.now();
  const valueBytes = fileBytes(database(server));
  let changed = 0;
  let debtMax = 0;
  let toldAt = startedAt;
  try {
    for (;;) {
      for (let flush = 0; flush < flushesPerSecond; flush++) {
        const from = (flush * keys) / flushesPerSecond;
        const to = ((flush + 1) * keys) / flushesPerSecond;
        changed += ones(await connection.send(bits.requests(from, to), to - from));
        await connection.call("BGSAVE");
        await untilCommitted(connection);
      }
      const debt = field(await info(connection, "persistence"), "fold_debt_bytes");
      debtMax = Math.max(debtMax, debt);
      if (debtMax > grownPart * valueBytes && debt < gonePart * debtMax) return changed;
      const now = performance.now();
      if (now - startedAt > lapseSecondsMax * 1000) {
        progress(`not all is folded after ${lapseSecondsMax} s: the figure leaves that out`);
        return changed;
      }
      if (now - toldAt < 10_000) continue;
      toldAt = now;
      progress(
        `time lapse: ${thousands(changed / keys)} s, deltas ${megabytes(debt)} of ${megabytes(valueBytes)}, file ${megabytes(fileBytes(database(server)))}`,
      );
    }
  } finally {
    await connection.call("CONFIG", "SET", "appendfsync", "everysec");
  }
}

/** @param {Connection} connection */
async function untilCommitted(connection) {
  while (!committed(await info(connection, "persistence")));
}

/** @param {readonly import("../support/connection.mjs").Reply[]} replies old values of bits: 0 where one has changed */
function ones(replies) {
  return replies.reduce((/** @type {number} */ sum, reply) => sum + (reply === 0 ? 1 : 0), 0);
}

/**
 * @param {ServerProcess} server
 * @param {string} backup
 */
async function backupBytes(server, backup) {
  rmSync(backup, { force: true });
  server.signal("SIGUSR1");
  for (let waited = 0; !existsSync(backup); waited += 50) {
    if (waited > settleSecondsMax * 1000) throw new Error(`no backup:\n${server.log()}`);
    await sleep(50);
  }
  return fileBytes(backup);
}
