/**
 * Roaring's portable format, as far as cutting it needs: a large set is kept in several rows, each a portable set of its own.
 * Cutting copies containers as they are and never unpacks one. (RoaringFormatSpec, "General layout".)
 */

import {
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
} from "../keyspace/portable-format.js";
import { passing } from "../passing-buffer.js";

/** A piece's header at most: so much, and for each container its key and cardinality, its offset, and the bit that says "runs". */
const PIECE_HEADER_BYTES = 9;
const CONTAINER_HEADER_BYTES = DESCRIPTOR_BYTES + OFFSET_BYTES + 1 / 8;

interface Container {
  /** Upper 16 bits of its members. */
  key: number;
  /** Members less one. */
  cardinality: number;
  isRun: boolean;
  data: Uint8Array;
}

/** A part of a set: its members from `first << 16` on. */
export interface Piece {
  first: number;
  portable: Uint8Array;
}

/**
 * Cuts a portable set into pieces of at most `bytesMax` bytes each (or one container, if that is larger), all about as large.
 * Each is made when it is asked for: together they take as much memory as the set. The first piece begins at 0 whatever its members are.
 * Throws where `portable` is not that format.
 */
export function* cutPortable(portable: Uint8Array, bytesMax: number): Generator<Piece, void> {
  if (portable.length <= bytesMax) return yield { first: 0, portable };
  const containers = readContainers(portable);
  // As few as leave room for a container more in each, so that the last need not take what the others have no room for.
  const bytesAimed = Math.max(bytesMax - BITSET_BYTES, bytesMax / 2);
  const bytesWanted = portable.length / Math.ceil(portable.length / bytesAimed);
  let from = 0;
  let bytes = PIECE_HEADER_BYTES;
  let total = 0;
  let pieces = 0;
  const cutAt = (end: number): Piece => {
    const piece = pieceOf(containers.slice(from, end));
    from = end;
    bytes = PIECE_HEADER_BYTES;
    return pieces++ === 0 ? { ...piece, first: 0 } : piece;
  };
  for (const [i, { data }] of containers.entries()) {
    const more = CONTAINER_HEADER_BYTES + data.length;
    const isEnough = total + more / 2 > bytesWanted * (pieces + 1);
    if (i > from && (isEnough || bytes + more > bytesMax)) yield cutAt(i);
    bytes += more;
    total += more;
  }
  yield cutAt(containers.length);
}

function readContainers(portable: Uint8Array): Container[] {
  const view = new DataView(portable.buffer, portable.byteOffset, portable.byteLength);
  const cookie = view.getUint32(0, true);
  const hasRuns = (cookie & 0xffff) === COOKIE_RUNS;
  if (!hasRuns && cookie !== COOKIE_NO_RUNS) throw new Error("not a portable Roaring set");
  const count = hasRuns ? (cookie >>> 16) + 1 : view.getUint32(4, true);
  const flags = hasRuns ? HEADER_BYTES_WITH_RUNS : HEADER_BYTES;
  const descriptors = hasRuns ? flags + ((count + 7) >>> 3) : flags;
  const hasOffsets = !hasRuns || count >= OFFSETS_WITH_RUNS_MIN;
  let at = descriptors + count * DESCRIPTOR_BYTES + (hasOffsets ? count * OFFSET_BYTES : 0);
  const containers: Container[] = [];
  for (let i = 0; i < count; i++) {
    const key = view.getUint16(descriptors + i * DESCRIPTOR_BYTES, true);
    const cardinality = view.getUint16(descriptors + i * DESCRIPTOR_BYTES + 2, true);
    const isRun = hasRuns && ((view.getUint8(flags + (i >>> 3)) >>> (i & 7)) & 1) === 1;
    const bytes = isRun ? 2 + view.getUint16(at, true) * RUN_BYTES : containerBytes(cardinality + 1);
    if (at + bytes > portable.length) throw new Error("a portable Roaring set is cut off");
    containers.push({ key, cardinality, isRun, data: portable.subarray(at, at + bytes) });
    at += bytes;
  }
  return containers;
}

function pieceOf(containers: readonly Container[]): Piece {
  const count = containers.length;
  const hasRuns = containers.some(({ isRun }) => isRun);
  const hasOffsets = !hasRuns || count >= OFFSETS_WITH_RUNS_MIN;
  const flags = hasRuns ? HEADER_BYTES_WITH_RUNS : HEADER_BYTES;
  const descriptors = hasRuns ? flags + ((count + 7) >>> 3) : flags;
  const offsets = descriptors + count * DESCRIPTOR_BYTES;
  let at = offsets + (hasOffsets ? count * OFFSET_BYTES : 0);
  const bytes = containers.reduce((sum, { data }) => sum + data.length, at);
  passing(bytes);
  const portable = new Uint8Array(bytes);
  const view = new DataView(portable.buffer);
  if (hasRuns) {
    view.setUint32(0, COOKIE_RUNS | ((count - 1) << 16), true);
  } else {
    view.setUint32(0, COOKIE_NO_RUNS, true);
    view.setUint32(4, count, true);
  }
  containers.forEach(({ key, cardinality, isRun, data }, i) => {
    if (isRun) portable[flags + (i >>> 3)] = (portable[flags + (i >>> 3)] as number) | (1 << (i & 7));
    view.setUint16(descriptors + i * DESCRIPTOR_BYTES, key, true);
    view.setUint16(descriptors + i * DESCRIPTOR_BYTES + 2, cardinality, true);
    if (hasOffsets) view.setUint32(offsets + i * OFFSET_BYTES, at, true);
    portable.set(data, at);
    at += data.length;
  });
  return { first: (containers[0] as Container).key, portable };
}
