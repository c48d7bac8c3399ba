/**
 * Sets of few members, as ascending 32-bit words in a piece of somebody else's memory: `words[start]` ..
 * `words[start + count - 1]`. A native Roaring set costs some 400 bytes, 80 per container and a weak handle before it holds
 * anything; most keys hold so little that a sorted array is smaller and faster.
 * Also their way into Roaring's portable format (https://github.com/RoaringBitmap/RoaringFormatSpec), which is what
 * the storage keeps. It must not know whose memory it is, nor the native sets.
 */
import {
  ARRAY_MEMBERS_MAX,
  BITSET_BYTES,
  COOKIE_NO_RUNS,
  containerBytes,
  DESCRIPTOR_BYTES,
  HEADER_BYTES,
  OFFSET_BYTES,
} from "./portable-format.js";

/** Distance that a member is moved by a loop; a longer tail goes faster through `copyWithin`, whose call alone costs that. */
const LOOP_WORDS_MAX = 48;

/** Members that a search first goes from its guess. */
const GALLOP_STEP = 4;

/**
 * How many members are below `x`: the index where `x` is, or would be. The search begins at `guess`, any index, and gallops from there:
 * where the guess is good it reads one or two cache lines, and where it is bad it is as fast as one that begins in the middle.
 */
export function smallLowerBound(
  words: Uint32Array,
  start: number,
  count: number,
  x: number,
  guess = count >>> 1,
): number {
  let from = 0;
  let to = count;
  if (guess < count) {
    let step = GALLOP_STEP;
    if ((words[start + guess] as number) < x) {
      from = guess + 1;
      while (from + step < to) {
        if ((words[start + from + step] as number) < x) from += step + 1;
        else to = from + step;
        step *= 2;
      }
    } else {
      to = guess;
      while (to - step >= from) {
        if ((words[start + to - step] as number) < x) from = to - step + 1;
        else to -= step;
        step *= 2;
      }
    }
  }
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((words[start + middle] as number) < x) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Where `x` would be among `count` members that were evenly spread over a string of `byteLength` bytes. */
export function smallGuess(count: number, x: number, byteLength: number): number {
  return Math.floor((x * count) / (byteLength * 8 + 1));
}

export function smallHas(words: Uint32Array, start: number, count: number, x: number, guess = count >>> 1): boolean {
  const index = smallLowerBound(words, start, count, x, guess);
  return index < count && words[start + index] === x;
}

/** Adds `x`, which is missing and belongs at `index`. There must be room for one more word. */
export function smallInsertAt(words: Uint32Array, start: number, count: number, index: number, x: number): void {
  const at = start + index;
  const end = start + count;
  if (end - at > LOOP_WORDS_MAX) words.copyWithin(at + 1, at, end);
  else for (let i = end; i > at; i--) words[i] = words[i - 1] as number;
  words[at] = x;
}

/** Removes `x` and says whether it was there. */
export function smallRemove(words: Uint32Array, start: number, count: number, x: number): boolean {
  const at = start + smallLowerBound(words, start, count, x);
  const end = start + count;
  if (at === end || words[at] !== x) return false;
  if (end - at > LOOP_WORDS_MAX) words.copyWithin(at, at + 1, end);
  else for (let i = at + 1; i < end; i++) words[i - 1] = words[i] as number;
  return true;
}

/** Number of members in `first`..`last`, both included. */
export function smallCountRange(words: Uint32Array, start: number, count: number, first: number, last: number): number {
  if (first > last) return 0;
  return smallLowerBound(words, start, count, last + 1) - smallLowerBound(words, start, count, first);
}

/** The smallest member that is not below `from`; -1 where there is none. */
export function smallFirstSet(words: Uint32Array, start: number, count: number, from: number): number {
  const index = smallLowerBound(words, start, count, from);
  return index < count ? (words[start + index] as number) : -1;
}

/** The smallest number from `from` on that is not a member. It is 2^32 where all are members. */
export function smallFirstClear(words: Uint32Array, start: number, count: number, from: number): number {
  let clear = from;
  for (let index = smallLowerBound(words, start, count, from); index < count; index++) {
    if (words[start + index] !== clear) break;
    clear++;
  }
  return clear;
}

// --- Roaring's portable format

const LOW_MAX = 0xffff;

/** Bytes that `writePortableOfSmall` writes. */
export function portableSizeOfSmall(words: Uint32Array, start: number, count: number): number {
  const end = start + count;
  let bytes = HEADER_BYTES;
  for (let at = start; at < end; ) {
    const next = endOfContainer(words, at, end);
    bytes += DESCRIPTOR_BYTES + OFFSET_BYTES + containerBytes(next - at);
    at = next;
  }
  return bytes;
}

/** Writes the set into `out`, which is `portableSizeOfSmall` long. It writes arrays and bitsets, never runs. */
export function writePortableOfSmall(words: Uint32Array, start: number, count: number, out: Uint8Array): void {
  const end = start + count;
  let containers = 0;
  for (let at = start; at < end; at = endOfContainer(words, at, end)) containers++;
  writeU32(out, 0, COOKIE_NO_RUNS);
  writeU32(out, 4, containers);
  let descriptor = HEADER_BYTES;
  let offset = descriptor + containers * DESCRIPTOR_BYTES;
  let data = offset + containers * OFFSET_BYTES;
  for (let at = start; at < end; ) {
    const next = endOfContainer(words, at, end);
    writeU16(out, descriptor, (words[at] as number) >>> 16);
    writeU16(out, descriptor + 2, next - at - 1);
    writeU32(out, offset, data);
    writeContainer(words, at, next, out, data);
    descriptor += DESCRIPTOR_BYTES;
    offset += OFFSET_BYTES;
    data += containerBytes(next - at);
    at = next;
  }
}

/** How many members there are in each container. */
export function smallContainers(words: Uint32Array, start: number, count: number): number[] {
  const counts: number[] = [];
  const end = start + count;
  for (let at = start; at < end; ) {
    const next = endOfContainer(words, at, end);
    counts.push(next - at);
    at = next;
  }
  return counts;
}

/** Where the members end that share the upper 16 bits of the one at `at`. */
function endOfContainer(words: Uint32Array, at: number, end: number): number {
  const key = (words[at] as number) >>> 16;
  let next = at + 1;
  while (next < end && (words[next] as number) >>> 16 === key) next++;
  return next;
}

function writeContainer(words: Uint32Array, at: number, end: number, out: Uint8Array, data: number): void {
  if (end - at <= ARRAY_MEMBERS_MAX) {
    for (let i = at; i < end; i++) writeU16(out, data + (i - at) * 2, (words[i] as number) & LOW_MAX);
    return;
  }
  out.fill(0, data, data + BITSET_BYTES);
  for (let i = at; i < end; i++) {
    const low = (words[i] as number) & LOW_MAX;
    const byte = data + (low >>> 3);
    out[byte] = (out[byte] as number) | (1 << (low & 7));
  }
}

function writeU16(out: Uint8Array, at: number, value: number): void {
  out[at] = value & 0xff;
  out[at + 1] = (value >>> 8) & 0xff;
}

function writeU32(out: Uint8Array, at: number, value: number): void {
  writeU16(out, at, value & 0xffff);
  writeU16(out, at + 2, value >>> 16);
}
