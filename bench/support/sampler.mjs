// Looks at something again and again while other work goes on.

import { setTimeout as sleep } from "node:timers/promises";

/** @template T */
export class Sampler {
  /** @type {{ seconds: number, value: T }[]} */
  samples = [];
  #stopped = false;
  #done;

  /**
   * Begins at once.
   * @param {number} everyMs
   * @param {() => T | Promise<T>} look
   */
  constructor(everyMs, look) {
    this.#done = this.#run(everyMs, look);
    // Told by `stop`.
    this.#done.catch(() => {});
  }

  /** Looks for the last time. Throws what a look has thrown. */
  async stop() {
    this.#stopped = true;
    await this.#done;
    return this.samples;
  }

  /**
   * @param {number} everyMs
   * @param {() => T | Promise<T>} look
   */
  async #run(everyMs, look) {
    const startedAt = performance.now();
    for (;;) {
      const isLast = this.#stopped;
      const seconds = (performance.now() - startedAt) / 1000;
      this.samples.push({ seconds, value: await look() });
      if (isLast) return;
      await sleep(everyMs);
    }
  }
}

/**
 * The largest of some samples.
 * @template T
 * @param {readonly { value: T }[]} samples
 * @param {(value: T) => number} figure
 */
export function largest(samples, figure) {
  return samples.reduce((max, { value }) => Math.max(max, figure(value)), 0);
}
