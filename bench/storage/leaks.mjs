// Does memory grow with time? A mix of everything that makes and drops values, for an hour.

import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, encodeCommand } from "../support/connection.mjs";
import { info } from "../support/info.mjs";
import { Random } from "../support/random.mjs";
import { Sampler } from "../support/sampler.mjs";
import { ServerProcess } from "../support/server-process.mjs";
import { median } from "../support/stats.mjs";
import { svgPlot } from "../support/svg.mjs";
import { megabytes, shortNumber, thousands } from "../support/table.mjs";
import { randomBits } from "../support/values.mjs";

const secondsDefault = 3_600;
const secondsMin = 30;
const clients = 4;
const requestsAtOnce = 50;
const keysPerClient = 2_500;
const ids = 1_000_000;
// A database is filled and emptied.
const flushedDatabase = 9;
const flushEverySeconds = 10;
const flushedKeys = 5_000;
const growthMax = 0.1;
// Clients that leave in the middle of something: what they send before they do.
const visitEveryMs = 10;
const visits = [
  "PING\r\n",
  "*3\r\n$3\r\nSET\r\n$7\r\nvisitor\r\n$100000\r\nnot all of it",
  "KEYS *\r\nPING\r\n",
  "WAIT 1 0\r\n",
  "SUBSCRIBE nobody\r\nMULTI\r\nSETBIT visitor 1 1\r\n",
];

/** @type {import("../storage.mjs").Question} */
export const leaks = {
  name: "leaks",
  minutesMax: 90,
  async run({ scale, seconds: asked, svg, progress }) {
    const seconds = asked ?? Math.max(secondsMin, secondsDefault * scale);
    const server = await ServerProcess.start("ours");
    const connections = await Promise.all(Array.from({ length: clients + 2 }, () => Connection.open(server.port)));
    const [flushing, watching, ...mixing] = /** @type {[Connection, Connection, ...Connection[]]} */ (connections);
    let toldAt = 0;
    const sampler = new Sampler(1_000, () => {
      const rss = server.rssBytes();
      const now = performance.now();
      if (now - toldAt > 30_000) {
        toldAt = now;
        progress(`RSS ${megabytes(rss)}`);
      }
      return rss;
    });
    try {
      const end = performance.now() + seconds * 1000;
      const requests = await Promise.all([
        fillAndFlush(flushing, end),
        comeAndGo(server.port, end),
        ...mixing.map((connection, i) => mix(connection, i, end)),
      ]);
      const samples = await sampler.stop();
      const fields = await info(watching, "memory", "stats", "persistence");
      const total = requests.reduce((sum, count) => sum + count, 0);
      const early = medianNear(samples, 0.1, 0.02);
      const late = medianNear(samples, 0.975, 0.025);
      if (svg !== undefined) {
        mkdirSync(svg, { recursive: true });
        const points = samples.map(({ seconds: x, value }) => ({ x: x / 60, y: value / 1e6 }));
        writeFileSync(
          path.join(svg, "leaks.svg"),
          svgPlot({
            title: "Memory under a mixed load",
            xLabel: "minutes",
            panels: [{ title: "", yLabel: "RSS in MB", lines: [{ name: "RSS", points }] }],
          }),
        );
      }
      return {
        findings: [
          {
            asked: `RSS after ${thousands(seconds)} s of a mixed load at most ${growthMax * 100} % above that after a tenth of it`,
            measured: `${megabytes(late)} to ${megabytes(early)}: ${shortNumber((late / early) * 100 - 100)} % (${thousands(total)} requests, ${thousands(fields.expired_keys ?? 0)} keys expired)`,
            holds: late <= early * (1 + growthMax),
          },
        ],
        figures: { seconds, early, late, total, fields, samples: thinned(samples, 200) },
      };
    } finally {
      await sampler.stop().catch(() => {});
      for (const connection of connections) connection.close();
      await server.discard();
    }
  },
};

/** @typedef {{ seconds: number, value: number }} Sample */

/**
 * The median of the samples around a part of the time.
 * @param {readonly Sample[]} samples
 * @param {number} part
 * @param {number} width to either side
 */
function medianNear(samples, part, width) {
  const near = samples.filter((_, i) => Math.abs(i / samples.length - part) <= width);
  return median((near.length > 0 ? near : samples).map(({ value }) => value));
}

/**
 * @param {readonly Sample[]} samples
 * @param {number} count
 */
function thinned(samples, count) {
  const step = Math.max(1, Math.floor(samples.length / count));
  return samples.filter((_, i) => i % step === 0);
}

/**
 * @param {Connection} connection
 * @param {number} index
 * @param {number} end
 */
async function mix(connection, index, end) {
  const random = new Random(50 + index);
  const values = Array.from({ length: 4 }, () => randomBits(random, 20_000, 160_000));
  const key = () => `mix:${index}:${random.below(keysPerClient)}`;
  /** Each of them as several requests, and how often of 100. */
  const kinds = [
    { weight: 50, make: () => [["SETBIT", key(), random.below(ids), random.below(4) === 0 ? 0 : 1]] },
    {
      weight: 10,
      make: () => [
        ["GETBIT", key(), random.below(ids)],
        ["BITCOUNT", key()],
      ],
    },
    { weight: 10, make: () => [["DEL", key()]] },
    { weight: 10, make: () => [["PEXPIRE", key(), 1 + random.below(3_000)]] },
    { weight: 5, make: () => [["SET", key(), random.pick(values), "PX", 1 + random.below(5_000)]] },
    {
      weight: 8,
      make: () => {
        const target = `temporary:${index}:${random.below(1_000_000)}`;
        const operation = random.pick(["AND", "OR", "XOR"]);
        return [
          ["BITOP", operation, target, key(), key()],
          ["EXPIRE", target, 1],
          ["BITCOUNT", target],
        ];
      },
    },
    {
      weight: 5,
      make: () => {
        const id = random.below(ids);
        return [["MULTI"], ["SETBIT", key(), id, 1], ["SETBIT", key(), id, 1], ["EXEC"]];
      },
    },
    {
      weight: 2,
      make: () => [
        ["RENAME", "missing", key()],
        ["COPY", key(), key(), "REPLACE"],
      ],
    },
  ];
  const drawn = kinds.flatMap(({ weight, make }) => Array.from({ length: weight }, () => make));
  let total = 0;
  while (performance.now() < end) {
    const requests = [];
    while (requests.length < requestsAtOnce) requests.push(...random.pick(drawn)());
    // COPY of a key onto itself and RENAME of a missing one are errors, which cost memory too.
    await connection.send(Buffer.concat(requests.map(encodeCommand)), requests.length, { keepErrors: true });
    total += requests.length;
  }
  return total;
}

/**
 * @param {Connection} connection
 * @param {number} end
 */
async function fillAndFlush(connection, end) {
  const random = new Random(40);
  await connection.call("SELECT", flushedDatabase);
  const step = 100;
  const pauseMs = (flushEverySeconds * 1000 * step) / flushedKeys;
  let total = 0;
  for (let key = 0; performance.now() < end; key = (key + step) % flushedKeys) {
    const requests = Array.from({ length: step }, (_, i) => ["SETBIT", `flushed:${key + i}`, random.below(ids), 1]);
    await connection.pipeline(requests);
    total += step;
    if (key + step >= flushedKeys) {
      await connection.call("SAVE");
      await connection.call("FLUSHDB");
    }
    await sleep(pauseMs);
  }
  return total;
}

/**
 * Connects and leaves again and again: by turns in order and by a reset.
 * @param {number} port
 * @param {number} end
 */
async function comeAndGo(port, end) {
  let total = 0;
  for (; performance.now() < end; total++) {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("error", () => {});
    await once(socket, "connect");
    socket.write(/** @type {string} */ (visits[total % visits.length]));
    await sleep(visitEveryMs);
    const closed = once(socket, "close");
    if (total % 2 === 0) socket.destroy();
    else socket.resetAndDestroy();
    await closed;
  }
  return total;
}
