// What a server tells of itself with INFO, and waiting until it tells something.

import { setTimeout as sleep } from "node:timers/promises";

/** @typedef {import("./connection.mjs").Connection} Connection */
/** @typedef {Record<string, number>} Info fields that are numbers */

/**
 * @param {Connection} connection
 * @param {...string} sections
 * @returns {Promise<Info>}
 */
export async function info(connection, ...sections) {
  const text = String(await connection.call("INFO", ...sections));
  /** @type {Info} */
  const fields = {};
  for (const [, name = "", value] of text.matchAll(/^(\w+):(-?[\d.]+)\r$/gm)) fields[name] = Number(value);
  return fields;
}

/**
 * A field that must be there.
 * @param {Info} fields
 * @param {string} name
 */
export function field(fields, name) {
  const value = fields[name];
  if (value === undefined) throw new Error(`INFO has no field ${name}`);
  return value;
}

/**
 * Waits until INFO persistence is as it should be.
 * @param {Connection} connection
 * @param {(fields: Info) => boolean} isSo
 * @param {number} secondsMax
 */
export async function waitFor(connection, isSo, secondsMax) {
  const deadline = performance.now() + secondsMax * 1000;
  for (;;) {
    const fields = await info(connection, "persistence");
    if (isSo(fields)) return fields;
    if (performance.now() > deadline)
      throw new Error(`after ${secondsMax} s still not: ${isSo.name} (${JSON.stringify(fields)})`);
    await sleep(20);
  }
}

/** @param {Info} fields */
export function committed(fields) {
  return field(fields, "uncommitted_bytes") === 0;
}

/**
 * Nothing is on its way to the disk, and the file's log is empty.
 * @param {Info} fields
 */
export function settled(fields) {
  return committed(fields) && field(fields, "log_bytes") === 0;
}
