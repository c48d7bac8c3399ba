/** The items of a source with what the target has of them already: moving these adds ids, and replaces nothing. */
import { NO_DEADLINE } from "../keyspace/storage.js";
import type { Item, Skipped, Source, There } from "./item.js";

/** What can be added to. */
export type Readable = Required<Pick<There, "current">>;

export function canBeRead(there: There): there is There & Readable {
  return there.current !== undefined;
}

export class MergingSource implements Source {
  readonly #source: Source;
  readonly #target: Readable;

  constructor(source: Source, target: Readable) {
    this.#source = source;
    this.#target = target;
  }

  /** A key has the ids of both, the length of the longer one, and the target's deadline unless the source gives one. */
  async *items(skip: (skipped: Skipped) => void): AsyncGenerator<Item, void> {
    for await (const { facts, ...item } of this.#source.items(skip)) {
      const current = await this.#target.current(item.database, item.key);
      if (current === undefined) {
        yield item;
        continue;
      }
      current.bitmap.add(item.bitmap).dispose();
      item.bitmap.dispose();
      current.bitmap.optimize();
      yield { ...current, deadline: item.deadline === NO_DEADLINE ? current.deadline : item.deadline };
    }
  }

  get share(): number | undefined {
    return this.#source.share;
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
