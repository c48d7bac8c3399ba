/**
 * V8 gives young JavaScript objects up to 32 MB, and keeps them. Here they get 2: memory is for bitmaps, and a small young space was
 * found to cost no speed (it stays in the processor's cache).
 */
import { setFlagsFromString } from "node:v8";

/** Keeps the young space from growing. To be called again whenever a worker thread has started, which takes the flag back. */
export function limitYoungSpace(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}
