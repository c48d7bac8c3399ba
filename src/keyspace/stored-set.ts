/**
 * A set that is too large for memory: its pieces go into the storage as they come, under an id that no key has yet. `Keyspace.setValue` gives
 * it to a key, which is one small change however large the set is; until then nobody sees it, and after a crash nothing is left of it.
 * It must not know what storage that is, nor who makes the pieces.
 */
import type { Bitmap, UnmadeSet } from "./bitmap.js";
import type { PieceFacts } from "./storage.js";

/** Where the pieces go. */
export interface StoredPieces {
  append(id: number, facts: PieceFacts, piece: Bitmap): void;
  /** The value of the pieces that are committed. */
  load(id: number): Bitmap;
  drop(id: number): void;
}

export class StoredSet implements UnmadeSet {
  readonly id: number;
  cardinality = 0;
  portableBytes = 0;
  readonly #pieces: StoredPieces;
  #isKeys = false;

  constructor(id: number, pieces: StoredPieces) {
    this.id = id;
    this.#pieces = pieces;
  }

  /**
   * Appends the members of `piece`, which lie in the containers from `first` on. The value is `byteLength` bytes long with them. The piece
   * stays the caller's.
   */
  append(piece: Bitmap, first: number, byteLength: number): void {
    this.cardinality += piece.cardinality;
    this.portableBytes += piece.portableBytes;
    this.#pieces.append(this.id, { first, byteLength, cardinality: this.cardinality }, piece);
  }

  /** It is a key's from now on, and stays when this is disposed of. */
  give(): number {
    this.#isKeys = true;
    return this.id;
  }

  /** Only when all pieces are committed, as `make`. */
  has(offset: number): boolean {
    const whole = this.#pieces.load(this.id);
    const bit = whole.getBit(offset);
    whole.dispose();
    return bit === 1;
  }

  make(): Bitmap["set"] {
    return this.#pieces.load(this.id).set;
  }

  dispose(): void {
    if (!this.#isKeys) this.#pieces.drop(this.id);
  }
}
