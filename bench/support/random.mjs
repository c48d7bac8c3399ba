// A seeded generator (xorshift32), so that every run and both servers see the same data. Not for secrets.

export class Random {
  #state;

  /** @param {number} seed any integer */
  constructor(seed) {
    // Spread close seeds apart; the state must not be 0.
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
    for (let i = 0; i < 8; i++) this.next();
  }

  /** The next 32 bits, as an unsigned integer. */
  next() {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  /**
   * An integer in 0 .. limit-1.
   * @param {number} limit at most 2^32
   */
  below(limit) {
    return Math.floor((this.next() / 4294967296) * limit);
  }

  /** A number from 0 on, below 1. */
  part() {
    return this.next() / 4294967296;
  }

  /**
   * True with the given probability.
   * @param {number} probability
   */
  chance(probability) {
    return this.next() < probability * 4294967296;
  }

  /**
   * @template T
   * @param {readonly T[]} list not empty
   * @returns {T}
   */
  pick(list) {
    return /** @type {T} */ (list[this.below(list.length)]);
  }

  /**
   * Shuffles in place (Fisher-Yates).
   * @param {{ length: number, [index: number]: number }} list an array or a typed array of numbers
   */
  shuffle(list) {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const held = /** @type {number} */ (list[i]);
      list[i] = /** @type {number} */ (list[j]);
      list[j] = held;
    }
  }
}
