/** An RDB reader that makes bitmaps, for who knows a place where those go that are too large for memory. */
import type { Bitmap } from "../keyspace/bitmap.js";
import { BitmapBuilder, type OpenPieceTaker } from "../keyspace/bitmap-builder.js";
import { RdbReader } from "../rdb/reader.js";

export class BitmapReader extends RdbReader<Bitmap> {
  #builder: BitmapBuilder | undefined;

  constructor(takePieces: OpenPieceTaker) {
    super(() => {
      this.#builder = new BitmapBuilder(takePieces);
      return this.#builder;
    });
  }

  /** Gives away what is complete of a large value. To be awaited after each chunk; rejects when it can't be kept. */
  async makeRoom(): Promise<void> {
    await this.#builder?.makeRoom();
  }
}
