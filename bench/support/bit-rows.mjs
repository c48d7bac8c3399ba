// Rows of the commands that come in the millions, over any keys that bitKey names.

/** As many clients as a web application's processes are. */
const connections = 50;

/**
 * @param {"SETBIT" | "GETBIT" | "BITCOUNT"} kind
 * @param {number} pipeline
 * @param {{ keys: number, ids: number }} over
 * @param {string} [of] which data, where it is not the question's own
 * @returns {import("./duel.mjs").Row}
 */
export function bitRow(kind, pipeline, over, of = "") {
  return {
    name: `${of}${kind}, pipeline ${pipeline}`,
    figure: "rate",
    unit: "commands",
    perOperation: pipeline,
    connections,
    pipeline,
    wholeCycles: false,
    workload: { kind, ...over },
  };
}
