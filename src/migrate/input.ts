/** A file, or whatever stands for one, as a stream of bytes with a name for error messages. */
import { MigrateError } from "./item.js";

export interface Input {
  /** What the operator calls it. */
  name: string;
  chunks: AsyncIterable<Buffer>;
}

/** The chunks of an input. Rejects with MigrateError where they can't be read. */
export async function* chunksOf({ name, chunks }: Input): AsyncGenerator<Buffer, void> {
  try {
    yield* chunks;
  } catch (cause) {
    if (!(cause instanceof Error) || !("code" in cause)) throw cause;
    throw new MigrateError(`can't read ${name}: ${cause.message}`, { cause });
  }
}

/** What is wrong with a line of an input, as the operator reads it. */
export function badLine({ name }: Input, line: number, what: string): MigrateError {
  return new MigrateError(`${name}:${line}: ${what}`);
}
