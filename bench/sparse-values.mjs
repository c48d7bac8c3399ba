// How fast are BITCOUNT and BITOP on values that are 512 MB long and hold little, and who waits meanwhile? To Redis they are
// strings of that length; Redis needs some 4 GB of memory for this.

import { setBits } from "./support/connection.mjs";
import { duelQuestion } from "./support/duel.mjs";
import { Random } from "./support/random.mjs";
import { bitKey } from "./support/requests.mjs";

const membersOfKeys = [5, 50, 500, 5_000];
const offsets = 2 ** 32;
const ratioMin = 1_000;
const waitMsMax = 5;
const operations = /** @type {const} */ (["AND", "OR", "XOR", "NOT"]);
const keys = membersOfKeys.length;

export const sparseValues = duelQuestion({
  name: "sparse values",
  rows: [
    sparseRow("BITCOUNT", { kind: "BITCOUNT", keys, ids: 1 }),
    ...operations.map((operation) =>
      sparseRow(`BITOP ${operation} and BITCOUNT of it`, { kind: "BITOP", operation, keys }),
    ),
  ],
  async load(connection) {
    await setBits(connection, bits());
  },
  async verify(connection) {
    const counts = [];
    for (let key = 0; key < keys; key++) counts.push(Number(await connection.call("BITCOUNT", bitKey(key, keys))));
    for (const operation of operations) {
      const sources = [0, keys - 1].slice(operation === "NOT" ? 1 : 0).map((key) => bitKey(key, keys));
      counts.push(Number(await connection.call("BITOP", operation, "checked", ...sources)));
      counts.push(Number(await connection.call("BITCOUNT", "checked")));
    }
    await connection.call("DEL", "checked");
    return counts;
  },
});

/**
 * @param {string} work
 * @param {import("./support/requests.mjs").Workload} workload
 * @returns {import("./support/duel.mjs").Row}
 */
function sparseRow(work, workload) {
  return {
    name: `${work}, sparse 512 MB`,
    figure: "time",
    unit: "operations",
    perOperation: 1,
    connections: 1,
    pipeline: 1,
    wholeCycles: true,
    workload,
    ratioMin,
    waitMsMax,
  };
}

/** @returns {Generator<[string, number]>} the last bit that there is, and others anywhere */
function* bits() {
  const random = new Random(3);
  for (const [key, members] of membersOfKeys.entries()) {
    const chosen = new Set([offsets - 1]);
    while (chosen.size < members) chosen.add(random.next());
    for (const offset of chosen) yield [bitKey(key, keys), offset];
  }
}
