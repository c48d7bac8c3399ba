/**
 * A value that is kept as containers, as it is read: its length and how many ones it has are known, and whoever wants more of it than
 * single bits gets it from a native set, which the keyspace makes in its place.
 */
import type { Bitmap } from "./bitmap.js";
import type { Bit, Value } from "./value.js";

export class ContainersValue implements Value {
  readonly cardinality: number;
  readonly byteLength: number;
  readonly #native: () => Bitmap;

  constructor(cardinality: number, byteLength: number, native: () => Bitmap) {
    this.cardinality = cardinality;
    this.byteLength = byteLength;
    this.#native = native;
  }

  getBit(offset: number): Bit {
    return this.#native().getBit(offset);
  }

  countRange(first: number, last: number): number {
    return this.#native().countRange(first, last);
  }

  position(bit: Bit, first: number, last: number): number {
    return this.#native().position(bit, first, last);
  }

  bytes(start: number, length: number): Buffer {
    return this.#native().bytes(start, length);
  }

  slices(start: number, length: number): Iterator<Buffer> {
    return this.#native().slices(start, length);
  }

  clone(): Bitmap {
    return this.#native().clone();
  }
}
