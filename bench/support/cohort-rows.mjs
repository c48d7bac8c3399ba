// The rows of a cohort table over cohortKey(0) and those that follow: asked by an unchanged client, and by one COHORT.

import { Random } from "./random.mjs";
import { makeBatches } from "./requests.mjs";

/**
 * @param {number} rows
 * @param {number} columns
 */
function workloads(rows, columns) {
  return {
    byClient: /** @type {const} */ ({ kind: "cohort", rows, columns }),
    byCommand: /** @type {const} */ ({ kind: "COHORT", rows, columns }),
  };
}

/**
 * @param {number} rows
 * @param {number} columns
 * @param {string} [of] which data, where it is not this question's own
 * @returns {import("./duel.mjs").Row[]}
 */
export function cohortRows(rows, columns, of = "") {
  const { byClient, byCommand } = workloads(rows, columns);
  const cell = 1 / (rows * columns);
  const common = /** @type {const} */ ({
    figure: "time",
    unit: "tables",
    connections: 1,
    pipeline: 1,
    wholeCycles: true,
  });
  return [
    {
      ...common,
      name: `${of}cohort table ${rows}x${columns}, by the client`,
      perOperation: cell,
      workload: byClient,
    },
    {
      ...common,
      name: `${of}the same by one COHORT, Redis by the client`,
      perOperation: 1,
      workload: byCommand,
      redis: { perOperation: cell, workload: byClient },
    },
  ];
}

/**
 * The counts of a whole table. Where there is COHORT, it must give the same.
 * @param {import("./connection.mjs").Connection} connection
 * @param {import("./result.mjs").Side} side
 * @param {number} rows
 * @param {number} columns
 */
export async function cohortCounts(connection, side, rows, columns) {
  const { byClient, byCommand } = workloads(rows, columns);
  const counts = [];
  for (const { bytes, endsOperation } of makeBatches(byClient, 1, new Random(1))) {
    const [reply] = (await connection.send(bytes, endsOperation ? 1 : 4)).slice(-1);
    if (endsOperation) counts.push(Number(reply));
  }
  if (side === "ours") {
    const [batch] = makeBatches(byCommand, 1, new Random(1));
    const [table] = /** @type {[(Buffer | number[])[]]} */ (await connection.send(batch?.bytes ?? "", 1));
    const cells = table.flatMap((row) => (Array.isArray(row) ? row.slice(1) : []));
    if (cells.length !== counts.length || cells.some((count, i) => count !== counts[i]))
      throw new Error("COHORT counts otherwise than the client");
  }
  return counts;
}
