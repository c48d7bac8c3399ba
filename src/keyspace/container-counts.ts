/** Adding up containers, as BITSTAT tells of them. */
import { ARRAY_MEMBERS_MAX, containerBytes } from "./portable-format.js";
import type { ContainerCounts } from "./value.js";

/** The counts of containers that have so many members each and are no runs. */
export function countContainers(members: readonly number[]): ContainerCounts {
  const counts: ContainerCounts = {
    arrays: { containers: 0, members: 0, bytes: 0 },
    bitsets: { containers: 0, members: 0, bytes: 0 },
    runs: { containers: 0, members: 0, bytes: 0 },
  };
  for (const count of members) {
    const kind = count <= ARRAY_MEMBERS_MAX ? counts.arrays : counts.bitsets;
    kind.containers++;
    kind.members += count;
    kind.bytes += containerBytes(count);
  }
  return counts;
}
