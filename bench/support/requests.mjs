// The requests of each workload, encoded before the clock runs. A batch is one write and its replies. Repeating the
// same bytes would be cheating (a SETBIT that changes nothing costs nothing), so the digits of keys and ids are drawn
// anew before each send; their number stays, and so does the layout of the bytes.

import { Random } from "./random.mjs";

/**
 * @typedef {{ kind: "SETBIT" | "GETBIT" | "BITCOUNT", keys: number, ids: number, keysUsed?: number }} BitWorkload over
 *   key:0 .. key:keys-1, or the first `keysUsed` of them
 * @typedef {{ kind: "mark_event", events: number, ids: number }} MarkEventWorkload
 * @typedef {{ kind: "cohort", rows: number, columns: number }} CohortWorkload
 * @typedef {{ kind: "COHORT", rows: number, columns: number }} CohortCommandWorkload the same table, by one command
 * @typedef {{ kind: "BITOP", operation: "AND" | "OR" | "XOR" | "NOT", keys: number }} BitopWorkload of two of these keys, or
 *   one for NOT; the result is counted
 * @typedef {BitWorkload | BitopWorkload | MarkEventWorkload | CohortWorkload | CohortCommandWorkload} Workload
 */

// bitmapist's keys for the month, week, day and hour of an event.
const markEventSpans = ["_2025-11", "_W2025-48", "_2025-11-24", "_2025-11-24-10"];

const bitopTarget = "bitop";

/**
 * @typedef {object} Field digits that are drawn anew for each send
 * @property {number} width
 * @property {boolean} leadingZero whether the first digit may be 0, as in a padded key and unlike in an offset
 * @property {number} [limit] the number is below it; any number of those digits without
 * @property {number[]} offsets where the digits stand in the batch
 */

/**
 * @typedef {object} Batch
 * @property {Buffer} bytes
 * @property {Field[]} fields
 * @property {number} replyLines lines of the replies; a bulk string, none of which has a line's end in it, is two
 * @property {boolean} endsOperation whether what is timed ends with this batch
 */

/**
 * The batches that one connection sends in turn, again and again.
 * @param {Workload} workload
 * @param {number} pipeline commands in a batch, where the workload leaves that open
 * @param {Random} random
 * @returns {Batch[]}
 */
export function makeBatches(workload, pipeline, random) {
  switch (workload.kind) {
    case "mark_event":
      return [markEventBatch(workload, random)];
    case "cohort":
      return cohortBatches(workload);
    case "COHORT":
      return [cohortCommandBatch(workload)];
    case "BITOP":
      return [bitopBatch(workload)];
    default:
      return [bitBatch(workload, pipeline, random)];
  }
}

/**
 * Draws the digits of all fields.
 * @param {Batch} batch
 * @param {Random} random
 */
export function refresh(batch, random) {
  const { bytes, fields } = batch;
  for (let f = 0; f < fields.length; f++) {
    const { width, leadingZero, offsets, limit } = /** @type {Field} */ (fields[f]);
    let bits = limit === undefined ? random.next() : random.below(limit);
    for (let place = width - 1; place >= 0; place--) {
      let digit = bits % 10;
      bits = (bits / 10) >>> 0;
      if (place === 0 && !leadingZero && digit === 0) digit = 1 + (bits % 9);
      for (let o = 0; o < offsets.length; o++) bytes[/** @type {number} */ (offsets[o]) + place] = 48 + digit;
    }
  }
}

/** @param {number} week */
export function cohortKey(week) {
  return `trackist_active_W2025-${String(week).padStart(2, "0")}`;
}

/**
 * The key as the bit workloads write it: padded, so that all are of one length.
 * @param {number} key
 * @param {number} keys how many there are
 */
export function bitKey(key, keys) {
  return `key:${padded(key, keys)}`;
}

/**
 * @param {number} number
 * @param {number} count how many numbers there are, from 0 on
 */
function padded(number, count) {
  return String(number).padStart(String(count - 1).length, "0");
}

/** @param {number} count a power of ten */
function digitsOf(count) {
  const width = String(count).length - 1;
  if (count !== 10 ** width) throw new Error(`${count} is not a power of ten`);
  return width;
}

/**
 * @param {BitWorkload} workload
 * @param {number} pipeline
 * @param {Random} random
 * @returns {Batch}
 */
function bitBatch({ kind, keys, ids, keysUsed = keys }, pipeline, random) {
  const writer = new BatchWriter();
  for (let i = 0; i < pipeline; i++) {
    const keyArgument = writer.key(keys, keysUsed);
    if (kind === "BITCOUNT") {
      writer.command(["BITCOUNT"], keyArgument);
    } else {
      const id = writer.field(idWidth(ids, random), false);
      if (kind === "GETBIT") writer.command(["GETBIT"], keyArgument, [id]);
      else writer.command(["SETBIT"], keyArgument, [id], ["1"]);
    }
  }
  return writer.batch(pipeline, true);
}

/**
 * One call of bitmapist's mark_event: the same user in the month, week, day and hour of an event, as a transaction.
 * @param {MarkEventWorkload} workload
 * @param {Random} random
 * @returns {Batch}
 */
function markEventBatch({ events, ids }, random) {
  const writer = new BatchWriter();
  const event = writer.field(digitsOf(events), true);
  const id = writer.field(idWidth(ids, random), false);
  const keys = markEventSpans.map((span) => ["trackist_event", event, span]);
  writer.command(["MULTI"]);
  for (const key of keys) writer.command(["SETBIT"], key, [id], ["1"]);
  writer.command(["EXEC"]);
  // +OK, a +QUEUED each, the array's header and its integers.
  return writer.batch(2 + 2 * keys.length, true);
}

/**
 * @param {BitopWorkload} workload
 * @returns {Batch}
 */
function bitopBatch({ operation, keys }) {
  const writer = new BatchWriter();
  const sources = Array.from({ length: operation === "NOT" ? 1 : 2 }, () => writer.key(keys));
  writer.command(["BITOP"], [operation], [bitopTarget], ...sources);
  writer.command(["BITCOUNT"], [bitopTarget]);
  return writer.batch(2, true);
}

/**
 * @param {CohortCommandWorkload} workload
 * @returns {Batch}
 */
function cohortCommandBatch({ rows, columns }) {
  const weeks = (/** @type {number} */ from, /** @type {number} */ count) =>
    Array.from({ length: count }, (_, week) => [cohortKey(from + week)]);
  const writer = new BatchWriter();
  writer.command(
    ["COHORT"],
    ["ROWS"],
    [String(rows)],
    ...weeks(0, rows),
    ["COLUMNS"],
    [String(rows + columns - 1)],
    ...weeks(1, rows + columns - 1),
    ["STEPS"],
    [String(columns)],
  );
  // A header; for each row its key, a header, its count and its cells.
  return writer.batch(1 + rows * (2 + 1 + 1 + columns), true);
}

/**
 * A cohort table as bitmapist asks for it: for each cell AND into a temporary key that expires, then count it.
 * Row r is a week's users, column c how many of them came back c+1 weeks later.
 * @param {CohortWorkload} workload
 * @returns {Batch[]}
 */
function cohortBatches({ rows, columns }) {
  const batches = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const sources = [cohortKey(row), cohortKey(row + column + 1)];
      const target = `trackist_bitop_AND_${sources.join("-")}`;
      const bitop = new BatchWriter();
      bitop.command(["MULTI"]);
      bitop.command(["BITOP"], ["AND"], [target], ...sources.map((source) => [source]));
      bitop.command(["EXPIRE"], [target], ["120"]);
      bitop.command(["EXEC"]);
      const count = new BatchWriter();
      count.command(["BITCOUNT"], [target]);
      batches.push(bitop.batch(6, false), count.batch(1, true));
    }
  }
  return batches;
}

/**
 * How many digits an id has, as often as among all ids.
 * @param {number} ids
 * @param {Random} random
 */
function idWidth(ids, random) {
  digitsOf(ids);
  return String(random.below(ids)).length;
}

/** Puts commands and fields together to a batch. */
class BatchWriter {
  #text = "";
  /** @type {Field[]} */
  #fields = [];

  /**
   * @param {number} width
   * @param {boolean} leadingZero
   * @param {number} [limit]
   * @returns {Field}
   */
  field(width, leadingZero, limit) {
    const field = { width, leadingZero, offsets: [], ...(limit === undefined ? {} : { limit }) };
    this.#fields.push(field);
    return field;
  }

  /**
   * One of key:0 .. key:keys-1, or of the first `used` of them, as an argument.
   * @param {number} keys
   * @param {number} [used]
   */
  key(keys, used = keys) {
    const width = String(keys - 1).length;
    // Where every number of that many digits is a key, drawing digits is enough.
    return ["key:", this.field(width, true, used === 10 ** width ? undefined : used)];
  }

  /** @param {...(readonly (string | Field)[])} args each argument in parts */
  command(...args) {
    this.#text += `*${args.length}\r\n`;
    for (const parts of args) {
      const length = parts.reduce((sum, part) => sum + (typeof part === "string" ? part.length : part.width), 0);
      this.#text += `$${length}\r\n`;
      for (const part of parts) {
        if (typeof part !== "string") part.offsets.push(this.#text.length);
        this.#text += typeof part === "string" ? part : "1".repeat(part.width);
      }
      this.#text += "\r\n";
    }
  }

  /**
   * @param {number} replyLines
   * @param {boolean} endsOperation
   * @returns {Batch}
   */
  batch(replyLines, endsOperation) {
    return { bytes: Buffer.from(this.#text, "latin1"), fields: this.#fields, replyLines, endsOperation };
  }
}
