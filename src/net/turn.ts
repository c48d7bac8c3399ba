/**
 * Lets the replies of all connections that one turn of the event loop has served leave together, at its end, as Redis does before
 * it sleeps. A write wakes the client that waits for it, which costs more than the write: so a process with many connections is
 * woken once and not once for each of them.
 */

/** What can send what it holds. */
export interface Sender {
  advance(): void;
}

export class Turn {
  #senders: Sender[] = [];

  /** Calls `advance` when every socket that is readable now has been read. Once for each call. */
  add(sender: Sender): void {
    if (this.#senders.push(sender) === 1) setImmediate(this.#end);
  }

  readonly #end = (): void => {
    const senders = this.#senders;
    this.#senders = [];
    for (const sender of senders) sender.advance();
  };
}
