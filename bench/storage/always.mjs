// Under `always`, does one commit serve all who wait? One client against fifty, none of them pipelined.

import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import path from "node:path";
import { runLoad } from "../support/load.mjs";
import { ServerProcess } from "../support/server-process.mjs";
import { median } from "../support/stats.mjs";
import { shortNumber, thousands } from "../support/table.mjs";
import { temporaryFolder } from "../support/temporary-folder.mjs";
import { scaledPowerOfTen } from "../support/values.mjs";

const keysFull = 10_000;
const ids = 1_000_000;
const many = 50;
const rounds = 3;
const roundSecondsDefault = 5;
const ratioMin = 20;
const syncs = 300;

/** @type {import("../storage.mjs").Question} */
export const always = {
  name: "always",
  minutesMax: 15,
  async run({ scale, seconds = roundSecondsDefault, progress }) {
    const keys = scaledPowerOfTen(keysFull, scale);
    const safe = await ServerProcess.start("ours", temporaryFolder(), { args: ["--appendfsync", "always"] });
    const usual = await ServerProcess.start("ours", temporaryFolder(), { args: ["--appendfsync", "everysec"] });
    try {
      /** @type {{ one: number[], many: number[], everysec: number[] }} */
      const rates = { one: [], many: [], everysec: [] };
      for (let round = 0; round < rounds; round++) {
        rates.one.push(await rate(safe, keys, 1, round, seconds));
        rates.many.push(await rate(safe, keys, many, rounds + round, seconds));
        rates.everysec.push(await rate(usual, keys, many, round, seconds));
        progress(
          `round ${round + 1} of ${rounds}: ${shortNumber(rates.one.at(-1) ?? 0)}/s, ${shortNumber(rates.many.at(-1) ?? 0)}/s; everysec ${shortNumber(rates.everysec.at(-1) ?? 0)}/s`,
        );
      }
      const syncMs = median(syncTimes(path.join(safe.folder, "sync-test")));
      const [one, fifty, everysec] = [median(rates.one), median(rates.many), median(rates.everysec)];
      return {
        findings: [
          {
            asked: `always: ${many} clients write at least ${ratioMin} times as much as 1`,
            measured: `${shortNumber(fifty / one)} times (${thousands(fifty)}/s to ${thousands(one)}/s)`,
            holds: fifty / one >= ratioMin,
          },
          {
            asked:
              "for comparison: one commit of one client, and what this disk takes for write and fdatasync of 4 KiB",
            measured: `${shortNumber(1000 / one)} ms; ${shortNumber(syncMs)} ms`,
          },
          { asked: `for comparison: everysec, ${many} clients`, measured: `${thousands(everysec)}/s` },
        ],
        figures: { keys, rates, syncMs },
      };
    } finally {
      await safe.discard();
      await usual.discard();
    }
  },
};

/**
 * @param {ServerProcess} server
 * @param {number} keys
 * @param {number} connections
 * @param {number} seed
 * @param {number} seconds
 */
async function rate(server, keys, connections, seed, seconds) {
  const result = await runLoad({
    port: server.port,
    serverPid: server.pid,
    workload: { kind: "SETBIT", keys, ids },
    connections,
    pipeline: 1,
    seed,
    warmupSeconds: 1,
    seconds,
    wholeCycles: false,
    secondsMax: 60 + 20 * seconds,
  });
  return result.operations / result.seconds;
}

/** @param {string} name */
function syncTimes(name) {
  const file = openSync(name, "w");
  const page = Buffer.alloc(4096, 1);
  try {
    return Array.from({ length: syncs }, () => {
      const startedAt = performance.now();
      writeSync(file, page);
      fdatasyncSync(file);
      return performance.now() - startedAt;
    });
  } finally {
    closeSync(file);
  }
}
