/**
 * bitmapist's mark_event: MULTI, SETBIT of one user in the month, week, day and hour of an event, EXEC.
 * @param {number} events a power of ten
 * @param {number} ids the same
 * @returns {import("./duel.mjs").Row}
 */
export function markEventRow(events, ids) {
  return {
    name: "mark_event (MULTI, 4 SETBIT, EXEC)",
    figure: "rate",
    unit: "events",
    perOperation: 1,
    connections: 16,
    pipeline: 1,
    wholeCycles: false,
    workload: { kind: "mark_event", events, ids },
  };
}
