// What does durability take from hot keys? The SETBIT benchmark under `everysec` and `no` by turns, and how long the
// storage, and anything else, keeps the event loop.

import { Connection, setBits } from "../support/connection.mjs";
import { info } from "../support/info.mjs";
import { runLoad } from "../support/load.mjs";
import { toldLatencies, whilePinging } from "../support/paced.mjs";
import { bitKey } from "../support/requests.mjs";
import { ServerProcess } from "../support/server-process.mjs";
import { median } from "../support/stats.mjs";
import { milliseconds, shortNumber, thousands } from "../support/table.mjs";
import { temporaryFolder } from "../support/temporary-folder.mjs";
import { scaledPowerOfTen } from "../support/values.mjs";

const keysFull = 10_000;
const ids = 1_000_000;
const connections = 50;
const pipeline = 16;
const rounds = 5;
const roundSecondsDefault = 5;
const ratioMin = 0.85;
const stallMsMax = 5;

const modes = /** @type {const} */ (["everysec", "no"]);

/** @type {import("../storage.mjs").Question} */
export const hotKeys = {
  name: "hot keys",
  minutesMax: 20,
  async run({ scale, seconds = roundSecondsDefault, progress }) {
    const keys = scaledPowerOfTen(keysFull, scale);
    /** @type {Map<string, ServerProcess>} */
    const servers = new Map();
    /** @type {Map<string, number[]>} */
    const rates = new Map(modes.map((mode) => [mode, []]));
    try {
      for (const mode of modes) {
        const server = await ServerProcess.start("ours", temporaryFolder(), { args: ["--appendfsync", mode] });
        servers.set(mode, server);
        const connection = await Connection.open(server.port);
        await setBits(connection, highestBits(keys));
        connection.close();
        server.pause();
      }
      for (let round = 0; round < rounds; round++) {
        for (const mode of round % 2 === 0 ? modes : [...modes].reverse()) {
          const server = /** @type {ServerProcess} */ (servers.get(mode));
          server.resume();
          rates.get(mode)?.push(await setbitRate(server, keys, round, seconds));
          server.pause();
        }
        const told = modes.map((mode) => `${mode} ${shortNumber(rates.get(mode)?.at(-1) ?? 0)}/s`).join(", ");
        progress(`round ${round + 1} of ${rounds}: ${told}`);
      }
      const stalls = [];
      for (const mode of modes) {
        const server = /** @type {ServerProcess} */ (servers.get(mode));
        server.resume();
        stalls.push({ mode, ...(await pinged(server, keys, seconds)) });
        server.pause();
      }
      const everysec = median(rates.get("everysec") ?? []);
      const no = median(rates.get("no") ?? []);
      return {
        findings: [
          {
            asked: `SETBIT, ${connections} connections, pipeline ${pipeline}: everysec at least ${ratioMin} of no`,
            measured: `${shortNumber(everysec / no)} (${thousands(everysec)}/s to ${thousands(no)}/s)`,
            holds: everysec / no >= ratioMin,
          },
          ...stalls.flatMap(({ mode, storage, pings }) => [
            ...(storage.max === undefined || storage.p999 === undefined
              ? []
              : [
                  {
                    asked: `${mode}: the storage keeps the event loop for less than ${stallMsMax} ms (p99.9)`,
                    measured: `${milliseconds(storage.p999)} ms, at most ${milliseconds(storage.max)} ms`,
                    holds: storage.p999 < stallMsMax * 1000,
                  },
                ]),
            {
              asked: `${mode}: GETBIT every ms beside that load`,
              measured: toldLatencies(pings),
            },
          ]),
        ],
        figures: { keys, rates: Object.fromEntries(rates), stalls },
      };
    } finally {
      for (const server of servers.values()) await server.discard();
    }
  },
};

/**
 * @param {ServerProcess} server
 * @param {number} keys
 * @param {number} seed
 * @param {number} seconds
 */
async function setbitRate(server, keys, seed, seconds) {
  const result = await runLoad({
    port: server.port,
    serverPid: server.pid,
    workload: { kind: "SETBIT", keys, ids },
    connections,
    pipeline,
    seed,
    warmupSeconds: 1,
    seconds,
    wholeCycles: false,
    secondsMax: 60 + 20 * seconds,
  });
  return (result.operations * pipeline) / result.seconds;
}

/**
 * @param {ServerProcess} server
 * @param {number} keys
 * @param {number} seconds
 */
async function pinged(server, keys, seconds) {
  const { pings } = await whilePinging(server, () => setbitRate(server, keys, rounds + 1, seconds));
  const connection = await Connection.open(server.port);
  const fields = await info(connection, "persistence");
  connection.close();
  return {
    storage: { p999: fields.flush_stall_us_p999, max: fields.flush_stall_us_max },
    pings,
  };
}

/**
 * @param {number} keys
 * @returns {Generator<[string, number]>}
 */
function* highestBits(keys) {
  for (let key = 0; key < keys; key++) yield [bitKey(key, keys), ids - 1];
}
