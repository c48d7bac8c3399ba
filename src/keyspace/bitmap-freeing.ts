/**
 * Gives the native memory of sets back. A set may have 65,536 containers, each a piece of the heap, which takes 4 to 11 ms at once: such a one
 * is freed a part at a time, in turns of the event loop in which others are served (Redis' lazyfree does it on a thread).
 */
import roaring from "roaring";
import { OFFSETS } from "./value.js";

const { RoaringBitmap32 } = roaring;
type RoaringSet = InstanceType<typeof RoaringBitmap32>;

/** From so many containers on a set is freed in parts; less than that takes about a millisecond. */
export const CONTAINERS_AT_ONCE = 8_192;
/** Offsets whose containers are freed at a time, 1,024 of them: some 0.1 ms. */
const PART_OFFSETS = 2 ** 26;
/** How long a turn frees. */
const BUDGET_MS = 1;
/** More sets than these are not kept waiting: who makes and drops them that fast pays for it. */
const WAITING_MAX = 4;

interface Waiting {
  readonly set: RoaringSet;
  /** What it takes, about. */
  nativeBytes: number;
}

const waiting: Waiting[] = [];

/** Frees a set. It must not be used again. */
export function free(set: RoaringSet): void {
  // Roaring does not look at what an emptied set has kept for its containers, and would leave it to the collector.
  if (set.isEmpty) set.shrinkToFit();
  set.dispose();
}

/** Frees a set that takes about so many bytes of native memory, soon. It must not be used again. */
export function freeInParts(set: RoaringSet, nativeBytes: number): void {
  if (waiting.push({ set, nativeBytes }) === 1) setImmediate(freeSome);
  if (waiting.length > WAITING_MAX) free((waiting.pop() as Waiting).set);
}

/** Bytes of native memory of the sets that wait, about: nobody holds them any more. */
export function waitingBytes(): number {
  return waiting.reduce((sum, { nativeBytes }) => sum + nativeBytes, 0);
}

function freeSome(): void {
  const endMs = performance.now() + BUDGET_MS;
  do {
    const first = waiting[0] as Waiting;
    const before = RoaringBitmap32.getRoaringUsedMemory();
    // The last ones first: nothing has to move up then.
    first.set.removeRange(Math.max(first.set.maximum() - PART_OFFSETS, 0), OFFSETS);
    if (first.set.isEmpty) {
      free(first.set);
      waiting.shift();
    } else {
      const freed = before - RoaringBitmap32.getRoaringUsedMemory();
      first.nativeBytes = Math.max(first.nativeBytes - Math.max(freed, 0), 0);
    }
  } while (waiting.length > 0 && performance.now() < endMs);
  if (waiting.length > 0) setImmediate(freeSome);
}
