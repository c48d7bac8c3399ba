/**
 * Brings the log's bits home, a slice at a time between flushes. First each key's bits become a delta beside its chunks, or go
 * into the chunk at once where that is small; a key whose deltas have grown to a part of its chunks gets them folded into these.
 * So a bit is written about 1 (log) + 1 (delta) + FOLD_RATIO (chunk) times whatever the size of its value. Every step may be
 * repeated: bits say what they are now, not what to do, so that a crash between two steps changes nothing.
 */
import type { Statement } from "better-sqlite3";
import { CHUNK_FOLD_NOW_BYTES_MAX, DELTAS_MAX, FOLD_RATIO } from "../config.js";
import { DamagedError } from "../errors.js";
import type { Flushed } from "./flush.js";
import { type ChangedRow, lastBits } from "./log.js";
import { Pending } from "./pending.js";
import type { Connection } from "./schema.js";
import { CONTAINERS, Delta, type Values } from "./values.js";

interface Sizes {
  chunkBytes: number;
  deltaBytes: number;
}

/** What is being brought home: everything that the log held up to a row of it, which stays there until the round has ended. */
interface Round {
  pending: Pending;
  lastLogRow: number;
  /** Its rows, in the order in which they are brought home, and the place of the next. */
  ids: Float64Array;
  next: number;
}

/** A value whose deltas are being folded, chunk by chunk. */
interface Fold {
  id: number;
  delta: Delta;
  /** Bytes of the deltas that are being folded. */
  deltaBytes: number;
  chunks: number[];
  next: number;
}

export class Folder {
  readonly #values: Values;
  readonly #sizes: Statement<[number], Sizes>;
  readonly #update: Statement<[number, number, number, number, number]>;
  readonly #updateSizes: Statement<[number, number, number]>;
  readonly #deleteLog: Statement<[number]>;
  readonly #withDeltas: Statement<[], { id: number }>;
  readonly #warn: (message: string) => void;
  /** Bits of the flushes since the last round began. */
  #pending: Pending;
  #round: Round | undefined;
  readonly #foldable = new Set<number>();
  #fold: Fold | undefined;
  /** Bytes of all deltas in the file. */
  deltaBytes: number;

  /** `pending` is what the log holds, as of the opening. */
  constructor(connection: Connection, values: Values, pending: Pending, warn: (message: string) => void) {
    this.#values = values;
    this.#pending = pending;
    this.#warn = warn;
    this.#sizes = connection.prepare(
      "SELECT chunk_bytes AS chunkBytes, delta_bytes AS deltaBytes FROM keys WHERE id = ?",
    );
    this.#update = connection.prepare(
      "UPDATE keys SET byte_length = ?, cardinality = ?, chunk_bytes = ?, delta_bytes = ? WHERE id = ?",
    );
    this.#updateSizes = connection.prepare("UPDATE keys SET chunk_bytes = ?, delta_bytes = ? WHERE id = ?");
    this.#deleteLog = connection.prepare("DELETE FROM log WHERE batch <= ?");
    this.#withDeltas = connection.prepare("SELECT id FROM keys WHERE delta_bytes > 0");
    const total = "SELECT total(delta_bytes) AS bytes FROM keys WHERE delta_bytes > 0";
    this.deltaBytes = connection.prepare<[], { bytes: number }>(total).get()?.bytes ?? 0;
  }

  /** Rows with bits in the log that are not home. */
  get pendingRows(): number {
    const round = this.#round;
    return this.#pending.rows + (round === undefined ? 0 : round.ids.length - round.next);
  }

  /** Bytes of the log's rows since the last round began. */
  get logBytes(): number {
    return this.#pending.logBytes;
  }

  /** Bytes of all the log's rows in the file. */
  get logBytesInFile(): number {
    return this.logBytes + (this.#round?.pending.logBytes ?? 0);
  }

  get isRunning(): boolean {
    return this.#round !== undefined || this.#fold !== undefined || this.#foldable.size > 0;
  }

  /** Whether the log has bits of a row. */
  has(id: number): boolean {
    return this.#pending.has(id) || this.#round?.pending.has(id) === true;
  }

  /** What the log has of a row, in the order of the changes. */
  changes(id: number): ChangedRow[] {
    return [...(this.#round?.pending.changes(id) ?? []), ...this.#pending.changes(id)];
  }

  /** Takes over what a flush has committed. */
  add({ replaced, logWords }: Flushed): void {
    for (const [id, deltaBytes] of replaced) {
      this.#round?.pending.forget(id);
      this.deltaBytes -= deltaBytes;
      this.#forget(id);
    }
    if (logWords.length > 0) this.#pending.append(logWords);
  }

  #forget(id: number): void {
    this.#foldable.delete(id);
    if (this.#fold?.id !== id) return;
    this.#fold.delta.dispose();
    this.#fold = undefined;
  }

  /** Begins a round over everything that the log holds, up to its row `lastLogRow`. */
  begin(lastLogRow: number): void {
    if (this.#round !== undefined) return;
    this.#round = { pending: this.#pending, lastLogRow, ids: this.#pending.ids(), next: 0 };
    this.#pending = new Pending();
  }

  /** Folds all deltas that there are, however small. */
  foldAll(): void {
    for (const { id } of this.#withDeltas.all()) this.#foldable.add(id);
  }

  /** Does one piece of the work; called inside a transaction. Says whether a round has ended with it. */
  step(): boolean {
    const round = this.#round;
    if (round === undefined) {
      this.#stepFold();
      return false;
    }
    const id = round.ids[round.next];
    if (id === undefined) {
      this.#deleteLog.run(round.lastLogRow);
      this.#round = undefined;
      round.pending.dispose();
      return true;
    }
    round.next++;
    const row = round.pending.row(id);
    // Its value may have been replaced meanwhile.
    if (row !== undefined) this.#bringHome(id, row);
    return false;
  }

  /** Keys were deleted which had so many bytes of deltas. */
  dropped(deltaBytes: number): void {
    this.deltaBytes -= deltaBytes;
  }

  #bringHome(id: number, { byteLength, cardinality, bits }: ChangedRow): void {
    const sizes = this.#sizes.get(id);
    if (sizes === undefined) return;
    let { chunkBytes, deltaBytes } = sizes;
    const changes = lastBits(bits);
    if (deltaBytes === 0 && chunkBytes <= CHUNK_FOLD_NOW_BYTES_MAX) {
      try {
        const delta = new Delta(-1, changes);
        chunkBytes += this.#values.foldNow(id, delta);
        delta.dispose();
        this.#update.run(byteLength, cardinality, chunkBytes, 0, id);
        return;
      } catch (error) {
        this.#damaged(error);
      }
    }
    const delta = this.#values.appendDelta(id, changes);
    if (delta === undefined) {
      // Only deltas that can't be folded become so many, and then the value can't be read at all.
      this.#warn(`the value with id ${id} is damaged in the database file, and further bits of it are not kept`);
      return;
    }
    deltaBytes += delta.bytes;
    this.deltaBytes += delta.bytes;
    this.#update.run(byteLength, cardinality, chunkBytes, deltaBytes, id);
    if (deltaBytes * FOLD_RATIO > chunkBytes || delta.number + 1 >= DELTAS_MAX) this.#foldable.add(id);
  }

  #stepFold(): void {
    this.#fold ??= this.#beginFold();
    const fold = this.#fold;
    if (fold === undefined) return;
    const sizes = this.#sizes.get(fold.id);
    // Its database was emptied meanwhile.
    if (sizes === undefined) return this.#forget(fold.id);
    const first = fold.chunks[fold.next];
    if (first === undefined) return this.#endFold(fold, sizes);
    fold.next++;
    try {
      const grown = this.#values.foldChunk(fold.id, first, fold.chunks[fold.next] ?? CONTAINERS, fold.delta);
      if (grown !== 0) this.#updateSizes.run(sizes.chunkBytes + grown, sizes.deltaBytes, fold.id);
    } catch (error) {
      this.#forget(fold.id);
      this.#damaged(error);
    }
  }

  #beginFold(): Fold | undefined {
    for (const id of this.#foldable) {
      this.#foldable.delete(id);
      const sizes = this.#sizes.get(id);
      if (sizes === undefined) continue;
      try {
        const delta = this.#values.deltas(id);
        if (delta === undefined) continue;
        const chunks = this.#values.chunks(id);
        // A value without a chunk, which can't be, would get its first one here.
        if (chunks.length === 0) chunks.push(0);
        return { id, delta, deltaBytes: sizes.deltaBytes, chunks, next: 0 };
      } catch (error) {
        this.#damaged(error);
      }
    }
    return undefined;
  }

  #endFold(fold: Fold, sizes: Sizes): void {
    this.#values.deleteDeltas(fold.id, fold.delta.last);
    this.#updateSizes.run(sizes.chunkBytes, sizes.deltaBytes - fold.deltaBytes, fold.id);
    this.deltaBytes -= fold.deltaBytes;
    fold.delta.dispose();
    this.#fold = undefined;
  }

  /** A value that can't be read keeps its deltas beside it; everything else goes on. */
  #damaged(error: unknown): void {
    if (!(error instanceof DamagedError)) throw error;
    this.#warn(error.message);
  }
}
