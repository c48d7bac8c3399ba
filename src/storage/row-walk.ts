/**
 * Walks a table in the order of its row numbers and loses no more by a damaged page than what is on it: where SQLite fails,
 * the walk finds the first row number behind the damage from which it reads again, and says which numbers lie between.
 */
import { reasonOf } from "../errors.js";

/** Rows read at a time where nothing is damaged. */
const PAGE_ROWS = 256;
/** Behind damage the next try is so many parts of the way farther on: by one number at first, so that no good page is stepped over. */
const STEP_RATIO = 16;

/** Numbers of rows that can't be read, the first and the last, and SQLite's reason. */
export interface Gap {
  first: number;
  last: number;
  reason: string;
}

/** Gives up to `limit` rows from a number on, in their order, or throws. */
type Read<Row> = (from: number, limit: number) => Row[];

/** Yields all rows of a range of numbers, and what of the range can't be read. `numberOf` is a row's number. */
export function* walkRows<Row>(
  read: Read<Row>,
  numberOf: (row: Row) => number,
  range: { first: number; last: number },
): Generator<{ rows: Row[] } | { gap: Gap }> {
  const attempt = (from: number, limit: number): { rows: Row[] } | { reason: string } => {
    try {
      const rows = read(from, limit);
      const ordered = rows.findIndex((row, i) => numberOf(row) < (i === 0 ? from : numberOf(rows[i - 1] as Row) + 1));
      // On a damaged page numbers may be anything. What follows in order is read again, by itself.
      if (ordered === 0) throw new Error("its rows are out of order");
      return { rows: ordered < 0 ? rows : rows.slice(0, ordered) };
    } catch (error) {
      return { reason: reasonOf(error) };
    }
  };
  for (let at = range.first; at <= range.last; ) {
    const page = attempt(at, PAGE_ROWS);
    const found = "rows" in page ? page : attempt(at, 1);
    if ("rows" in found) {
      if (found.rows.length > 0) yield found;
      const last = found.rows.at(-1);
      if (last === undefined) return;
      at = numberOf(last) + 1;
    } else {
      const next = firstReadable((from) => "rows" in attempt(from, 1), at, range.last);
      yield { gap: { first: at, last: next - 1, reason: found.reason } };
      at = next;
    }
  }
}

/** The first number after `failed` from which a row can be read, or from which on there are none; `last + 1` at most. */
function firstReadable(isReadable: (from: number) => boolean, failed: number, last: number): number {
  let bad = failed;
  let good = failed + 1;
  while (good <= last && !isReadable(good)) {
    bad = good;
    good += Math.max(1, Math.floor((good - failed) / STEP_RATIO));
  }
  good = Math.min(good, last + 1);
  while (good - bad > 1) {
    const middle = bad + Math.floor((good - bad) / 2);
    if (isReadable(middle)) good = middle;
    else bad = middle;
  }
  return good;
}
