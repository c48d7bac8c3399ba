/** Those items of a source whose keys match, for sources that can't choose by themselves. */
import { compileGlob, type Matcher } from "../keyspace/glob.js";
import type { Item, Skipped, Source } from "./item.js";

export class FilteredSource implements Source {
  readonly #source: Source;
  readonly #matches: Matcher;

  constructor(source: Source, pattern: string) {
    this.#source = source;
    this.#matches = compileGlob(pattern);
  }

  async *items(skip: (skipped: Skipped) => void): AsyncGenerator<Item, void> {
    const skipMatching = (skipped: Skipped) => {
      if (this.#matches(skipped.key)) skip(skipped);
    };
    for await (const item of this.#source.items(skipMatching)) {
      if (this.#matches(item.key)) yield item;
      else item.bitmap.dispose();
    }
  }

  get share(): number | undefined {
    return this.#source.share;
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
