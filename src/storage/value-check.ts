/**
 * Whether a value's rows are what was written, and what its bits are: all of what Values.load refuses, told piece by piece.
 * Beside values.ts the only code of the storage that knows Roaring.
 */
import roaring from "roaring";
import { BULK_BYTES_MAX } from "../config.js";
import { DamagedError, reasonOf } from "../errors.js";
import type { Bitmap } from "../keyspace/bitmap.js";
import { bitOf, type ChangedRow } from "./log.js";
import {
  type ChunkRow,
  CONTAINER_BITS,
  CONTAINERS,
  checksum,
  type DeltaRow,
  type LateChanges,
  type Values,
} from "./values.js";

const { RoaringBitmap32 } = roaring;
type RoaringSet = InstanceType<typeof RoaringBitmap32>;

/** What a value's key says of it. */
export interface ValueSizes {
  byteLength: number;
  cardinality: number;
  chunkBytes: number;
  deltaBytes: number;
}

/** A value that can be kept, with the log's bits in it. */
export interface WholeValue {
  portable: Uint8Array;
  byteLength: number;
  cardinality: number;
}

/** A value's rows, as far as they can be read, and why not all of them could be, where that is so. */
export interface ValueRows {
  chunks: readonly ChunkRow[];
  deltas: readonly DeltaRow[];
  unreadable?: string;
}

export interface ValueFindings {
  /** What is wrong, in words; none for a good value. */
  problems: string[];
  /** Whether all rows are there and what was written: what is wrong then are only the figures beside them. */
  isWhole: boolean;
  cardinality: number;
  /** What could be read of it. */
  readable: string;
}

/**
 * Checks one value against its key and against what the log holds of it, `late`. One that is whole is given to `keep`, with figures
 * that fit its bits.
 */
export function checkValue(
  id: number,
  sizes: ValueSizes,
  rows: ValueRows,
  late: ChangedRow | undefined,
  keep?: (value: WholeValue) => void,
): ValueFindings {
  const check = new ValueCheck(id);
  check.read(rows);
  check.compare(sizes, rows);
  const byteLength = check.finish(sizes, late);
  const findings = check.findings(rows);
  if (findings.isWhole) keep?.({ portable: check.portable(), byteLength, cardinality: findings.cardinality });
  check.dispose();
  return findings;
}

/** The same of a value that is an expression, by making it of what it is of. */
export function checkExpression(
  values: Values,
  id: number,
  { chunks, deltas }: ValueRows,
  late: LateChanges,
  keep?: (value: WholeValue) => void,
): ValueFindings {
  const problems: string[] = [];
  const rows = chunks.length + deltas.length;
  if (rows > 0) problems.push(`it is an expression, and has ${rows} rows of bits`);
  let value: Bitmap | undefined;
  try {
    value = values.load(id, late);
  } catch (error) {
    problems.push(error instanceof DamagedError ? error.what : reasonOf(error));
  }
  const isWhole = problems.length === 0;
  const cardinality = value?.cardinality ?? 0;
  if (isWhole && value !== undefined)
    keep?.({ portable: value.toPortable(), byteLength: value.byteLength, cardinality });
  value?.dispose();
  return { problems, isWhole, cardinality, readable: isWhole ? "all of it" : "nothing of it" };
}

class ValueCheck {
  readonly #id: number;
  readonly #problems: string[] = [];
  #set: RoaringSet = new RoaringBitmap32();
  #isWhole = true;
  #readRows = 0;

  constructor(id: number) {
    this.#id = id;
  }

  read({ chunks, deltas, unreadable }: ValueRows): void {
    if (chunks.length === 0 && unreadable === undefined) this.#lose("it has no chunk");
    chunks.forEach((chunk, i) => {
      this.#chunk(chunk, (chunks[i + 1]?.number ?? CONTAINERS) * CONTAINER_BITS);
    });
    for (const delta of deltas) this.#delta(delta);
  }

  findings({ chunks, deltas }: ValueRows): ValueFindings {
    const rows = chunks.length + deltas.length;
    return {
      problems: this.#problems,
      isWhole: this.#isWhole,
      cardinality: this.#set.size,
      readable: `${this.#readRows} of ${rows} rows with ${this.#set.size} bits`,
    };
  }

  portable(): Uint8Array {
    this.#set.runOptimize();
    return this.#set.serialize("portable");
  }

  dispose(): void {
    this.#set.dispose();
  }

  #lose(problem: string): void {
    this.#problems.push(problem);
    this.#isWhole = false;
  }

  #chunk({ number, portable, checksum: sum }: ChunkRow, end: number): void {
    const set = this.#open(`chunk ${number}`, number, sum, [portable])?.[0];
    if (set === undefined) return;
    if (set.size > 0 && (set.minimum() < number * CONTAINER_BITS || set.maximum() >= end)) {
      this.#lose(`chunk ${number} has bits that belong to another`);
    }
    this.#set.orInPlace(set);
    set.dispose();
  }

  #delta({ number, ones, zeros, checksum: sum }: DeltaRow): void {
    const sets = this.#open(`delta ${number}`, number, sum, [ones, zeros]);
    if (sets === undefined) return;
    const [one, zero] = sets as [RoaringSet, RoaringSet];
    this.#set.orInPlace(one).andNotInPlace(zero);
    one.dispose();
    zero.dispose();
  }

  /** The sets of a row, or undefined when it is not what was written. */
  #open(what: string, number: number, sum: number, parts: readonly Buffer[]): RoaringSet[] | undefined {
    if (!parts.every((part) => Buffer.isBuffer(part)) || checksum(this.#id, number, ...parts) !== sum) {
      this.#lose(`${what} is not what was written`);
      return undefined;
    }
    try {
      const sets = parts.map((part) => RoaringBitmap32.deserialize(part, "portable"));
      this.#readRows++;
      return sets;
    } catch (error) {
      this.#lose(`${what} is no Roaring set: ${reasonOf(error)}`);
      return undefined;
    }
  }

  /** Compares the rows, which are good each, with what the key says of them. */
  compare(sizes: ValueSizes, { chunks, deltas, unreadable }: ValueRows): void {
    const chunkBytes = chunks.reduce((sum, { portable }) => sum + bytesOf(portable), 0);
    const deltaBytes = deltas.reduce((sum, { ones, zeros }) => sum + bytesOf(ones) + bytesOf(zeros), 0);
    const areBytes = chunkBytes === sizes.chunkBytes && deltaBytes === sizes.deltaBytes;
    const areBits = this.#set.size === sizes.cardinality;
    if (unreadable !== undefined) {
      // The damage is behind its last row where all of them are there.
      if (!areBytes || !areBits) this.#lose(`its rows can't all be read: ${unreadable}`);
    } else if (this.#isWhole) {
      this.#same("chunk bytes", chunkBytes, sizes.chunkBytes);
      this.#same("delta bytes", deltaBytes, sizes.deltaBytes);
      this.#same("bits", this.#set.size, sizes.cardinality);
      // One figure of the key may be wrong; a row that is missing makes two of them wrong.
      if (!areBytes && !areBits) this.#isWhole = false;
    }
  }

  #same(what: string, found: number, recorded: number): void {
    if (found !== recorded) this.#problems.push(`it has ${found} ${what}, its key says ${recorded}`);
  }

  /** Adds the log's changes, unless they do not make what the log says. Returns the value's length. */
  finish(sizes: ValueSizes, late: ChangedRow | undefined): number {
    if (!this.#isWhole) return 0;
    const byteLength = this.#lengthOf(sizes.byteLength, "its key");
    if (late === undefined) return byteLength;
    const before = this.#set.clone();
    for (const packed of late.bits) {
      const offset = Math.floor(packed / 2);
      if (bitOf(packed) === 1) this.#set.add(offset);
      else this.#set.remove(offset);
    }
    if (this.#set.size === late.cardinality) {
      before.dispose();
      return this.#lengthOf(late.byteLength, "the log");
    }
    const changes = `with its ${late.bits.length} changes in the log`;
    this.#problems.push(`${changes} it has ${this.#set.size} bits, the log says ${late.cardinality}`);
    this.#set.dispose();
    this.#set = before;
    return byteLength;
  }

  /** A length that the bits fit into: what is recorded, or the least that does. */
  #lengthOf(recorded: number, who: string): number {
    const least = this.#set.size === 0 ? 0 : Math.floor(this.#set.maximum() / 8) + 1;
    if (Number.isInteger(recorded) && recorded >= least && recorded <= BULK_BYTES_MAX) return recorded;
    this.#problems.push(`its bits need ${least} bytes, ${who} says that it has ${recorded}`);
    return least;
  }
}

/** SQLite gives what it finds in a row, whatever the column's type. */
function bytesOf(part: unknown): number {
  return Buffer.isBuffer(part) ? part.length : 0;
}
