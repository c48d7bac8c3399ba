/**
 * A target that is opened when the first item is there, or when the source has turned out to have none: what opening makes is not made for a
 * source that is no good.
 */
import type { PieceTaker } from "../keyspace/bitmap-builder.js";
import type { Item, Target, TargetFacts } from "./item.js";

export class LaterTarget implements Target {
  readonly #open: () => Promise<Target>;
  #target: Promise<Target> | undefined;

  /** `open` is called once, or never. */
  constructor(open: () => Promise<Target>) {
    this.#open = open;
  }

  async put(item: Item): Promise<void> {
    let target: Target;
    try {
      target = await this.#opened();
    } catch (error) {
      item.bitmap.dispose();
      throw error;
    }
    await target.put(item);
  }

  async takePieces(): Promise<PieceTaker | undefined> {
    return await (await this.#opened()).takePieces?.();
  }

  async facts(database: number, key: string): Promise<TargetFacts | undefined> {
    return await (await this.#target)?.facts(database, key);
  }

  async current(database: number, key: string): Promise<Item | undefined> {
    return await (await this.#target)?.current?.(database, key);
  }

  async finish(): Promise<void> {
    await (await this.#opened()).finish();
  }

  async close(): Promise<void> {
    await (await this.#target?.catch(() => undefined))?.close();
  }

  #opened(): Promise<Target> {
    this.#target ??= this.#open();
    return this.#target;
  }
}
