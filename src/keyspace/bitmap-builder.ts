/**
 * Makes a Bitmap of a string that comes piece by piece, so that a string of 512 MB is never held whole. Nor is its set, which is as large
 * where the string is dense, if there is somebody who takes it in pieces.
 */
import roaring from "roaring";
import { MIB } from "../config.js";
import { Bitmap, CONTAINER_BYTES, optimizeSet } from "./bitmap.js";
import { free } from "./bitmap-freeing.js";
import type { StoredSet } from "./stored-set.js";
import { OFFSETS } from "./value.js";

const { RoaringBitmap32 } = roaring;
type RoaringSet = InstanceType<typeof RoaringBitmap32>;

/** Bytes of a set, about, that are gathered before they are given away. */
const PIECE_BYTES = 4 * MIB;

/** Takes a value that is too large for memory. */
export interface PieceTaker {
  readonly stored: StoredSet;
  /** Resolves when all that was appended is committed, and rejects when it can't be. */
  committed(): Promise<void>;
}

/** Called once, when a value has turned out to be large. Resolves with undefined where it must be whole. */
export type OpenPieceTaker = () => Promise<PieceTaker | undefined>;

export class BitmapBuilder {
  readonly #openTaker: OpenPieceTaker;
  #taker: PieceTaker | undefined;
  /** Made with the first piece, which most values have no more than. */
  #set: RoaringSet | undefined;
  /** Bytes of the set, about: of the pieces it was made of. */
  #setBytes = 0;
  #byteLength = 0;
  /** Several pieces were put together. One alone is as small as it can be already. */
  #isJoined = false;
  /** Containers that were given away. */
  #givenContainers = 0;
  /** The commit of what was given away last. */
  #committing: Promise<void> | undefined;
  #mustBeWhole = false;
  #isFinished = false;

  /** `openTaker` gives who takes a large value in pieces; by default it is whole in memory. */
  constructor(openTaker: OpenPieceTaker = async () => undefined) {
    this.#openTaker = openTaker;
  }

  /** Bytes of the string so far. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** The string goes on with `bytes`, which are not kept. */
  append(bytes: Uint8Array): void {
    if (this.#isFinished) throw new Error("the builder has given its value away");
    const piece = Bitmap.fromBytes(bytes);
    this.#setBytes += piece.portableBytes;
    if (this.#byteLength === 0 && this.#set === undefined) this.#set = piece.set;
    else this.#add(piece);
    this.#byteLength += bytes.length;
  }

  #add(piece: Bitmap): void {
    if (piece.cardinality > 0) {
      const moved = RoaringBitmap32.addOffset(piece.set, this.#byteLength * 8);
      this.#set ??= new RoaringBitmap32();
      this.#set.orInPlace(moved);
      this.#isJoined = true;
      free(moved);
    }
    piece.dispose();
  }

  /** The string goes on with so many bytes of 0. */
  appendZeros(bytes: number): void {
    this.#byteLength += bytes;
  }

  /**
   * Gives away what is complete of a value that has become large. To be called now and then while pieces are appended; nothing may be
   * appended until it resolves. Rejects when who takes it can't keep it.
   */
  async makeRoom(): Promise<void> {
    if (this.#setBytes < PIECE_BYTES || this.#mustBeWhole || this.#isFinished) return;
    this.#taker ??= await this.#openTaker();
    this.#mustBeWhole = this.#taker === undefined;
    // The piece before is out of memory then.
    await this.#committing;
    if (this.#isFinished) this.dispose();
    // One container at least stays, so that there is always a last piece.
    const end = Math.ceil(this.#byteLength / CONTAINER_BYTES) - 1;
    if (this.#taker === undefined || end <= this.#givenContainers) return;
    this.#give(this.#taker.stored, end);
    this.#committing = this.#taker.committed();
    // It may fail before its turn comes, where the failure is told.
    this.#committing.catch(() => {});
  }

  /** Gives away the containers up to `end - 1`. */
  #give(stored: StoredSet, end: number): void {
    const rest = this.#set ?? new RoaringBitmap32();
    const endBit = end * CONTAINER_BYTES * 8;
    const piece = rest.clone();
    piece.removeRange(endBit, OFFSETS);
    rest.removeRange(0, endBit);
    optimizeSet(piece);
    const bitmap = new Bitmap(piece);
    stored.append(bitmap, this.#givenContainers, end * CONTAINER_BYTES);
    bitmap.dispose();
    this.#givenContainers = end;
    this.#set = rest;
    this.#setBytes = 0;
  }

  /** The value, which is the caller's. The builder must not be used again. */
  finish(): Bitmap {
    const rest = new Bitmap(this.#set ?? new RoaringBitmap32(), this.#byteLength);
    this.#set = undefined;
    this.#isFinished = true;
    if (this.#isJoined) rest.optimize();
    if (this.#taker === undefined) return rest;
    const { stored } = this.#taker;
    stored.append(rest, this.#givenContainers, this.#byteLength);
    rest.dispose();
    this.#taker = undefined;
    return new Bitmap(stored, this.#byteLength);
  }

  /** Gives up. Nothing happens after `finish`. */
  dispose(): void {
    if (this.#set !== undefined) free(this.#set);
    this.#set = undefined;
    this.#taker?.stored.dispose();
    this.#taker = undefined;
    this.#isFinished = true;
  }
}
