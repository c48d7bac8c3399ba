import { diceOf } from "../../support/random.js";

/** Bytes that nothing compresses, always the same. */
export function noise(length: number): Buffer {
  const dice = diceOf(7);
  return Buffer.from(Array.from({ length }, () => dice.int(0, 255)));
}
