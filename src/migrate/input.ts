/** A file, or whatever stands for one, as a stream of bytes with a name for error messages. */
import { createReadStream, fstatSync, openSync } from "node:fs";
import { MIB } from "../config.js";
import { reasonOf } from "../errors.js";
import { MigrateError } from "./item.js";

export interface Input {
  /** What the operator calls it. */
  name: string;
  chunks: AsyncIterable<Buffer>;
  /** In bytes, where it is known. */
  size?: number;
}

/** Opens a file. Throws MigrateError where it can't be read. */
export function openInput(path: string): Input {
  try {
    const fd = openSync(path, "r");
    const { size } = fstatSync(fd);
    return { name: path, size, chunks: createReadStream(path, { fd, highWaterMark: MIB }) };
  } catch (cause) {
    throw new MigrateError(`can't read ${path}: ${reasonOf(cause)}`, { cause });
  }
}

/** The chunks of an input, once, and how far they are. */
export class InputReader {
  readonly #input: Input;
  #bytesRead = 0;

  constructor(input: Input) {
    this.#input = input;
  }

  /** Rejects with MigrateError where they can't be read. */
  async *chunks(): AsyncGenerator<Buffer, void> {
    try {
      for await (const chunk of this.#input.chunks) {
        this.#bytesRead += chunk.length;
        yield chunk;
      }
    } catch (cause) {
      if (!(cause instanceof Error) || !("syscall" in cause)) throw cause;
      throw new MigrateError(`can't read ${this.#input.name}: ${cause.message}`, { cause });
    }
  }

  /** How much is read, 0 to 1; undefined where that is not known. */
  get share(): number | undefined {
    const { size } = this.#input;
    return size === undefined || size === 0 ? undefined : Math.min(this.#bytesRead / size, 1);
  }

  /** What is wrong with a line, as the operator reads it. */
  badLine(line: number, what: string): MigrateError {
    return new MigrateError(`${this.#input.name}:${line}: ${what}`);
  }

  /** What is wrong with it elsewhere. */
  bad(what: string): MigrateError {
    return new MigrateError(`${this.#input.name}: ${what}`);
  }
}
