/** Makes a Bitmap of a string that comes piece by piece, so that a string of 512 MB is never held whole. */
import roaring from "roaring";
import { Bitmap } from "./bitmap.js";

const { RoaringBitmap32 } = roaring;

export class BitmapBuilder {
  #set: InstanceType<typeof RoaringBitmap32> | undefined = new RoaringBitmap32();
  #byteLength = 0;

  /** Bytes of the string so far. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** The string goes on with `bytes`, which are not kept. */
  append(bytes: Uint8Array): void {
    const piece = Bitmap.fromBytes(bytes);
    if (piece.cardinality > 0) {
      const moved = RoaringBitmap32.addOffset(piece.set, this.#byteLength * 8);
      this.#own.orInPlace(moved);
      moved.dispose();
    }
    piece.dispose();
    this.#byteLength += bytes.length;
  }

  /** The string goes on with so many bytes of 0. */
  appendZeros(bytes: number): void {
    this.#byteLength += bytes;
  }

  /** The value, which is the caller's. The builder must not be used again. */
  finish(): Bitmap {
    const bitmap = new Bitmap(this.#own, this.#byteLength);
    this.#set = undefined;
    bitmap.optimize();
    return bitmap;
  }

  /** Gives up. Nothing happens after `finish`. */
  dispose(): void {
    this.#set?.dispose();
    this.#set = undefined;
  }

  get #own(): InstanceType<typeof RoaringBitmap32> {
    if (this.#set === undefined) throw new Error("the builder has given its value away");
    return this.#set;
  }
}
