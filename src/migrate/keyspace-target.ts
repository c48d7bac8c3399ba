/** A keyspace as the target of a move: a database file's, or that of a server that runs. */
import { reasonOf } from "../errors.js";
import type { Keyspace } from "../keyspace/keyspace.js";
import type { Saver } from "../keyspace/saver.js";
import { type Item, MigrateError, type Target, type TargetFacts } from "./item.js";

/** How long items are put in before others get their turn, in milliseconds. */
const TURN_MS = 2;

export class KeyspaceTarget implements Target {
  readonly #keyspace: Keyspace;
  readonly #saver: Saver;
  #turnEndsMs = 0;

  constructor(keyspace: Keyspace, saver: Saver) {
    this.#keyspace = keyspace;
    this.#saver = saver;
  }

  async put({ database: number, key, bitmap, deadline }: Item): Promise<void> {
    const database = this.#keyspace.databases[number];
    if (database === undefined) {
      bitmap.dispose();
      throw new MigrateError(`there is no database ${number} here, only 0 to ${this.#keyspace.databases.length - 1}`);
    }
    this.#keyspace.tick();
    const entry = this.#keyspace.setValue(database, key, bitmap);
    if (entry.deadline !== deadline) this.#keyspace.setDeadline(entry, deadline);
    this.#saver.noticeChanges();
    while (this.#saver.isBehind) await this.#saver.caughtUp();
    if (this.#saver.failure !== undefined) throw new MigrateError(`can't write: ${this.#saver.failure}`);
    await this.#turn();
  }

  /** Nothing else would run between items that need not be waited for. */
  async #turn(): Promise<void> {
    if (performance.now() < this.#turnEndsMs) return;
    await new Promise(setImmediate);
    this.#turnEndsMs = performance.now() + TURN_MS;
  }

  async facts(number: number, key: string): Promise<TargetFacts | undefined> {
    const database = this.#keyspace.databases[number];
    if (database === undefined) return undefined;
    this.#keyspace.tick();
    const entry = this.#keyspace.peek(database, key);
    if (entry === undefined) return undefined;
    const { cardinality, byteLength } = this.#keyspace.value(entry);
    return { cardinality, byteLength, deadline: entry.deadline };
  }

  async finish(): Promise<void> {
    try {
      await this.#saver.save();
    } catch (cause) {
      throw new MigrateError(`can't write: ${reasonOf(cause)}`, { cause });
    }
  }

  async close(): Promise<void> {}
}
