/**
 * CLIENT PAUSE: for a time no commands run, or none that change data. They are not refused but wait, each with its client's further
 * requests, and nothing expires meanwhile, so that who pauses finds the data as it was. Between two pauses it costs a look at `kind`.
 */
import type { Keyspace } from "../../keyspace/keyspace.js";

/** Longest time a timer can be set for, in milliseconds: 24 days. A longer pause ends with CLIENT UNPAUSE. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export type PauseKind = "write" | "all";

export class Pause {
  /** What is paused now. */
  kind: PauseKind | undefined;
  readonly #keyspace: Keyspace;
  #endMs = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Who waits, in the order in which they came. */
  readonly #waiting = new Set<() => void>();

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
  }

  /** Begins a pause of so many milliseconds. Of two that overlap the stricter kind and the later end hold, as in Redis. */
  begin(kind: PauseKind, ms: number): void {
    const now = performance.now();
    if (this.kind === undefined) this.#endMs = now;
    this.kind = this.kind === "all" ? "all" : kind;
    this.#endMs = Math.max(this.#endMs, now + ms);
    this.#keyspace.isPaused = true;
    clearTimeout(this.#timer);
    if (this.#endMs - now > TIMER_MS_MAX) return;
    this.#timer = setTimeout(() => this.end(), this.#endMs - now);
    // A pause is no reason for the process to stay.
    this.#timer.unref();
  }

  /** Lets all go on who wait, in the order in which they came. */
  end(): void {
    clearTimeout(this.#timer);
    this.kind = undefined;
    this.#keyspace.isPaused = false;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const goOn of waiting) goOn();
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** `until` settles when the pause is over; `cancel` is for who has left: what waits for `until` may be forgotten then. */
  wait(): { until: Promise<void>; cancel: () => void } {
    let goOn = (): void => {};
    const until = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    this.#waiting.add(goOn);
    return { until, cancel: () => void this.#waiting.delete(goOn) };
  }
}
