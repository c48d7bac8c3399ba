/** One key that exists, as a command holds it between looking it up and being done. The entry itself is in the entry table. */
import type { Database } from "./database.js";
import { NO_DEADLINE } from "./storage.js";

export class Entry {
  readonly database: Database;
  /** Its number in the entry table of the database's contents. */
  readonly number: number;

  constructor(database: Database, number: number) {
    this.database = database;
    this.number = number;
  }

  get key(): string {
    return this.database.contents.entries.key(this.number);
  }

  /** Wall-clock milliseconds after which the key is gone; NO_DEADLINE for never. */
  get deadline(): number {
    return this.database.contents.entries.deadline(this.number);
  }

  get volatile(): boolean {
    return this.deadline !== NO_DEADLINE;
  }
}
