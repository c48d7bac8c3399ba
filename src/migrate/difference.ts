/** Whether a key is the same in the source and in the target, as far as can be told without reading its value. */
import type { TargetFacts } from "./item.js";

/** How far deadlines may be apart that were asked for as time to live, in milliseconds: replies take their time. */
const DEADLINE_TOLERANCE_MS = 2000;

/** What of a value in the target is not as it should be, in words; undefined where nothing is. */
export function differenceOf(expected: Required<TargetFacts>, found: TargetFacts): string | undefined {
  if (found.byteLength !== expected.byteLength) {
    return `${expected.byteLength} bytes in the source, ${found.byteLength} in the target`;
  }
  if (found.cardinality !== expected.cardinality) {
    return `${expected.cardinality} bits are set in the source, ${found.cardinality} in the target`;
  }
  const { deadline = expected.deadline } = found;
  // Two that never expire are no number apart.
  if (deadline !== expected.deadline && !(Math.abs(deadline - expected.deadline) <= DEADLINE_TOLERANCE_MS)) {
    return `it expires at ${expected.deadline} in the source, at ${deadline} in the target`;
  }
  return undefined;
}
