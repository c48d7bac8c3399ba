/**
 * Whether bytes are a set in Roaring's portable format, as it is specified: what comes from elsewhere is looked at before Roaring takes it,
 * which checks that it does not read past the end and no more. A set that is out of order would answer wrongly for ever.
 */
import {
  ARRAY_MEMBERS_MAX,
  BITSET_BYTES,
  COOKIE_NO_RUNS,
  COOKIE_RUNS,
  containerBytes,
  DESCRIPTOR_BYTES,
  HEADER_BYTES,
  HEADER_BYTES_WITH_RUNS,
  OFFSET_BYTES,
  OFFSETS_WITH_RUNS_MIN,
  RUN_BYTES,
} from "./portable-format.js";

const CONTAINERS_MAX = 65_536;
const CONTAINER_MEMBERS = 65_536;

/** What is wrong with `portable`, in words; undefined where it is a set. */
export function portableProblem(portable: Uint8Array): string | undefined {
  const view = new DataView(portable.buffer, portable.byteOffset, portable.byteLength);
  const { byteLength } = view;
  if (byteLength < HEADER_BYTES) return "it is cut off";
  const cookie = view.getUint32(0, true);
  const hasRuns = (cookie & 0xffff) === COOKIE_RUNS;
  if (!hasRuns && cookie !== COOKIE_NO_RUNS) return "it does not begin as a Roaring bitmap does";
  const count = hasRuns ? (cookie >>> 16) + 1 : view.getUint32(4, true);
  if (count > CONTAINERS_MAX) return `it has ${count} containers`;
  const flags = hasRuns ? HEADER_BYTES_WITH_RUNS : HEADER_BYTES;
  const descriptors = hasRuns ? flags + ((count + 7) >>> 3) : flags;
  const offsets = descriptors + count * DESCRIPTOR_BYTES;
  const hasOffsets = !hasRuns || count >= OFFSETS_WITH_RUNS_MIN;
  let at = offsets + (hasOffsets ? count * OFFSET_BYTES : 0);
  if (at > byteLength) return "it is cut off";
  let before = -1;
  for (let i = 0; i < count; i++) {
    const key = view.getUint16(descriptors + i * DESCRIPTOR_BYTES, true);
    const members = view.getUint16(descriptors + i * DESCRIPTOR_BYTES + 2, true) + 1;
    if (key <= before) return "its containers are out of order";
    before = key;
    if (hasOffsets && view.getUint32(offsets + i * OFFSET_BYTES, true) !== at)
      return "a container is not where it should be";
    const isRun = hasRuns && ((view.getUint8(flags + (i >>> 3)) >>> (i & 7)) & 1) === 1;
    if (isRun && at + 2 > byteLength) return "it is cut off";
    const bytes = isRun ? 2 + view.getUint16(at, true) * RUN_BYTES : containerBytes(members);
    if (at + bytes > byteLength) return "it is cut off";
    const isGood = isRun
      ? areRuns(view, at)
      : members <= ARRAY_MEMBERS_MAX
        ? isArray(view, at, members)
        : isBitset(view, at, members);
    if (!isGood) return "a container is not what it says";
    at += bytes;
  }
  return at === byteLength ? undefined : `there are ${byteLength - at} bytes behind it`;
}

function isArray(view: DataView, at: number, members: number): boolean {
  let before = -1;
  for (let i = 0; i < members; i++) {
    const member = view.getUint16(at + i * 2, true);
    if (member <= before) return false;
    before = member;
  }
  return true;
}

function isBitset(view: DataView, at: number, members: number): boolean {
  let count = 0;
  for (let i = 0; i < BITSET_BYTES; i += 4) count += popcount(view.getUint32(at + i, true));
  return count === members;
}

/** The runs of a container are in order and apart, and at least one. */
function areRuns(view: DataView, at: number): boolean {
  const runs = view.getUint16(at, true);
  let end = -1;
  for (let i = 0; i < runs; i++) {
    const first = view.getUint16(at + 2 + i * RUN_BYTES, true);
    if (first <= end) return false;
    end = first + view.getUint16(at + 4 + i * RUN_BYTES, true);
    if (end >= CONTAINER_MEMBERS) return false;
  }
  return runs > 0;
}

function popcount(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
