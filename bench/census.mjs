// Are real bitmaps right, small and safe? Loads the census of 1881 (or data of its own making) over the wire into this
// server and into redis-server, compares every BITCOUNT and 1,000 random BITOPs, restarts this server, compares again,
// kills it, compares again, and prints what both need in memory and on disk. Any difference ends it with exit code 1.

import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bitmapFileName, readBitmapFile, shuffledBits } from "./support/bitmap-file.mjs";
import { bitCounts, Connection, setBits } from "./support/connection.mjs";
import { describeMachine, machineLine } from "./support/machine.mjs";
import { Random } from "./support/random.mjs";
import { ServerProcess } from "./support/server-process.mjs";
import { markdownTable, megabytes, shortNumber, thousands } from "./support/table.mjs";

const usage = `Usage: node bench/census.mjs [FILE] [--bitops N] [--seed N]
  FILE      bitmaps, one a line, values separated by commas, plain or .gz; default: CENSUS_FILE, else
            ../shared/realdata/census1881.txt.gz if it is there, else data made here
  --bitops  random BITOPs in each comparison (default 1000)
  --seed    for the order of loading, the BITOPs and the made data (default 1)
BENCH_SELF=redis puts a redis-server in this server's place.`;

const censusFile = fileURLToPath(new URL("../../shared/realdata/census1881.txt.gz", import.meta.url));

// Writes are on disk after a second; this is surely later.
const durableAfterMs = 2_500;
const targets = Array.from({ length: 50 }, (_, i) => `bitop:${i}`);
// Of the values that are compared by BITCOUNT, every so many also byte for byte.
const wholeValueEvery = 10;
const differencesShownMax = 20;

/** @typedef {{ name: string, bitmaps: readonly (readonly number[])[] }} Data */
/** @typedef {{ label: string, ours?: number, redis?: number }} Size bytes */

async function main() {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      bitops: { type: "string", default: "1000" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean", default: false },
    },
  });
  if (options.help) {
    console.log(usage);
    return;
  }
  const machine = describeMachine();
  if (machine.redis === undefined) throw new Error("redis-server is not installed; there is nothing to compare with");
  const seed = Number(options.seed);
  const data = readData(positionals[0] ?? process.env.CENSUS_FILE, seed);
  const values = data.bitmaps.reduce((sum, bitmap) => sum + bitmap.length, 0);
  progress(`${data.name}: ${data.bitmaps.length} bitmaps, ${thousands(values)} values`);

  const comparison = new Comparison(data, await ServerProcess.start("ours"), await ServerProcess.start("redis"));
  try {
    const sizes = await comparison.run(Number(options.bitops), seed);
    console.log(
      [
        sizeTable(sizes, values),
        "",
        `${data.name}: ${data.bitmaps.length} bitmaps, ${thousands(values)} values, set in random order. Memory is RSS above the empty process. ${comparison.summary()}`,
        `${machineLine(machine)}.`,
      ].join("\n"),
    );
    if (comparison.differences > 0) process.exitCode = 1;
  } finally {
    await comparison.discard();
  }
}

/** Both servers with the same data, and what was found to differ. */
class Comparison {
  differences = 0;
  #equal = 0;
  #data;
  #keys;
  #ours;
  #redis;
  #emptyBytes;

  /**
   * @param {Data} data
   * @param {ServerProcess} ours empty
   * @param {ServerProcess} redis empty
   */
  constructor(data, ours, redis) {
    this.#data = data;
    this.#keys = data.bitmaps.map((_, i) => censusKey(i));
    this.#ours = ours;
    this.#redis = redis;
    this.#emptyBytes = ours.emptyRssBytes;
  }

  /**
   * @param {number} bitops
   * @param {number} seed
   * @returns {Promise<Size[]>}
   */
  async run(bitops, seed) {
    for (const server of [this.#ours, this.#redis]) await load(server, this.#data, seed);
    await sleep(durableAfterMs);
    const loaded = {
      label: "memory after loading",
      ours: this.#oursBytes(),
      redis: this.#redis.rssBytes() - this.#redis.emptyRssBytes,
    };
    const redisFiles = await saveRedis(this.#redis);
    await this.#compareKeys("after loading");

    await this.#ours.stop();
    const databaseBytes = this.#ours.fileBytes("bitmapist.db");
    await this.#startAgain("a stop");
    await this.#compareKeys("after a restart");
    const restarted = { label: "memory after a restart and a pass over all", ours: this.#oursBytes() };

    await this.#compareBitops("after a restart", bitops, seed + 1);
    await this.#ours.stop();
    await this.#startAgain("a stop");
    await this.#compareKeys("after BITOPs and a restart");
    await this.#compareTargets("after BITOPs and a restart");

    await this.#compareBitops("after a second restart", bitops, seed + 2);
    await sleep(durableAfterMs);
    await this.#ours.kill();
    await this.#startAgain("kill -9");
    await this.#compareKeys("after kill -9");
    await this.#compareTargets("after kill -9");

    return [
      loaded,
      restarted,
      { label: "file: SQLite; Redis' RDB", ours: databaseBytes, redis: redisFiles.rdb },
      { label: "file: Redis' AOF", redis: redisFiles.aof },
    ];
  }

  summary() {
    const differ = this.differences === 0 ? "none differed" : `${thousands(this.differences)} DIFFERED`;
    return `Compared between the two servers, after loading, two restarts and kill -9: ${thousands(this.#equal + this.differences)} replies, ${differ}.`;
  }

  async discard() {
    await this.#ours.discard();
    await this.#redis.discard();
  }

  #oursBytes() {
    return this.#ours.rssBytes() - this.#emptyBytes;
  }

  /** @param {string} after */
  async #startAgain(after) {
    this.#ours = await ServerProcess.start("ours", this.#ours.folder);
    progress(`this server started again after ${after}, ready in ${Math.round(this.#ours.readyMs)} ms`);
  }

  /**
   * Every bitmap's BITCOUNT, also against what was sent, and some values byte for byte.
   * @param {string} when
   */
  async #compareKeys(when) {
    const [ours, redis] = await this.#both((connection) => bitCounts(connection, this.#keys));
    this.#data.bitmaps.forEach((bitmap, i) => {
      this.#expect(`${when}: BITCOUNT ${censusKey(i)}`, ours[i], redis[i]);
      this.#expect(`${when}: BITCOUNT ${censusKey(i)} and the values sent`, ours[i], bitmap.length);
    });
    await this.#compareValues(when, this.#keys);
    progress(`${when}: ${this.#keys.length} BITCOUNTs compared`);
  }

  /**
   * The results that are left of the last BITOPs.
   * @param {string} when
   */
  async #compareTargets(when) {
    const [ours, redis] = await this.#both((connection) => bitCounts(connection, targets));
    targets.forEach((target, i) => {
      this.#expect(`${when}: BITCOUNT ${target}`, ours[i], redis[i]);
    });
    await this.#compareValues(when, targets);
  }

  /**
   * @param {string} when
   * @param {readonly string[]} keys of which some are compared byte for byte
   */
  async #compareValues(when, keys) {
    for (let i = 0; i < keys.length; i += wholeValueEvery) {
      const key = keys[i] ?? "";
      const [ours, redis] = await this.#both((connection) => connection.call("GET", key));
      this.#expect(`${when}: GET ${key}`, ours, redis);
    }
  }

  /**
   * Random BITOPs, their replies, the BITCOUNT of each result and some results byte for byte.
   * @param {string} when
   * @param {number} count
   * @param {number} seed
   */
  async #compareBitops(when, count, seed) {
    const random = new Random(seed);
    for (let done = 0; done < count; done += targets.length) {
      const used = targets.slice(0, Math.min(targets.length, count - done));
      const commands = used.flatMap((target) => [randomBitop(random, target, this.#keys), ["BITCOUNT", target]]);
      const [ours, redis] = await this.#both((connection) => connection.pipeline(commands));
      commands.forEach((command, i) => {
        this.#expect(`${when}: ${command.join(" ")}`, ours[i], redis[i]);
      });
      await this.#compareValues(when, used);
    }
    progress(`${when}: ${thousands(count)} BITOPs compared (seed ${seed})`);
  }

  /**
   * The same question to both servers.
   * @template T
   * @param {(connection: Connection) => Promise<T>} ask
   * @returns {Promise<[ours: T, redis: T]>}
   */
  async #both(ask) {
    return [await withConnection(this.#ours, ask), await withConnection(this.#redis, ask)];
  }

  /**
   * @param {string} what
   * @param {unknown} ours
   * @param {unknown} redis
   */
  #expect(what, ours, redis) {
    const equal = Buffer.isBuffer(ours) && Buffer.isBuffer(redis) ? ours.equals(redis) : ours === redis;
    if (equal) {
      this.#equal += 1;
      return;
    }
    this.differences += 1;
    if (this.differences <= differencesShownMax) progress(`DIFFERENT ${what}: ${shown(ours)}, Redis ${shown(redis)}`);
  }
}

/**
 * @param {ServerProcess} server
 * @param {Data} data
 * @param {number} seed
 */
async function load(server, data, seed) {
  const startedAt = performance.now();
  const count = await withConnection(server, (connection) =>
    setBits(connection, shuffledBits(data.bitmaps, censusKey, seed)),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  progress(`${server.side}: ${thousands(count)} SETBIT in ${seconds.toFixed(1)} s`);
}

/**
 * @template T
 * @param {ServerProcess} server
 * @param {(connection: Connection) => Promise<T>} use
 */
async function withConnection(server, use) {
  const connection = await Connection.open(server.port);
  try {
    return await use(connection);
  } finally {
    connection.close();
  }
}

/**
 * Redis' files with the data set alone.
 * @param {ServerProcess} redis
 */
async function saveRedis(redis) {
  await withConnection(redis, (connection) => connection.call("SAVE"));
  return { rdb: redis.fileBytes("dump.rdb"), aof: redis.fileBytes("appendonlydir") };
}

/**
 * @param {Random} random
 * @param {string} target
 * @param {readonly string[]} keys
 */
function randomBitop(random, target, keys) {
  const operation = random.pick(["AND", "OR", "XOR", "NOT"]);
  const sources = operation === "NOT" ? 1 : 2 + random.below(4);
  return ["BITOP", operation, target, ...Array.from({ length: sources }, () => random.pick(keys))];
}

/** @param {number} index */
function censusKey(index) {
  return `census:${String(index).padStart(3, "0")}`;
}

/**
 * @param {string | undefined} file named by the user; must exist
 * @param {number} seed
 * @returns {Data}
 */
function readData(file, seed) {
  const found = file ?? (existsSync(censusFile) ? censusFile : undefined);
  if (found === undefined) return { name: `data made with seed ${seed}`, bitmaps: madeBitmaps(seed) };
  return { name: bitmapFileName(found), bitmaps: readBitmapFile(found) };
}

/**
 * 200 bitmaps of about 1,000,000 values below 4,277,806, as the census has: many small ones, some large, part of
 * them in runs.
 * @param {number} seed
 */
function madeBitmaps(seed) {
  const limit = 4_277_806;
  const random = new Random(seed);
  return Array.from({ length: 200 }, (_, i) => {
    const size = Math.ceil(10 * 3_800 ** ((i % 40) / 39));
    const runMax = i % 4 === 0 ? 100 : 1;
    const values = new Set();
    while (values.size < size) {
      const start = random.below(limit - runMax);
      const run = 1 + random.below(runMax);
      for (let value = start; value < start + run; value++) values.add(value);
    }
    return [...values].sort((a, b) => a - b);
  });
}

/**
 * @param {readonly Size[]} sizes
 * @param {number} values
 */
function sizeTable(sizes, values) {
  /** @param {number | undefined} bytes */
  const bits = (bytes) => (bytes === undefined ? "-" : shortNumber((bytes * 8) / values));
  /** @param {number | undefined} bytes */
  const size = (bytes) => (bytes === undefined ? "-" : megabytes(bytes));
  return markdownTable(
    ["", "bitmapist-server", "bits per value", "Redis", "bits per value", "Redis needs"],
    sizes.map(({ label, ours, redis }) => [
      label,
      size(ours),
      bits(ours),
      size(redis),
      bits(redis),
      ours !== undefined && redis !== undefined ? `**${shortNumber(redis / ours)}** times` : "-",
    ]),
  );
}

/** @param {unknown} reply */
function shown(reply) {
  return Buffer.isBuffer(reply) ? `${reply.length} bytes` : String(reply);
}

/** @param {string} line */
function progress(line) {
  process.stderr.write(`${line}\n`);
}

try {
  await main();
} catch (error) {
  progress(`census: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
