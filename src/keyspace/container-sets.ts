/**
 * Sets as Roaring keeps them, in an arena: for each 65,536 offsets that have members a container, which is a sorted array of
 * 16-bit words, or with more than 4,096 members a bitset. One bit is read or changed in a third of the time that a native set takes,
 * which is a call out of JavaScript and eight dependent reads of memory; and there is no object that the collector would have to
 * look at. Whole sets are the native ones' business: the way there and back is Roaring's portable format
 * (https://github.com/RoaringBitmap/RoaringFormatSpec).
 *
 * A set is named by the ref of its head, a block with the number of containers and then two words for each of them, ascending:
 * its key in the upper 16 bits and its members less one in the lower; the ref of the block of its members. There are no runs.
 * It must not know keys, values' lengths or the native sets.
 */
import type { Arena } from "./arena.js";
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
import type { ReadAhead } from "./read-ahead.js";

/** What `add` and `remove` return when the set is as it was. */
export const UNCHANGED = -1;

const WORD_BYTES = 4;
const HALF_BYTES = 2;
const HEAD_WORDS = 1;
const CONTAINER_WORDS = 2;
/** Numbers that a container's members are below. */
const CONTAINER_SPAN = 65_536;
const LOW_MASK = 0xffff;
const KEY_SHIFT = 16;
/** A block that is too small grows by 1/16 at least, which is at least a size class. */
const GROWTH_SHIFT = 4;
/** A block of so many times what is needed is changed for a smaller one. */
const SHRINK_FACTOR = 2;
/** Distance that members are moved by a loop; a longer tail goes faster through `copyWithin`, whose call alone costs that. */
const LOOP_MEMBERS_MAX = 48;
/** Members that a search first goes from its guess. */
const GALLOP_STEP = 8;
/** Bytes up to here are copied by a loop: calling out of JavaScript costs more. */
const LOOP_BYTES_MAX = 64;
/** Blocks of one set that are moved at a time: some 0.5 ms. */
const MOVED_MAX = 256;

export class ContainerSets {
  readonly #arena: Arena;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /**
   * Makes a set of one in the portable format that has members, and returns its head's ref. Undefined where runs hold so much that
   * it would take more than `bytesMax` bytes without them. `portable` is what Roaring wrote and is not checked.
   */
  fromPortable(portable: Buffer, bytesMax: number): number | undefined {
    const cookie = portable.readUInt32LE(0);
    const hasRuns = (cookie & LOW_MASK) === COOKIE_RUNS;
    const containers = hasRuns ? (cookie >>> KEY_SHIFT) + 1 : portable.readUInt32LE(4);
    const descriptors = hasRuns ? HEADER_BYTES_WITH_RUNS + Math.ceil(containers / 8) : HEADER_BYTES;
    if (setBytes(portable, descriptors, containers) > bytesMax) return undefined;
    let data = descriptors + containers * DESCRIPTOR_BYTES;
    if (!hasRuns || containers >= OFFSETS_WITH_RUNS_MIN) data += containers * OFFSET_BYTES;
    const head = this.#arena.allocate((HEAD_WORDS + containers * CONTAINER_WORDS) * WORD_BYTES);
    const words = this.#arena.wordsOf(head);
    let at = this.#arena.offsetOf(head) / WORD_BYTES;
    words[at] = containers;
    at += HEAD_WORDS;
    for (let i = 0; i < containers; i++, at += CONTAINER_WORDS) {
      const descriptor = descriptors + i * DESCRIPTOR_BYTES;
      const members = portable.readUInt16LE(descriptor + 2) + 1;
      const bytes = containerBytes(members);
      const ref = this.#arena.allocate(bytes);
      words[at] = (portable.readUInt16LE(descriptor) << KEY_SHIFT) | (members - 1);
      words[at + 1] = ref;
      if (hasRuns && ((portable[HEADER_BYTES_WITH_RUNS + (i >>> 3)] as number) & (1 << (i & 7))) !== 0) {
        const runs = portable.readUInt16LE(data);
        this.#writeRuns(ref, members, portable, data + 2, runs);
        data += 2 + runs * RUN_BYTES;
      } else {
        copy(portable, data, this.#arena.bytesOf(ref), this.#arena.offsetOf(ref), bytes);
        data += bytes;
      }
    }
    return head;
  }

  #writeRuns(ref: number, members: number, portable: Buffer, start: number, runs: number): void {
    const isBitset = members > ARRAY_MEMBERS_MAX;
    if (isBitset) this.#clear(ref);
    const halves = this.#arena.halvesOf(ref);
    let at = this.#arena.offsetOf(ref) / HALF_BYTES;
    for (let i = 0; i < runs; i++) {
      const first = portable.readUInt16LE(start + i * RUN_BYTES);
      const last = first + portable.readUInt16LE(start + i * RUN_BYTES + 2);
      for (let low = first; low <= last; low++) {
        if (isBitset) this.#setBitsetBit(ref, low);
        else halves[at++] = low;
      }
    }
  }

  /** Gives the set's memory back. */
  free(head: number): void {
    const words = this.#arena.wordsOf(head);
    const start = this.#arena.offsetOf(head) / WORD_BYTES;
    const end = start + HEAD_WORDS + (words[start] as number) * CONTAINER_WORDS;
    for (let at = start + HEAD_WORDS; at < end; at += CONTAINER_WORDS) this.#arena.free(words[at + 1] as number);
    this.#arena.free(head);
  }

  /** Bytes of the set's blocks. */
  bytesOf(head: number): number {
    const words = this.#arena.wordsOf(head);
    const start = this.#arena.offsetOf(head) / WORD_BYTES;
    const end = start + HEAD_WORDS + (words[start] as number) * CONTAINER_WORDS;
    let bytes = this.#arena.blockBytes(head);
    for (let at = start + HEAD_WORDS; at < end; at += CONTAINER_WORDS) {
      bytes += this.#arena.blockBytes(words[at + 1] as number);
    }
    return bytes;
  }

  /**
   * Takes the set's blocks out of pages that are to become empty, no more than MOVED_MAX of them: the others when it is called again. Returns
   * the head's ref.
   */
  moved(head: number): number {
    const words = this.#arena.wordsOf(head);
    const start = this.#arena.offsetOf(head) / WORD_BYTES;
    const end = start + HEAD_WORDS + (words[start] as number) * CONTAINER_WORDS;
    let moves = 0;
    // The head last: without memory for a block the set is as it was.
    for (let at = start + HEAD_WORDS; at < end && moves < MOVED_MAX; at += CONTAINER_WORDS) {
      const ref = words[at + 1] as number;
      const to = this.#arena.moved(ref);
      if (to === ref) continue;
      words[at + 1] = to;
      moves++;
    }
    return this.#arena.moved(head);
  }

  has(head: number, x: number): boolean {
    const words = this.#arena.wordsOf(head);
    const at = placeOf(words, this.#arena.offsetOf(head) / WORD_BYTES, x >>> KEY_SHIFT);
    if (at < 0) return false;
    const members = membersAt(words, at);
    const ref = words[at + 1] as number;
    const low = x & LOW_MASK;
    if (members > ARRAY_MEMBERS_MAX) return this.#hasBitsetBit(ref, low);
    const halves = this.#arena.halvesOf(ref);
    const start = this.#arena.offsetOf(ref) / HALF_BYTES;
    const index = lowerBound(halves, start, members, low);
    return index < members && halves[start + index] === low;
  }

  /** Adds to `ahead` what `has` and `add` read of the head. */
  readHeadAhead(head: number, x: number, ahead: ReadAhead): void {
    const words = this.#arena.wordsOf(head);
    const start = this.#arena.offsetOf(head) / WORD_BYTES;
    ahead.add(words, start);
    ahead.add(words, Math.min(start + HEAD_WORDS + (x >>> KEY_SHIFT) * CONTAINER_WORDS, words.length - 1));
  }

  /** The same of the container that the head names. */
  readMembersAhead(head: number, x: number, ahead: ReadAhead): void {
    const words = this.#arena.wordsOf(head);
    const at = placeOf(words, this.#arena.offsetOf(head) / WORD_BYTES, x >>> KEY_SHIFT);
    if (at < 0) return;
    const members = membersAt(words, at);
    const ref = words[at + 1] as number;
    const low = x & LOW_MASK;
    const word = members > ARRAY_MEMBERS_MAX ? low >>> 5 : (low * members) >>> (KEY_SHIFT + 1);
    ahead.add(this.#arena.wordsOf(ref), this.#arena.offsetOf(ref) / WORD_BYTES + word);
  }

  /** Adds a member, and returns the ref of the head, which may be another one now; UNCHANGED where it was there. */
  add(head: number, x: number): number {
    const words = this.#arena.wordsOf(head);
    const key = x >>> KEY_SHIFT;
    const low = x & LOW_MASK;
    const at = placeOf(words, this.#arena.offsetOf(head) / WORD_BYTES, key);
    if (at < 0) return this.#addContainer(head, ~at, key, low);
    const members = membersAt(words, at);
    const isNew =
      members > ARRAY_MEMBERS_MAX ? this.#setBitsetBit(words[at + 1] as number, low) : this.#addToArray(words, at, low);
    if (!isNew) return UNCHANGED;
    words[at] = (words[at] as number) + 1;
    return head;
  }

  /** The caller counts the member. */
  #addToArray(words: Uint32Array, at: number, low: number): boolean {
    const members = membersAt(words, at);
    let ref = words[at + 1] as number;
    let halves = this.#arena.halvesOf(ref);
    let start = this.#arena.offsetOf(ref) / HALF_BYTES;
    const index = lowerBound(halves, start, members, low);
    if (index < members && halves[start + index] === low) return false;
    if (members === ARRAY_MEMBERS_MAX) {
      words[at + 1] = this.#toBitset(ref);
      return this.#setBitsetBit(words[at + 1] as number, low);
    }
    const bytes = members * HALF_BYTES;
    if (bytes === this.#arena.blockBytes(ref)) {
      ref = this.#moveBlock(ref, bytes, bytes + (bytes >>> GROWTH_SHIFT) + HALF_BYTES);
      words[at + 1] = ref;
      halves = this.#arena.halvesOf(ref);
      start = this.#arena.offsetOf(ref) / HALF_BYTES;
    }
    insert(halves, start + index, start + members);
    halves[start + index] = low;
    return true;
  }

  #addContainer(head: number, at: number, key: number, low: number): number {
    const start = this.#arena.offsetOf(head) / WORD_BYTES;
    const length = HEAD_WORDS + (this.#arena.wordsOf(head)[start] as number) * CONTAINER_WORDS;
    const ref = this.#arena.allocate(HALF_BYTES);
    this.#arena.halvesOf(ref)[this.#arena.offsetOf(ref) / HALF_BYTES] = low;
    const bytes = length * WORD_BYTES;
    const needed = bytes + CONTAINER_WORDS * WORD_BYTES;
    const to =
      needed > this.#arena.blockBytes(head) ? this.#moveBlock(head, bytes, needed + (needed >>> GROWTH_SHIFT)) : head;
    const words = this.#arena.wordsOf(to);
    const toStart = this.#arena.offsetOf(to) / WORD_BYTES;
    const place = at - start + toStart;
    words.copyWithin(place + CONTAINER_WORDS, place, toStart + length);
    words[place] = key << KEY_SHIFT;
    words[place + 1] = ref;
    words[toStart] = (words[toStart] as number) + 1;
    return to;
  }

  /** Removes a member, and returns the ref of the head, which may be another one now; UNCHANGED where it was not there. */
  remove(head: number, x: number): number {
    const words = this.#arena.wordsOf(head);
    const low = x & LOW_MASK;
    const at = placeOf(words, this.#arena.offsetOf(head) / WORD_BYTES, x >>> KEY_SHIFT);
    if (at < 0) return UNCHANGED;
    const members = membersAt(words, at);
    const was =
      members > ARRAY_MEMBERS_MAX
        ? this.#clearBitsetBit(words[at + 1] as number, low)
        : this.#removeFromArray(words, at, low);
    if (!was) return UNCHANGED;
    if (members === 1) return this.#removeContainer(head, at);
    if (members === ARRAY_MEMBERS_MAX + 1) words[at + 1] = this.#toArray(words[at + 1] as number);
    words[at] = (words[at] as number) - 1;
    return head;
  }

  /** The caller counts the member. */
  #removeFromArray(words: Uint32Array, at: number, low: number): boolean {
    const members = membersAt(words, at);
    const ref = words[at + 1] as number;
    const halves = this.#arena.halvesOf(ref);
    const start = this.#arena.offsetOf(ref) / HALF_BYTES;
    const index = lowerBound(halves, start, members, low);
    if (index === members || halves[start + index] !== low) return false;
    halves.copyWithin(start + index, start + index + 1, start + members);
    const bytes = (members - 1) * HALF_BYTES;
    if (this.#isTooLarge(ref, bytes)) words[at + 1] = this.#moveBlock(ref, bytes, bytes);
    return true;
  }

  #removeContainer(head: number, at: number): number {
    const words = this.#arena.wordsOf(head);
    const start = this.#arena.offsetOf(head) / WORD_BYTES;
    const containers = (words[start] as number) - 1;
    this.#arena.free(words[at + 1] as number);
    words.copyWithin(at, at + CONTAINER_WORDS, start + HEAD_WORDS + (containers + 1) * CONTAINER_WORDS);
    words[start] = containers;
    const bytes = (HEAD_WORDS + containers * CONTAINER_WORDS) * WORD_BYTES;
    return this.#isTooLarge(head, bytes) ? this.#moveBlock(head, bytes, bytes) : head;
  }

  /** More than twice the size, since a block that is a class too large may be needed again with the next member. */
  #isTooLarge(ref: number, bytes: number): boolean {
    return bytes > 0 && this.#arena.blockBytes(ref) > SHRINK_FACTOR * this.#arena.sizeOf(bytes);
  }

  /** Moves the first `bytes` bytes of a block to one of `newBytes`, and returns its ref. */
  #moveBlock(from: number, bytes: number, newBytes: number): number {
    const to = this.#arena.allocate(newBytes);
    copy(
      this.#arena.bytesOf(from),
      this.#arena.offsetOf(from),
      this.#arena.bytesOf(to),
      this.#arena.offsetOf(to),
      bytes,
    );
    this.#arena.free(from);
    return to;
  }

  // --- bitsets

  #hasBitsetBit(ref: number, low: number): boolean {
    const word = this.#arena.wordsOf(ref)[this.#arena.offsetOf(ref) / WORD_BYTES + (low >>> 5)] as number;
    return (word & (1 << (low & 31))) !== 0;
  }

  /** Says whether the bit was 0. */
  #setBitsetBit(ref: number, low: number): boolean {
    const words = this.#arena.wordsOf(ref);
    const at = this.#arena.offsetOf(ref) / WORD_BYTES + (low >>> 5);
    const mask = 1 << (low & 31);
    const word = words[at] as number;
    words[at] = word | mask;
    return (word & mask) === 0;
  }

  /** Says whether the bit was 1. */
  #clearBitsetBit(ref: number, low: number): boolean {
    const words = this.#arena.wordsOf(ref);
    const at = this.#arena.offsetOf(ref) / WORD_BYTES + (low >>> 5);
    const mask = 1 << (low & 31);
    const word = words[at] as number;
    words[at] = word & ~mask;
    return (word & mask) !== 0;
  }

  #clear(ref: number): void {
    const offset = this.#arena.offsetOf(ref);
    this.#arena.bytesOf(ref).fill(0, offset, offset + BITSET_BYTES);
  }

  /** Makes a bitset of a full array. */
  #toBitset(array: number): number {
    const ref = this.#arena.allocate(BITSET_BYTES);
    this.#clear(ref);
    const halves = this.#arena.halvesOf(array);
    const start = this.#arena.offsetOf(array) / HALF_BYTES;
    for (let i = 0; i < ARRAY_MEMBERS_MAX; i++) this.#setBitsetBit(ref, halves[start + i] as number);
    this.#arena.free(array);
    return ref;
  }

  /** Makes an array of a bitset that has as many members as an array may have. */
  #toArray(bitset: number): number {
    const ref = this.#arena.allocate(ARRAY_MEMBERS_MAX * HALF_BYTES);
    const halves = this.#arena.halvesOf(ref);
    let at = this.#arena.offsetOf(ref) / HALF_BYTES;
    for (let low = 0; low < CONTAINER_SPAN; low++) if (this.#hasBitsetBit(bitset, low)) halves[at++] = low;
    this.#arena.free(bitset);
    return ref;
  }

  // --- the way to a native set

  /** Bytes that `writePortable` writes. */
  portableBytes(head: number): number {
    const words = this.#arena.wordsOf(head);
    const start = this.#arena.offsetOf(head) / WORD_BYTES;
    const containers = words[start] as number;
    let bytes = HEADER_BYTES + containers * (DESCRIPTOR_BYTES + OFFSET_BYTES);
    for (let i = 0; i < containers; i++) {
      bytes += containerBytes(membersAt(words, start + HEAD_WORDS + i * CONTAINER_WORDS));
    }
    return bytes;
  }

  /** Writes the set in the portable format into `out`, which is `portableBytes` long. */
  writePortable(head: number, out: Uint8Array): void {
    const view = Buffer.from(out.buffer, out.byteOffset, out.length);
    const words = this.#arena.wordsOf(head);
    const start = this.#arena.offsetOf(head) / WORD_BYTES;
    const containers = words[start] as number;
    view.writeUInt32LE(COOKIE_NO_RUNS, 0);
    view.writeUInt32LE(containers, 4);
    const offsets = HEADER_BYTES + containers * DESCRIPTOR_BYTES;
    let data = offsets + containers * OFFSET_BYTES;
    for (let i = 0; i < containers; i++) {
      const at = start + HEAD_WORDS + i * CONTAINER_WORDS;
      const ref = words[at + 1] as number;
      const bytes = containerBytes(membersAt(words, at));
      view.writeUInt16LE((words[at] as number) >>> KEY_SHIFT, HEADER_BYTES + i * DESCRIPTOR_BYTES);
      view.writeUInt16LE((words[at] as number) & LOW_MASK, HEADER_BYTES + i * DESCRIPTOR_BYTES + 2);
      view.writeUInt32LE(data, offsets + i * OFFSET_BYTES);
      copy(this.#arena.bytesOf(ref), this.#arena.offsetOf(ref), view, data, bytes);
      data += bytes;
    }
  }

  /** How many members there are in each container. */
  containerMembers(head: number): number[] {
    const words = this.#arena.wordsOf(head);
    const start = this.#arena.offsetOf(head) / WORD_BYTES;
    const containers = words[start] as number;
    return Array.from({ length: containers }, (_, i) => membersAt(words, start + HEAD_WORDS + i * CONTAINER_WORDS));
  }

  /** The members, ascending. For sets of few. */
  members(head: number, count: number): Uint32Array {
    const out = new Uint32Array(count);
    const words = this.#arena.wordsOf(head);
    const start = this.#arena.offsetOf(head) / WORD_BYTES;
    let length = 0;
    for (let i = 0; i < (words[start] as number); i++) {
      const at = start + HEAD_WORDS + i * CONTAINER_WORDS;
      const base = ((words[at] as number) & ~LOW_MASK) >>> 0;
      const ref = words[at + 1] as number;
      const members = membersAt(words, at);
      const halves = this.#arena.halvesOf(ref);
      const first = this.#arena.offsetOf(ref) / HALF_BYTES;
      for (let m = 0; m < members; m++) out[length++] = base + (halves[first + m] as number);
    }
    return out;
  }
}

function membersAt(words: Uint32Array, at: number): number {
  return ((words[at] as number) & LOW_MASK) + 1;
}

/** Where a key's container is described, in words; the complement of where it belongs if there is none. */
function placeOf(words: Uint32Array, start: number, key: number): number {
  const first = start + HEAD_WORDS;
  const containers = words[start] as number;
  // Keys ascend, so a key is never behind its own number; where none is missing before it, it is just there.
  let low = 0;
  let high = Math.min(containers, key + 1);
  if (key < containers && (words[first + key * CONTAINER_WORDS] as number) >>> KEY_SHIFT === key)
    return first + key * CONTAINER_WORDS;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((words[first + middle * CONTAINER_WORDS] as number) >>> KEY_SHIFT < key) low = middle + 1;
    else high = middle;
  }
  const at = first + low * CONTAINER_WORDS;
  return low < containers && (words[at] as number) >>> KEY_SHIFT === key ? at : ~at;
}

/**
 * How many members are below `low`. It looks first where `low` would be if they were evenly spread, and gallops from there: of 200 random
 * ones it reads two cache lines, halving reads four.
 */
function lowerBound(halves: Uint16Array, start: number, members: number, low: number): number {
  let from = 0;
  let to = members;
  let step = GALLOP_STEP;
  const guess = (low * members) >>> KEY_SHIFT;
  if ((halves[start + guess] as number) < low) {
    from = guess + 1;
    while (from + step < to) {
      if ((halves[start + from + step] as number) < low) from += step + 1;
      else to = from + step;
      step *= 2;
    }
  } else {
    to = guess;
    while (to - step >= from) {
      if ((halves[start + to - step] as number) < low) from = to - step + 1;
      else to -= step;
      step *= 2;
    }
  }
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((halves[start + middle] as number) < low) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Makes room for one at `at`, before what reaches to `end`. */
function insert(halves: Uint16Array, at: number, end: number): void {
  if (end - at > LOOP_MEMBERS_MAX) halves.copyWithin(at + 1, at, end);
  else for (let i = end; i > at; i--) halves[i] = halves[i - 1] as number;
}

/** Bytes that the containers of a portable set take without runs. */
function setBytes(portable: Buffer, descriptors: number, containers: number): number {
  let bytes = 0;
  for (let i = 0; i < containers; i++) {
    bytes += containerBytes(portable.readUInt16LE(descriptors + i * DESCRIPTOR_BYTES + 2) + 1);
  }
  return bytes;
}

function copy(from: Buffer, at: number, to: Buffer, toAt: number, bytes: number): void {
  if (bytes > LOOP_BYTES_MAX) from.copy(to, toAt, at, at + bytes);
  else for (let i = 0; i < bytes; i++) to[toAt + i] = from[at + i] as number;
}
