/**
 * Bits that are committed and not in the chunks or deltas yet: a flush appends them to the file's `log`, all keys together, which
 * costs a few pages whatever the number of keys. Here they are in memory, by row, and so they are read back after a crash.
 */
import { StartError } from "../errors.js";
import type { Connection } from "./schema.js";
import { checksum } from "./values.js";

/** Changes to one row's value. `bits` are in the order of their change, each as `offset * 2 + bit`. */
export interface PendingRow {
  byteLength: number;
  cardinality: number;
  bits: number[];
}

/** In a log record's second word, above the id's upper 16 bits. */
const FLAG = { replaced: 1, hasZeros: 2 } as const;
/** Words before a record's offsets: id (2), byte length, cardinality (2), number of bits. */
const HEADER_WORDS = 6;
const WORD_BITS = 32;

export class Pending {
  readonly rows = new Map<number, PendingRow>();

  get isEmpty(): boolean {
    return this.rows.size === 0;
  }

  /** Adds later changes of a row. */
  add(id: number, { byteLength, cardinality, bits }: PendingRow): void {
    const row = this.rows.get(id);
    if (row === undefined) {
      this.rows.set(id, { byteLength, cardinality, bits });
      return;
    }
    row.byteLength = byteLength;
    row.cardinality = cardinality;
    for (const bit of bits) row.bits.push(bit);
  }
}

/** The offsets that are 1 and those that are 0 at last. */
export function lastBits(bits: readonly number[]): { ones: Uint32Array; zeros: Uint32Array } {
  if (bits.every((packed) => packed % 2 === 1)) {
    return { ones: Uint32Array.from(bits, (packed) => Math.floor(packed / 2)), zeros: new Uint32Array(0) };
  }
  const last = new Map<number, number>();
  for (const packed of bits) last.set(Math.floor(packed / 2), packed % 2);
  const offsets = (wanted: number) =>
    Uint32Array.from([...last].filter(([, bit]) => bit === wanted).map(([offset]) => offset));
  return { ones: offsets(1), zeros: offsets(0) };
}

/** The log's record of one flush: changes by row, and rows whose value was replaced, so that earlier bits mean nothing. */
export function encodeLog(changed: ReadonlyMap<number, PendingRow>, replaced: readonly number[]): Uint32Array {
  let length = replaced.length * HEADER_WORDS;
  for (const { bits } of changed.values()) length += HEADER_WORDS + bits.length + Math.ceil(bits.length / WORD_BITS);
  const words = new Uint32Array(length);
  let at = 0;
  const header = (id: number, flags: number, byteLength: number, cardinality: number, bits: number) => {
    words[at] = id % 2 ** 32;
    // Ids are below 2^47, so that the flags have room above their upper 16 bits.
    words[at + 1] = Math.floor(id / 2 ** 32) | (flags << 16);
    words[at + 2] = byteLength;
    words[at + 3] = cardinality % 2 ** 32;
    words[at + 4] = Math.floor(cardinality / 2 ** 32);
    words[at + 5] = bits;
    at += HEADER_WORDS;
  };
  for (const id of replaced) header(id, FLAG.replaced, 0, 0, 0);
  for (const [id, { byteLength, cardinality, bits }] of changed) {
    const hasZeros = bits.some((packed) => packed % 2 === 0);
    header(id, hasZeros ? FLAG.hasZeros : 0, byteLength, cardinality, bits.length);
    for (const packed of bits) words[at++] = Math.floor(packed / 2);
    if (!hasZeros) continue;
    bits.forEach((packed, i) => {
      const word = at + Math.floor(i / WORD_BITS);
      words[word] = (words[word] as number) | ((packed % 2) << (i % WORD_BITS));
    });
    at += Math.ceil(bits.length / WORD_BITS);
  }
  return words.subarray(0, at);
}

function decodeLog(words: Uint32Array, pending: Pending): void {
  const at = (index: number): number => words[index] as number;
  for (let i = 0; i < words.length; ) {
    const id = at(i) + (at(i + 1) & 0xffff) * 2 ** 32;
    const flags = at(i + 1) >>> 16;
    const count = at(i + 5);
    if ((flags & FLAG.replaced) !== 0) pending.rows.delete(id);
    const bits: number[] = [];
    const offsets = i + HEADER_WORDS;
    const mask = offsets + count;
    const hasZeros = (flags & FLAG.hasZeros) !== 0;
    for (let b = 0; b < count; b++) {
      const bit = hasZeros ? (at(mask + Math.floor(b / WORD_BITS)) >>> (b % WORD_BITS)) & 1 : 1;
      bits.push(at(offsets + b) * 2 + bit);
    }
    if (count > 0) {
      pending.add(id, { byteLength: at(i + 2), cardinality: at(i + 3) + at(i + 4) * 2 ** 32, bits });
    }
    i = mask + (hasZeros ? Math.ceil(count / WORD_BITS) : 0);
  }
}

/** What the file's log holds. Throws StartError where a row of it is not what was written. */
export function readLog(connection: Connection): Pending {
  const pending = new Pending();
  const rows = connection
    .prepare<[], { batch: number; words: Buffer; checksum: number }>(
      "SELECT batch, words, checksum FROM log ORDER BY batch",
    )
    .iterate();
  for (const { batch, words, checksum: sum } of rows) {
    if (logChecksum(batch, words) !== sum) {
      throw new StartError(`the database file is damaged: log row ${batch} is not what was written`);
    }
    // A blob may begin anywhere: words need their alignment.
    decodeLog(new Uint32Array(Uint8Array.from(words).buffer), pending);
  }
  return pending;
}

export function logChecksum(batch: number, words: Uint8Array): number {
  return checksum(batch, 0, words);
}
