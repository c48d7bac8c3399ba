/** What is counted since the start, or since CONFIG RESETSTAT: for INFO, and for LATENCY HISTOGRAM. */
import type { LatencyHistogram } from "./latency-histogram.js";

/** Samples over which a rate is averaged, one each time the background work runs (Redis' STATS_METRIC_SAMPLES). */
const RATE_SAMPLES = 16;

/** What is counted of one command, or subcommand. */
export class CommandStats {
  calls = 0;
  /** Requests that were refused before they were calls, and calls that ended with an error. */
  rejected = 0;
  failed = 0;
  /** Nanoseconds of the calls that were timed, and how many calls these stand for. */
  ns = 0;
  covered = 0;
  /** Calls until one is timed that stands for those which were not. */
  untilSample = 0;
  /** Of the calls that were timed; undefined where `latency-tracking` keeps none. */
  latencies: LatencyHistogram | undefined = undefined;

  get isEmpty(): boolean {
    return this.calls === 0 && this.rejected === 0;
  }

  reset(): void {
    Object.assign(this, new CommandStats());
  }

  /** Microseconds that all calls took, by those that were timed. */
  get usec(): number {
    return this.covered === 0 ? 0 : ((this.ns / this.covered) * this.calls) / 1000;
  }
}

/** How fast a counter grows at present. */
export class Rate {
  readonly #samples: number[] = [];
  #last = 0;
  #lastMs = Number.NaN;

  /** Looks at the counter; `nowMs` is the time of any clock that is never set. */
  sample(counter: number, nowMs: number): void {
    const passed = nowMs - this.#lastMs;
    if (passed > 0) this.#samples.push((Math.max(counter - this.#last, 0) * 1000) / passed);
    if (this.#samples.length > RATE_SAMPLES) this.#samples.shift();
    this.#last = counter;
    this.#lastMs = nowMs;
  }

  get perSecond(): number {
    return this.#samples.reduce((sum, each) => sum + each, 0) / Math.max(this.#samples.length, 1);
  }
}

export class Stats {
  connections = 0;
  rejectedConnections = 0;
  commands = 0;
  keyspaceHits = 0;
  keyspaceMisses = 0;
  errorReplies = 0;
  inputBytes = 0;
  outputBytes = 0;
  /** Chunks that were read of sockets, and writes to them. */
  reads = 0;
  writes = 0;
  /** Time that the search for expired keys took, and how often it was stopped before it was through. */
  expireCycleMs = 0;
  expireCyclesCut = 0;
  readonly commandRate = new Rate();
  readonly inputRate = new Rate();
  readonly outputRate = new Rate();
  readonly #byCommand = new Map<string, CommandStats>();
  /** Error replies by their first word. */
  readonly errors = new Map<string, number>();

  /** Of one command, by its name. It stays the same object. */
  of(command: string): CommandStats {
    const known = this.#byCommand.get(command);
    if (known !== undefined) return known;
    const stats = new CommandStats();
    this.#byCommand.set(command, stats);
    return stats;
  }

  /** Of each command that was asked for. */
  get byCommand(): [string, CommandStats][] {
    return [...this.#byCommand].filter(([, stats]) => !stats.isEmpty);
  }

  /** A client is told of an error. */
  countError(message: string): void {
    this.errorReplies++;
    const end = message.indexOf(" ");
    const word = end === -1 ? message : message.slice(0, end);
    this.errors.set(word, (this.errors.get(word) ?? 0) + 1);
  }

  /** Called by the background work. */
  sampleRates(nowMs: number): void {
    this.commandRate.sample(this.commands, nowMs);
    this.inputRate.sample(this.inputBytes, nowMs);
    this.outputRate.sample(this.outputBytes, nowMs);
  }

  reset(): void {
    for (const stats of this.#byCommand.values()) stats.reset();
    Object.assign(this, new Stats());
  }
}
