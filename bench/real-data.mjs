// The same on real bitmaps: those of a folder, each file a set of them.

import { readdirSync } from "node:fs";
import path from "node:path";
import { bitRow } from "./support/bit-rows.mjs";
import { bitmapFileName, isBitmapFile, readBitmapFile, shuffledBits } from "./support/bitmap-file.mjs";
import { cohortCounts, cohortRows } from "./support/cohort-rows.mjs";
import { bitCounts, setBits } from "./support/connection.mjs";
import { duelQuestion } from "./support/duel.mjs";
import { memoryQuestion } from "./support/memory.mjs";
import { bitKey, cohortKey } from "./support/requests.mjs";

const seed = 6;
const cohortSize = 20;
// Below the largest value of each known set, so that no string of Redis grows while it is measured.
const ids = 1_000_000;
const operations = /** @type {const} */ (["AND", "OR", "XOR", "NOT"]);

/** @typedef {import("./support/result.mjs").Question} Question */

/**
 * @param {string} folder
 * @returns {Question[]}
 */
export function realData(folder) {
  const files = readdirSync(folder).filter(isBitmapFile).sort();
  if (files.length === 0) throw new Error(`${folder} has no files of bitmaps (*.txt, *.txt.gz)`);
  return files.flatMap((file) => questionsOf(path.join(folder, file)));
}

/**
 * @param {string} file
 * @returns {Question[]}
 */
function questionsOf(file) {
  const of = `${bitmapFileName(file)}: `;
  const bitmaps = readBitmapFile(file);
  const keys = bitmaps.length;
  const over = { keys, ids };
  const keyOf = (/** @type {number} */ index) => bitKey(index, keys);
  return [
    memoryQuestion({ name: `${of}memory`, bits: () => shuffledBits(bitmaps, keyOf, seed) }),
    duelQuestion({
      name: `${of}commands`,
      rows: [
        bitRow("GETBIT", 16, over, of),
        bitRow("BITCOUNT", 16, over, of),
        ...operations.map((operation) => bitopRow(operation, keys, of)),
        ...(keys >= 2 * cohortSize ? cohortRows(cohortSize, cohortSize, of) : []),
        // The last: it changes the bitmaps.
        bitRow("SETBIT", 16, over, of),
      ],
      async load(connection) {
        await setBits(connection, shuffledBits(bitmaps, keyOf, seed));
        await setBits(connection, shuffledBits(bitmaps.slice(0, 2 * cohortSize), cohortKey, seed));
      },
      async verify(connection, side) {
        const counts = await bitCounts(
          connection,
          Array.from({ length: keys }, (_, index) => keyOf(index)),
        );
        const wrong = bitmaps.findIndex((bitmap, index) => bitmap.length !== counts[index]);
        if (wrong !== -1) throw new Error(`${side}: BITCOUNT ${keyOf(wrong)} is ${counts[wrong]}`);
        if (keys < 2 * cohortSize) return counts;
        return [...counts, ...(await cohortCounts(connection, side, cohortSize, cohortSize))];
      },
    }),
  ];
}

/**
 * @param {"AND" | "OR" | "XOR" | "NOT"} operation
 * @param {number} keys
 * @param {string} of
 * @returns {import("./support/duel.mjs").Row}
 */
function bitopRow(operation, keys, of) {
  return {
    name: `${of}BITOP ${operation} and BITCOUNT of it`,
    figure: "rate",
    unit: "operations",
    perOperation: 1,
    connections: 1,
    pipeline: 1,
    wholeCycles: false,
    workload: { kind: "BITOP", operation, keys },
  };
}
