// How fast are SETBIT, GETBIT and BITCOUNT, over many keys and with many clients?

import { bitRow } from "./support/bit-rows.mjs";
import { setBits } from "./support/connection.mjs";
import { duelQuestion } from "./support/duel.mjs";
import { Random } from "./support/random.mjs";
import { bitKey } from "./support/requests.mjs";

const keys = 10_000;
const ids = 1_000_000;
const bitsPerKey = 100;

export const bitCommands = duelQuestion({
  name: "bit commands",
  rows: [
    // A BITCOUNT is work; of the others most is the way in and out.
    ...[1, 16, 100].map((pipeline) => ({ ...bitRow("SETBIT", pipeline, { keys, ids }), limits: true })),
    ...[1, 16, 100].map((pipeline) => ({ ...bitRow("GETBIT", pipeline, { keys, ids }), limits: true })),
    bitRow("BITCOUNT", 16, { keys, ids }),
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
