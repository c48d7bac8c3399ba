// How fast are SETBIT, GETBIT and BITCOUNT, over many keys and with many clients?

import { setBits } from "./support/connection.mjs";
import { duelQuestion } from "./support/duel.mjs";
import { Random } from "./support/random.mjs";
import { bitKey } from "./support/requests.mjs";

const keys = 10_000;
const ids = 1_000_000;
const bitsPerKey = 100;
const connections = 50;

export const bitCommands = duelQuestion({
  name: "bit commands",
  rows: [
    ...[1, 16, 100].map((pipeline) => bitRow("SETBIT", pipeline)),
    ...[1, 16, 100].map((pipeline) => bitRow("GETBIT", pipeline)),
    bitRow("BITCOUNT", 16),
  ],
  async load(connection) {
    await setBits(connection, startBits());
  },
  async verify(connection) {
    const counts = [];
    for (let key = 0; key < keys; key += 1_000) {
      const commands = Array.from({ length: 1_000 }, (_, i) => ["BITCOUNT", bitKey(key + i, keys)]);
      counts.push(.../** @type {number[]} */ (await connection.pipeline(commands)));
    }
    return counts;
  },
});

/**
 * @param {"SETBIT" | "GETBIT" | "BITCOUNT"} kind
 * @param {number} pipeline
 * @returns {import("./support/duel.mjs").Row}
 */
function bitRow(kind, pipeline) {
  return {
    name: `${kind}, pipeline ${pipeline}`,
    figure: "rate",
    unit: "commands",
    perOperation: pipeline,
    connections,
    pipeline,
    wholeCycles: false,
    workload: { kind, keys, ids },
    // A BITCOUNT is work; of the others most is the way in and out.
    limits: kind !== "BITCOUNT",
  };
}

/**
 * The highest id in each key first, so that no string of Redis grows while it is measured; then random ones.
 * @returns {Generator<[string, number]>}
 */
function* startBits() {
  const random = new Random(1);
  for (let key = 0; key < keys; key++) {
    const chosen = new Set([ids - 1]);
    while (chosen.size < bitsPerKey) chosen.add(random.below(ids));
    for (const id of chosen) yield [bitKey(key, keys), id];
  }
}
