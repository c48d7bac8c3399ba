// Do a million hot keys make the garbage collector stop the server? GETBIT at half of the highest rate, the requests sent
// when they are due whatever the server does.

import { setTimeout as sleep } from "node:timers/promises";
import { Connection, encodeCommand, setBits } from "../support/connection.mjs";
import { info, settled, waitFor } from "../support/info.mjs";
import { runLoad } from "../support/load.mjs";
import { Paced, toldLatencies } from "../support/paced.mjs";
import { Random } from "../support/random.mjs";
import { bitKey } from "../support/requests.mjs";
import { ServerProcess } from "../support/server-process.mjs";
import { megabytes, thousands } from "../support/table.mjs";
import { randomBits, scaledPowerOfTen } from "../support/values.mjs";

const keysFull = 1_000_000;
const ids = 1_000_000;
const connections = 50;
const pipeline = 16;
const secondsDefault = 30;
// The collector is asked after, and not the compiler, which has work to do when the clients change.
const warmupSeconds = 2;
const p999MsMax = 5;
// Too many for the server's form without objects.
const nativeMembers = 1_200;
const nativeRange = 40_000;

/** @type {import("../storage.mjs").Question} */
export const garbageCollection = {
  name: "garbage collection",
  minutesMax: 30,
  async run({ scale, seconds = secondsDefault, progress }) {
    const keys = scaledPowerOfTen(keysFull, scale);
    const findings = [];
    const figures = [];
    for (const { name, load } of variants) {
      const measured = await measure(keys, load, seconds);
      const { p999 } = measured.result.latencies.percentiles();
      progress(`${name}: ${told(measured)}`);
      findings.push({
        asked: `${thousands(keys)} hot keys of ${name}, GETBIT at half of ${thousands(measured.rateMax)}/s: p99.9 below ${p999MsMax} ms`,
        measured: told(measured),
        holds: p999 < p999MsMax * 1000,
      });
      figures.push({ name, ...measured });
    }
    return { findings, figures: { keys, variants: figures } };
  },
};

const variants = [
  { name: "1 to 3 members", load: loadSmall },
  { name: `${nativeMembers} members`, load: loadNative },
];

/** @param {Awaited<ReturnType<typeof measure>>} measured */
function told({ result, rss, natives }) {
  return `${toldLatencies(result)} at ${thousands(result.perSecond)}/s, RSS ${megabytes(rss)}, ${thousands(natives)} native values`;
}

/**
 * @param {number} keys
 * @param {(connection: Connection, keys: number) => Promise<void>} load
 * @param {number} seconds
 */
async function measure(keys, load, seconds) {
  const server = await ServerProcess.start("ours");
  const connection = await Connection.open(server.port);
  try {
    await load(connection, keys);
    // Loading is over when the file is in order, and the writer's thread has nothing to collect any more.
    await waitFor(connection, settled, 300);
    await sleep(8_000);
    const workload = /** @type {const} */ ({ kind: "GETBIT", keys, ids });
    const most = await runLoad({
      port: server.port,
      serverPid: server.pid,
      workload,
      connections,
      pipeline,
      seed: 1,
      warmupSeconds,
      seconds: Math.min(seconds, 5),
      wholeCycles: false,
      secondsMax: 120,
    });
    const rateMax = (most.operations * pipeline) / most.seconds;
    const perSecond = rateMax / 2;
    const paced = await Paced.start({
      port: server.port,
      serverPid: server.pid,
      workload,
      connections,
      pipeline,
      perSecond,
      warmupSeconds,
      seed: 2,
      secondsMax: warmupSeconds + seconds,
    });
    await sleep((warmupSeconds + seconds) * 1000);
    const result = await paced.stop();
    const { resident_bitmaps: natives = 0 } = await info(connection, "memory");
    return {
      result,
      rateMax,
      rss: server.rssBytes(),
      natives,
    };
  } finally {
    connection.close();
    await server.discard();
  }
}

/**
 * @param {Connection} connection
 * @param {number} keys
 */
async function loadSmall(connection, keys) {
  const random = new Random(9);
  const bits = function* () {
    for (let key = 0; key < keys; key++) {
      // In different thirds of the ids, so that no two are the same.
      for (let member = 0; member <= key % 3; member++) {
        yield/** @type {[string, number]} */ ([
          bitKey(key, keys),
          Math.floor(((member + random.below(1_000) / 1_000) * ids) / 3),
        ]);
      }
    }
  };
  await setBits(connection, bits());
}

/**
 * @param {Connection} connection
 * @param {number} keys
 */
async function loadNative(connection, keys) {
  const random = new Random(9);
  const atOnce = 500;
  for (let from = 0; from < keys; from += atOnce) {
    const requests = [];
    for (let key = from; key < Math.min(from + atOnce, keys); key++)
      requests.push(encodeCommand(["SET", bitKey(key, keys), randomBits(random, nativeMembers, nativeRange)]));
    await connection.send(Buffer.concat(requests), requests.length);
  }
}
