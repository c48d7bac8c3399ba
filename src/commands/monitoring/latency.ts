/** LATENCY: what the latency monitor has seen, and the histograms of the commands. */
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import { quotedArg } from "../args.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";
import { commandStats, type ServerContext } from "../context.js";
import { helpHandler } from "../help.js";
import type { LatencyEvent } from "./latency-monitor.js";
import type { CommandStats } from "./stats.js";

/** Size of a graph, in characters (Redis' figures). */
const GRAPH_COLUMNS = 80;
const GRAPH_ROWS = 4;

const MONITOR_OFF =
  'The latency monitor is switched off. "CONFIG SET latency-monitor-threshold MILLISECONDS" switches it on: what takes at least so long is kept.\n';
const NO_SPIKES = "The latency monitor has seen nothing that took long.\n";

/** LATENCY LATEST: of each event when it was last, how long that took, and the longest, in milliseconds. */
function latest({ server: { timing } }: Client, _argv: Argv, reply: Reply): void {
  const { events } = timing.latency;
  reply.array(events.length);
  for (const { name, samples, maxMs } of events) {
    const last = lastOf(samples);
    reply.array(4);
    reply.bulk(name);
    reply.integer(last.time);
    reply.integer(last.ms);
    reply.integer(maxMs);
  }
}

/** LATENCY HISTORY event */
function history({ server: { timing } }: Client, argv: Argv, reply: Reply): void {
  const samples = timing.latency.event(argv.string(2))?.samples ?? [];
  reply.array(samples.length);
  for (const { time, ms } of samples) {
    reply.array(2);
    reply.integer(time);
    reply.integer(ms);
  }
}

/** LATENCY RESET [event ...]: how many events are forgotten. */
function reset({ server: { timing } }: Client, argv: Argv, reply: Reply): void {
  const names: string[] = [];
  for (let i = 2; i < argv.length; i++) names.push(argv.string(i));
  if (names.length === 0) names.push(...timing.latency.events.map(({ name }) => name));
  reply.integer(names.filter((name) => timing.latency.delete(name)).length);
}

/** LATENCY GRAPH event */
function graph({ server: { timing, keyspace } }: Client, argv: Argv, reply: Reply): void {
  const event = timing.latency.event(argv.string(2));
  if (event === undefined) throw new CommandError(`ERR No samples available for event '${quotedArg(argv, 2)}'`);
  reply.verbatim(drawn(event, keyspace.now / 1000));
}

/** A column for each sample, the last ones, and its age under it, written downward. */
function drawn({ name, samples, maxMs }: LatencyEvent, now: number): string {
  const shown = samples.slice(-GRAPH_COLUMNS);
  const high = Math.max(...shown.map(({ ms }) => ms));
  const low = Math.min(...shown.map(({ ms }) => ms));
  const heights = shown.map(({ ms }) =>
    high === low ? GRAPH_ROWS : 1 + ((ms - low) / (high - low)) * (GRAPH_ROWS - 1),
  );
  const lines = [`${name} - high ${high} ms, low ${low} ms (all time high ${maxMs} ms)`, "-".repeat(GRAPH_COLUMNS)];
  for (let row = GRAPH_ROWS; row > 0; row--)
    lines.push(heights.map((height) => mark(Math.round(height), row)).join(""));
  lines.push("");
  const ages = shown.map(({ time }) => ageText(Math.max(Math.floor(now - time), 0)));
  const labelRows = Math.max(...ages.map(({ length }) => length));
  for (let row = 0; row < labelRows; row++) lines.push(ages.map((age) => age[row] ?? " ").join(""));
  return `${lines.join("\n")}\n`;
}

function mark(height: number, row: number): string {
  if (height === row) return row === GRAPH_ROWS ? "#" : "_";
  return height > row ? "|" : " ";
}

function ageText(seconds: number): string {
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** What helps against an event, where there is something to say. */
const ADVICE: Readonly<Record<string, string>> = {
  command: "SLOWLOG GET tells which commands took long, where slowlog-log-slower-than lets it.",
  "fast-command":
    "Commands on one bit take long when their value is read from the file: a larger maxmemory keeps more of them in memory.",
  "eviction-cycle": "maxmemory is small for what is in use: values come from the file and leave again.",
  "expire-cycle": "Many keys expire at a time: deadlines that differ by some seconds spread the work.",
};

/** LATENCY DOCTOR */
function doctor({ server: { timing } }: Client, _argv: Argv, reply: Reply): void {
  const { events } = timing.latency;
  if (events.length > 0) reply.verbatim(events.map(finding).join(""));
  else reply.verbatim(timing.thresholdMs === 0 ? MONITOR_OFF : NO_SPIKES);
}

function finding({ name, samples, maxMs }: LatencyEvent): string {
  const sum = samples.reduce((total, { ms }) => total + ms, 0);
  const span = lastOf(samples).time - (samples[0]?.time ?? 0);
  const times = samples.length === 1 ? "in 1 second" : `in ${samples.length} of the ${span + 1} seconds kept`;
  const said = `${name}: took long ${times}, ${Math.round(sum / samples.length)} ms on average, ${maxMs} ms at most.`;
  return ` * ${said}${ADVICE[name] === undefined ? "" : ` ${ADVICE[name]}`}\n`;
}

/** LATENCY HISTOGRAM [command ...]: those that have run and were timed. A command's name stands for its subcommands too. */
function histogram({ server }: Client, argv: Argv, reply: Reply): void {
  const found = argv.length === 2 ? commandStats(server) : namedStats(server, argv);
  const timed = found.flatMap(([name, { latencies }]) => (latencies === undefined ? [] : [{ name, latencies }]));
  reply.map(timed.length);
  for (const { name, latencies } of timed) {
    const steps = latencies.cumulative();
    reply.bulk(name);
    reply.map(2);
    reply.bulk("calls");
    reply.integer(latencies.count);
    reply.bulk("histogram_usec");
    reply.map(steps.length);
    for (const { ns, count } of steps) {
      reply.integer(Math.floor(ns / 1000));
      reply.integer(count);
    }
  }
}

function namedStats({ commands, stats }: ServerContext, argv: Argv): [string, CommandStats][] {
  const found: [string, CommandStats][] = [];
  for (let i = 2; i < argv.length; i++) {
    const row = commands.named(argv.string(i));
    for (const { name } of row === undefined ? [] : [row, ...(row.subcommands ?? [])]) {
      found.push([name, stats.of(name)]);
    }
  }
  return found;
}

/** The last of a list that has one. */
function lastOf<T>(list: readonly T[]): T {
  return list.at(-1) as T;
}

const SUBCOMMAND = {
  flags: ["admin", "noscript", "loading", "stale"],
  tips: ["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
  group: "server",
  since: "2.8.13",
  complexity: "O(1)",
} as const;

const help = helpHandler("latency", () => SUBCOMMANDS);

const SUBCOMMANDS: readonly Command[] = [
  {
    ...SUBCOMMAND,
    name: "latency|doctor",
    arity: 2,
    summary: "What took long, and what helps.",
    handler: doctor,
  },
  {
    ...SUBCOMMAND,
    name: "latency|graph",
    arity: 3,
    syntax: "event",
    summary: "How long an event took, as a picture.",
    handler: graph,
  },
  {
    ...SUBCOMMAND,
    name: "latency|help",
    arity: 2,
    flags: ["loading", "stale"],
    tips: [],
    summary: "What there is.",
    handler: help,
  },
  {
    ...SUBCOMMAND,
    name: "latency|histogram",
    arity: -2,
    syntax: "[command...]",
    since: "7.0.0",
    complexity: "O(N) in the number of commands",
    summary: "How many calls of each command took how long.",
    handler: histogram,
  },
  {
    ...SUBCOMMAND,
    name: "latency|history",
    arity: 3,
    syntax: "event",
    summary: "How long an event took, in each of the last seconds when it was seen.",
    handler: history,
  },
  {
    ...SUBCOMMAND,
    name: "latency|latest",
    arity: 2,
    summary: "How long each event took last, and at most.",
    handler: latest,
  },
  {
    ...SUBCOMMAND,
    name: "latency|reset",
    arity: -2,
    syntax: "[event...]",
    tips: ["request_policy:all_nodes", "response_policy:all_succeeded"],
    summary: "Forgets what was seen of events.",
    handler: reset,
  },
];

export const LATENCY_COMMANDS: readonly Command[] = [
  {
    name: "latency",
    arity: -2,
    flags: [],
    group: "server",
    since: "2.8.13",
    complexity: "Depends on subcommand.",
    summary: "About what takes long.",
    differs:
      "the events are command, fast-command, expire-cycle and eviction-cycle; commands are timed as for SLOWLOG, and one that is timed may stand for others in HISTOGRAM; DOCTOR has its own words, GRAPH its own way of drawing",
    handler: help,
    subcommands: SUBCOMMANDS,
  },
];
