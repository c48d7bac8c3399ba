/** A target that keeps nothing: for a move that only tells what it would do. */
import type { Item, Target } from "./item.js";

export class Nowhere implements Target {
  async put({ bitmap }: Item): Promise<void> {
    bitmap.dispose();
  }

  async facts(): Promise<undefined> {}

  async finish(): Promise<void> {}

  async close(): Promise<void> {}
}
