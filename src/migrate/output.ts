/** Where a file goes that a move makes, piece by piece: a file, or stdout. Its name and whether it appears whole are its owner's business. */
import { once } from "node:events";
import type { Writable } from "node:stream";
import { reasonOf } from "../errors.js";
import { MigrateError } from "./item.js";

export class Output {
  readonly #stream: Writable;
  readonly #name: string;
  #failure: unknown;

  /** `name` is what the operator calls it. */
  constructor(stream: Writable, name: string) {
    this.#stream = stream;
    this.#name = name;
    stream.on("error", (error) => {
      this.#failure ??= error;
    });
  }

  /** Resolves when more may be written. `bytes` belong to the output until then, and may do so longer. Rejects with MigrateError. */
  async write(bytes: Uint8Array): Promise<void> {
    if (!this.#stream.write(bytes)) await this.#event("drain");
    this.#throwFailure();
  }

  /** Resolves when all has been written. */
  async finish(): Promise<void> {
    this.#throwFailure();
    this.#stream.end();
    await this.#event("finish");
  }

  async #event(name: string): Promise<void> {
    try {
      await once(this.#stream, name);
    } catch (error) {
      this.#failure ??= error;
    }
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure === undefined) return;
    throw new MigrateError(`can't write ${this.#name}: ${reasonOf(this.#failure)}`, { cause: this.#failure });
  }
}
