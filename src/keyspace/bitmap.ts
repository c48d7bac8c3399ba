/**
 * The value: a Roaring bitmap and a byte length, which together are one Redis string.
 * This is the only code that knows bit order: element n of the set is bit offset n, which Redis keeps in byte n >> 3,
 * most significant bit first. Bytes past the last element are zero; the length alone tells how many there are.
 * It must not know of keys, deadlines, the wire or the disk.
 */
import roaring from "roaring";
import { REPLY_SLICE_BYTES } from "../config.js";
import { passingBuffer } from "../passing-buffer.js";
import { CONTAINERS_AT_ONCE, free, freeInParts, waitingBytes } from "./bitmap-freeing.js";
import type { FlatSet } from "./flat-sets.js";
import {
  ARRAY_MEMBERS_MAX,
  COOKIE_NO_RUNS,
  containerBytes,
  DESCRIPTOR_BYTES,
  HEADER_BYTES,
  OFFSET_BYTES,
  RUN_BYTES,
} from "./portable-format.js";
import { type Bit, type ContainerCounts, OFFSETS, type Value } from "./value.js";

const { RoaringBitmap32 } = roaring;
type RoaringSet = InstanceType<typeof RoaringBitmap32>;

/** What is known of a set that is not made yet, since nobody has needed its bits. */
export interface UnmadeSet {
  readonly cardinality: number;
  has(offset: number): boolean;
  /**
   * Makes the set, in its smallest containers. Until about `endMs` (on the clock of `performance.now()`): undefined while there is more to do,
   * which the next call goes on with.
   */
  make(endMs: number): RoaringSet | undefined;
  /** Bytes of it in Roaring's portable format, where that is known. */
  readonly portableBytes?: number;
  /** Lets go of what it is made from. Nothing may be asked then. */
  dispose(): void;
}

export class Bitmap implements Value {
  #set: RoaringSet | undefined;
  #unmade: UnmadeSet | undefined;
  /** How many hold it: it is freed when the last lets go, and must not change while there is more than one. */
  #holders = 1;
  /** Length of the Redis string in bytes, 0..2^29. Every element is below 8 * byteLength. */
  byteLength: number;
  /** How often single bits were asked of it: whoever keeps it may prefer another form for that. */
  bitUses = 0;
  /** The entry that it was last the value of, as the entry table notes here: whether it still is must be asked there. */
  entry: number | undefined = undefined;
  /** What `flat-sets` knows of the bits as they are. Whoever changes one takes it away. */
  flat: FlatSet | "counted once" | undefined;

  constructor(set: RoaringSet | UnmadeSet = new RoaringBitmap32(), byteLength = 0) {
    if (set instanceof RoaringBitmap32) this.#set = set;
    else this.#unmade = set;
    this.byteLength = byteLength;
  }

  /** The value whose string is `bytes` (at most 512 MiB). */
  static fromBytes(bytes: Uint8Array): Bitmap {
    const set = RoaringBitmap32.deserialize(portableFromBytes(bytes), "portable");
    set.runOptimize();
    return new Bitmap(set, bytes.length);
  }

  /** The value of a set in Roaring's portable format. Throws where `portable` is not that format. */
  static fromPortable(portable: Uint8Array, byteLength: number): Bitmap {
    // Roaring takes nothing for an empty set; the format has a header even then.
    if (portable.length < HEADER_BYTES) throw new Error("a bitmap in the database file is cut off");
    return new Bitmap(RoaringBitmap32.deserialize(portable, "portable"), byteLength);
  }

  /** The value that has the bits `members`, in any order, each below 8 * byteLength. */
  static fromMembers(members: Uint32Array, byteLength: number): Bitmap {
    return new Bitmap(new RoaringBitmap32(members), byteLength);
  }

  /** The value that has the bits `offsets`, at least one and in any order, and is no longer than they need. */
  static fromOffsets(offsets: Uint32Array): Bitmap {
    // Adding them in order is 10 to 20 times as fast.
    const members = isAscending(offsets) ? offsets : offsets.slice().sort();
    return Bitmap.fromMembers(members, byteLengthOf(members.at(-1) as number));
  }

  /** The value that has the bits `first`..`last`, both included, and is no longer than they need. */
  static fromRange(first: number, last: number): Bitmap {
    return new Bitmap(RoaringBitmap32.fromRange(first, last + 1), byteLengthOf(last));
  }

  /** Bytes of native memory that all sets of the process take, but for those that nobody holds any more. */
  static usedBytes(): number {
    // How much waits is an estimate.
    return Math.max(RoaringBitmap32.getRoaringUsedMemory() - waitingBytes(), 0);
  }

  /** Bytes of native memory that the set takes, about. One that is not made takes none but what others hold anyway. */
  get nativeBytes(): number {
    return this.#set === undefined ? 0 : nativeBytesOf(this.#set, this.#set.statistics().containers);
  }

  /** Bit offsets that are 1. For the operations beside this file; everyone else goes through the methods. */
  get set(): RoaringSet {
    return this.#set ?? this.make();
  }

  /** Makes the set, if it is not made yet. */
  make(): RoaringSet {
    this.makeUntil(Number.POSITIVE_INFINITY);
    return this.#set as RoaringSet;
  }

  /** Makes a part of the set, until about `endMs` (on the clock of `performance.now()`), and says whether it is made now. */
  makeUntil(endMs: number): boolean {
    if (this.#set !== undefined) return true;
    const unmade = this.#unmade as UnmadeSet;
    this.#set = unmade.make(endMs);
    if (this.#set === undefined) return false;
    this.#unmade = undefined;
    unmade.dispose();
    return true;
  }

  /** What the set will be made from, as long as it is not. */
  get unmade(): UnmadeSet | undefined {
    return this.#unmade;
  }

  /** Number of bits that are 1. */
  get cardinality(): number {
    return this.#set === undefined ? (this.#unmade as UnmadeSet).cardinality : this.#set.size;
  }

  /** Bytes of the shortest string that has the bits. */
  get shortestByteLength(): number {
    const { cardinality } = this;
    return cardinality === 0 ? 0 : byteLengthOf(this.select(cardinality - 1));
  }

  /** Bit offsets that are 1, ascending. For values of few. */
  get members(): Uint32Array {
    return this.set.toUint32Array();
  }

  /** Writes the bit offsets that are 1 into `out`, ascending, from the one with `rank` others below it on, and returns how many it wrote. */
  readMembers(rank: number, out: Uint32Array): number {
    return this.set.rangeUint32Array(rank, out.length, out).length;
  }

  getBit(offset: number): Bit {
    return (this.#set ?? (this.#unmade as UnmadeSet)).has(offset) ? 1 : 0;
  }

  /** Sets or clears one bit, lengthens the value to hold it, and returns the bit's old value (SETBIT). */
  setBit(offset: number, bit: Bit): Bit {
    const length = byteLengthOf(offset);
    if (length > this.byteLength) this.byteLength = length;
    const isChanged = bit === 1 ? this.set.tryAdd(offset) : this.set.delete(offset);
    if (!isChanged) return bit;
    this.flat = undefined;
    return bit === 1 ? 0 : 1;
  }

  /**
   * Writes `bytes` over the string from byte `start` on, and lengthens it to hold them, up to 2^29 bytes (SETRANGE). Returns the bits that
   * are different now, which the caller must dispose of. Costs what lies in the range, whatever the length of the value.
   */
  overwrite(start: number, bytes: Uint8Array): Bitmap {
    const firstBit = start * 8;
    const written = Bitmap.fromBytes(bytes);
    const changed = RoaringBitmap32.addOffset(written.set, firstBit);
    written.dispose();
    const before = this.#range(firstBit, firstBit + bytes.length * 8);
    changed.xorInPlace(before);
    free(before);
    this.set.xorInPlace(changed);
    this.flat = undefined;
    this.byteLength = Math.max(this.byteLength, start + bytes.length);
    return new Bitmap(changed, this.byteLength);
  }

  /**
   * Sets the bits that are 1 in `members`, and lengthens the string to hold them. Returns the bits that are different now, which the caller
   * must dispose of.
   */
  add(members: Bitmap): Bitmap {
    const changed = RoaringBitmap32.andNot(members.set, this.set);
    const wasEmpty = this.set.isEmpty;
    this.set.orInPlace(changed);
    this.flat = undefined;
    // Later additions leave the containers as they have grown: that is BITOPTIMIZE's work.
    if (wasEmpty) this.optimize();
    this.byteLength = Math.max(this.byteLength, members.byteLength);
    return new Bitmap(changed, this.byteLength);
  }

  /** Clears the bits that are 1 in `members`; the string stays as long as it is. Returns the bits that are different now, as `add`. */
  remove(members: Bitmap): Bitmap {
    const changed = RoaringBitmap32.and(this.set, members.set);
    this.set.andNotInPlace(changed);
    this.flat = undefined;
    return new Bitmap(changed, this.byteLength);
  }

  /** Number of 1 bits in the bit offsets `first`..`last`, both included. */
  countRange(first: number, last: number): number {
    return first > last ? 0 : this.set.rangeCardinality(first, last + 1);
  }

  /** The first offset in `first`..`last`, both included, whose bit is `bit`; -1 where there is none. */
  position(bit: Bit, first: number, last: number): number {
    if (first > last) return -1;
    return bit === 1 ? this.#firstSet(first, last) : this.#firstClear(first, last);
  }

  #firstSet(first: number, last: number): number {
    const before = first === 0 ? 0 : this.set.rank(first - 1);
    const found = this.set.select(before);
    return found === undefined || found > last ? -1 : found;
  }

  /** Gallops and then halves over "is first..x all ones?", which Roaring answers from container headers. */
  #firstClear(first: number, last: number): number {
    if (!this.set.has(first)) return first;
    if (this.set.hasRange(first, last + 1)) return -1;
    let full = first;
    let step = 1;
    while (full + step <= last && this.set.hasRange(full, full + step + 1)) {
      full += step;
      step *= 2;
    }
    // The first clear bit lies in full+1 .. full+step.
    let low = full + 1;
    let high = Math.min(full + step, last);
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.set.hasRange(low, middle + 1)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  select(rank: number): number {
    return this.set.select(rank) as number;
  }

  page(rank: number, count: number): Uint32Array {
    const end = Math.min(rank + count, this.cardinality);
    if (rank === 0 && end === this.cardinality) return this.members;
    return rank >= end ? new Uint32Array() : this.#offsets(this.select(rank), this.select(end - 1) + 1);
  }

  get containers(): ContainerCounts {
    const counts = this.set.statistics();
    return {
      arrays: {
        containers: counts.arrayContainers,
        members: counts.valuesInArrayContainers,
        bytes: counts.bytesInArrayContainers,
      },
      bitsets: {
        containers: counts.bitsetContainers,
        members: counts.valuesInBitsetContainers,
        bytes: counts.bytesInBitsetContainers,
      },
      runs: {
        containers: counts.runContainers,
        members: counts.valuesInRunContainers,
        bytes: counts.bytesInRunContainers,
      },
    };
  }

  /** Bytes `start`..`start + length - 1` of the string, which must lie inside it. For ranges that fit in memory easily. */
  bytes(start: number, length: number): Buffer {
    const out = Buffer.alloc(length);
    if (length === 0) return out;
    const firstBit = start * 8;
    const offsets = this.#offsets(firstBit, (start + length) * 8);
    for (let i = 0; i < offsets.length; i++) {
      const bit = (offsets[i] as number) - firstBit;
      out[bit >>> 3] = (out[bit >>> 3] as number) | (0x80 >> (bit & 7));
    }
    return out;
  }

  #offsets(first: number, end: number): Uint32Array {
    const range = this.#range(first, end);
    const offsets = range.toUint32Array();
    free(range);
    return offsets;
  }

  /** The 1 bits in `first`..`end - 1`. Intersecting with a range is ten times faster than rank and page. */
  #range(first: number, end: number): RoaringSet {
    const range = RoaringBitmap32.fromRange(first, end);
    range.andInPlace(this.set);
    return range;
  }

  /**
   * The same bytes in slices of REPLY_SLICE_BYTES, made when they are asked for. They are those of this moment: a large
   * range reads from a copy of its bits, and the copy lives until the last slice, or `return()`.
   */
  slices(start: number, length: number): Iterator<Buffer> {
    const copy = this.set.clone();
    copy.removeRange(0, start * 8);
    copy.removeRange((start + length) * 8, OFFSETS);
    return new Slices(new Bitmap(copy, this.byteLength), start, length);
  }

  clone(): Bitmap {
    return new Bitmap(this.set.clone(), this.byteLength);
  }

  /** Chooses the smallest container for each 65,536 bits and gives unused memory back. */
  optimize(): void {
    optimizeSet(this.set);
  }

  /** Size of `writePortable`'s output, in bytes. */
  get portableBytes(): number {
    return this.#unmade?.portableBytes ?? this.set.getSerializationSizeInBytes("portable");
  }

  /** Writes the set in Roaring's portable format into `out`, which is `portableBytes` long. */
  writePortable(out: Uint8Array): void {
    this.set.serialize("portable", out);
  }

  /** What `writePortable` writes, in memory that is soon out of use. */
  toPortable(): Buffer {
    const bytes = this.portableBytes;
    const portable = passingBuffer(bytes).subarray(0, bytes);
    this.writePortable(portable);
    return portable;
  }

  /** At most so many bytes `writePortable` will write, without making the set. */
  get portableBytesMax(): number {
    return this.#set === undefined ? portableBytesMax(this) : this.portableBytes;
  }

  /** Keeps the value as it is now for one more holder, who will `dispose` of it. */
  hold(): Bitmap {
    this.#holders++;
    return this;
  }

  /** Whether somebody else relies on the value as it is: it must be cloned to be changed. */
  get isShared(): boolean {
    return this.#holders > 1;
  }

  /**
   * Lets go of the value, which must not be used again by this holder. When the last one does, the native memory is freed now, or soon where
   * it is much, and not at a later garbage collection.
   */
  dispose(): void {
    if (--this.#holders > 0) return;
    if (this.#set !== undefined) this.#free(this.#set);
    this.#unmade?.dispose();
  }

  #free(set: RoaringSet): void {
    // To count them takes half a millisecond where there may be many.
    const containers = this.byteLength > CONTAINERS_AT_ONCE * CONTAINER_BYTES ? set.statistics().containers : 0;
    if (containers > CONTAINERS_AT_ONCE) freeInParts(set, nativeBytesOf(set, containers));
    else free(set);
  }
}

/** An iterator and no generator: a generator that was never begun would not let go of its copy. */
class Slices implements Iterator<Buffer, void> {
  readonly #copy: Bitmap;
  #next: number;
  readonly #end: number;

  constructor(copy: Bitmap, start: number, length: number) {
    this.#copy = copy;
    this.#next = start;
    this.#end = start + length;
  }

  next(): IteratorResult<Buffer, void> {
    if (this.#next >= this.#end) return this.return();
    const length = Math.min(REPLY_SLICE_BYTES, this.#end - this.#next);
    const value = this.#copy.bytes(this.#next, length);
    this.#next += length;
    return { done: false, value };
  }

  return(): IteratorReturnResult<void> {
    this.#next = this.#end;
    this.#copy.dispose();
    return { done: true, value: undefined };
  }
}

/** The same with a set that is no value yet. For the operations beside this file. */
export function optimizeSet(set: RoaringSet): void {
  set.runOptimize();
  set.shrinkToFit();
}

/** What Roaring keeps of a container beside its members: its struct, its pointer, key and type, and the heap's word for two pieces. */
const NATIVE_CONTAINER_BYTES = 16 + 8 + 2 + 1 + 2 * 8;

/** Bytes of native memory that a set of so many containers takes, about. */
function nativeBytesOf(set: RoaringSet, containers: number): number {
  return set.getSerializationSizeInBytes("portable") + containers * NATIVE_CONTAINER_BYTES;
}

/**
 * At most so many bytes a value takes in Roaring's portable format: the smallest of what arrays of the ones, runs between the zeros, and
 * bitsets would take.
 */
export function portableBytesMax({ cardinality, byteLength }: Pick<Value, "cardinality" | "byteLength">): number {
  const runs = byteLength * 8 - cardinality + Math.ceil(byteLength / CONTAINER_BYTES);
  const containers = Math.min(Math.ceil(byteLength / CONTAINER_BYTES), cardinality);
  const data = Math.min(cardinality * 2, runs * RUN_BYTES + containers * 2, containers * CONTAINER_BYTES);
  return HEADER_BYTES + containers * (DESCRIPTOR_BYTES + OFFSET_BYTES + 1) + data;
}

/** Bytes of a string that holds the bit `offset`. */
function byteLengthOf(offset: number): number {
  return Math.floor(offset / 8) + 1;
}

function isAscending(offsets: Uint32Array): boolean {
  for (let i = 1; i < offsets.length; i++) if ((offsets[i] as number) < (offsets[i - 1] as number)) return false;
  return true;
}

/** A container spans 65,536 bits: 8 KiB of string. */
export const CONTAINER_BYTES = 8192;
const ZEROS = Buffer.alloc(CONTAINER_BYTES);

/** For each byte its bits in the opposite order: Redis counts from the most significant, Roaring from the least. */
const REVERSED = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  for (let bit = 0; bit < 8; bit++) {
    if (((byte >> bit) & 1) === 0) continue;
    REVERSED[byte] = (REVERSED[byte] as number) | (0x80 >> bit);
  }
}

/** Encodes a string as a portable Roaring set. Writing the format at once is ten times faster than adding its bits. */
function portableFromBytes(bytes: Uint8Array): Buffer {
  const blocks: { key: number; block: Uint8Array; members: number }[] = [];
  let dataBytes = 0;
  for (let start = 0; start < bytes.length; start += CONTAINER_BYTES) {
    const block = bytes.subarray(start, start + CONTAINER_BYTES);
    const members = countMembers(block);
    if (members === 0) continue;
    blocks.push({ key: start / CONTAINER_BYTES, block, members });
    dataBytes += containerBytes(members);
  }
  const outBytes = HEADER_BYTES + blocks.length * (DESCRIPTOR_BYTES + OFFSET_BYTES) + dataBytes;
  const out = passingBuffer(outBytes).subarray(0, outBytes);
  out.writeUInt32LE(COOKIE_NO_RUNS, 0);
  out.writeUInt32LE(blocks.length, 4);
  let descriptor = HEADER_BYTES;
  let offset = descriptor + blocks.length * DESCRIPTOR_BYTES;
  let data = offset + blocks.length * OFFSET_BYTES;
  for (const { key, block, members } of blocks) {
    out.writeUInt16LE(key, descriptor);
    out.writeUInt16LE(members - 1, descriptor + 2);
    out.writeUInt32LE(data, offset);
    data = members <= ARRAY_MEMBERS_MAX ? writeArray(out, data, block) : writeBitset(out, data, block);
    descriptor += DESCRIPTOR_BYTES;
    offset += OFFSET_BYTES;
  }
  return out;
}

function countMembers(block: Uint8Array): number {
  if (ZEROS.compare(block, 0, block.length, 0, block.length) === 0) return 0;
  let members = 0;
  const whole = block.length & ~3;
  for (let i = 0; i < whole; i += 4) members += onesOf(wordAt(block, i));
  for (let i = whole; i < block.length; i++) members += onesOf(block[i] as number);
  return members;
}

/** Four bytes, whose first bit, as Redis counts, is the most significant. */
function wordAt(block: Uint8Array, at: number): number {
  return (
    ((block[at] as number) << 24) |
    ((block[at + 1] as number) << 16) |
    ((block[at + 2] as number) << 8) |
    (block[at + 3] as number)
  );
}

/** How many bits are 1: counted in pairs, then in fours and in eights, which are added up. */
function onesOf(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function writeArray(out: Buffer, start: number, block: Uint8Array): number {
  const whole = block.length & ~3;
  let end = start;
  for (let i = 0; i < whole; i += 4) {
    const word = wordAt(block, i);
    if (word !== 0) end = writeMembers(out, end, word, i * 8);
  }
  for (let i = whole; i < block.length; i++) end = writeMembers(out, end, (block[i] as number) << 24, i * 8);
  return end;
}

/** Writes the members that the bits of a word are, the most significant of which is `first`. */
function writeMembers(out: Buffer, start: number, word: number, first: number): number {
  let end = start;
  for (let left = word; left !== 0; ) {
    const bit = Math.clz32(left);
    left ^= FIRST_BIT >>> bit;
    const member = first + bit;
    out[end] = member & 0xff;
    out[end + 1] = member >> 8;
    end += 2;
  }
  return end;
}

const FIRST_BIT = 0x80000000;

function writeBitset(out: Buffer, start: number, block: Uint8Array): number {
  for (let i = 0; i < block.length; i++) out[start + i] = REVERSED[block[i] as number] as number;
  out.fill(0, start + block.length, start + CONTAINER_BYTES);
  return start + CONTAINER_BYTES;
}
