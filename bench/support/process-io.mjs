// What a process writes, and files without their cache. Linux only.

import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";

/** @typedef {{ wrote: number, toStorage: number }} Io bytes given to write() and the like; bytes of pages made dirty */

/**
 * @param {number} pid
 * @returns {Io}
 */
export function processIo(pid) {
  const text = readFileSync(`/proc/${pid}/io`, "utf8");
  /** @param {string} name */
  const of = (name) => Number(new RegExp(`^${name}: (\\d+)$`, "m").exec(text)?.[1] ?? Number.NaN);
  return { wrote: of("wchar"), toStorage: of("write_bytes") - of("cancelled_write_bytes") };
}

/** @param {string} file */
export function fileBytes(file) {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * Takes a file out of the system's cache, so that the next reading comes from the disk.
 * @param {string} file
 */
export function dropFromCache(file) {
  spawnSync("dd", [`of=${file}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"]);
}
