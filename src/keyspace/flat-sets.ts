/**
 * How many ids two sets share that are counted again and again: a client that asks a cohort table cell by cell counts each set twenty times.
 * Roaring keeps a sparse set as many small pieces of the heap, and to count two of them is to wait for memory. A set that is counted for
 * the second time is laid out in one piece here, and counted by a small WebAssembly module, `flat-sets.wat`. The room is bounded, and let
 * go of when nobody counts. It must not know what the sets are for.
 */
import { OFFSET_MAX } from "../config.js";
import type { Bitmap } from "./bitmap.js";
import { FLAT_SETS_WASM } from "./flat-sets-wasm.js";
import { type Spread, spreadCost } from "./shared-members.js";
import { canRunWasm, loadWasm } from "./wasm.js";

const WORD_BYTES = 4;
/** Words that the module compares at a time. */
const GROUP = 4;
/** Room for the members of all sets: 4 MiB, of which the system gives what was written to. */
export const ROOM_WORDS = 2 ** 20;
/** A set of more members is not laid out: there would be room for few of them. */
export const MEMBERS_MAX = ROOM_WORDS / 8;
/** The memory is dropped when nobody counted for so long, or for twice as long; V8 gives it back at its next collection of all objects. */
export const FORGET_MS = 10_000;
/** What a count takes, in nanoseconds, measured; only which way is chosen depends on it. */
const COST = { call: 300, member: 0.75 };

/** What is known of a value that was counted twice, as long as its bits are the same. */
export interface FlatSet {
  /** Undefined for one that is never laid out. */
  readonly spread: Spread | undefined;
  /** It is laid out, from byte `start` to `end`, if this is the present filling of the memory. */
  filling: number;
  start: number;
  end: number;
}

interface Module {
  readonly words: Uint32Array;
  /** How many words two sets share, neither of which is empty. All is in bytes. */
  count(a: number, aEnd: number, b: number, bEnd: number): number;
}

/** Processors, virtual ones above all, may have no instructions for four words at a time. */
let canRun: boolean | undefined;
let module: Module | undefined;
/** Whether something was counted since the timer looked. */
let isUsed = false;
/** Goes up when the memory is filled from its beginning. */
let filling = 1;
/** The first free word. */
let free = 0;

/**
 * How many bits are 1 in both; undefined where Roaring is quicker, and where one of them is counted for the first time since its bits
 * changed.
 */
export function flatShared(a: Bitmap, b: Bitmap): number | undefined {
  const flatA = counted(a);
  const flatB = counted(b);
  if (flatA?.spread === undefined || flatB?.spread === undefined) return undefined;
  const members = flatA.spread.members + flatB.spread.members;
  if (COST.call + COST.member * members > spreadCost(flatA.spread, flatB.spread)) return undefined;
  canRun ??= canRunWasm(FLAT_SETS_WASM);
  if (!canRun) return undefined;
  module ??= load();
  isUsed = true;
  if (free + roomFor(flatA) + roomFor(flatB) > ROOM_WORDS) startOver();
  layOut(a, flatA, module.words);
  layOut(b, flatB, module.words);
  const shared = module.count(flatA.start, flatA.end, flatB.start, flatB.end);
  // Where the last groups of both are filled up, they are so with the same.
  return filledUp(flatB) > 0 ? shared - filledUp(flatA) : shared;
}

/** Notes that a value is counted, and says what is known of it if it was before. */
function counted(bitmap: Bitmap): FlatSet | undefined {
  const { flat } = bitmap;
  if (flat === undefined) bitmap.flat = "counted once";
  if (flat !== "counted once") return flat;
  const made = { spread: spreadOf(bitmap), filling: 0, start: 0, end: 0 };
  bitmap.flat = made;
  return made;
}

function spreadOf(bitmap: Bitmap): Spread | undefined {
  const members = bitmap.cardinality;
  // The largest offset is what groups are filled up with.
  if (members === 0 || members > MEMBERS_MAX || bitmap.getBit(OFFSET_MAX) === 1) return undefined;
  const { arrays, bitsets, runs } = bitmap.containers;
  const containers = arrays.containers + bitsets.containers + runs.containers;
  return { members, containers, inContainer: members / containers };
}

/** Words that it takes to lay it out, if it is not. */
function roomFor({ spread, filling: its }: FlatSet): number {
  return its === filling ? 0 : Math.ceil((spread as Spread).members / GROUP) * GROUP;
}

function layOut(bitmap: Bitmap, flat: FlatSet, words: Uint32Array): void {
  const room = roomFor(flat);
  if (room === 0) return;
  const end = free + room;
  const read = bitmap.readMembers(0, words.subarray(free, end));
  words.fill(OFFSET_MAX, free + read, end);
  flat.start = free * WORD_BYTES;
  flat.end = end * WORD_BYTES;
  flat.filling = filling;
  free = end;
}

/** Words of the last group that are no members. */
function filledUp({ spread, start, end }: FlatSet): number {
  return (end - start) / WORD_BYTES - (spread as Spread).members;
}

function startOver(): void {
  filling++;
  free = 0;
}

function load(): Module {
  const { words, exports } = loadWasm(FLAT_SETS_WASM, ROOM_WORDS * WORD_BYTES);
  const timer = setInterval(() => {
    if (isUsed) {
      isUsed = false;
      return;
    }
    clearInterval(timer);
    module = undefined;
    startOver();
  }, FORGET_MS);
  timer.unref();
  return { words, count: (exports as Pick<Module, "count">).count };
}
