/** What V8 is told to do otherwise than it would by itself. Its flags are the whole process', and may be set while it runs. */
import { setFlagsFromString } from "node:v8";

/**
 * Bytecode that V8 puts into one function in the place of calls, in bytes; its own bound is 920. A bit's way from the request to the log is
 * some fifty small functions, of which a third were left out: a SETBIT in pipelines takes 10 % less time so (docs/performance.md).
 */
const INLINED_BYTECODE_MAX = 4000;

/** For a command that runs for long. */
export function tuneV8(): void {
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${INLINED_BYTECODE_MAX}`);
  limitYoungSpace();
}

/**
 * Keeps the space for young JavaScript objects from growing. V8 gives them up to 32 MB, and keeps them. Here they get 2: memory is for bitmaps,
 * and a small young space was found to cost no speed (it stays in the processor's cache). To be called again whenever a worker thread has
 * started, which takes the flag back.
 */
export function limitYoungSpace(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}
