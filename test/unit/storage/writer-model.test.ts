/** Flushes, the work between them, failures and crashes, in random programs. */
import fc from "fast-check";
import { test } from "vitest";
import { step, WriterDuel } from "./writer-model.js";

/** Above all for shrinking a failure: programs with large values take their time. */
const TIME_MS_MAX = 30_000;

test("whatever the writer does, fails at or is interrupted in, the file holds what was committed", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60, size: "max" }), (program) => {
      new WriterDuel().run(program);
    }),
    { numRuns: 150, interruptAfterTimeLimit: TIME_MS_MAX },
  );
});
