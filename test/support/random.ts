/** Randomness that can be had again: the seed is printed, and SEED in the environment sets it. */

export interface Dice {
  readonly seed: number;
  /** 0 <= x < 1. */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number;
  pick<T>(list: readonly T[]): T;
}

/** Dice for a test that says its name and seed. */
export function dice(name: string): Dice {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32)) >>> 0;
  console.log(`${name}: SEED=${seed}`);
  return diceOf(seed);
}

/** mulberry32. */
export function diceOf(seed: number): Dice {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  return { seed, next, int, pick: (list) => list[int(0, list.length - 1)]! };
}
