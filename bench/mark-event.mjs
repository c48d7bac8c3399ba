// How fast is bitmapist's mark_event: MULTI, SETBIT of one user in the month, week, day and hour, EXEC?

import { duelQuestion } from "./support/duel.mjs";
import { markEventRow } from "./support/mark-event-row.mjs";

export const markEvent = duelQuestion({
  name: "mark_event",
  rows: [markEventRow(100, 1_000_000)],
  // Begins empty, as a new week does.
  async load() {},
  async verify() {
    return [];
  },
});
