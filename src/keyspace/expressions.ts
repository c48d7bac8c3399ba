/**
 * Values of one database that the file does not hold as bits, but as what BITOP makes of other rows, their sources: bitmapist counts most of its
 * results, and they expire before anybody else wants them. A row that has such a value, or is the source of one, is in an expression. Before it
 * changes, the values of the expressions that it is in have to be made: here is which these are. It must not know the file.
 */
import { EXPRESSION_BYTES_MIN, EXPRESSION_DEPTH_MAX, EXPRESSIONS_BYTES_MAX, SOURCE_BYTES_MAX } from "../config.js";
import type { Bitmap } from "./bitmap.js";
import type { Expression } from "./storage.js";

/** One whose value has to be made. */
export interface Unmade {
  id: number;
  /** Its value, not made either, as long as it is in memory. */
  result: Bitmap | undefined;
  /** Bytes that are read and written to make it of what the file has. */
  bytes: number;
}

interface Kept extends Expression {
  result: Bitmap | undefined;
  bytes: number;
}

interface Source {
  readonly results: Set<number>;
  /** What it takes to make them all. */
  bytes: number;
}

export class Expressions {
  readonly #kept = new Map<number, Kept>();
  readonly #sources = new Map<number, Source>();
  /** What it takes to make all. */
  #bytes = 0;

  /** What a row's value is in the file; undefined where that has its bits. */
  get(id: number): Expression | undefined {
    return this.#kept.get(id);
  }

  /** Whether the file has, or gets, just this for a row. */
  isSame(id: number, { op, sources }: Expression): boolean {
    const kept = this.#kept.get(id);
    return (
      kept?.op === op &&
      sources.length === kept.sources.length &&
      sources.every((source, i) => source === kept.sources[i])
    );
  }

  /** Whether a row is in any expression, as the result or as a source. */
  has(id: number): boolean {
    return this.#kept.has(id) || this.#sources.has(id);
  }

  /**
   * Lets the file keep a row, which is no expression's result, as an expression. `bytes` is what its value and its sources take at most, in
   * Roaring's portable format: all of it is read or written to make the value. Returns false where the row is not to be kept so: what there would be
   * to make when a source changes is bounded, and so is how deep expressions stand upon each other.
   */
  add(id: number, expression: Expression, bytes: number, result?: Bitmap): boolean {
    const owed = this.#owed(expression, bytes);
    const isFull = expression.sources.some(
      (source) => (this.#sources.get(source)?.bytes ?? 0) + owed > SOURCE_BYTES_MAX,
    );
    if (isFull || this.#bytes + owed > EXPRESSIONS_BYTES_MAX) return false;
    if (this.#isDeeper(expression, EXPRESSION_DEPTH_MAX)) return false;
    this.#put(id, { ...expression, result, bytes: owed });
    return true;
  }

  /** Notes what the file has, whatever there is already. */
  restore(id: number, expression: Expression, bytes: number): void {
    this.#put(id, { ...expression, result: undefined, bytes: this.#owed(expression, bytes) });
  }

  /** A row was given the same expression again: its value in memory is another one now. */
  renew(id: number, result: Bitmap): void {
    const kept = this.#kept.get(id);
    if (kept !== undefined) kept.result = result;
  }

  /** Whoever reads a source that is an expression itself reads what that is of. */
  #owed({ sources }: Expression, bytes: number): number {
    const below = sources.reduce((sum, source) => sum + (this.#kept.get(source)?.bytes ?? 0), 0);
    return Math.max(bytes, EXPRESSION_BYTES_MIN) + below;
  }

  #put(id: number, kept: Kept): void {
    this.#kept.set(id, kept);
    this.#bytes += kept.bytes;
    // The same row may be both sources.
    for (const each of new Set(kept.sources)) {
      const source = this.#sources.get(each) ?? { results: new Set(), bytes: 0 };
      this.#sources.set(each, source);
      source.results.add(id);
      source.bytes += kept.bytes;
    }
  }

  /** Whether more expressions than so many stand upon each other with this one. */
  #isDeeper({ sources }: Expression, levels: number): boolean {
    if (levels === 0) return true;
    return sources.some((source) => {
      const expression = this.#kept.get(source);
      return expression !== undefined && this.#isDeeper(expression, levels - 1);
    });
  }

  /** The value of a row changes: returns what is of it and has to be made before. These are no expressions any more. */
  release(id: number): Unmade[] {
    return [...(this.#sources.get(id)?.results ?? [])].flatMap((each) => this.drop(each) ?? []);
  }

  /** A row is no expression any more; returns what it was, if it was one. */
  drop(id: number): Unmade | undefined {
    const kept = this.#kept.get(id);
    if (kept === undefined) return undefined;
    this.#kept.delete(id);
    this.#bytes -= kept.bytes;
    for (const source of new Set(kept.sources)) {
      const left = this.#sources.get(source);
      if (left === undefined) continue;
      left.results.delete(id);
      left.bytes -= kept.bytes;
      if (left.results.size === 0) this.#sources.delete(source);
    }
    return { id, result: kept.result, bytes: kept.bytes };
  }
}
