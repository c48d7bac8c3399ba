// What do 1,000 keys of 10,000 ids in 50,000,000 take in memory? Redis needs some 7 GB for this.

import { memoryQuestion } from "./support/memory.mjs";
import { Random } from "./support/random.mjs";
import { bitKey } from "./support/requests.mjs";

const keys = 1_000;
const members = 10_000;
const ids = 50_000_000;

export const memory = memoryQuestion({
  name: "memory of 1,000 keys of 10,000 ids",
  bits,
  ratioMin: 100,
  bytesPerMemberMax: 6,
});

/** @returns {Generator<[string, number]>} in turn over the keys, each with its highest id first: Redis' strings do not grow */
function* bits() {
  const random = new Random(4);
  const values = Array.from({ length: keys }, () => {
    const chosen = new Set([ids - 1]);
    while (chosen.size < members) chosen.add(random.below(ids));
    return Uint32Array.from(chosen);
  });
  for (let member = 0; member < members; member++)
    for (const [key, value] of values.entries()) yield [bitKey(key, keys), value[member] ?? 0];
}
