/**
 * Buffers that are large and soon out of use: unfinished requests, encoded values, rows that were read. V8 lets them pile up, since
 * it counts the small objects that stand for them and not their memory; and the heap of the C library, if it comes from there, keeps
 * holes of their size. Both are kept small here, since memory is for bitmaps.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MIB, PASSING_BYTES_MAX } from "./config.js";

/** From this size on a buffer gets memory of its own from the system, which takes it back whole. */
const OWN_MEMORY_BYTES_MIN = MIB;
/** So large must it be for that: glibc never serves more than 32 MiB from its heap. What is not written to takes no memory. */
export const OWN_MEMORY_BYTES = 33 * MIB;

/** Without options it collects everything; with any, Node 20's collects young objects only. */
type Collect = (options?: { type: "minor" }) => void;

/** Bytes of passing buffers of this thread since its young objects were last collected. */
let passingBytes = 0;
let collect: Collect | undefined;

/** A buffer of at least `bytes`, with whatever was there before in it. */
export function passingBuffer(bytes: number): Buffer<ArrayBuffer> {
  passing(bytes);
  return Buffer.allocUnsafe(bytes < OWN_MEMORY_BYTES_MIN ? bytes : Math.max(bytes, OWN_MEMORY_BYTES));
}

/** Notes that somebody else makes or has made such a buffer. Those that were made before may be collected. */
export function passing(bytes: number): void {
  if (passingBytes > PASSING_BYTES_MAX) collectPassed();
  passingBytes += bytes;
}

/** Frees such buffers that are out of use now, which takes some 1 ms: nothing will be passing for some time. */
export function collectPassed(): void {
  passingBytes = 0;
  collector()({ type: "minor" });
}

/**
 * Frees a buffer's memory soon rather than at a collection of all objects, which may be long in coming: an old buffer's memory gets a young
 * owner that nobody has. All views of it are empty from now on.
 */
export function giveBack(buffer: ArrayBufferLike): void {
  if (buffer.byteLength === 0) return;
  passing(buffer.byteLength);
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
}

/** `to` with the first `length` numbers of `from`, whose memory is given back. */
export function movedTo<T extends Uint32Array | Float64Array>(
  from: Uint32Array | Float64Array,
  to: T,
  length = from.length,
): T {
  to.set(from.subarray(0, length));
  giveBack(from.buffer);
  return to;
}

/** Collects all JavaScript objects that are out of use, old ones too, which takes some 10 ms for 50 MB of them. */
export function collectAll(): void {
  collector()();
}

/**
 * V8 shows its collector to contexts that are made while the flag is set. It stays set: flags are the whole process', and another thread
 * may be about to make its context.
 */
function collector(): Collect {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as Collect;
  }
  return collect;
}
