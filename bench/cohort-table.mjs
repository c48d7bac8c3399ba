// How long does a cohort table of bitmapist take, asked by an unchanged client? 20 weeks, each followed for the 20
// weeks after it; 20,000 active users a week out of 50,000,000.

import { setBits } from "./support/connection.mjs";
import { duelQuestion } from "./support/duel.mjs";
import { Random } from "./support/random.mjs";
import { cohortKey, makeBatches } from "./support/requests.mjs";

const rows = 20;
const columns = 20;
const usersPerWeek = 20_000;
const users = 50_000_000;
// Of a week's users, those who were there the week before and those who come back after a longer time; the rest is new.
const stayPart = 0.55;
const returnPart = 0.15;

const byClient = /** @type {const} */ ({ kind: "cohort", rows, columns });
const byCommand = /** @type {const} */ ({ kind: "COHORT", rows, columns });
const cell = 1 / (rows * columns);

export const cohortTable = duelQuestion({
  name: "cohort table",
  rows: [
    {
      name: `cohort table ${rows}x${columns}, by the client`,
      figure: "time",
      unit: "tables",
      perOperation: cell,
      connections: 1,
      pipeline: 1,
      wholeCycles: true,
      workload: byClient,
    },
    {
      name: `the same by one COHORT, Redis by the client`,
      figure: "time",
      unit: "tables",
      perOperation: 1,
      connections: 1,
      pipeline: 1,
      wholeCycles: true,
      workload: byCommand,
      redis: { perOperation: cell, workload: byClient },
    },
  ],
  async load(connection) {
    await setBits(connection, activeUsers());
  },
  /** The counts of a whole table. Where there is COHORT, it must give the same. */
  async verify(connection, side) {
    const counts = [];
    for (const { bytes, endsOperation } of makeBatches(byClient, 1, new Random(1))) {
      const [reply] = (await connection.send(bytes, endsOperation ? 1 : 4)).slice(-1);
      if (endsOperation) counts.push(Number(reply));
    }
    if (counts.some((count) => count === 0)) throw new Error("a cell of the cohort table is empty");
    if (side === "ours") {
      const [batch] = makeBatches(byCommand, 1, new Random(1));
      const [table] = /** @type {[(Buffer | number[])[]]} */ (await connection.send(batch?.bytes ?? "", 1));
      const cells = table.flatMap((row) => (Array.isArray(row) ? row.slice(1) : []));
      if (cells.length !== counts.length || cells.some((count, i) => count !== counts[i]))
        throw new Error("COHORT counts otherwise than the client");
    }
    return counts;
  },
});

/** @returns {Generator<[string, number]>} */
function* activeUsers() {
  const random = new Random(2);
  /** @type {number[]} */
  const everSeen = [];
  /** @type {number[]} */
  let lastWeek = [];
  for (let week = 0; week < rows + columns; week++) {
    const active = new Set(lastWeek.filter(() => random.chance(stayPart)));
    if (everSeen.length > 0) for (let i = 0; i < usersPerWeek * returnPart; i++) active.add(random.pick(everSeen));
    while (active.size < usersPerWeek) active.add(random.below(users));
    lastWeek = [...active];
    everSeen.push(...lastWeek);
    for (const user of lastWeek) yield [cohortKey(week), user];
  }
}
