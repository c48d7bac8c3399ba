/** Holes in the C library's heap: pieces of it that were used and are free, between others that are in use. */
import { KIB } from "../../src/config.js";
import { collectAll } from "../../src/passing-buffer.js";
import { buffersDownTo } from "./buffers.js";

/** Small enough that the C library takes them from its heap, and larger than a page of the system's. */
const PIECE_BYTES = 64 * KIB;
/** One piece in so many stays. */
const KEPT = 16;

/** glibc alone can be told to give them back. */
export const hasGlibc = "glibcVersionRuntime" in (process.report.getReport() as { header: object }).header;

/** Makes holes of about so many bytes; what is returned lies between them. */
export function makeHoles(bytes: number): Uint8Array[] {
  const before = process.memoryUsage().arrayBuffers;
  const pieces: (Uint8Array | undefined)[] = Array.from({ length: bytes / PIECE_BYTES }, () =>
    new Uint8Array(PIECE_BYTES).fill(1),
  );
  for (let i = 0; i < pieces.length; i++) if (i % KEPT !== 0) pieces[i] = undefined;
  collectAll();
  buffersDownTo(before + (2 * bytes) / KEPT);
  return pieces.filter((piece) => piece !== undefined);
}
