// How long does a cohort table of bitmapist take, asked by an unchanged client? 20 weeks, each followed for the 20
// weeks after it; 20,000 active users a week out of 50,000,000.

import { cohortCounts, cohortRows } from "./support/cohort-rows.mjs";
import { setBits } from "./support/connection.mjs";
import { duelQuestion } from "./support/duel.mjs";
import { Random } from "./support/random.mjs";
import { cohortKey } from "./support/requests.mjs";

const rows = 20;
const columns = 20;
const usersPerWeek = 20_000;
const users = 50_000_000;
// Of a week's users, those who were there the week before and those who come back after a longer time; the rest is new.
const stayPart = 0.55;
const returnPart = 0.15;

export const cohortTable = duelQuestion({
  name: "cohort table",
  rows: cohortRows(rows, columns),
  async load(connection) {
    await setBits(connection, activeUsers());
  },
  async verify(connection, side) {
    const counts = await cohortCounts(connection, side, rows, columns);
    if (counts.some((count) => count === 0)) throw new Error("a cell of the cohort table is empty");
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
