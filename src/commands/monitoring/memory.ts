/** MEMORY: what keys, values and the server take. */
import { KIB, MEMORY_BESIDE_BYTES, PURGE_PAUSE_MS } from "../../config.js";
import { collectAll } from "../../passing-buffer.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { integerArg, SYNTAX_ERROR } from "../args.js";
import type { Client } from "../client.js";
import { type Command, LOOK_AT_SECOND_KEY } from "../command.js";
import type { ServerContext } from "../context.js";
import { helpHandler } from "../help.js";

/** Bytes that the process has of the system's memory, and how many of them are used. */
export function processMemory({ keyspace: { residency } }: ServerContext): { used: number; rss: number } {
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  return { used: heapUsed + arrayBuffers + residency.nativeBytes, rss };
}

/** Bytes used when the server had started, and the most that were seen since. */
export interface MemoryMarks {
  startup: number;
  peak: number;
  /** When MEMORY PURGE has collected last, in milliseconds since the epoch. */
  purgedMs: number;
}

/** What the process uses now; remembers the most. */
export function noteMemory(server: ServerContext): { used: number; rss: number } {
  const memory = processMemory(server);
  const { memoryMarks } = server;
  memoryMarks.peak = Math.max(memoryMarks.peak, memory.used);
  return memory;
}

/** MEMORY USAGE key [SAMPLES count]: nothing is sampled here, and a value that is not in memory is not read for it. */
function usage(client: Client, argv: Argv, reply: Reply): void {
  for (let i = 3; i < argv.length; i += 2) {
    if (!argv.is(i, "SAMPLES") || i + 1 >= argv.length || integerArg(argv, i + 1) < 0) throw SYNTAX_ERROR;
  }
  const { keyspace } = client.server;
  const entry = keyspace.peek(client.database, argv.string(2));
  if (entry === undefined) reply.nil();
  else reply.integer(keyspace.bytesOf(entry));
}

/** MEMORY STATS */
function stats({ server }: Client, _argv: Argv, reply: Reply): void {
  const { keyspace, saver } = server;
  const { databases, residency } = keyspace;
  const { used, rss } = noteMemory(server);
  const dataset = residency.bytes;
  const tables = databases.filter(({ contents }) => contents.entries.size > 0);
  const facts: readonly (readonly [string, number])[] = [
    ["peak.allocated", server.memoryMarks.peak],
    ["total.allocated", used],
    ["startup.allocated", server.memoryMarks.startup],
    ["clients.normal", clientBytes(server)],
    // Changes that are not committed yet.
    ["aof.buffer", saver.bufferBytes],
    ["overhead.total", Math.max(used - dataset, 0)],
    ["keys.count", databases.reduce((sum, { size }) => sum + size, 0)],
    // Redis has no name for it: there every key is in memory.
    ["keys.resident", residency.keys],
    ["keys.bytes-per-key", Math.floor(dataset / Math.max(residency.keys, 1))],
    ["dataset.bytes", dataset],
    ["fragmentation.bytes", rss - used],
  ];
  const ratios: readonly (readonly [string, number])[] = [
    ["dataset.percentage", (dataset / used) * 100],
    ["fragmentation", rss / used],
  ];
  reply.map(facts.length + ratios.length + tables.length);
  for (const [name, figure] of facts) {
    reply.bulk(name);
    reply.integer(Math.round(figure));
  }
  for (const [name, ratio] of ratios) {
    reply.bulk(name);
    reply.double(ratio);
  }
  for (const { number, contents } of tables) {
    reply.bulk(`db.${number}`);
    reply.map(1);
    reply.bulk("overhead.hashtable.main");
    reply.integer(contents.entries.reservedBytes);
  }
}

/** Bytes of requests that are not run yet, and of replies that are not sent yet. */
export function clientBytes({ clients }: ServerContext): number {
  let bytes = 0;
  for (const { peer } of clients.values()) bytes += peer.queryBufferBytes + peer.replyBytes;
  return bytes;
}

/** What is wrong with the memory, in a sentence; undefined where nothing is. */
type Examination = (server: ServerContext) => string | undefined;

/** From where on DOCTOR speaks of fragmentation, and of large buffers of clients, in bytes for one client (Redis' figures). */
const FRAGMENTATION_MIN = 1.4;
const CLIENT_BYTES_MIN = 200 * KIB;

const EXAMINATIONS: readonly Examination[] = [
  ({ keyspace: { residency } }) =>
    residency.isStuck
      ? "Memory is full of changes that are not in the file yet: those who write wait. The disk is too slow for them, or maxmemory too small."
      : undefined,
  ({ saver: { failure } }) =>
    failure === undefined ? undefined : `Changes stay in memory since the file can't be written: ${failure}.`,
  ({ keyspace: { residency, storageLoads, memoryHits } }) =>
    residency.evicted > 0 && storageLoads > memoryHits
      ? "More values are read from the file than keys are found in memory: maxmemory is too small for what is in use."
      : undefined,
  (server) => {
    const { used, rss } = processMemory(server);
    return rss / used > FRAGMENTATION_MIN && rss - used > MEMORY_BESIDE_BYTES
      ? `The process has ${rss} bytes of which ${used} are used: code, page caches of SQLite, and holes in the heap. MEMORY PURGE may help.`
      : undefined;
  },
  (server) =>
    clientBytes(server) / Math.max(server.clients.size, 1) > CLIENT_BYTES_MIN
      ? "Clients have large requests under way, or do not read their replies: CLIENT LIST tells which (qbuf, omem)."
      : undefined,
];

/** MEMORY DOCTOR */
function doctor({ server }: Client, _argv: Argv, reply: Reply): void {
  const findings = EXAMINATIONS.map((examine) => examine(server)).filter((finding) => finding !== undefined);
  if (findings.length === 0) reply.verbatim("I can't find any memory issue in this server.\n");
  else reply.verbatim(findings.map((finding) => ` * ${finding}\n`).join(""));
}

/**
 * MEMORY PURGE: V8's part at once, and then, on the writer's thread, that of the C library. Nobody is served during the first, so who asks
 * again and again gets no more of it.
 */
function purge({ server }: Client, _argv: Argv, reply: Reply): void {
  const { keyspace, memoryMarks } = server;
  // Clocks may be set back.
  if (Math.abs(keyspace.now - memoryMarks.purgedMs) >= PURGE_PAUSE_MS) {
    collectAll();
    server.trimHeap();
    memoryMarks.purgedMs = keyspace.now;
  }
  reply.ok();
}

/** MEMORY MALLOC-STATS: Redis' words where it is not built with jemalloc. */
function mallocStats(_client: Client, _argv: Argv, reply: Reply): void {
  reply.verbatim("Stats not supported for the current allocator");
}

const SUBCOMMAND = {
  arity: 2,
  flags: [],
  tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
  group: "server",
  since: "4.0.0",
  complexity: "O(1)",
} as const;

const help = helpHandler("memory", () => SUBCOMMANDS);

const SUBCOMMANDS: readonly Command[] = [
  { ...SUBCOMMAND, name: "memory|doctor", summary: "What is wrong with the memory.", handler: doctor },
  {
    ...SUBCOMMAND,
    name: "memory|help",
    flags: ["loading", "stale"],
    tips: [],
    summary: "What there is.",
    handler: help,
  },
  {
    ...SUBCOMMAND,
    name: "memory|malloc-stats",
    summary: "Figures of the allocator, of which there are none.",
    handler: mallocStats,
  },
  {
    ...SUBCOMMAND,
    name: "memory|purge",
    tips: ["request_policy:all_shards", "response_policy:all_succeeded"],
    complexity: "O(N) in the number of JavaScript objects",
    summary: "Gives back what is out of use.",
    handler: purge,
  },
  { ...SUBCOMMAND, name: "memory|stats", summary: "What memory is used for.", handler: stats },
  {
    ...SUBCOMMAND,
    name: "memory|usage",
    arity: -3,
    syntax: "key [SAMPLES count:integer]",
    flags: ["readonly"],
    keys: [LOOK_AT_SECOND_KEY],
    tips: [],
    complexity: "O(N) in the size of the compressed value",
    summary: "How many bytes of memory a key takes with its value.",
    handler: usage,
  },
];

export const MEMORY_COMMANDS: readonly Command[] = [
  {
    name: "memory",
    arity: -2,
    flags: [],
    group: "server",
    since: "4.0.0",
    complexity: "Depends on subcommand.",
    summary: "About memory.",
    differs:
      "USAGE tells of the compressed value, and of a value that is not in memory nothing; STATS has the fields that mean something here; DOCTOR has its own words",
    handler: help,
    subcommands: SUBCOMMANDS,
  },
];
