/**
 * How the values of all types but strings lie in an RDB file, as far as one must know it to come to what follows them: those types are
 * of no use here, but their keys have to be passed over.
 */
import { OPCODE } from "./format.js";

/**
 * What lies in a row: a string; a length, which may be any number; a score of the first format; what a module wrote, to its end; so many
 * bytes; or a length and so often what is in the list.
 */
export type Field = "string" | "length" | "score" | "module" | number | readonly Field[];

/** A type of value: what Redis' TYPE says, with its article, and what a key's value consists of. */
export interface Layout {
  readonly name: string;
  readonly fields: readonly Field[];
}

const TIME = 8;
const DOUBLE = 8;
const STREAM_ID = 16;
const STREAM_POSITION = ["length", "length"] as const;
const STREAM_NODES = ["string", "string"] as const;
/** Entries that were read and are not acknowledged. */
const PENDING = [STREAM_ID, TIME, "length"] as const;
const CONSUMER = ["string", TIME, [STREAM_ID]] as const;
/** Since version 11 a consumer has two times. */
const CONSUMER_3 = ["string", TIME, TIME, [STREAM_ID]] as const;
/** How many entries there are, and the last. */
const STREAM_END = ["length", ...STREAM_POSITION] as const;
/** The first entry, the last that was deleted, and how many were ever added. */
const STREAM_END_2 = [...STREAM_END, ...STREAM_POSITION, ...STREAM_POSITION, "length"] as const;
const GROUP = ["string", ...STREAM_POSITION] as const;
/** With how many entries the group has read. */
const GROUP_2 = [...GROUP, "length"] as const;

/** By the number of the type. Number 6, which modules had before Redis 4.0's release, can't be passed over: nobody knows its end. */
export const LAYOUTS: ReadonlyMap<number, Layout> = new Map([
  [1, { name: "a list", fields: [["string"]] }],
  [2, { name: "a set", fields: [["string"]] }],
  [3, { name: "a sorted set", fields: [["string", "score"]] }],
  [4, { name: "a hash", fields: [["string", "string"]] }],
  [5, { name: "a sorted set", fields: [["string", DOUBLE]] }],
  [7, { name: "a module's value", fields: ["length", "module"] }],
  // One string each: zipmap, ziplists and intset.
  [9, { name: "a hash", fields: ["string"] }],
  [10, { name: "a list", fields: ["string"] }],
  [11, { name: "a set", fields: ["string"] }],
  [12, { name: "a sorted set", fields: ["string"] }],
  [13, { name: "a hash", fields: ["string"] }],
  // The first quicklist.
  [14, { name: "a list", fields: [["string"]] }],
  [15, { name: "a stream", fields: [STREAM_NODES, ...STREAM_END, [...GROUP, PENDING, CONSUMER]] }],
  // Listpacks, and the second quicklist.
  [16, { name: "a hash", fields: ["string"] }],
  [17, { name: "a sorted set", fields: ["string"] }],
  [18, { name: "a list", fields: [["length", "string"]] }],
  [19, { name: "a stream", fields: [STREAM_NODES, ...STREAM_END_2, [...GROUP_2, PENDING, CONSUMER]] }],
  [20, { name: "a set", fields: ["string"] }],
  [21, { name: "a stream", fields: [STREAM_NODES, ...STREAM_END_2, [...GROUP_2, PENDING, CONSUMER_3]] }],
  // Hashes whose fields have deadlines: of 7.4's candidates, then of 7.4, with the nearest deadline first.
  [22, { name: "a hash", fields: [["length", "string", "string"]] }],
  [23, { name: "a hash", fields: ["string"] }],
  [24, { name: "a hash", fields: [TIME, ["length", "string", "string"]] }],
  [25, { name: "a hash", fields: [TIME, "string"] }],
]);

/** What follows the opcodes that say nothing of keys, or nothing that is needed. */
export const PASSED_OVER: ReadonlyMap<number, readonly Field[]> = new Map<number, readonly Field[]>([
  // Slot, keys, keys with a deadline.
  [OPCODE.SLOT_INFO, ["length", "length", "length"]],
  [OPCODE.FUNCTION2, ["string"]],
  // Name, engine, a description if there is one, code.
  [OPCODE.FUNCTION_PRE_GA, ["string", "string", ["string"], "string"]],
  // Module, a number that says when it is loaded.
  [OPCODE.MODULE_AUX, ["length", "length", "length", "module"]],
  [OPCODE.IDLE, ["length"]],
  [OPCODE.FREQ, [1]],
  [OPCODE.RESIZEDB, ["length", "length"]],
]);

/** What a module wrote is a row of values, each behind the number of its kind. 0 ends it. */
export const MODULE_END = 0;
export const MODULE_VALUES: ReadonlyMap<number, readonly Field[]> = new Map<number, readonly Field[]>([
  [1, ["length"]],
  [2, ["length"]],
  [3, [4]],
  [4, [DOUBLE]],
  [5, ["string"]],
]);

/** A score's first byte is the length of its digits, but for these, which are infinities and no number. */
export const SCORE_WORD_MIN = 253;
