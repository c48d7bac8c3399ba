// What does a year of a product's users take in memory, once nobody asks for most of it any more? Redis keeps all of it as
// strings, more than is here to measure: their lengths are computed, and the rule is checked with a part of the keys in Redis.

import { setTimeout as sleep } from "node:timers/promises";
import { IDLE_MS, TRIM_PAUSE_MS } from "../src/config.js";
import { Connection, setBits } from "./support/connection.mjs";
import { field, info } from "./support/info.mjs";
import { settle } from "./support/memory.mjs";
import { ServerProcess } from "./support/server-process.mjs";
import { megabytes, shortNumber, thousands } from "./support/table.mjs";
import { markedBits } from "./support/user-base.mjs";

const name = "one year of users: what it takes";
const seed = 5;
const ratioMin = 443;
const pollMs = 1_000;
// The sweep of what is idle goes round in the background, a little at a time.
const idleWaitMsMax = 2 * IDLE_MS;
// Of the keys, in the order in which they come, one of so many is put into Redis.
const sampleEvery = 50;

/** @typedef {import("./support/result.mjs").Settings} Settings */

/** @type {import("./support/result.mjs").Question} */
export const oneYear = {
  name: "one year",
  rows: [{ name }],
  isLong: true,
  async run(_, settings) {
    const year = new Year(markedBits(seed, settings.days));
    const ours = await loadedAndIdle(year, settings);
    const { lengths } = year;
    const strings = [...lengths.values()].reduce((sum, length) => sum + length, 0);
    const ratio = strings / ours.bytes;
    const checked = settings.sides.includes("redis") ? await checkedInRedis(year, settings) : undefined;
    return [
      {
        question: "one year",
        name: `${name}: ${thousands(lengths.size)} keys, ${thousands(ours.members)} members`,
        ours: {
          ...ours,
          figure: `${megabytes(ours.bytes)} (${megabytes(ours.loadedBytes)} before idle keys left; file ${megabytes(ours.fileBytes)})`,
          latency: "-",
        },
        redis: {
          strings,
          checked,
          figure: `${megabytes(strings)} of strings, computed${checked === undefined ? "" : `; of a sample it takes ${shortNumber(checked.usedBytes / checked.stringBytes)} times that`}`,
          latency: "-",
        },
        ratio: { median: ratio, min: ratio, max: ratio },
        promises: [{ asked: `at least ${ratioMin} times less`, holds: ratio >= ratioMin }],
      },
    ];
  },
};

/** The bits, and what is seen of them as they go by. */
class Year {
  /** How long Redis' string of each key is. @type {Map<string, number>} */
  lengths = new Map();
  /** All bits of a part of the keys. @type {[key: string, offset: number][]} */
  sample = [];
  #sampled = new Set();
  #bits;

  /** @param {Iterable<[string, number]>} bits */
  constructor(bits) {
    this.#bits = bits;
  }

  *bits() {
    for (const bit of this.#bits) {
      const [key, id] = bit;
      const length = this.lengths.get(key);
      if (length === undefined && this.lengths.size % sampleEvery === 0) this.#sampled.add(key);
      if (this.#sampled.has(key)) this.sample.push(bit);
      this.lengths.set(key, Math.max(length ?? 0, stringLength(id)));
      yield bit;
    }
  }
}

/** @param {number} highest bit that is set */
function stringLength(highest) {
  return (highest >>> 3) + 1;
}

/**
 * @param {Year} year
 * @param {Settings} settings
 */
async function loadedAndIdle(year, { progress }) {
  const server = await ServerProcess.start("ours");
  try {
    const connection = await Connection.open(server.port);
    const members = await setBits(connection, year.bits());
    await settle(server, connection);
    const loadedBytes = server.rssBytes() - server.emptyRssBytes;
    progress(
      `${name}: ${thousands(members)} members in ${thousands(year.lengths.size)} keys: ${megabytes(loadedBytes)}`,
    );
    await noneResident(connection, progress);
    // What they have left behind in the heap is given back some time after.
    await sleep(2 * TRIM_PAUSE_MS);
    const bytes = server.rssBytes() - server.emptyRssBytes;
    progress(`${name}: ${megabytes(bytes)} when no key is in memory`);
    const fileBytes = server.fileBytes("bitmapist.db");
    connection.close();
    return { bytes, loadedBytes, fileBytes, members };
  } finally {
    await server.discard();
  }
}

/**
 * @param {Connection} connection
 * @param {(line: string) => void} progress
 */
async function noneResident(connection, progress) {
  const deadline = performance.now() + idleWaitMsMax;
  progress(`${name}: waits until nothing was used for ${IDLE_MS / 60_000} minutes`);
  while (field(await info(connection, "memory"), "resident_keys") > 0) {
    if (performance.now() > deadline) throw new Error(`keys are in memory after ${idleWaitMsMax / 1000} idle seconds`);
    await sleep(pollMs);
  }
}

/**
 * A part of the keys in Redis, with the very bits: their strings must be as long as computed.
 * @param {Year} year
 * @param {Settings} settings
 */
async function checkedInRedis({ sample, lengths }, { progress }) {
  const server = await ServerProcess.start("redis");
  try {
    const connection = await Connection.open(server.port);
    const before = field(await info(connection, "memory"), "used_memory");
    await setBits(connection, sample);
    const usedBytes = field(await info(connection, "memory"), "used_memory") - before;
    const keys = new Set(sample.map(([key]) => key));
    let stringBytes = 0;
    for (const key of keys) {
      const length = Number(await connection.call("STRLEN", key));
      if (length !== lengths.get(key)) throw new Error(`${key} has ${length} bytes in Redis, not ${lengths.get(key)}`);
      stringBytes += length;
    }
    connection.close();
    const rssBytes = server.rssBytes() - server.emptyRssBytes;
    progress(
      `${name}: ${keys.size} keys in Redis: strings ${megabytes(stringBytes)}, used_memory ${megabytes(usedBytes)}, RSS ${megabytes(rssBytes)}`,
    );
    return { keys: keys.size, stringBytes, usedBytes, rssBytes };
  } finally {
    await server.discard();
  }
}
