/**
 * The entries of one database that are in memory: a hash table from key bytes to entry numbers, and what is known of each
 * entry by its number. All of it is in typed arrays and in an arena, since a million objects would stop the process at each
 * full garbage collection. No step of growth touches more than one shard of the hash table or one segment of rows, so none
 * stops it for long either.
 * What a deadline, a batch or a flag means is the caller's business. It must not know Roaring, the storage or the wire.
 *
 * An entry is a row of 64 bytes, one cache line, and not a set of columns: who finds a key wants most of its row. Its number
 * stays the same until it is removed, and is then used again.
 */
import { RUN_REQUESTS_MAX } from "../config.js";
import { giveBack } from "../passing-buffer.js";
import type { Arena } from "./arena.js";
import type { Bitmap } from "./bitmap.js";
import { ContainerSets, UNCHANGED } from "./container-sets.js";
import { ReadAhead } from "./read-ahead.js";
import {
  portableSizeOfSmall,
  smallCountRange,
  smallGuess,
  smallHas,
  smallInsertAt,
  smallLowerBound,
  smallRemove,
  writePortableOfSmall,
} from "./small-set.js";

/** What `find` returns when there is no such key. */
export const NO_ENTRY = -1;

/** Where an entry's value is. */
export const VALUE = {
  /** Not in memory. */
  NONE: 0,
  /** A sorted array in the arena (see small-set). */
  SMALL: 1,
  /** A `Bitmap`. */
  NATIVE: 2,
  /** Roaring's containers in the arena (see container-sets). */
  CONTAINERS: 3,
} as const;
export type ValueKind = (typeof VALUE)[keyof typeof VALUE];

/** A row is 8 floats, of which the first 4 are used as such ... */
const ROW_FLOAT_BITS = 3;
const ID = 0;
const DEADLINE = 1;
const BATCH = 2;
const CREATED_IN = 3;
/** ... or 16 words, of which 8 to 14 are used ... */
const ROW_WORD_BITS = 4;
const HASH = 8;
/** Of a number that is free: the next free number plus one, 0 for none. */
const KEY_REF = 9;
const KEY_LENGTH = 10;
const LAST_USE = 11;
const BYTE_LENGTH = 12;
/** SMALL: the block's ref, or with one member the member itself. CONTAINERS: the head's ref. NATIVE: the place in `#natives`. */
const VALUE_REF = 13;
const COUNT = 14;
/** ... or 64 bytes, of which 60 to 62 are used. */
const ROW_BYTE_BITS = 6;
const FLAGS = 60;
const KIND = 61;
const USED = 62;

const ROW_BYTES = 64;
const ROW_FLOATS = 8;
/** Rows of a segment. The first one begins smaller and doubles, so that an almost empty database costs little. */
const SEGMENT_BITS = 16;
const SEGMENT_ROWS = 1 << SEGMENT_BITS;
const SEGMENT_MASK = SEGMENT_ROWS - 1;
const FIRST_SEGMENT_ROWS = 256;

/** The hash's upper 10 bits choose the shard, its lower bits the slot. With 10M entries a shard doubles in some 0.2 ms. */
const SHARD_SHIFT = 22;
const SHARDS = 1024;
/** A slot is a hash and an entry's number plus one, 0 when it is free. The hash is there so that growth reads no rows. */
const SLOT_WORDS = 2;
const WORD_BYTES = 4;
const SHARD_SLOTS_MIN = 8;
/** A shard doubles when more than 3/4 of its slots are taken, and halves below 1/8. */
const LOAD_MAX = 0.75;
const LOAD_MIN = 0.125;
/** A shard without entries: one slot, which is free. It is shared and never written. */
const EMPTY_SHARD = new Int32Array(SLOT_WORDS);

/** Words that fit into a row without a block. */
const INLINE_MEMBERS = 1;
/** A block that is too small grows by 1/16 at least, which is at least a size class. */
const GROWTH_SHIFT = 4;

const POINTER_BYTES = 8;

/** Keys somewhere in a buffer, and offsets in their values. */
export interface KeysAndOffsets {
  readonly keyStarts: Int32Array;
  readonly keyEnds: Int32Array;
  readonly offsets: Uint32Array;
  readonly length: number;
}

/** Fewer keys are found one by one: there is nothing to read side by side. */
const FIND_MANY_MIN = 4;
const hashes = new Int32Array(RUN_REQUESTS_MAX);
const ahead = new ReadAhead();

export class EntryTable {
  readonly #arena: Arena;
  readonly #sets: ContainerSets;
  readonly #seed: number;
  #shards: Int32Array[] = [];
  readonly #shardSizes = new Uint32Array(SHARDS);
  /** Each segment's memory, seen in three ways. */
  #floats: Float64Array[] = [];
  #words: Uint32Array[] = [];
  #bytes: Uint8Array[] = [];
  /** The native values, and which places among them are free. */
  #natives: (Bitmap | undefined)[] = [];
  #freeNatives: number[] = [];
  #size = 0;
  /** Rows there is memory for. */
  #rows = 0;
  #capacity = 0;
  /** The first free number below `#capacity` plus one, 0 for none. */
  #free = 0;
  #reservedBytes = 0;
  #stringBytes = 0;

  /** `arena` holds the keys and the small values; `seed` is any 32 bits and should not be known to clients. */
  constructor(arena: Arena, seed: number) {
    this.#arena = arena;
    this.#sets = new ContainerSets(arena);
    this.#seed = seed;
    this.#reset();
  }

  /** Number of entries. */
  get size(): number {
    return this.#size;
  }

  /** Lengths of all values together, as far as they are known: what a Redis would need for their bytes. */
  get stringBytes(): number {
    return this.#stringBytes;
  }

  /** Every entry's number is below this, and not every number below it is an entry's (`isUsed`). */
  get capacity(): number {
    return this.#capacity;
  }

  /** Bytes of memory taken here, which is beside what the arena takes and what native values take. */
  get reservedBytes(): number {
    return this.#reservedBytes + (this.#natives.length + this.#freeNatives.length) * POINTER_BYTES;
  }

  /** Bytes of it that entries use: rows that are free are used again before memory grows. */
  get usedBytes(): number {
    return this.reservedBytes - (this.#rows - this.#size) * ROW_BYTES;
  }

  /** Number of native values. */
  get natives(): number {
    return this.#natives.length - this.#freeNatives.length;
  }

  isUsed(e: number): boolean {
    return e < this.#capacity && this.#byte(e, USED) === 1;
  }

  // --- finding

  /** The entry of the key in `bytes[start]` .. `bytes[end - 1]`, or NO_ENTRY. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const hash = hashOfBytes(bytes, start, end, this.#seed);
    const shard = this.#shards[hash >>> SHARD_SHIFT] as Int32Array;
    const mask = (shard.length >>> 1) - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const e = (shard[slot * SLOT_WORDS + 1] as number) - 1;
      if (e === NO_ENTRY) return NO_ENTRY;
      if (shard[slot * SLOT_WORDS] === hash && this.#hasBytes(e, bytes, start, end)) return e;
    }
  }

  /** The entry of a key given as a latin1 string, or NO_ENTRY. */
  findKey(key: string): number {
    const hash = hashOfKey(key, this.#seed);
    const shard = this.#shards[hash >>> SHARD_SHIFT] as Int32Array;
    const mask = (shard.length >>> 1) - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const e = (shard[slot * SLOT_WORDS + 1] as number) - 1;
      if (e === NO_ENTRY) return NO_ENTRY;
      if (shard[slot * SLOT_WORDS] === hash && this.#hasKey(e, key)) return e;
    }
  }

  /**
   * Finds the entries of up to RUN_REQUESTS_MAX keys, as `find` does, and reads ahead what will be read of their values. Each step is
   * made for all keys before the next one: one after the other, a key among ten thousand waits for memory six times.
   */
  findMany(bytes: Uint8Array, { keyStarts, keyEnds, offsets, length }: KeysAndOffsets, found: Int32Array): void {
    if (length < FIND_MANY_MIN) {
      for (let i = 0; i < length; i++) found[i] = this.find(bytes, keyStarts[i] as number, keyEnds[i] as number);
      return;
    }
    for (let i = 0; i < length; i++) {
      hashes[i] = hashOfBytes(bytes, keyStarts[i] as number, keyEnds[i] as number, this.#seed);
    }
    for (let i = 0; i < length; i++) found[i] = this.#firstOfHash(hashes[i] as number);
    for (let i = 0; i < length; i++) if (found[i] !== NO_ENTRY) this.#readKeyAhead(found[i] as number);
    ahead.read();
    for (let i = 0; i < length; i++) {
      const e = found[i] as number;
      if (e === NO_ENTRY) continue;
      const start = keyStarts[i] as number;
      const end = keyEnds[i] as number;
      if (!this.#hasBytes(e, bytes, start, end)) found[i] = this.find(bytes, start, end);
      else this.#readValueAhead(e, offsets[i] as number);
    }
    ahead.read();
    for (let i = 0; i < length; i++) {
      const e = found[i] as number;
      if (e === NO_ENTRY || this.valueKind(e) !== VALUE.CONTAINERS) continue;
      this.#sets.readMembersAhead(this.#word(e, VALUE_REF), offsets[i] as number, ahead);
    }
    ahead.read();
  }

  #readKeyAhead(e: number): void {
    const ref = this.#word(e, KEY_REF);
    ahead.add(this.#arena.wordsOf(ref), this.#arena.offsetOf(ref) / WORD_BYTES);
  }

  #readValueAhead(e: number, offset: number): void {
    const kind = this.valueKind(e);
    if (kind === VALUE.CONTAINERS) this.#sets.readHeadAhead(this.#word(e, VALUE_REF), offset, ahead);
    if (kind !== VALUE.SMALL) return;
    const count = this.count(e);
    const guess = Math.min(smallGuess(count, offset, this.byteLength(e)), count - 1);
    if (count > INLINE_MEMBERS) ahead.add(this.smallWords(e), this.smallStart(e) + guess);
  }

  /** The first entry whose key has this hash, or NO_ENTRY. */
  #firstOfHash(hash: number): number {
    const shard = this.#shards[hash >>> SHARD_SHIFT] as Int32Array;
    const mask = (shard.length >>> 1) - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const e = (shard[slot * SLOT_WORDS + 1] as number) - 1;
      if (e === NO_ENTRY || shard[slot * SLOT_WORDS] === hash) return e;
    }
  }

  #hasBytes(e: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#word(e, KEY_LENGTH) !== end - start) return false;
    const ref = this.#word(e, KEY_REF);
    const stored = this.#arena.bytesOf(ref);
    const offset = this.#arena.offsetOf(ref) - start;
    for (let i = start; i < end; i++) if (stored[offset + i] !== bytes[i]) return false;
    return true;
  }

  #hasKey(e: number, key: string): boolean {
    if (this.#word(e, KEY_LENGTH) !== key.length) return false;
    const ref = this.#word(e, KEY_REF);
    const stored = this.#arena.bytesOf(ref);
    const offset = this.#arena.offsetOf(ref);
    for (let i = 0; i < key.length; i++) if (stored[offset + i] !== key.charCodeAt(i)) return false;
    return true;
  }

  /** Whether an entry has a value in memory and neither a flag nor a deadline that has passed at `now` (in the caller's unit). */
  isReady(e: number, flags: number, now: number): boolean {
    return (
      this.#byte(e, KIND) !== VALUE.NONE && (this.#byte(e, FLAGS) & flags) === 0 && now <= this.#float(e, DEADLINE)
    );
  }

  // --- adding and removing

  /** Adds a key, given as a latin1 string, that must not be there. The entry has no value, no deadline, and zeros. */
  add(key: string): number {
    const e = this.#add(hashOfKey(key, this.#seed), key.length);
    const ref = this.#word(e, KEY_REF);
    this.#arena.bytesOf(ref).write(key, this.#arena.offsetOf(ref), key.length, "latin1");
    return e;
  }

  /** The same for the key in `bytes[start]` .. `bytes[end - 1]`. */
  addBytes(bytes: Uint8Array, start: number, end: number): number {
    const e = this.#add(hashOfBytes(bytes, start, end, this.#seed), end - start);
    const ref = this.#word(e, KEY_REF);
    const stored = this.#arena.bytesOf(ref);
    const offset = this.#arena.offsetOf(ref) - start;
    for (let i = start; i < end; i++) stored[offset + i] = bytes[i] as number;
    return e;
  }

  /** Removes an entry, its key and its value. A native value is let go of, not disposed. */
  remove(e: number): void {
    this.dropValue(e);
    this.setByteLength(e, 0);
    this.#arena.free(this.#word(e, KEY_REF));
    this.#removeSlot(e);
    this.#setByte(e, USED, 0);
    this.#setWord(e, KEY_REF, this.#free);
    this.#free = e + 1;
    this.#size--;
    // Rows are given back all at once or not at all, as those in use keep their numbers.
    if (this.#size === 0 && this.#rows > FIRST_SEGMENT_ROWS) this.#reset();
  }

  /** Gives its own memory back. It must not be used again. */
  dispose(): void {
    for (const { buffer } of this.#floats) giveBack(buffer);
    for (const shard of this.#shards) if (shard !== EMPTY_SHARD) giveBack(shard.buffer);
    this.#reset();
  }

  #reset(): void {
    this.#shards = new Array<Int32Array>(SHARDS).fill(EMPTY_SHARD);
    this.#shardSizes.fill(0);
    this.#floats = [];
    this.#words = [];
    this.#bytes = [];
    this.#natives = [];
    this.#freeNatives = [];
    this.#size = 0;
    this.#rows = 0;
    this.#capacity = 0;
    this.#free = 0;
    this.#reservedBytes = 0;
  }

  #add(hash: number, keyLength: number): number {
    const e = this.#takeNumber();
    const floats = this.#floats[e >>> SEGMENT_BITS] as Float64Array;
    const row = (e & SEGMENT_MASK) << ROW_FLOAT_BITS;
    for (let i = 0; i < ROW_FLOATS; i++) floats[row + i] = 0;
    floats[row + DEADLINE] = Number.POSITIVE_INFINITY;
    this.#setWord(e, HASH, hash);
    this.#setWord(e, KEY_REF, this.#arena.allocate(keyLength));
    this.#setWord(e, KEY_LENGTH, keyLength);
    this.#setByte(e, USED, 1);
    this.#addSlot(hash, e);
    this.#size++;
    return e;
  }

  #takeNumber(): number {
    if (this.#free !== 0) {
      const e = this.#free - 1;
      this.#free = this.#word(e, KEY_REF);
      return e;
    }
    if (this.#capacity === this.#rows) this.#addRows();
    return this.#capacity++;
  }

  /** Doubles the first segment, or adds one. */
  #addRows(): void {
    const isFirst = this.#rows < SEGMENT_ROWS;
    const rows = isFirst ? Math.max(FIRST_SEGMENT_ROWS, this.#rows * 2) : SEGMENT_ROWS;
    const memory = new ArrayBuffer(rows * ROW_BYTES);
    const bytes = new Uint8Array(memory);
    const segment = isFirst ? 0 : this.#bytes.length;
    const before = this.#bytes[segment];
    if (before !== undefined) bytes.set(before);
    this.#floats[segment] = new Float64Array(memory);
    this.#words[segment] = new Uint32Array(memory);
    this.#bytes[segment] = bytes;
    const added = rows - (before === undefined ? 0 : this.#rows);
    this.#rows += added;
    this.#reservedBytes += added * ROW_BYTES;
  }

  // --- the slots of the hash table

  #addSlot(hash: number, e: number): void {
    const number = hash >>> SHARD_SHIFT;
    const size = (this.#shardSizes[number] as number) + 1;
    this.#shardSizes[number] = size;
    const slots = (this.#shards[number] as Int32Array).length / SLOT_WORDS;
    if (size > slots * LOAD_MAX) this.#resize(number, Math.max(SHARD_SLOTS_MIN, slots * 2));
    putInSlot(this.#shards[number] as Int32Array, hash, e + 1);
  }

  #removeSlot(e: number): void {
    const hash = this.#word(e, HASH);
    const number = hash >>> SHARD_SHIFT;
    const size = (this.#shardSizes[number] as number) - 1;
    this.#shardSizes[number] = size;
    const shard = this.#shards[number] as Int32Array;
    closeSlot(shard, slotOf(shard, hash, e + 1));
    const slots = shard.length / SLOT_WORDS;
    if (size < slots * LOAD_MIN) this.#resize(number, size === 0 ? 0 : Math.max(SHARD_SLOTS_MIN, slots / 2));
  }

  #resize(number: number, slots: number): void {
    const from = this.#shards[number] as Int32Array;
    if (from.length === slots * SLOT_WORDS) return;
    const to = slots === 0 ? EMPTY_SHARD : new Int32Array(slots * SLOT_WORDS);
    for (let at = 0; at < from.length; at += SLOT_WORDS) {
      const numberPlusOne = from[at + 1] as number;
      if (numberPlusOne !== 0) putInSlot(to, from[at] as number, numberPlusOne);
    }
    this.#shards[number] = to;
    if (from !== EMPTY_SHARD) {
      this.#reservedBytes -= from.length * WORD_BYTES;
      giveBack(from.buffer);
    }
    this.#reservedBytes += slots * SLOT_WORDS * WORD_BYTES;
  }

  // --- what is known of an entry

  /** The key as a latin1 string. */
  key(e: number): string {
    const ref = this.#word(e, KEY_REF);
    const offset = this.#arena.offsetOf(ref);
    return this.#arena.bytesOf(ref).toString("latin1", offset, offset + this.#word(e, KEY_LENGTH));
  }

  /** The key's hash in this table, 32 bits. */
  hash(e: number): number {
    return this.#word(e, HASH);
  }

  keyLength(e: number): number {
    return this.#word(e, KEY_LENGTH);
  }

  id(e: number): number {
    return this.#float(e, ID);
  }

  setId(e: number, id: number): void {
    this.#setFloat(e, ID, id);
  }

  /** Infinity until it is set. */
  deadline(e: number): number {
    return this.#float(e, DEADLINE);
  }

  setDeadline(e: number, deadline: number): void {
    this.#setFloat(e, DEADLINE, deadline);
  }

  batch(e: number): number {
    return this.#float(e, BATCH);
  }

  setBatch(e: number, batch: number): void {
    this.#setFloat(e, BATCH, batch);
  }

  createdIn(e: number): number {
    return this.#float(e, CREATED_IN);
  }

  setCreatedIn(e: number, batch: number): void {
    this.#setFloat(e, CREATED_IN, batch);
  }

  /** 32 bits in the caller's unit. */
  lastUse(e: number): number {
    return this.#word(e, LAST_USE);
  }

  setLastUse(e: number, lastUse: number): void {
    this.#setWord(e, LAST_USE, lastUse);
  }

  /** 8 bits of the caller's. */
  flags(e: number): number {
    return this.#byte(e, FLAGS);
  }

  setFlags(e: number, flags: number): void {
    this.#setByte(e, FLAGS, flags);
  }

  /** Length of the value as a Redis string, in bytes. The caller keeps it, for values of all kinds. */
  byteLength(e: number): number {
    return this.#word(e, BYTE_LENGTH);
  }

  setByteLength(e: number, bytes: number): void {
    this.#stringBytes += bytes - this.byteLength(e);
    this.#setWord(e, BYTE_LENGTH, bytes);
  }

  /** Bytes that the entry takes as the allocators count them: its row, its slot, its key, and of its value all that is not native. */
  bytesOf(e: number): number {
    let bytes = ROW_BYTES + SLOT_WORDS * WORD_BYTES + this.#arena.blockBytes(this.#word(e, KEY_REF));
    switch (this.valueKind(e)) {
      case VALUE.SMALL:
        if (this.count(e) > INLINE_MEMBERS) bytes += this.#blockBytes(e);
        break;
      case VALUE.CONTAINERS:
        bytes += this.#sets.bytesOf(this.#word(e, VALUE_REF));
        break;
      case VALUE.NATIVE:
        bytes += POINTER_BYTES;
        break;
    }
    return bytes;
  }

  /** Takes the key and the value out of pages of the arena that are to become empty. Views of them mean nothing any more then. */
  moveBlocks(e: number): void {
    this.#setWord(e, KEY_REF, this.#arena.moved(this.#word(e, KEY_REF)));
    const kind = this.valueKind(e);
    const ref = this.#word(e, VALUE_REF);
    if (kind === VALUE.CONTAINERS) this.#setWord(e, VALUE_REF, this.#sets.moved(ref));
    else if (kind === VALUE.SMALL && this.count(e) > INLINE_MEMBERS) {
      this.#setWord(e, VALUE_REF, this.#arena.moved(ref));
    }
  }

  // --- the value

  valueKind(e: number): ValueKind {
    return this.#byte(e, KIND) as ValueKind;
  }

  /** Lets go of the value; the entry has none then. A native value is not disposed. */
  dropValue(e: number): void {
    const kind = this.valueKind(e);
    if (kind === VALUE.NONE) return;
    if (kind === VALUE.SMALL) this.#freeBlock(e);
    else if (kind === VALUE.CONTAINERS) this.#sets.free(this.#word(e, VALUE_REF));
    else this.#dropNative(this.#word(e, VALUE_REF));
    this.#setByte(e, KIND, VALUE.NONE);
    this.#setWord(e, VALUE_REF, 0);
    this.#setWord(e, COUNT, 0);
  }

  /** The native value; undefined where the value is of another kind. */
  native(e: number): Bitmap | undefined {
    return this.valueKind(e) === VALUE.NATIVE ? this.#natives[this.#word(e, VALUE_REF)] : undefined;
  }

  /** Makes `bitmap` the value, in place of the one there is. */
  setNative(e: number, bitmap: Bitmap): void {
    this.dropValue(e);
    const place = this.#freeNatives.pop() ?? this.#natives.length;
    this.#natives[place] = bitmap;
    bitmap.entry = e;
    this.#setWord(e, VALUE_REF, place);
    this.#setWord(e, COUNT, bitmap.cardinality);
    this.#setByte(e, KIND, VALUE.NATIVE);
  }

  /** The entry whose value `bitmap` is; NO_ENTRY where it is none's. */
  entryOf(bitmap: Bitmap): number {
    const e = bitmap.entry;
    return e !== undefined && this.isUsed(e) && this.native(e) === bitmap ? e : NO_ENTRY;
  }

  #dropNative(place: number): void {
    this.#natives[place] = undefined;
    this.#freeNatives.push(place);
  }

  /** Members of a value that is not NATIVE. */
  count(e: number): number {
    return this.#word(e, COUNT);
  }

  /** Members of the value, whatever its kind: a native one would have to add up its containers. */
  cardinality(e: number): number {
    const count = this.#word(e, COUNT);
    // Of a native value modulo 2^32, which is how many it can have.
    return count === 0 ? (this.native(e)?.cardinality ?? 0) : count;
  }

  /** To be told how many members more a NATIVE value has, or fewer where negative; of the other kinds it is known here. */
  countMembers(e: number, change: number): void {
    this.#setWord(e, COUNT, this.#word(e, COUNT) + change);
  }

  /** The array that a SMALL value's members are in, from `smallStart` on. Good until the next change of any entry. */
  smallWords(e: number): Uint32Array {
    if (this.count(e) <= INLINE_MEMBERS) return this.#words[e >>> SEGMENT_BITS] as Uint32Array;
    return this.#arena.wordsOf(this.#word(e, VALUE_REF));
  }

  /** Index of a SMALL value's first member in `smallWords`. */
  smallStart(e: number): number {
    if (this.count(e) <= INLINE_MEMBERS) return ((e & SEGMENT_MASK) << ROW_WORD_BITS) + VALUE_REF;
    return this.#arena.offsetOf(this.#word(e, VALUE_REF)) / WORD_BYTES;
  }

  /** Makes a SMALL value of ascending `members` the value. They must not be a view of memory of the value there is. */
  setSmall(e: number, members: Uint32Array | readonly number[]): void {
    this.dropValue(e);
    const count = members.length;
    if (count > INLINE_MEMBERS) this.#setWord(e, VALUE_REF, this.#arena.allocate(count * WORD_BYTES));
    this.#setWord(e, COUNT, count);
    this.#setByte(e, KIND, VALUE.SMALL);
    const words = this.smallWords(e);
    const start = this.smallStart(e);
    for (let i = 0; i < count; i++) words[start + i] = members[i] as number;
  }

  /** Whether a SMALL value has the member. */
  smallHas(e: number, offset: number): boolean {
    const count = this.count(e);
    if (count <= INLINE_MEMBERS) return count === INLINE_MEMBERS && this.#word(e, VALUE_REF) === offset;
    const ref = this.#word(e, VALUE_REF);
    const start = this.#arena.offsetOf(ref) / WORD_BYTES;
    return smallHas(this.#arena.wordsOf(ref), start, count, offset, smallGuess(count, offset, this.byteLength(e)));
  }

  /** Number of a SMALL value's members in `first`..`last`, both included. */
  smallCountRange(e: number, first: number, last: number): number {
    return smallCountRange(this.smallWords(e), this.smallStart(e), this.count(e), first, last);
  }

  /** Adds a member to a SMALL value, and says whether it was missing. */
  smallAdd(e: number, offset: number): boolean {
    this.#mustBeSmall(e);
    const count = this.count(e);
    const words = this.smallWords(e);
    const start = this.smallStart(e);
    const index = smallLowerBound(words, start, count, offset, smallGuess(count, offset, this.byteLength(e)));
    if (index < count && words[start + index] === offset) return false;
    if (count < this.#blockMembers(e)) {
      smallInsertAt(words, start, count, index, offset);
      this.#setWord(e, COUNT, count + 1);
      return true;
    }
    const bytes = count * WORD_BYTES;
    this.#moveBlock(e, bytes + (bytes >>> GROWTH_SHIFT) + WORD_BYTES, count + 1);
    smallInsertAt(this.smallWords(e), this.smallStart(e), count, index, offset);
    return true;
  }

  /** Removes a member from a SMALL value, and says whether it was there. */
  smallDelete(e: number, offset: number): boolean {
    this.#mustBeSmall(e);
    const count = this.count(e);
    if (!smallRemove(this.smallWords(e), this.smallStart(e), count, offset)) return false;
    const bytes = (count - 1) * WORD_BYTES;
    // More than twice the size, since a block that is a class too large may be needed again with the next member.
    const isTooLarge = count - 1 <= INLINE_MEMBERS || this.#blockBytes(e) > 2 * this.#arena.sizeOf(bytes);
    if (count > INLINE_MEMBERS && isTooLarge) this.#moveBlock(e, bytes, count - 1);
    else this.#setWord(e, COUNT, count - 1);
    return true;
  }

  // --- values of kind CONTAINERS

  /**
   * Makes a set that is not empty, in Roaring's portable format, the value as CONTAINERS. Where it would take more than `bytesMax` bytes,
   * since it has long runs, nothing is done and the answer is false.
   */
  setContainers(e: number, portable: Buffer, count: number, bytesMax: number): boolean {
    const head = this.#sets.fromPortable(portable, bytesMax);
    if (head === undefined) return false;
    this.dropValue(e);
    this.#setWord(e, VALUE_REF, head);
    this.#setWord(e, COUNT, count);
    this.#setByte(e, KIND, VALUE.CONTAINERS);
    return true;
  }

  /** Turns a SMALL value that is not empty into CONTAINERS. */
  splitSmall(e: number): void {
    const portable = Buffer.allocUnsafe(this.portableBytes(e));
    this.writePortable(e, portable);
    this.setContainers(e, portable, this.count(e), Number.POSITIVE_INFINITY);
  }

  containersHas(e: number, offset: number): boolean {
    return this.#sets.has(this.#word(e, VALUE_REF), offset);
  }

  /** Adds a member, and says whether it was missing. */
  containersAdd(e: number, offset: number): boolean {
    return this.#containersChanged(e, this.#sets.add(this.#word(e, VALUE_REF), offset), 1);
  }

  /** Removes a member, which must not be the last one, and says whether it was there. */
  containersDelete(e: number, offset: number): boolean {
    return this.#containersChanged(e, this.#sets.remove(this.#word(e, VALUE_REF), offset), -1);
  }

  #containersChanged(e: number, head: number, change: 1 | -1): boolean {
    if (head === UNCHANGED) return false;
    this.#setWord(e, VALUE_REF, head);
    this.countMembers(e, change);
    return true;
  }

  /** The members, ascending. For values of few. */
  containersMembers(e: number): Uint32Array {
    return this.#sets.members(this.#word(e, VALUE_REF), this.count(e));
  }

  /** How many members there are in each container. */
  containerMembers(e: number): number[] {
    return this.#sets.containerMembers(this.#word(e, VALUE_REF));
  }

  // --- values of kind SMALL and CONTAINERS in Roaring's portable format

  /** Bytes that `writePortable` writes. */
  portableBytes(e: number): number {
    if (this.valueKind(e) === VALUE.CONTAINERS) return this.#sets.portableBytes(this.#word(e, VALUE_REF));
    return portableSizeOfSmall(this.smallWords(e), this.smallStart(e), this.count(e));
  }

  /** Writes the value's set into `out`, which is `portableBytes` long. */
  writePortable(e: number, out: Uint8Array): void {
    if (this.valueKind(e) === VALUE.CONTAINERS) this.#sets.writePortable(this.#word(e, VALUE_REF), out);
    else writePortableOfSmall(this.smallWords(e), this.smallStart(e), this.count(e), out);
  }

  #mustBeSmall(e: number): void {
    if (this.#byte(e, KIND) !== VALUE.SMALL) throw new Error(`entry table: value of entry ${e} is not small`);
  }

  #blockBytes(e: number): number {
    return this.#arena.blockBytes(this.#word(e, VALUE_REF));
  }

  /** Members that the value's memory has room for. */
  #blockMembers(e: number): number {
    return this.count(e) <= INLINE_MEMBERS ? INLINE_MEMBERS : this.#blockBytes(e) / WORD_BYTES;
  }

  #freeBlock(e: number): void {
    if (this.count(e) > INLINE_MEMBERS) this.#arena.free(this.#word(e, VALUE_REF));
  }

  /** Moves the value to memory for `bytes` bytes, and makes it `count` members long: those it has, and one more or less. */
  #moveBlock(e: number, bytes: number, count: number): void {
    const from = this.smallWords(e);
    const fromStart = this.smallStart(e);
    const kept = Math.min(count, this.count(e));
    if (count <= INLINE_MEMBERS) {
      const member = from[fromStart] as number;
      this.#freeBlock(e);
      this.#setWord(e, VALUE_REF, member);
      this.#setWord(e, COUNT, count);
      return;
    }
    const ref = this.#arena.allocate(bytes);
    const to = this.#arena.wordsOf(ref);
    const toStart = this.#arena.offsetOf(ref) / WORD_BYTES;
    for (let i = 0; i < kept; i++) to[toStart + i] = from[fromStart + i] as number;
    this.#freeBlock(e);
    this.#setWord(e, VALUE_REF, ref);
    this.#setWord(e, COUNT, count);
  }

  // --- the rows

  #float(e: number, field: number): number {
    return (this.#floats[e >>> SEGMENT_BITS] as Float64Array)[((e & SEGMENT_MASK) << ROW_FLOAT_BITS) + field] as number;
  }

  #setFloat(e: number, field: number, value: number): void {
    (this.#floats[e >>> SEGMENT_BITS] as Float64Array)[((e & SEGMENT_MASK) << ROW_FLOAT_BITS) + field] = value;
  }

  #word(e: number, field: number): number {
    return (this.#words[e >>> SEGMENT_BITS] as Uint32Array)[((e & SEGMENT_MASK) << ROW_WORD_BITS) + field] as number;
  }

  #setWord(e: number, field: number, value: number): void {
    (this.#words[e >>> SEGMENT_BITS] as Uint32Array)[((e & SEGMENT_MASK) << ROW_WORD_BITS) + field] = value;
  }

  #byte(e: number, field: number): number {
    return (this.#bytes[e >>> SEGMENT_BITS] as Uint8Array)[((e & SEGMENT_MASK) << ROW_BYTE_BITS) + field] as number;
  }

  #setByte(e: number, field: number, value: number): void {
    (this.#bytes[e >>> SEGMENT_BITS] as Uint8Array)[((e & SEGMENT_MASK) << ROW_BYTE_BITS) + field] = value;
  }
}

// --- one shard: open addressing with linear probing, and no tombstones

function putInSlot(shard: Int32Array, hash: number, numberPlusOne: number): void {
  const mask = (shard.length >>> 1) - 1;
  let slot = hash & mask;
  while (shard[slot * SLOT_WORDS + 1] !== 0) slot = (slot + 1) & mask;
  shard[slot * SLOT_WORDS] = hash;
  shard[slot * SLOT_WORDS + 1] = numberPlusOne;
}

/** The slot of an entry that is in the shard. */
function slotOf(shard: Int32Array, hash: number, numberPlusOne: number): number {
  const mask = (shard.length >>> 1) - 1;
  let slot = hash & mask;
  while (shard[slot * SLOT_WORDS + 1] !== numberPlusOne) slot = (slot + 1) & mask;
  return slot;
}

/** Frees a slot, and moves those behind it back that would not be found across the gap. */
function closeSlot(shard: Int32Array, slot: number): void {
  const mask = (shard.length >>> 1) - 1;
  let gap = slot;
  for (let next = (gap + 1) & mask; shard[next * SLOT_WORDS + 1] !== 0; next = (next + 1) & mask) {
    const hash = shard[next * SLOT_WORDS] as number;
    const distance = (next - hash) & mask;
    if (distance < ((next - gap) & mask)) continue;
    shard[gap * SLOT_WORDS] = hash;
    shard[gap * SLOT_WORDS + 1] = shard[next * SLOT_WORDS + 1] as number;
    gap = next;
  }
  shard[gap * SLOT_WORDS + 1] = 0;
}

// --- the hash: MurmurHash3 (x86, 32 bits), the same for a latin1 string and its bytes. Signed, so that V8 keeps it unboxed.

const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

export function hashOfBytes(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed | 0;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const block =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    hash = mixBlock(hash, block);
  }
  let tail = 0;
  for (let shift = 0; i < end; i++, shift += 8) tail |= (bytes[i] as number) << shift;
  return finish(hash ^ scramble(tail), end - start);
}

export function hashOfKey(key: string, seed: number): number {
  let hash = seed | 0;
  let i = 0;
  for (; i + 4 <= key.length; i += 4) {
    const block =
      key.charCodeAt(i) | (key.charCodeAt(i + 1) << 8) | (key.charCodeAt(i + 2) << 16) | (key.charCodeAt(i + 3) << 24);
    hash = mixBlock(hash, block);
  }
  let tail = 0;
  for (let shift = 0; i < key.length; i++, shift += 8) tail |= key.charCodeAt(i) << shift;
  return finish(hash ^ scramble(tail), key.length);
}

function scramble(block: number): number {
  const scrambled = Math.imul(block, C1);
  return Math.imul((scrambled << 15) | (scrambled >>> 17), C2);
}

function mixBlock(hash: number, block: number): number {
  const mixed = hash ^ scramble(block);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number, length: number): number {
  let h = hash ^ length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
