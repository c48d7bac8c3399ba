/** What all targets are that make one file: items leave one after the other, each in pieces that are small whatever its size. */
import type { Item, Target } from "./item.js";
import type { MadeFile } from "./made-file.js";
import type { Output } from "./output.js";

/** How a file of some format begins and ends, and what an item is in it. */
export interface FileFormat {
  readonly begin: Uint8Array;
  readonly end: Uint8Array;
  /** The item's pieces. It must not be disposed of here. */
  pieces(item: Item): Iterable<Uint8Array>;
}

export class FileTarget implements Target {
  readonly isFinal = true;
  readonly #output: Output;
  readonly #format: FileFormat;
  readonly #made: MadeFile | undefined;
  #isPublished = false;
  /** What was put last: the next waits for it. */
  #last: Promise<void>;

  /** `made` is what `output` writes, where that is a file. */
  constructor(output: Output, format: FileFormat, made?: MadeFile) {
    this.#made = made;
    this.#output = output;
    this.#format = format;
    this.#last = output.write(format.begin);
    // Whoever puts the next item is told.
    this.#last.catch(() => {});
  }

  put(item: Item): Promise<void> {
    this.#last = this.#last.then(() => this.#write(item)).finally(() => item.bitmap.dispose());
    return this.#last;
  }

  async #write(item: Item): Promise<void> {
    for (const piece of this.#format.pieces(item)) await this.#output.write(piece);
  }

  /** A file is not read back. */
  async facts(): Promise<undefined> {}

  async finish(): Promise<void> {
    await this.#last;
    await this.#output.write(this.#format.end);
    await this.#output.finish();
    this.#made?.publish();
    this.#isPublished = true;
  }

  async close(): Promise<void> {
    if (this.#isPublished) return;
    await this.#last.catch(() => {});
    this.#output.close();
    this.#made?.discard();
  }
}
