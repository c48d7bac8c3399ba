/**
 * How many ids pairs of sets share, many pairs at a time: the sets' members are laid out in the memory of a small WebAssembly module,
 * `shared-ids.wat`, which says how it counts and why it is none of JavaScript. The memory is bounded: of a large set only some members are
 * there at a time. It must not know what the sets are for.
 */
import type { Bitmap } from "./bitmap.js";
import { SHARED_IDS_WASM } from "./shared-ids-wasm.js";

/** Two sets; a set may be in many pairs. */
export type Pair = readonly [row: Bitmap, column: Bitmap];

/** Most different sets of the pairs that are counted together, and most pairs. */
export const SETS_MAX = 256;
export const PAIRS_MAX = 16_384;

const ID_LAST = 2 ** 32 - 1;
const WORD_BYTES = 4;
const PAGE_BYTES = 65_536;

// Where everything is, in words. The first three are as the module has them.
const NUMBERS_WORDS = 65_536;
const SET_WORDS = 3;
const PAIR_WORDS = 3;
/** The bits of a set: 4,096 before the last block, and as many as a block may have, and 32 bytes for the end. The module goes in steps of as many. */
const BITS_WORDS = (4096 + 65_536) / 32 + 16;
/** Members of all sets together that are there at a time. */
const MEMBERS_WORDS = 2 ** 20;

const SETS = NUMBERS_WORDS;
const PAIRS = SETS + SETS_MAX * SET_WORDS;
const BITS = PAIRS + PAIRS_MAX * PAIR_WORDS;
const MEMBERS = BITS + SETS_MAX * BITS_WORDS;
/** 6.6 MB, of which the system gives what was written to. */
const MEMORY_BYTES = (MEMBERS + MEMBERS_WORDS) * WORD_BYTES;

/** What is used of it here: its types are among those of browsers only. */
declare const WebAssembly: {
  Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

interface Module {
  readonly words: Uint32Array;
  /** All are bytes from the memory's start, but for the last. */
  count(
    numbers: number,
    rows: number,
    columns: number,
    setsEnd: number,
    pairs: number,
    end: number,
    last: number,
  ): void;
}

let module: Module | undefined;

/** Made when it is needed first, and kept. */
function load(): Module {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(MEMORY_BYTES / PAGE_BYTES) });
  const compiled = new WebAssembly.Module(Buffer.from(SHARED_IDS_WASM, "base64"));
  const { exports } = new WebAssembly.Instance(compiled, { memory: { memory } });
  return { words: new Uint32Array(memory.buffer), count: (exports as Pick<Module, "count">).count };
}

/** How many ids each pair shares: of at most PAIRS_MAX pairs, which have SETS_MAX different sets at most. */
export function sharedIds(pairs: readonly Pair[]): number[] {
  if (pairs.length === 0) return [];
  module ??= load();
  const { words, count } = module;
  const rows = new Set(pairs.map(([row]) => row));
  const sets = [...new Set([...rows, ...pairs.map(([, column]) => column)])];
  const room = Math.floor(MEMBERS_WORDS / sets.length);
  const places = new Map(sets.map((set, i) => [set, new Place(set, words, i, room)]));
  pairs.forEach(([row, column], i) => {
    const at = PAIRS + i * PAIR_WORDS;
    words[at] = (places.get(row) as Place).bits;
    words[at + 1] = (places.get(column) as Place).bits;
    words[at + 2] = 0;
  });
  for (let counted = -1; counted < ID_LAST; ) {
    let last = ID_LAST;
    for (const place of places.values()) last = Math.min(last, place.fill(counted));
    const [columns, setsEnd] = [rows.size, sets.length].map((sets) => (SETS + sets * SET_WORDS) * WORD_BYTES) as [
      number,
      number,
    ];
    count(
      0,
      SETS * WORD_BYTES,
      columns,
      setsEnd,
      PAIRS * WORD_BYTES,
      (PAIRS + pairs.length * PAIR_WORDS) * WORD_BYTES,
      last,
    );
    counted = last;
  }
  return pairs.map((_, i) => words[PAIRS + i * PAIR_WORDS + 2] as number);
}

/** A set in the module's memory, with as many of its members as there is room for. */
class Place {
  readonly #set: Bitmap;
  readonly #words: Uint32Array;
  readonly #at: number;
  /** Where its members are, in words, and for how many words there is room. */
  readonly #start: number;
  readonly #room: number;
  /** How many members were read, and the last of them. */
  #read = 0;
  #last = -1;

  constructor(set: Bitmap, words: Uint32Array, number: number, room: number) {
    this.#set = set;
    this.#words = words;
    this.#at = SETS + number * SET_WORDS;
    this.#start = MEMBERS + number * room;
    this.#room = room;
    this.bits = (BITS + number * BITS_WORDS) * WORD_BYTES;
    words[this.#at] = 0;
    words[this.#at + 1] = 0;
    words[this.#at + 2] = this.bits;
  }

  /** Where its bits are, in bytes. */
  readonly bits: number;

  /** Reads the next members if all that were read are `counted`, and returns the id up to which all are there. */
  fill(counted: number): number {
    if (this.#last <= counted && this.#read < this.#set.cardinality) this.#fill();
    return this.#read < this.#set.cardinality ? this.#last : ID_LAST;
  }

  #fill(): void {
    const words = this.#words;
    const start = this.#start;
    // One word is left for what the module needs behind the last.
    const end = start + this.#set.readMembers(this.#read, words.subarray(start, start + this.#room - 1));
    this.#read += end - start;
    this.#last = words[end - 1] as number;
    words[end] = ~this.#last;
    words[this.#at] = start * WORD_BYTES;
    words[this.#at + 1] = end * WORD_BYTES;
  }
}
