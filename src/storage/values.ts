/**
 * Values in the file: chunks, which hold the set, and deltas, which hold what has changed since. A value is its chunks together,
 * with each delta's ones added and its zeros taken away, in the order of the deltas. A small value is one chunk and no delta.
 * Or a value is an expression: what BITOP makes of the values of other rows.
 * Chunks and deltas are Roaring's portable format, each with a checksum: CRC-32 begun at the row's number mod 2^32.
 * The only code of the storage that knows Roaring.
 */
import { crc32 } from "node:zlib";
import { SqliteError, type Statement } from "better-sqlite3";
import roaring from "roaring";
import { CHUNK_BYTES_MAX, EXPRESSION_DEPTH_MAX } from "../config.js";
import { DamagedError } from "../errors.js";
import { Bitmap } from "../keyspace/bitmap.js";
import { bitop } from "../keyspace/bitmap-op.js";
import { portableSizeOfSmall, writePortableOfSmall } from "../keyspace/small-set.js";
import type { Expression, ValueFacts } from "../keyspace/storage.js";
import type { Bit } from "../keyspace/value.js";
import { passing } from "../passing-buffer.js";
import { type ExpressionText, lostExpression, readExpression, writeExpression } from "./expression.js";
import type { ChangedRow } from "./log.js";
import { cutPortable } from "./portable.js";
import type { Connection } from "./schema.js";

const { RoaringBitmap32 } = roaring;
type RoaringSet = InstanceType<typeof RoaringBitmap32>;

/** Chunks, and deltas, of one value: their numbers are 16 bits. */
export const VALUE_ROWS_MAX = 2 ** 16;
/** Containers of a set, and bits of a container. */
export const CONTAINERS = 2 ** 16;
export const CONTAINER_BITS = 2 ** 16;
const OFFSETS = CONTAINERS * CONTAINER_BITS;

/** Sets of so few members are not made smaller by runs. */
const FEW_MEMBERS_MAX = 4;

/** Most values have no more rows, with that of the key. */
const FEW_ROWS = 3;

/** SQLite's number of a chunk or a delta: the value's id and its own number within it. Above 2^53 only a bigint is exact. */
export type RowId = number | bigint;

export function rowId(id: number, number: number): RowId {
  const exact = id * VALUE_ROWS_MAX + number;
  return Number.isSafeInteger(exact) ? exact : BigInt(id) * BigInt(VALUE_ROWS_MAX) + BigInt(number);
}

/** The checksum of a row's bytes. It depends on where they belong, so that a row in the wrong place is found out too. */
export function checksum(id: number, number: number, ...parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => crc32(part, sum), ((id % VALUE_ROWS_MAX) * VALUE_ROWS_MAX + number) % 2 ** 32);
}

/** Bits of one value: the offsets that are 1 and those that are 0 now, whatever they were. */
export interface BitChanges {
  ones: Uint32Array;
  zeros: Uint32Array;
}

/** What the file has of a row in its log only, in the order of the changes. */
export type LateChanges = (id: number) => Iterable<ChangedRow>;

/** Where the log has nothing. */
export const NO_LATE_CHANGES: LateChanges = () => [];
const NO_CHANGES: BitChanges = { ones: new Uint32Array(), zeros: new Uint32Array() };

export interface ChunkRow {
  /** Of its first container. */
  number: number;
  portable: Buffer;
  checksum: number;
}

export interface DeltaRow {
  number: number;
  ones: Buffer;
  zeros: Buffer;
  checksum: number;
}

/** A row as the one query for a whole value gives it. */
type ValueRow =
  | { kind: "chunk" | "delta"; number: number; ones: Buffer; zeros: Buffer; checksum: number }
  | ExpressionRow
  | KeyRow;

/** What the key says of its value: `number` is its byte length, `checksum` its cardinality. */
interface KeyRow {
  kind: "key";
  number: number;
  checksum: number;
}

interface ExpressionRow {
  kind: "expression";
  ones: string;
  checksum: number;
}

export class Values {
  readonly #all: Statement<{ id: number; from: RowId; to: RowId; limit: number }, ValueRow>;
  readonly #chunks: Statement<[RowId, RowId], { first: number }>;
  readonly #chunk: Statement<[RowId], ChunkRow>;
  readonly #deltas: Statement<[RowId, RowId], DeltaRow>;
  readonly #lastDelta: Statement<[RowId, RowId], { number: number }>;
  readonly #putChunk: Statement<[RowId, Uint8Array, number]>;
  readonly #putDelta: Statement<[RowId, Uint8Array, Uint8Array, number]>;
  readonly #deleteChunks: Statement<[RowId, RowId]>;
  readonly #deleteDeltas: Statement<[RowId, RowId]>;
  readonly #putExpression: Statement<ExpressionText>;
  readonly #deleteExpression: Statement<[number]>;
  readonly #expression: Statement<[number], { found: 1 }>;

  constructor(connection: Connection) {
    this.#all = connection.prepare(
      `SELECT 'chunk' AS kind, chunk & 65535 AS number, portable AS ones, NULL AS zeros, checksum
         FROM chunks WHERE chunk BETWEEN :from AND :to
       UNION ALL
       SELECT 'delta', delta & 65535, ones, zeros, checksum FROM deltas WHERE delta BETWEEN :from AND :to
       UNION ALL
       SELECT 'expression', 0, expression, NULL, checksum FROM expressions WHERE id = :id
       UNION ALL
       SELECT 'key', byte_length, NULL, NULL, cardinality FROM keys WHERE id = :id
       LIMIT :limit`,
    );
    this.#chunks = connection.prepare("SELECT chunk & 65535 AS first FROM chunks WHERE chunk BETWEEN ? AND ?");
    this.#chunk = connection.prepare("SELECT chunk & 65535 AS number, portable, checksum FROM chunks WHERE chunk = ?");
    this.#deltas = connection.prepare(
      "SELECT delta & 65535 AS number, ones, zeros, checksum FROM deltas WHERE delta BETWEEN ? AND ? ORDER BY delta",
    );
    this.#lastDelta = connection.prepare(
      "SELECT delta & 65535 AS number FROM deltas WHERE delta BETWEEN ? AND ? ORDER BY delta DESC LIMIT 1",
    );
    this.#putChunk = connection.prepare("INSERT OR REPLACE INTO chunks (chunk, portable, checksum) VALUES (?, ?, ?)");
    this.#putDelta = connection.prepare("INSERT INTO deltas (delta, ones, zeros, checksum) VALUES (?, ?, ?, ?)");
    this.#deleteChunks = connection.prepare("DELETE FROM chunks WHERE chunk BETWEEN ? AND ?");
    this.#deleteDeltas = connection.prepare("DELETE FROM deltas WHERE delta BETWEEN ? AND ?");
    this.#putExpression = connection.prepare(
      "INSERT OR REPLACE INTO expressions (id, expression, checksum) VALUES (:id, :text, :checksum)",
    );
    this.#deleteExpression = connection.prepare("DELETE FROM expressions WHERE id = ?");
    this.#expression = connection.prepare("SELECT 1 AS found FROM expressions WHERE id = ?");
  }

  /**
   * The whole value with its late changes; undefined when there is no key with this id. Throws DamagedError where a row is not what was written.
   * It has stood upon `depth` expressions.
   */
  load(id: number, late: LateChanges = NO_LATE_CHANGES, depth = 0): Bitmap | undefined {
    const bitmap = reading(id, () => this.#read(id, late, depth));
    if (bitmap === undefined) return undefined;
    for (const { byteLength, bits } of late(id)) {
      for (const packed of bits) bitmap.setBit(Math.floor(packed / 2), (packed % 2) as Bit);
      bitmap.byteLength = Math.max(bitmap.byteLength, byteLength);
    }
    return bitmap;
  }

  #read(id: number, late: LateChanges, depth: number): Bitmap | undefined {
    let set: RoaringSet | undefined;
    let made: Bitmap | undefined;
    try {
      for (const row of this.#rows(id)) {
        if (row.kind === "key") {
          if (made !== undefined) checkMade(id, made, row);
          const bitmap = made ?? new Bitmap(set, row.number);
          made = undefined;
          set = undefined;
          return bitmap;
        }
        if (row.kind === "expression") {
          made = this.#make(id, row, late, depth);
        } else if (row.kind === "delta") {
          set ??= new RoaringBitmap32();
          mergeDelta(set, id, row);
        } else {
          const chunk = openSet(id, row.number, row.checksum, row.ones);
          // Most values are one chunk: there is nothing to merge.
          if (set === undefined) set = chunk;
          else merge(set, chunk, "or");
        }
      }
      return undefined;
    } finally {
      set?.dispose();
      made?.dispose();
    }
  }

  /** What an expression gives. */
  #make(id: number, { ones: text, checksum: sum }: ExpressionRow, late: LateChanges, depth: number): Bitmap {
    const expression = readExpression({ id, text, checksum: sum });
    if (expression === undefined) throw new DamagedError(id, "its expression is lost, or not what was written");
    if (depth >= EXPRESSION_DEPTH_MAX) throw new DamagedError(id, "its expression stands upon too many others");
    const sources: Bitmap[] = [];
    try {
      for (const source of expression.sources) sources.push(this.#source(id, source, late, depth + 1));
      const made = bitop(expression.op, sources);
      made.make();
      return made;
    } finally {
      for (const source of sources) source.dispose();
    }
  }

  #source(id: number, source: number, late: LateChanges, depth: number): Bitmap {
    let bitmap: Bitmap | undefined;
    try {
      bitmap = this.load(source, late, depth);
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      throw new DamagedError(id, `of what it is made of, ${error.message}`, { cause: error });
    }
    if (bitmap === undefined) throw new DamagedError(id, `what it is made of, the value with id ${source}, is missing`);
    return bitmap;
  }

  /** Lets a row's value be an expression, in the place of whatever it was. */
  express(id: number, expression: Expression): void {
    this.delete(id);
    this.#putExpression.run(writeExpression(id, expression));
  }

  /** What an expression is of is not what was written, and changes: from now on its value is damaged. */
  lose(id: number): void {
    this.#putExpression.run(lostExpression(id));
  }

  /** Whether a row's value is an expression. */
  isExpression(id: number): boolean {
    return reading(id, () => this.#expression.get(id)) !== undefined;
  }

  /**
   * What the whole value measures, of an expression by what its key says; undefined when there is no key with this id, or when it has deltas, which
   * only the whole can be merged with. Throws DamagedError as `load`. Has one row in memory at a time.
   */
  measure(id: number): ValueFacts | undefined {
    return reading(id, () => {
      let cardinality = 0;
      let isExpression = false;
      for (const row of this.#rows(id)) {
        if (row.kind === "delta") return undefined;
        if (row.kind === "key")
          return { cardinality: isExpression ? row.checksum : cardinality, byteLength: row.number };
        if (row.kind === "expression") {
          isExpression = true;
          continue;
        }
        const set = openSet(id, row.number, row.checksum, row.ones);
        cardinality += set.size;
        set.dispose();
      }
      return undefined;
    });
  }

  /** All rows of a value, the key's last. Few come at once, which takes less time; of many there is one at a time in memory. */
  #rows(id: number): Iterable<ValueRow> {
    const range = { id, from: rowId(id, 0), to: rowId(id, VALUE_ROWS_MAX - 1) };
    const few = this.#all.all({ ...range, limit: FEW_ROWS });
    return few.at(-1)?.kind === "key" ? few : this.#all.iterate({ ...range, limit: -1 });
  }

  /** Puts a set, given in the portable format, in the place of whatever the value was. Returns the bytes of its rows. */
  replace(id: number, portable: Uint8Array): number {
    this.delete(id);
    return this.insert(id, portable);
  }

  /** Puts a set in as many chunks as it needs, of which the first begins at container `first`. Returns their bytes. */
  insert(id: number, portable: Uint8Array, first = 0): number {
    let bytes = 0;
    let isFirst = true;
    for (const piece of cutPortable(portable, CHUNK_BYTES_MAX)) {
      const number = isFirst ? first : piece.first;
      this.#putChunk.run(rowId(id, number), piece.portable, checksum(id, number, piece.portable));
      bytes += piece.portable.length;
      isFirst = false;
    }
    return bytes;
  }

  delete(id: number): void {
    this.#deleteChunks.run(rowId(id, 0), rowId(id, VALUE_ROWS_MAX - 1));
    this.#deleteDeltas.run(rowId(id, 0), rowId(id, VALUE_ROWS_MAX - 1));
    this.#deleteExpression.run(id);
  }

  /** Numbers of the value's chunks: each holds the containers from its number to the next chunk's. */
  chunks(id: number): number[] {
    return this.#chunks.all(rowId(id, 0), rowId(id, VALUE_ROWS_MAX - 1)).map(({ first }) => first);
  }

  /** Appends a delta, and says its number and its bytes; undefined when the value has as many as there are numbers. */
  appendDelta(id: number, changes: BitChanges): { number: number; bytes: number } | undefined {
    const last = this.#lastDelta.get(rowId(id, 0), rowId(id, VALUE_ROWS_MAX - 1))?.number ?? -1;
    if (last + 1 >= VALUE_ROWS_MAX) return undefined;
    const ones = portableOf(changes.ones);
    const zeros = portableOf(changes.zeros);
    this.#putDelta.run(rowId(id, last + 1), ones, zeros, checksum(id, last + 1, ones, zeros));
    return { number: last + 1, bytes: ones.length + zeros.length };
  }

  /** What all deltas of a value, in their order, make of its bits; undefined when it has none. */
  deltas(id: number): Delta | undefined {
    const rows = reading(id, () => this.#deltas.all(rowId(id, 0), rowId(id, VALUE_ROWS_MAX - 1)));
    if (rows.length === 0) return undefined;
    const delta = new Delta((rows.at(-1) as DeltaRow).number);
    for (const row of rows) delta.add(id, row);
    return delta;
  }

  /** Deletes the deltas up to `number`. */
  deleteDeltas(id: number, number: number): void {
    this.#deleteDeltas.run(rowId(id, 0), rowId(id, number));
  }

  /**
   * Rewrites the chunk that begins at `first`, which holds the containers up to `end - 1`, with a delta's bits in it. Returns
   * by how many bytes it grew, 0 where none of the bits are in it.
   */
  foldChunk(id: number, first: number, end: number, delta: Delta): number {
    const range = [first * CONTAINER_BITS, end * CONTAINER_BITS] as const;
    // Not intersectsWithRange(), which (in roaring 2.7.0) does not see the last bit of a range that ends with a container.
    if (delta.ones.rangeCardinality(...range) === 0 && delta.zeros.rangeCardinality(...range) === 0) return 0;
    const row = reading(id, () => this.#chunk.get(rowId(id, first)));
    const set = row === undefined ? new RoaringBitmap32() : openSet(id, first, row.checksum, row.portable);
    mergePart(set, delta.ones, range, "or");
    mergePart(set, delta.zeros, range, "andNot");
    set.runOptimize();
    const portable = set.serialize("portable");
    set.dispose();
    return this.insert(id, portable, first) - (row?.portable.length ?? 0);
  }

  /** Writes bits into the chunks at once, all of them. For small values. Returns by how many bytes they grew. */
  foldNow(id: number, delta: Delta): number {
    const chunks = this.chunks(id);
    if (chunks.length === 0) chunks.push(0);
    return chunks.reduce((grown, first, i) => grown + this.foldChunk(id, first, chunks[i + 1] ?? CONTAINERS, delta), 0);
  }
}

/** What an expression is of has its own checksums; that it is as it was when the expression was written, the key tells. */
function checkMade(id: number, { byteLength, cardinality }: Bitmap, key: KeyRow): void {
  if (byteLength === key.number && cardinality === key.checksum) return;
  const found = `${cardinality} bits in ${byteLength} bytes`;
  throw new DamagedError(id, `its expression gives ${found}, its key says ${key.checksum} in ${key.number}`);
}

/** Bits that are to be folded into a value's chunks. */
export class Delta {
  /** Number of the last delta row that is in it; -1 for none. */
  readonly last: number;
  readonly ones: RoaringSet;
  readonly zeros: RoaringSet;

  constructor(last = -1, { ones, zeros } = NO_CHANGES) {
    this.last = last;
    this.ones = new RoaringBitmap32(ones);
    this.zeros = new RoaringBitmap32(zeros);
  }

  add(id: number, row: DeltaRow): void {
    const { ones, zeros } = openDelta(id, row);
    this.ones.andNotInPlace(zeros);
    this.zeros.andNotInPlace(ones);
    merge(this.ones, ones, "or");
    merge(this.zeros, zeros, "or");
  }

  dispose(): void {
    this.ones.dispose();
    this.zeros.dispose();
  }
}

/** Portable form of a set given by its members, in any order. */
export function portableOf(members: Uint32Array): Uint8Array {
  if (isFewAscending(members)) return portableOfFew(members);
  const set = new RoaringBitmap32(members);
  set.runOptimize();
  const portable = set.serialize("portable");
  set.dispose();
  return portable;
}

function isFewAscending(members: Uint32Array): boolean {
  return (
    members.length <= FEW_MEMBERS_MAX && members.every((member, i) => i === 0 || member > (members[i - 1] as number))
  );
}

/** The same without a native set, which takes longer to make than everything else that a new key with a bit or two needs. */
function portableOfFew(members: Uint32Array): Uint8Array {
  const portable = new Uint8Array(portableSizeOfSmall(members, 0, members.length));
  writePortableOfSmall(members, 0, members.length, portable);
  return portable;
}

/** The part of a set in a range, as a set of its own. Cutting a copy costs the set's containers, making the range its width. */
function within(set: RoaringSet, [first, end]: readonly [number, number]): RoaringSet {
  const part = set.clone();
  part.removeRange(0, first);
  part.removeRange(end, OFFSETS);
  return part;
}

/** Merges `other` into `set`, and disposes of it. */
function merge(set: RoaringSet, other: RoaringSet, how: "or" | "andNot"): void {
  if (how === "or") set.orInPlace(other);
  else set.andNotInPlace(other);
  other.dispose();
}

/** Merges the part of `other` in a range into `set`. */
function mergePart(set: RoaringSet, other: RoaringSet, range: readonly [number, number], how: "or" | "andNot"): void {
  const isWhole = range[0] === 0 && range[1] === OFFSETS;
  if (!isWhole) merge(set, within(other, range), how);
  else if (how === "or") set.orInPlace(other);
  else set.andNotInPlace(other);
}

function mergeDelta(set: RoaringSet, id: number, row: DeltaRow): void {
  const { ones, zeros } = openDelta(id, row);
  merge(set, ones, "or");
  merge(set, zeros, "andNot");
}

function openDelta(id: number, { number, ones, zeros, checksum: sum }: DeltaRow) {
  if (checksum(id, number, ones, zeros) !== sum) throw new DamagedError(id, `delta ${number} is not what was written`);
  return { ones: RoaringBitmap32.deserialize(ones, "portable"), zeros: RoaringBitmap32.deserialize(zeros, "portable") };
}

/** What SQLite finds broken while it reads a value is damage of that value. */
function reading<T>(id: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SqliteError) || !error.code.startsWith("SQLITE_CORRUPT")) throw error;
    throw new DamagedError(id, error.message, { cause: error });
  }
}

function openSet(id: number, number: number, sum: number, portable: Buffer): RoaringSet {
  passing(portable.length);
  if (checksum(id, number, portable) !== sum) throw new DamagedError(id, `chunk ${number} is not what was written`);
  return RoaringBitmap32.deserialize(portable, "portable");
}
