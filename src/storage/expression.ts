/**
 * An expression as the file has it, for people too: the operation and the ids of the rows that it is of, `AND 12 15`. The checksum is CRC-32 of the
 * text, begun at the row's id mod 2^32.
 */
import { crc32 } from "node:zlib";
import { BITOPS } from "../keyspace/bitmap-op.js";
import type { Expression } from "../keyspace/storage.js";

export interface ExpressionText {
  id: number;
  text: string;
  checksum: number;
}

/** In the place of an expression whose value can't be made any more, since what it was of was damaged. */
const LOST = "LOST";

export function writeExpression(id: number, { op, sources }: Expression): ExpressionText {
  return withChecksum(id, `${op} ${sources.join(" ")}`);
}

export function lostExpression(id: number): ExpressionText {
  return withChecksum(id, LOST);
}

function withChecksum(id: number, text: string): ExpressionText {
  return { id, text, checksum: crc32(text, id % 2 ** 32) };
}

/** undefined where it is not what was written, or lost. */
export function readExpression({ id, text, checksum }: ExpressionText): Expression | undefined {
  if (withChecksum(id, text).checksum !== checksum) return undefined;
  const [name, ...ids] = text.split(" ");
  const op = BITOPS.find((each) => each === name);
  return op === undefined ? undefined : { op, sources: ids.map(Number) };
}
