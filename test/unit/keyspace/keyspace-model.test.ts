/** The keyspace over its file against a plain map, in random programs with commits and evictions at random moments. */
import fc from "fast-check";
import { test } from "vitest";
import { Duel, step } from "./model.js";

test("the keyspace holds what a map holds, and the file what it held when the last written batch was taken", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 150, size: "max" }), fc.integer(), (program, seed) => {
      new Duel(seed).run(program);
    }),
    { numRuns: 400 },
  );
});
