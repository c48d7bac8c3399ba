/**
 * Reads memory before it is needed, at many places side by side: a read that misses the caches takes as long as a hundred
 * instructions, and ten of them take little longer than one where none has to wait for another's result. So the loop that reads
 * does nothing else: with more in it the processor sees only one or two places at a time.
 */

export class ReadAhead {
  readonly #pages: Uint32Array[] = [];
  readonly #places: number[] = [];
  #count = 0;
  /** What was read, added up: V8 leaves out a read that nobody needs. */
  sum = 0;

  /** Remembers a place to be read: a word of `page`. */
  add(page: Uint32Array, index: number): void {
    this.#pages[this.#count] = page;
    this.#places[this.#count++] = index;
  }

  /** Reads all places that were added since the last time. Their pages are remembered; memory that is given back is free all the same. */
  read(): void {
    const pages = this.#pages;
    const places = this.#places;
    let sum = 0;
    for (let i = 0; i < this.#count; i++) sum ^= (pages[i] as Uint32Array)[places[i] as number] as number;
    this.#count = 0;
    this.sum = sum;
  }
}
