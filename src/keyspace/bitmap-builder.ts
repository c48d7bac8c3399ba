/** Makes a Bitmap of a string that comes piece by piece, so that a string of 512 MB is never held whole. */
import roaring from "roaring";
import { Bitmap } from "./bitmap.js";
import { free } from "./bitmap-freeing.js";

const { RoaringBitmap32 } = roaring;

export class BitmapBuilder {
  /** Made with the first piece, which most values have no more than. */
  #set: InstanceType<typeof RoaringBitmap32> | undefined;
  #byteLength = 0;
  /** Several pieces were put together. One alone is as small as it can be already. */
  #isJoined = false;
  #isFinished = false;

  /** Bytes of the string so far. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** The string goes on with `bytes`, which are not kept. */
  append(bytes: Uint8Array): void {
    if (this.#isFinished) throw new Error("the builder has given its value away");
    const piece = Bitmap.fromBytes(bytes);
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

  /** The value, which is the caller's. The builder must not be used again. */
  finish(): Bitmap {
    const bitmap = new Bitmap(this.#set ?? new RoaringBitmap32(), this.#byteLength);
    this.#set = undefined;
    this.#isFinished = true;
    if (this.#isJoined) bitmap.optimize();
    return bitmap;
  }

  /** Gives up. Nothing happens after `finish`. */
  dispose(): void {
    if (this.#set !== undefined) free(this.#set);
    this.#set = undefined;
    this.#isFinished = true;
  }
}
