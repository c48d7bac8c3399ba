/**
 * A value that is kept as containers, as it is read: its length and how many ones it has are known, and whoever wants more of it than
 * single bits gets it from a native set, which the keyspace makes in its place.
 */
import type { Bitmap } from "./bitmap.js";
import type { Bit, ContainerCounts, Value } from "./value.js";

export class ContainersValue implements Value {
  readonly cardinality: number;
  readonly byteLength: number;
  readonly #native: () => Bitmap;
  readonly #containers: () => ContainerCounts;

  constructor(cardinality: number, byteLength: number, native: () => Bitmap, containers: () => ContainerCounts) {
    this.cardinality = cardinality;
    this.byteLength = byteLength;
    this.#native = native;
    this.#containers = containers;
  }

  get containers(): ContainerCounts {
    return this.#containers();
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

  select(rank: number): number {
    return this.#native().select(rank);
  }

  page(rank: number, count: number): Uint32Array {
    return this.#native().page(rank, count);
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
