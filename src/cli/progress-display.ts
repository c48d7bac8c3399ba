/** Tells on stderr how far a move is: one line that is written over where that is a terminal, else a plain line every few seconds. */
import type { Source } from "../migrate/item.js";
import type { MoveReport } from "../migrate/move-report.js";
import { bytes, count, duration, factor } from "./amounts.js";

const TERMINAL_MS = 200;
const PLAIN_MS = 5000;
const CLEAR_LINE = "\r\x1b[K";
const BAR_WIDTH = 20;
const DEFAULT_WIDTH = 80;
/** A share below this says too little of the time that is left. */
const ETA_SHARE_MIN = 0.001;

export class ProgressDisplay {
  readonly #report: MoveReport;
  readonly #source: Source;
  readonly #isTerminal = process.stderr.isTTY === true;
  readonly #timer: NodeJS.Timeout;

  constructor(report: MoveReport, source: Source) {
    this.#report = report;
    this.#source = source;
    this.#timer = setInterval(() => this.#show(), this.#isTerminal ? TERMINAL_MS : PLAIN_MS);
  }

  /** Nothing is shown any more, and a terminal's line is free again. */
  stop(): void {
    clearInterval(this.#timer);
    if (this.#isTerminal) process.stderr.write(CLEAR_LINE);
  }

  #show(): void {
    const { share } = this.#source;
    const seconds = (performance.now() - this.#report.startedMs) / 1000;
    const line = progressLine(this.#report, share, seconds);
    if (!this.#isTerminal) return void process.stderr.write(`${line}\n`);
    const bar = share === undefined ? "" : `${barOf(share)} `;
    // A line that wraps could not be written over.
    process.stderr.write(`${CLEAR_LINE}${(bar + line).slice(0, (process.stderr.columns ?? DEFAULT_WIDTH) - 1)}`);
  }
}

/** How far a move is after so many seconds, with `share` of its source read. */
export function progressLine(report: MoveReport, share: number | undefined, seconds: number): string {
  const { keys, stringBytes, bitmapBytes } = report;
  const parts = share === undefined ? [] : [`${Math.floor(share * 100)} %`];
  if (share !== undefined && share >= ETA_SHARE_MIN) parts.push(`${duration((seconds / share) * (1 - share))} left`);
  parts.push(`${count(keys)} keys`, `${count(keys / seconds)} keys/s`, `${bytes(stringBytes / seconds)}/s`);
  parts.push(`${bytes(stringBytes)} -> ${bytes(bitmapBytes)} (${factor(stringBytes, bitmapBytes)}x)`);
  return parts.join(", ");
}

function barOf(share: number): string {
  const full = Math.floor(share * BAR_WIDTH);
  return `[${"#".repeat(full)}${".".repeat(BAR_WIDTH - full)}]`;
}
