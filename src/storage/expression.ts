/** An expression as the file has it, for people too: the operation and the ids of the rows that it is of, `AND 12 15`. */
import { BITOPS } from "../keyspace/bitmap-op.js";
import type { Expression } from "../keyspace/expressions.js";

export function formatExpression({ op, sources }: Expression): string {
  return `${op} ${sources.join(" ")}`;
}

/** undefined where the text is none. */
export function parseExpression(text: string): Expression | undefined {
  const [name, ...ids] = text.split(" ");
  const op = BITOPS.find((each) => each === name);
  const sources = ids.map(Number);
  return op === undefined || sources.length === 0 || !sources.every(Number.isSafeInteger) ? undefined : { op, sources };
}
