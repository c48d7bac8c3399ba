// Files of bitmaps: one a line, values separated by commas, plain or .gz, as CRoaring's benchmarks have them.

import { readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { Random } from "./random.mjs";

/**
 * @param {string} file
 * @returns {number[][]}
 */
export function readBitmapFile(file) {
  const bytes = readFileSync(file);
  const text = (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("latin1");
  return text.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.split(",").map(Number)]));
}

/** @param {string} file */
export function isBitmapFile(file) {
  return /\.txt(\.gz)?$/.test(file);
}

/** @param {string} file */
export function bitmapFileName(file) {
  return path.basename(file).replace(/\.txt(\.gz)?$/, "");
}

/**
 * All bits of all bitmaps in random order, as events of many users arrive.
 * @param {readonly (readonly number[])[]} bitmaps
 * @param {(index: number) => string} keyOf
 * @param {number} seed
 * @returns {Generator<[string, number]>}
 */
export function* shuffledBits(bitmaps, keyOf, seed) {
  const places = bitmaps.flatMap((bitmap, i) => bitmap.map((_, j) => [i, j]));
  const order = Uint32Array.from(places.keys());
  new Random(seed).shuffle(order);
  for (const place of order) {
    const [i = 0, j = 0] = places[place] ?? [];
    yield [keyOf(i), bitmaps[i]?.[j] ?? 0];
  }
}
