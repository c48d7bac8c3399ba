/** What took long, by the kind of work (Redis' latency monitor): for LATENCY. */

/** Seconds of one event that are kept (Redis' LATENCY_TS_LEN). */
const SAMPLES_MAX = 160;

export interface LatencySample {
  /** In seconds since the Unix epoch. */
  time: number;
  /** The longest of this second. */
  ms: number;
}

export interface LatencyEvent {
  name: string;
  /** The oldest first. There is at least one. */
  samples: LatencySample[];
  /** The longest since the start, or since LATENCY RESET. */
  maxMs: number;
}

export class LatencyMonitor {
  readonly #events = new Map<string, LatencyEvent>();

  add(name: string, ms: number, time: number): void {
    let event = this.#events.get(name);
    if (event === undefined) {
      event = { name, samples: [], maxMs: 0 };
      this.#events.set(name, event);
    }
    event.maxMs = Math.max(event.maxMs, ms);
    const last = event.samples.at(-1);
    if (last?.time === time) {
      last.ms = Math.max(last.ms, ms);
      return;
    }
    event.samples.push({ time, ms });
    if (event.samples.length > SAMPLES_MAX) event.samples.shift();
  }

  get events(): LatencyEvent[] {
    return [...this.#events.values()];
  }

  event(name: string): LatencyEvent | undefined {
    return this.#events.get(name);
  }

  /** Forgets an event, and says whether there was one. */
  delete(name: string): boolean {
    return this.#events.delete(name);
  }
}
