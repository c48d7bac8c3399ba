/** A value of few members, as it is read: a view of the entry table's memory, good until the next change of any entry. */
import { SMALL_MEMBERS_MAX, SMALL_MEMBERS_MIN, SMALL_MEMBERS_PER_CONTAINER } from "../config.js";
import { Bitmap, CONTAINER_BYTES } from "./bitmap.js";
import { countContainers } from "./container-counts.js";
import {
  smallContainers,
  smallCountRange,
  smallFirstClear,
  smallFirstSet,
  smallHas,
  smallLowerBound,
} from "./small-set.js";
import type { Bit, ContainerCounts, Value } from "./value.js";

/** How many members a value that is written bit by bit has as an array at most: fewer where it spans few containers. */
export function smallMembersMax(byteLength: number): number {
  const members = Math.ceil(byteLength / CONTAINER_BYTES) * SMALL_MEMBERS_PER_CONTAINER;
  return Math.min(Math.max(members, SMALL_MEMBERS_MIN), SMALL_MEMBERS_MAX);
}

export class SmallValue implements Value {
  readonly #words: Uint32Array;
  readonly #start: number;
  readonly cardinality: number;
  readonly byteLength: number;

  /** The members are `words[start]` .. `words[start + count - 1]`, ascending. */
  constructor(words: Uint32Array, start: number, count: number, byteLength: number) {
    this.#words = words;
    this.#start = start;
    this.cardinality = count;
    this.byteLength = byteLength;
  }

  get members(): Uint32Array {
    return this.#words.subarray(this.#start, this.#start + this.cardinality);
  }

  getBit(offset: number): Bit {
    return smallHas(this.#words, this.#start, this.cardinality, offset) ? 1 : 0;
  }

  countRange(first: number, last: number): number {
    return smallCountRange(this.#words, this.#start, this.cardinality, first, last);
  }

  position(bit: Bit, first: number, last: number): number {
    if (first > last) return -1;
    const search = bit === 1 ? smallFirstSet : smallFirstClear;
    const found = search(this.#words, this.#start, this.cardinality, first);
    return found > last ? -1 : found;
  }

  select(rank: number): number {
    return this.#words[this.#start + rank] as number;
  }

  page(rank: number, count: number): Uint32Array {
    return this.members.subarray(rank, rank + count);
  }

  /** As they are when the value is written. */
  get containers(): ContainerCounts {
    return countContainers(smallContainers(this.#words, this.#start, this.cardinality));
  }

  bytes(start: number, length: number): Buffer {
    const out = Buffer.alloc(length);
    const firstBit = start * 8;
    const endBit = firstBit + length * 8;
    const { members } = this;
    for (let i = smallLowerBound(members, 0, members.length, firstBit); i < members.length; i++) {
      const offset = members[i] as number;
      if (offset >= endBit) break;
      const bit = offset - firstBit;
      out[bit >>> 3] = (out[bit >>> 3] as number) | (0x80 >> (bit & 7));
    }
    return out;
  }

  clone(): Bitmap {
    return Bitmap.fromMembers(this.members, this.byteLength);
  }

  slices(start: number, length: number): Iterator<Buffer> {
    const copy = this.clone();
    const slices = copy.slices(start, length);
    copy.dispose();
    return slices;
  }
}
