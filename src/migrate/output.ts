/** Where a file goes that a move makes, piece by piece: a file, or stdout. Its name and whether it appears whole are its owner's business. */
import type { Writable } from "node:stream";
import { KIB } from "../config.js";
import { reasonOf } from "../errors.js";
import { MigrateError } from "./item.js";

/** Bytes that are gathered before they are written. */
const WRITE_BYTES = 256 * KIB;

export class Output {
  readonly #stream: Writable;
  readonly #name: string;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  /** Why the stream takes no more: a later write only says that it does not. */
  #failure: Error | undefined;

  /** `name` is what the operator calls it. */
  constructor(stream: Writable, name: string) {
    this.#stream = stream;
    this.#name = name;
    stream.on("error", (error: Error) => {
      this.#failure ??= error;
    });
  }

  /** Resolves when more may be written. `bytes` are the output's from now on. Rejects with MigrateError. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#gatheredBytes + bytes.length > WRITE_BYTES) await this.#flush();
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
  }

  /** Resolves when all has been written. Rejects with MigrateError. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#done((callback) => this.#stream.end(callback));
  }

  /** Lets go of what is not written. */
  close(): void {
    this.#gathered = [];
    if (this.#stream !== process.stdout) this.#stream.destroy();
  }

  async #flush(): Promise<void> {
    const [first, ...others] = this.#gathered;
    if (first === undefined) return;
    // A large one is not copied.
    const bytes = others.length === 0 ? first : Buffer.concat(this.#gathered);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    await this.#done((callback) => this.#stream.write(bytes, callback));
  }

  async #done(begin: (callback: (error?: Error | null) => void) => void): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => begin((error) => (error ? reject(error) : resolve())));
    } catch (error) {
      const cause = this.#failure ?? error;
      throw new MigrateError(`can't write ${this.#name}: ${reasonOf(cause)}`, { cause });
    }
  }
}
