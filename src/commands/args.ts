/** Reading arguments: every check that Redis makes of a number, with Redis' words when it fails. */
import { DATABASES, OFFSET_MAX } from "../config.js";
import { CommandError } from "../errors.js";
import type { Database } from "../keyspace/database.js";
import type { Bit } from "../keyspace/value.js";
import type { Argv } from "../resp/argv.js";
import type { Client } from "./client.js";

export const SYNTAX_ERROR = new CommandError("ERR syntax error");
export const NOT_AN_INTEGER = new CommandError("ERR value is not an integer or out of range");
export const INVALID_CURSOR = new CommandError("ERR invalid cursor");
export const NO_SUCH_KEY = new CommandError("ERR no such key");
export const SAME_OBJECT = new CommandError("ERR source and destination objects are the same");
export const BAD_OFFSET = new CommandError("ERR bit offset is not an integer or out of range");
const BAD_BIT = new CommandError("ERR bit is not an integer or out of range");
const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;
const BAD_INT = new CommandError(`ERR value is out of range, value must between ${INT_MIN} and ${INT_MAX}`);
const BAD_DATABASE = new CommandError("ERR DB index is out of range");

/** Argument `i` as Redis' error texts show it: printed as a C string, it ends at its first NUL. */
export function quotedArg(argv: Argv, i: number, bytesMax = Number.POSITIVE_INFINITY): string {
  const text = argv.string(i).slice(0, bytesMax);
  const nul = text.indexOf("\0");
  return nul === -1 ? text : text.slice(0, nul);
}

/** SETBIT's offset: a canonical integer, 0..2^32-1. */
export function offsetArg(argv: Argv, i: number): number {
  const offset = argv.integer(i);
  if (!(offset >= 0 && offset <= OFFSET_MAX)) throw BAD_OFFSET;
  return offset;
}

/** SETBIT's value: `0` or `1`. */
export function bitArg(argv: Argv, i: number): Bit {
  const bit = argv.integer(i);
  if (bit !== 0 && bit !== 1) throw BAD_BIT;
  return bit;
}

/** A signed 64-bit integer. */
export function bigintArg(argv: Argv, i: number, error: CommandError = NOT_AN_INTEGER): bigint {
  const value = argv.bigint(i);
  if (value === undefined) throw error;
  return value;
}

/**
 * The same as a number. Beyond 2^53 the nearest one is given: good for indexes, which are clamped anyway; whoever needs more takes
 * `bigintArg`.
 */
export function integerArg(argv: Argv, i: number, error: CommandError = NOT_AN_INTEGER): number {
  const small = argv.integer(i);
  return Number.isNaN(small) ? Number(bigintArg(argv, i, error)) : small;
}

/** A C int, with an error for what is none and another for what lies beyond. */
export function intArg(argv: Argv, i: number, error = NOT_AN_INTEGER, rangeError = BAD_INT): number {
  const number = integerArg(argv, i, error);
  if (number < INT_MIN || number > INT_MAX) throw rangeError;
  return number;
}

/** The number of a database, in the words of SELECT, MOVE and COPY. */
export function databaseArg(client: Client, argv: Argv, i: number): Database {
  const number = intArg(argv, i);
  if (number < 0 || number >= DATABASES) throw BAD_DATABASE;
  return client.server.keyspace.databases[number] as Database;
}

/** A range of indexes in a sequence of `length`, both ends included and negative ones counted from the end, as Redis clamps it. */
export function clampRange(start: number, end: number, length: number): { first: number; last: number } {
  const first = Math.max(start < 0 ? length + start : start, 0);
  const last = Math.min(Math.max(end < 0 ? length + end : end, 0), length - 1);
  return { first, last };
}
