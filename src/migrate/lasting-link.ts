/**
 * A link that is made anew when it breaks: whoever uses it gives work that may be done twice, and a break costs time. Knows nothing of
 * what is asked over it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { MigrateError } from "./item.js";
import { LinkClosed, LinkError, type LinkOptions, nameOf, RedisLink } from "./redis-link.js";

/** Pauses before the attempts to connect again, in milliseconds: half a minute in all. */
const PAUSES_MS = [0, 500, 1000, 2000, 4000, 8000, 15_000];
/** Breaks after which nothing of the work was done. Where it breaks each time, the work is what breaks it. */
const BREAKS_MAX = 5;

export class LastingLink {
  readonly name: string;
  readonly #options: LinkOptions;
  readonly #onTrouble: (message: string) => void;
  readonly #pausesMs: readonly number[];
  #link: Promise<RedisLink>;
  readonly #closing = new AbortController();

  /** Rejects with LinkClosed or LinkError when the first attempt fails: what never was is not waited for. */
  static async open(
    options: LinkOptions,
    onTrouble: (message: string) => void,
    pausesMs: readonly number[] = PAUSES_MS,
  ): Promise<LastingLink> {
    return new LastingLink(options, onTrouble, pausesMs, await RedisLink.connect(options));
  }

  /** A link to another database of the same server. Where it can't be made now, that is waited for as if it had been and broke. */
  beside(database: number): LastingLink {
    return new LastingLink({ ...this.#options, database }, this.#onTrouble, this.#pausesMs);
  }

  private constructor(
    options: LinkOptions,
    onTrouble: (message: string) => void,
    pausesMs: readonly number[],
    link?: RedisLink,
  ) {
    this.#pausesMs = pausesMs;
    this.name = nameOf(options);
    this.#options = options;
    this.#onTrouble = onTrouble;
    this.#link = link === undefined ? this.#connect() : Promise.resolve(link);
    // Whoever has work for it hears of its failure.
    this.#link.catch(() => {});
  }

  /** Does the work, again on a new link when the old one breaks. Rejects with MigrateError when there is none to be had. */
  async run<T>(work: (link: RedisLink) => Promise<T>): Promise<T> {
    for (let breaks = 1; ; breaks++) {
      const current = this.#link;
      const link = await current;
      try {
        return await work(link);
      } catch (error) {
        if (!(error instanceof LinkClosed)) throw error;
        if (this.#closing.signal.aborted || breaks === BREAKS_MAX)
          throw new MigrateError(error.message, { cause: error });
        // Others who use it may have seen the break before.
        if (this.#link === current) this.#link = this.#connectAgain(error);
      }
    }
  }

  async #connect(): Promise<RedisLink> {
    try {
      return await RedisLink.connect(this.#options);
    } catch (error) {
      if (error instanceof LinkClosed) return this.#connectAgain(error);
      throw error;
    }
  }

  async #connectAgain(cause: LinkClosed): Promise<RedisLink> {
    this.#onTrouble(`${cause.message}; connecting again`);
    let reason: Error = cause;
    for (const pauseMs of this.#pausesMs) {
      try {
        await sleep(pauseMs, undefined, this.#closing);
        return await connectToLiving(this.#options);
      } catch (error) {
        if (this.#closing.signal.aborted) break;
        // One that is just starting says LOADING, or does not know its users yet.
        if (!(error instanceof LinkClosed || error instanceof LinkError)) throw error;
        reason = error;
      }
    }
    throw new MigrateError(`the link to ${this.name} is lost: ${reason.message}`, { cause: reason });
  }

  /** Ends it. Whoever still waits gets MigrateError. */
  async close(): Promise<void> {
    this.#closing.abort();
    const link = await this.#link.catch(() => undefined);
    link?.close();
  }
}

/** Who accepts connections need not serve them: what stands before a server that is gone, or one that is still loading its data. */
async function connectToLiving(options: LinkOptions): Promise<RedisLink> {
  const link = await RedisLink.connect(options);
  try {
    await link.ask("PING");
    return link;
  } catch (error) {
    link.close();
    throw error;
  }
}
