// What a data set takes in each server: RSS above the empty process, when all is loaded and settled.

import { setTimeout as sleep } from "node:timers/promises";
import { REST_MS } from "../../src/config.js";
import { Connection, setBits } from "./connection.mjs";
import { settled, waitFor } from "./info.mjs";
import { ServerProcess } from "./server-process.mjs";
import { megabytes, shortNumber, thousands } from "./table.mjs";

/** @typedef {import("./result.mjs").Side} Side */

/**
 * @typedef {object} DataSet
 * @property {string} name of the row
 * @property {() => Iterable<readonly [key: string, offset: number]>} bits all different
 * @property {number} [ratioMin] how many times as much Redis is to take
 * @property {number} [bytesPerMemberMax]
 */

const settleSecondsMax = 120;
// Redis has no more to do than to write its log.
const redisSettleMs = 2_000;

/**
 * @param {DataSet} data
 * @returns {import("./result.mjs").Question}
 */
export function memoryQuestion({ name, bits, ratioMin, bytesPerMemberMax }) {
  return {
    name,
    rows: [{ name }],
    async run(_, { sides, progress }) {
      /** @type {Partial<Record<Side, { bytes: number, members: number }>>} */
      const measured = {};
      for (const side of sides) {
        const server = await ServerProcess.start(side);
        try {
          measured[side] = await loadedBytes(server, bits());
        } finally {
          await server.discard();
        }
        progress(`${name}: ${side} ${megabytes(measured[side].bytes)}`);
      }
      const { redis } = measured;
      const ours = /** @type {NonNullable<typeof measured.ours>} */ (measured.ours);
      const ratio = redis && redis.bytes / ours.bytes;
      const perMember = ours.bytes / ours.members;
      const promises = [];
      if (ratioMin !== undefined && ratio !== undefined)
        promises.push({ asked: `at least ${thousands(ratioMin)} times less`, holds: ratio >= ratioMin });
      if (bytesPerMemberMax !== undefined)
        promises.push({ asked: `at most ${bytesPerMemberMax} bytes a member`, holds: perMember <= bytesPerMemberMax });
      return [
        {
          question: name,
          name,
          ours: { ...ours, figure: toldBytes(ours), latency: "-" },
          ...(redis && { redis: { ...redis, figure: toldBytes(redis), latency: "-" } }),
          ...(ratio !== undefined && { ratio: { median: ratio, min: ratio, max: ratio } }),
          promises,
        },
      ];
    },
  };
}

/** @param {{ bytes: number, members: number }} measured */
function toldBytes({ bytes, members }) {
  return `${megabytes(bytes)} (${shortNumber(bytes / members)} bytes a member)`;
}

/**
 * @param {ServerProcess} server empty
 * @param {Iterable<readonly [string, number]>} bits
 */
async function loadedBytes(server, bits) {
  const connection = await Connection.open(server.port);
  try {
    const members = await setBits(connection, bits);
    await settle(server, connection);
    // What changes have used is given back some time after the last of them.
    if (server.isThisProject) await sleep(2 * REST_MS);
    return { bytes: server.rssBytes() - server.emptyRssBytes, members };
  } finally {
    connection.close();
  }
}

/**
 * Waits until what was written is where it is to stay.
 * @param {ServerProcess} server
 * @param {Connection} connection
 */
export async function settle({ isThisProject }, connection) {
  await sleep(redisSettleMs);
  if (isThisProject) await waitFor(connection, settled, settleSecondsMax);
}
