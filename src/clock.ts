/**
 * Time and chance, passed in wherever they matter, so that a test needs no sleep and no luck.
 */

export interface Clock {
  /** Wall-clock time in milliseconds since the Unix epoch. Deadlines are compared with it. */
  now(): number;
}

/** The machine's clock. */
export const systemClock: Clock = { now: () => Date.now() };

/** For durations: nanoseconds since some moment. The cheapest way Node has to ask. */
export function nanoseconds(): number {
  return Number(process.hrtime.bigint());
}

/** A clock that moves only when it is told to. For tests. */
export class ManualClock implements Clock {
  #now: number;

  constructor(nowMs: number) {
    this.#now = nowMs;
  }

  now(): number {
    return this.#now;
  }

  set(nowMs: number): void {
    this.#now = nowMs;
  }

  advance(ms: number): void {
    this.#now += ms;
  }
}

/** A number in [0, 1), as Math.random gives it. */
export type Random = () => number;
