/**
 * One read transaction for all questions that a turn of the event loop asks the file: to begin and end one for each is a fifth of
 * what a question costs. While it lasts the file is seen as it was, so whoever learns of a commit looks afresh first.
 */
import type { Statement } from "better-sqlite3";
import type { Connection } from "./schema.js";

export class TurnSnapshot {
  readonly #connection: Connection;
  readonly #begin: Statement;
  readonly #end: Statement;
  #questions = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#begin = connection.prepare("BEGIN");
    this.#end = connection.prepare("COMMIT");
  }

  /** To be called before each question. The first of a turn is often the only one, and goes by itself. */
  use(): void {
    this.#questions++;
    if (this.#questions === 1) setImmediate(this.#endTurn);
    else if (!this.#connection.inTransaction) this.#begin.run();
  }

  /** Asks several questions that must see the same. */
  during<T>(ask: () => T): T {
    if (this.#connection.inTransaction) return ask();
    this.#begin.run();
    try {
      return ask();
    } finally {
      this.refresh();
    }
  }

  /** From now on, what is committed until now is seen. */
  refresh(): void {
    if (this.#connection.inTransaction) this.#end.run();
  }

  readonly #endTurn = (): void => {
    this.#questions = 0;
    this.refresh();
  };
}
