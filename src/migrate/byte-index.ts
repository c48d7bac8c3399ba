/** Numbers of strings of bytes, found without making a JavaScript string of each, which would cost more than all else that a row needs. */
const SLOTS_MIN = 1024;
const BYTES_MIN = 65_536;
const EMPTY = -1;

export class ByteIndex {
  /** For each hash the index of the string in the lists below, or of another one with that hash: then it is in one of the next slots. */
  #slots = new Int32Array(SLOTS_MIN).fill(EMPTY);
  readonly #numbers: number[] = [];
  /** Where each string ends in `#bytes`; the next begins there. */
  readonly #ends: number[] = [];
  #bytes = Buffer.allocUnsafe(BYTES_MIN);

  /** The number of bytes `start`..`end - 1`; undefined where they have none. */
  find(bytes: Buffer, start: number, end: number): number | undefined {
    const index = this.#slots[this.#slot(bytes, start, end)] as number;
    return index === EMPTY ? undefined : this.#numbers[index];
  }

  /** Gives them one. They must have none. */
  add(bytes: Buffer, start: number, end: number, number: number): void {
    const before = this.#ends.at(-1) ?? 0;
    const last = before + end - start;
    if (last > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes], Math.max(last, this.#bytes.length * 2));
    bytes.copy(this.#bytes, before, start, end);
    this.#ends.push(last);
    const index = this.#numbers.push(number) - 1;
    this.#slots[this.#slot(bytes, start, end)] = index;
    // Half empty: the next slot is mostly the right one.
    if (this.#numbers.length * 2 > this.#slots.length) this.#grow();
  }

  #grow(): void {
    this.#slots = new Int32Array(this.#slots.length * 2).fill(EMPTY);
    for (let i = 0, start = 0; i < this.#ends.length; i++) {
      const end = this.#ends[i] as number;
      this.#slots[this.#slot(this.#bytes, start, end)] = i;
      start = end;
    }
  }

  /** The slot in which the bytes are, or the empty one where they belong. */
  #slot(bytes: Buffer, start: number, end: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hash = 0x811c9dc5;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
    hash ^= hash >>> 15;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const index = slots[slot] as number;
      if (index === EMPTY || this.#isAt(index, bytes, start, end)) return slot;
    }
  }

  #isAt(index: number, bytes: Buffer, start: number, end: number): boolean {
    const own = this.#bytes;
    const from = index === 0 ? 0 : (this.#ends[index - 1] as number);
    if ((this.#ends[index] as number) - from !== end - start) return false;
    for (let i = 0; i < end - start; i++) if (own[from + i] !== bytes[start + i]) return false;
    return true;
  }
}
