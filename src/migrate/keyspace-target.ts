/** A keyspace as the target of a move: a database file's, or that of a server that runs. */
import { reasonOf } from "../errors.js";
import type { PieceTaker } from "../keyspace/bitmap-builder.js";
import type { Keyspace } from "../keyspace/keyspace.js";
import type { Saver } from "../keyspace/saver.js";
import { StoredSet } from "../keyspace/stored-set.js";
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
    if (bitmap.unmade instanceof StoredSet) {
      await this.#committed().catch((error: unknown) => {
        bitmap.dispose();
        throw error;
      });
    }
    this.#keyspace.tick();
    const entry = this.#keyspace.setValue(database, key, bitmap);
    if (entry.deadline !== deadline) this.#keyspace.setDeadline(entry, deadline);
    this.#saver.noticeChanges();
    while (this.#saver.isBehind) await this.#saver.caughtUp();
    if (this.#saver.failure !== undefined) throw new MigrateError(`can't write: ${this.#saver.failure}`);
    await this.#turn();
  }

  async takePieces(): Promise<PieceTaker> {
    return { stored: this.#keyspace.storedSet(), committed: () => this.#committed() };
  }

  async #committed(): Promise<void> {
    await this.#saver.committedOrFailed();
    if (this.#saver.failure !== undefined) throw new MigrateError(`can't write: ${this.#saver.failure}`);
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
    return { ...this.#keyspace.facts(entry), deadline: entry.deadline };
  }

  async current(number: number, key: string): Promise<Item | undefined> {
    const database = this.#keyspace.databases[number];
    this.#keyspace.tick();
    const read = database && this.#keyspace.read(database, key);
    return read && { database: number, key, ...read };
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
