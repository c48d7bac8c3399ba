/**
 * The failures that cross a module's border, grouped by whose they are.
 *
 * - The client's fault: `CommandError` (an error reply, the connection goes on) and `ProtocolError` (an error reply, the
 *   connection ends). Their messages are Redis' words.
 * - The operator's: `StartError`, one clear line and exit code 1.
 * - The disk's: `DamagedError`, one value in the file is not what was written. Its own commands fail, and no others.
 * - Anything else is a bug or a broken machine and is not caught quietly.
 */

/** A command was refused. `message` is the whole error reply without the leading `-`, e.g. `ERR syntax error`. */
export class CommandError extends Error {}

/** The bytes were no request. `message` begins with `Protocol error: `; the connection is closed after the reply. */
export class ProtocolError extends Error {}

/** The server can't start as it was told to. `message` is the one line the operator reads. */
export class StartError extends Error {}

/** The value with this id can't be read back: the file holds something else than was written there. */
export class DamagedError extends Error {
  readonly id: number;
  /** What is wrong with it. */
  readonly what: string;

  constructor(id: number, what: string, options?: ErrorOptions) {
    super(`the value with id ${id} is damaged in the database file: ${what}`, options);
    this.id = id;
    this.what = what;
  }
}

/** What a caught failure says, in one line for the log or the operator. */
export function reasonOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}
