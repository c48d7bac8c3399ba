/**
 * CLIENT PAUSE: for a time no commands run, or none that change data. They are not refused but wait, each with its client's further
 * requests, and nothing expires meanwhile, so that who pauses finds the data as it was. Between two pauses it costs a look at `kind`.
 */
import type { Keyspace } from "../keyspace/keyspace.js";

/** Longest time a timer can be set for, in milliseconds: 24 days. A longer pause ends with CLIENT UNPAUSE. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export type PauseKind = "write" | "all";

export class Pause {
  /** What is paused now. */
  kind: PauseKind | undefined;
  readonly #keyspace: Keyspace;
  #endMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #ended: Promise<void> = Promise.resolve();
  #end = (): void => {};

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
  }

  /** Begins a pause of so many milliseconds. Of two that overlap the stricter kind and the later end hold, as in Redis. */
  begin(kind: PauseKind, ms: number): void {
    const now = performance.now();
    if (this.kind === undefined) {
      this.#ended = new Promise((resolve) => {
        this.#end = resolve;
      });
      this.#endMs = now;
    }
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
    this.#end();
  }

  /** Settles when the pause is over. */
  get ended(): Promise<void> {
    return this.#ended;
  }
}
