/**
 * How long commands take. To read the clock twice takes as long as a tenth of a quick command, so not every call is timed: the first of
 * a chunk is, where chunks are short, one that reads the file or does other work that is not quick, and of a command that was quick
 * when it was timed last one call in QUICK_CALLS_A_SAMPLE, which stands for those that were not timed. Knows no handlers.
 */
import { nanoseconds } from "../../clock.js";
import { LONG_CHUNK_COMMANDS, QUICK_CALL_US, QUICK_CALLS_A_SAMPLE } from "../../config.js";
import { DEFAULT_OPTIONS, type ServerOptions } from "../../options/table.js";
import type { Argv } from "../../resp/argv.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";
import { LatencyHistogram } from "./latency-histogram.js";
import { LatencyMonitor } from "./latency-monitor.js";
import { Slowlog } from "./slowlog.js";
import type { CommandStats } from "./stats.js";

const NS_PER_US = 1000;
const NS_PER_MS = 1e6;
const QUICK_NS = QUICK_CALL_US * NS_PER_US;

/** With a bound below this, in nanoseconds, every command is timed: who asks for that wants to see quick ones. */
const EXACT_BELOW_NS = NS_PER_MS;

/** The options that it is made with. */
export type TimingOptions = Pick<
  ServerOptions,
  | "slowlogLogSlowerThan"
  | "slowlogMaxLen"
  | "latencyMonitorThreshold"
  | "latencyTracking"
  | "latencyTrackingInfoPercentiles"
>;

export class Timing {
  readonly slowlog: Slowlog;
  readonly latency = new LatencyMonitor();
  /** `latency-tracking`: whether histograms are kept. */
  tracksLatencies: boolean;
  infoPercentiles: readonly number[];
  #slowerThanUs: number;
  #thresholdMs: number;
  /** What takes at least so long is for the slow log, or for the latency monitor. */
  #slowNs = Number.POSITIVE_INFINITY;
  /** Every call is timed. */
  isExact = false;
  /** Calls in runs until one is timed. */
  #untilRun = 0;
  /** The next call is timed, as the first of a chunk. */
  #timesNext = true;
  /** Commands that had run when the last chunk began. */
  #commandsBefore = 0;

  constructor(options: TimingOptions = DEFAULT_OPTIONS) {
    this.slowlog = new Slowlog(options.slowlogMaxLen);
    this.tracksLatencies = options.latencyTracking;
    this.infoPercentiles = options.latencyTrackingInfoPercentiles;
    this.#slowerThanUs = options.slowlogLogSlowerThan;
    this.#thresholdMs = options.latencyMonitorThreshold;
    this.#boundsChanged();
  }

  /** `slowlog-log-slower-than`, in microseconds; negative for never. */
  get slowerThanUs(): number {
    return this.#slowerThanUs;
  }

  set slowerThanUs(us: number) {
    this.#slowerThanUs = us;
    this.#boundsChanged();
  }

  /** `latency-monitor-threshold`, in milliseconds; 0 for never. */
  get thresholdMs(): number {
    return this.#thresholdMs;
  }

  set thresholdMs(ms: number) {
    this.#thresholdMs = ms;
    this.#boundsChanged();
  }

  #boundsChanged(): void {
    const slowlogNs = this.#slowerThanUs < 0 ? Number.POSITIVE_INFINITY : this.#slowerThanUs * NS_PER_US;
    const monitorNs = this.#thresholdMs === 0 ? Number.POSITIVE_INFINITY : this.#thresholdMs * NS_PER_MS;
    this.#slowNs = Math.min(slowlogNs, monitorNs);
    this.isExact = this.#slowNs < EXACT_BELOW_NS;
    this.#timesNext ||= this.isExact;
  }

  /** A chunk of requests begins, after so many commands that have run since the start, or CONFIG RESETSTAT. */
  beginChunk(commands: number): void {
    this.#timesNext = this.isExact || commands - this.#commandsBefore < LONG_CHUNK_COMMANDS;
    this.#commandsBefore = commands;
  }

  /** Whether a call that is about to be made need not be timed. */
  skips(stats: CommandStats): boolean {
    return --stats.untilSample > 0 && !this.#timesNext;
  }

  /** Whether a run of so many quick calls is timed: where it would be a sample, one of QUICK_CALLS_A_SAMPLE calls. */
  timesRun(calls: number): boolean {
    this.#untilRun -= calls;
    if (this.#untilRun > 0) return false;
    this.#untilRun = QUICK_CALLS_A_SAMPLE;
    return true;
  }

  /** Counts calls of a run. `ns` is what one of them took if the run was timed, and stands for those which were not; 0 if it was not. */
  countRun(stats: CommandStats, calls: number, ns: number): void {
    if (calls === 0) return;
    stats.calls += calls;
    if (ns > 0) this.#record(stats, ns, stats.calls - stats.covered);
  }

  #record(stats: CommandStats, ns: number, calls: number): void {
    stats.ns += ns * calls;
    stats.covered += calls;
    if (!this.tracksLatencies) return;
    stats.latencies ??= new LatencyHistogram();
    stats.latencies.record(ns, calls);
  }

  /** A call that was counted has run since `begunNs`. */
  ran(client: Client, command: Command, argv: Argv, stats: CommandStats, begunNs: number): void {
    const ns = nanoseconds() - begunNs;
    let calls = 1;
    if (stats.untilSample <= 0) {
      calls = stats.calls - stats.covered;
      stats.untilSample = ns < QUICK_NS ? QUICK_CALLS_A_SAMPLE : 1;
    }
    this.#timesNext = this.isExact;
    this.#record(stats, ns, calls);
    if (ns >= this.#slowNs) this.#wasSlow(client, command, argv, ns);
  }

  #wasSlow(client: Client, { name, flags }: Command, argv: Argv, ns: number): void {
    const us = Math.floor(ns / NS_PER_US);
    if (this.#slowerThanUs >= 0 && us >= this.#slowerThanUs && !flags.includes("skip_slowlog")) {
      this.slowlog.add(client, name, argv, us);
    }
    this.took(
      flags.includes("fast") ? "fast-command" : "command",
      Math.floor(ns / NS_PER_MS),
      client.server.keyspace.now,
    );
  }

  /** Something took so long; the latency monitor keeps it where that is long enough. */
  took(event: string, ms: number, nowMs: number): void {
    if (this.#thresholdMs > 0 && ms >= this.#thresholdMs) this.latency.add(event, ms, Math.floor(nowMs / 1000));
  }
}
