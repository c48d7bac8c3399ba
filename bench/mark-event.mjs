// How fast is bitmapist's mark_event: MULTI, SETBIT of one user in the month, week, day and hour, EXEC?

import { duelQuestion } from "./support/duel.mjs";

export const markEvent = duelQuestion({
  name: "mark_event",
  rows: [
    {
      name: "mark_event (MULTI, 4 SETBIT, EXEC)",
      figure: "rate",
      unit: "events",
      perOperation: 1,
      connections: 16,
      pipeline: 1,
      wholeCycles: false,
      workload: { kind: "mark_event", events: 100, ids: 1_000_000 },
    },
  ],
  // Begins empty, as a new week does.
  async load() {},
  async verify() {
    return [];
  },
});
