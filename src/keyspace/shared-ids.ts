/**
 * How many ids pairs of sets share, many pairs at a time: the sets' members are laid out in the memory of a small WebAssembly module,
 * `shared-ids.wat`, which says how it counts and why it is none of JavaScript. The memory is bounded: of a large set only some members are
 * there at a time. It must not know what the sets are for.
 */
import { OFFSET_MAX } from "../config.js";
import type { Bitmap } from "./bitmap.js";
import { SHARED_IDS_WASM } from "./shared-ids-wasm.js";
import { loadWasm } from "./wasm.js";

/** Two sets; a set may be in many pairs. */
export type Pair = readonly [row: Bitmap, column: Bitmap];

/** Most different sets of the pairs that are counted together, and most pairs. */
export const SETS_MAX = 256;
export const PAIRS_MAX = 16_384;
/** Members of all sets together that are laid out at a time: each set has an equal part of that room. */
export const MEMBERS_MAX = 2 ** 20;

const WORD_BYTES = 4;

// Where everything is, in words. The module knows the sizes up to BITS_WORDS.
const NUMBERS = 0;
const NUMBERS_WORDS = 65_536;
const SET_WORDS = 3;
const PAIR_WORDS = 3;
/** The bits of a set: for 4,096 ids, all of one more block, and up to where a step of 32 bytes may end. */
const BITS_WORDS = (4096 + 65_536) / 32 + 16;

const SETS = NUMBERS + NUMBERS_WORDS;
const PAIRS = SETS + SETS_MAX * SET_WORDS;
const BITS = PAIRS + PAIRS_MAX * PAIR_WORDS;
const MEMBERS = BITS + SETS_MAX * BITS_WORDS;
/** 6.9 MB, of which the system gives what was written to. */
const MEMORY_BYTES = (MEMBERS + MEMBERS_MAX) * WORD_BYTES;

interface Module {
  readonly words: Uint32Array;
  /** Counts the ids up to `last`. Where things are and end is in bytes. */
  count(
    numbers: number,
    sets: number,
    rowsEnd: number,
    setsEnd: number,
    pairs: number,
    end: number,
    last: number,
  ): void;
}

let module: Module | undefined;

/** Made when it is needed first, and kept. */
function load(): Module {
  const { words, exports } = loadWasm(SHARED_IDS_WASM, MEMORY_BYTES);
  return { words, count: (exports as Pick<Module, "count">).count };
}

/** How many ids each pair shares: of at most PAIRS_MAX pairs, which have SETS_MAX different sets at most. */
export function sharedIds(pairs: readonly Pair[]): number[] {
  if (pairs.length === 0) return [];
  module ??= load();
  const { words, count } = module;
  const rows = new Set(pairs.map(([row]) => row));
  const sets = new Set([...rows, ...pairs.map(([, column]) => column)]);
  const room = Math.floor(MEMBERS_MAX / sets.size);
  const places = new Map<Bitmap, Place>();
  for (const set of sets) places.set(set, new Place(set, words, places.size, room));
  pairs.forEach(([row, column], i) => {
    const at = PAIRS + i * PAIR_WORDS;
    words[at] = (places.get(row) as Place).bits;
    words[at + 1] = (places.get(column) as Place).bits;
    words[at + 2] = 0;
  });
  const rowsEnd = SETS + rows.size * SET_WORDS;
  const setsEnd = SETS + sets.size * SET_WORDS;
  const pairsEnd = PAIRS + pairs.length * PAIR_WORDS;
  for (let last = -1; last < OFFSET_MAX; ) {
    const counted = last;
    last = OFFSET_MAX;
    for (const place of places.values()) last = Math.min(last, place.fill(counted));
    count(bytes(NUMBERS), bytes(SETS), bytes(rowsEnd), bytes(setsEnd), bytes(PAIRS), bytes(pairsEnd), last);
  }
  return pairs.map((_, i) => words[PAIRS + i * PAIR_WORDS + 2] as number);
}

function bytes(words: number): number {
  return words * WORD_BYTES;
}

/** A set in the module's memory, with as many of its members as there is room for. */
class Place {
  readonly #set: Bitmap;
  readonly #words: Uint32Array;
  readonly #at: number;
  /** Where its members are, in words, and for how many words there is room. */
  readonly #start: number;
  readonly #room: number;
  /** Where its bits are, in bytes. */
  readonly bits: number;
  /** How many members were read, and the last of them. */
  #read = 0;
  #last = -1;

  constructor(set: Bitmap, words: Uint32Array, number: number, room: number) {
    this.#set = set;
    this.#words = words;
    this.#at = SETS + number * SET_WORDS;
    this.#start = MEMBERS + number * room;
    this.#room = room;
    this.bits = bytes(BITS + number * BITS_WORDS);
    this.#write(this.#start, this.#start);
  }

  /** Reads the next members if all that were read are counted, up to the id `counted`; returns up to which id all are there. */
  fill(counted: number): number {
    const { cardinality } = this.#set;
    if (this.#last <= counted && this.#read < cardinality) {
      const start = this.#start;
      // One word stays for what the module needs behind the last.
      const end = start + this.#set.readMembers(this.#read, this.#words.subarray(start, start + this.#room - 1));
      this.#read += end - start;
      this.#last = this.#words[end - 1] as number;
      this.#words[end] = ~this.#last;
      this.#write(start, end);
    }
    return this.#read < cardinality ? this.#last : OFFSET_MAX;
  }

  #write(start: number, end: number): void {
    this.#words[this.#at] = bytes(start);
    this.#words[this.#at + 1] = bytes(end);
    this.#words[this.#at + 2] = this.bits;
  }
}
