/** A keyspace as the source of a move: a database file's, or that of a server that runs. Its values come one at a time, and none stays for it. */
import { DamagedError } from "../errors.js";
import type { Database } from "../keyspace/database.js";
import type { Matcher } from "../keyspace/glob.js";
import type { Keyspace } from "../keyspace/keyspace.js";
import { type Item, MigrateError, type Source } from "./item.js";

export class KeyspaceSource implements Source {
  readonly #keyspace: Keyspace;
  readonly #matches: Matcher;

  /** The keys of all databases that match. */
  constructor(keyspace: Keyspace, matches: Matcher) {
    this.#keyspace = keyspace;
    this.#matches = matches;
  }

  /** Each key as it is when its turn comes: one that is gone by then is left out, and one that came meanwhile may be. Skips none. */
  async *items(): AsyncGenerator<Item, void> {
    for (const database of this.#keyspace.databases) {
      for (const keys of this.#keyspace.keyPages(database, this.#matches)) {
        for (const key of keys) {
          const item = this.#item(database, key);
          if (item !== undefined) yield item;
        }
        // Whoever takes the items may have nothing to wait for, and nothing else would run.
        await new Promise(setImmediate);
      }
    }
  }

  #item(database: Database, key: string): Item | undefined {
    this.#keyspace.tick();
    try {
      const read = this.#keyspace.read(database, key);
      return read && { database: database.number, key, ...read };
    } catch (cause) {
      if (!(cause instanceof DamagedError)) throw cause;
      throw new MigrateError(`key ${JSON.stringify(key)} of database ${database.number}: ${cause.message}`, { cause });
    }
  }

  async close(): Promise<void> {}
}
