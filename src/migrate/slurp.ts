/** SLURP: a running Redis' keys into the keyspace of a server that serves meanwhile. */
import { reasonOf } from "../errors.js";
import type { Keyspace } from "../keyspace/keyspace.js";
import type { Saver } from "../keyspace/saver.js";
import type { Log } from "../log.js";
import { MigrateError } from "./item.js";
import { KeyspaceTarget } from "./keyspace-target.js";
import { Mover } from "./mover.js";
import type { RedisSource } from "./redis-source.js";

/** Where a slurp's keys come from and which database gets them. */
export interface SlurpFrom {
  host: string;
  port: number;
  database: number;
  into: number;
}

export class Slurps {
  readonly #server: { keyspace: Keyspace; saver: Saver; log: Log };
  /** Those that are under way. */
  readonly #sources = new Set<RedisSource>();
  #stops = 0;

  constructor(server: { keyspace: Keyspace; saver: Saver; log: Log }) {
    this.#server = server;
  }

  /** Resolves when all keys are here and verified; rejects with the reason why they are not. The log is told of both. */
  async run(from: SlurpFrom): Promise<void> {
    const { log } = this.#server;
    const name = `${from.host}:${from.port} database ${from.database}`;
    log.notice(`SLURP of ${name} into database ${from.into} begins`);
    try {
      log.notice(`SLURP of ${name}: ${await this.#move(from)}`);
    } catch (error) {
      log.warning(`SLURP of ${name} failed: ${reasonOf(error)}`);
      throw error;
    }
  }

  async #move({ host, port, database, into }: SlurpFrom): Promise<string> {
    const { keyspace, saver, log } = this.#server;
    const stops = this.#stops;
    const target = new KeyspaceTarget(keyspace, saver);
    // Loaded only now: most servers are never asked for it, and start sooner without.
    const { RedisSource } = await import("./redis-source.js");
    const source = await RedisSource.open({
      link: { host, port },
      database,
      into,
      pattern: "*",
      target,
      resume: false,
      onTrouble: (message) => log.warning(`SLURP: ${message}`),
    });
    this.#sources.add(source);
    try {
      if (this.#stops !== stops) throw new MigrateError("it was ended by this server");
      const { keys, skipped, verified, expired, mismatches } = await new Mover(source, target, { verify: true }).run();
      const skippedKeys = [...skipped.values()].reduce((sum, keys) => sum + keys, 0);
      if (mismatches > 0) throw new MigrateError(`${mismatches} of ${keys} keys are not as they are there`);
      return `${keys} keys are here, ${verified} of them verified and ${expired} expired meanwhile; ${skippedKeys} were skipped`;
    } finally {
      this.#sources.delete(source);
      await source.close();
    }
  }

  /** Ends those that are under way: the server stops, or its data is to be a master's and nobody else's. */
  stop(): void {
    this.#stops++;
    for (const source of this.#sources) void source.close();
  }
}
