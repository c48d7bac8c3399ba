/**
 * Writes strings in Redis' RDB format, all that redis-server 7.0 writes: a length and the bytes; a small integer; or compressed
 * with LZF. It must not know what the strings are of, nor where they go.
 */
import { MIB, REPLY_SLICE_BYTES } from "../config.js";
import { ENCODING, KIND_SHIFT, LENGTH, LENGTH_32_BITS } from "./format.js";
import { compress, compressedBytesMax } from "./lzf.js";

/** The bytes are no string in RDB's format. */
export class RdbError extends Error {}

/** Strings up to this length are looked at for being an integer, and longer ones than that are compressed (Redis' figures). */
const INTEGER_BYTES_MAX = 11;
const UNCOMPRESSED_BYTES_MAX = 20;
/** Compressed, a string must be so many bytes shorter (Redis' figure). */
const GAIN_BYTES_MIN = 4;
/** From so many bytes on compressing is given up that does not save an eighth. */
const TRIAL_BYTES = MIB;
const WORTHWHILE = 7 / 8;
/** Bytes in slices that are not all zeros whose compressed form is held: to make it takes up to 40 ms a megabyte. */
const HELD_BYTES_MAX = 8 * MIB;

const ZEROS = Buffer.alloc(REPLY_SLICE_BYTES);

/** A string that may be too large to hold: its bytes are to be had in slices. */
export interface LongString {
  readonly byteLength: number;
  bytes(start: number, length: number): Buffer;
  slices(start: number, length: number): Iterator<Buffer>;
}

/** An encoded string: a head, and `byteLength` bytes behind it, made when they are asked for, until the last or `return()`. */
export interface EncodedString {
  head: Buffer;
  byteLength: number;
  slices: Iterator<Buffer>;
}

/**
 * What becomes of a string whose compressed form is too large to be held: as it is, which is quick; or compressed once to know the length and
 * again to write it, which takes seconds for the largest, and the string must not change meanwhile.
 */
export type LargeStrings = "raw" | "compressed";

/** Encodes a string, which is read now as far as compressing it needs, and else as it is now. */
export function encodeString(string: LongString, large: LargeStrings = "raw"): EncodedString {
  const { byteLength } = string;
  if (byteLength <= INTEGER_BYTES_MAX) {
    const integer = encodeInteger(string.bytes(0, byteLength).toString("latin1"));
    if (integer !== undefined) return { head: integer, byteLength: 0, slices: [].values() };
  }
  const compressed = byteLength > UNCOMPRESSED_BYTES_MAX ? compressString(string, large) : undefined;
  if (compressed === undefined) {
    return { head: encodeLength(byteLength), byteLength, slices: string.slices(0, byteLength) };
  }
  const encoding = Buffer.of((LENGTH.ENCODED << KIND_SHIFT) | ENCODING.LZF);
  const head = Buffer.concat([encoding, encodeLength(compressed.byteLength), encodeLength(byteLength)]);
  return { head, ...compressed };
}

/** A canonical decimal integer of 32 bits; undefined for every other text. */
function encodeInteger(text: string): Buffer | undefined {
  const value = Number(text) | 0;
  if (String(value) !== text) return undefined;
  const encoded = (encoding: number, bytes: number) => {
    const out = Buffer.of((LENGTH.ENCODED << KIND_SHIFT) | encoding, 0, 0, 0, 0);
    out.writeInt32LE(value, 1);
    return out.subarray(0, 1 + bytes);
  };
  if (value === (value << 24) >> 24) return encoded(ENCODING.INT8, 1);
  if (value === (value << 16) >> 16) return encoded(ENCODING.INT16, 2);
  return encoded(ENCODING.INT32, 4);
}

/** A length of up to 32 bits. */
export function encodeLength(length: number): Buffer {
  if (length < 1 << 6) return Buffer.of(length);
  if (length < 1 << 14) return Buffer.of((LENGTH.FOURTEEN_BITS << KIND_SHIFT) | (length >>> 8), length & 0xff);
  const out = Buffer.of(LENGTH_32_BITS, 0, 0, 0, 0);
  out.writeUInt32BE(length, 1);
  return out;
}

/** Compresses the string; undefined where that saves nothing worth the while. */
function compressString(string: LongString, large: LargeStrings): Omit<EncodedString, "head"> | undefined {
  let held: Buffer[] | undefined = [];
  let workedBytes = 0;
  let bytes = 0;
  let byteLength = 0;
  for (const { piece, sliceBytes, isZeros } of compressedSlices(string)) {
    bytes += sliceBytes;
    byteLength += piece.length;
    if (!isZeros) workedBytes += sliceBytes;
    if (workedBytes > HELD_BYTES_MAX) {
      if (large === "raw") return undefined;
      held = undefined;
    }
    held?.push(piece);
    if (bytes > TRIAL_BYTES && byteLength > bytes * WORTHWHILE) return undefined;
  }
  if (byteLength >= bytes - GAIN_BYTES_MIN) return undefined;
  return { byteLength, slices: held?.values() ?? piecesOf(compressedSlices(string)) };
}

interface CompressedSlice {
  piece: Buffer;
  sliceBytes: number;
  isZeros: boolean;
}

/** The string's slices, each compressed for itself. */
function* compressedSlices(string: LongString): Generator<CompressedSlice, void> {
  const slices = string.slices(0, string.byteLength);
  let out = Buffer.alloc(0);
  /** A slice of zeros, compressed: a sparse value is mostly these. */
  let zeros: Buffer | undefined;
  try {
    for (let next = slices.next(); next.done !== true; next = slices.next()) {
      const slice = next.value;
      if (out.length === 0) out = Buffer.allocUnsafe(compressedBytesMax(slice.length));
      const isZeros = slice.length === ZEROS.length && ZEROS.equals(slice);
      const piece = (isZeros ? zeros : undefined) ?? Buffer.from(out.subarray(0, compress(slice, out)));
      if (isZeros) zeros = piece;
      yield { piece, sliceBytes: slice.length, isZeros };
    }
  } finally {
    slices.return?.();
  }
}

function* piecesOf(slices: Iterable<CompressedSlice>): Generator<Buffer, void> {
  for (const { piece } of slices) yield piece;
}
