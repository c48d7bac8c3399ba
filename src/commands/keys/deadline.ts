/** Reading a time argument into a deadline, with Redis' limits and words. */
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import { bigintArg } from "../args.js";

/** Redis' times are signed 64-bit integers, in milliseconds. */
const TIME_MIN_MS = -(2n ** 63n);
const TIME_MAX_MS = 2n ** 63n - 1n;

/** Deadlines are numbers here: what lies beyond 2^53 ms (the year 287396) is kept as that. */
const DEADLINE_MAX_MS = Number.MAX_SAFE_INTEGER;

/** Seconds and milliseconds up to this need no 64-bit arithmetic. */
const SMALL_MAX = 1e12;

/**
 * Argument `i`, in `unit`, counted from `basisMs` (0 for an absolute time), as a deadline in wall-clock milliseconds.
 * Throws Redis' error where the time is none, overflows 64 bits, or is not `positive` though it must be.
 */
export function deadlineArg(
  argv: Argv,
  i: number,
  unit: "s" | "ms",
  basisMs: number,
  command: string,
  options: { positive?: boolean } = {},
): number {
  const factor = unit === "s" ? 1000 : 1;
  const small = argv.integer(i);
  if (Math.abs(small) <= SMALL_MAX && options.positive !== true) return small * factor + basisMs;

  const time = bigintArg(argv, i);
  if (options.positive === true && time <= 0n) throw invalidExpire(command);
  if (time > TIME_MAX_MS / BigInt(factor) || time < TIME_MIN_MS / BigInt(factor)) throw invalidExpire(command);
  const deadline = time * BigInt(factor) + BigInt(basisMs);
  if (deadline > TIME_MAX_MS) throw invalidExpire(command);
  return keptDeadline(deadline);
}

/** A time in milliseconds since the epoch as it is kept. */
export function keptDeadline(time: bigint): number {
  return Math.max(Math.min(Number(time), DEADLINE_MAX_MS), -DEADLINE_MAX_MS);
}

function invalidExpire(command: string): CommandError {
  return new CommandError(`ERR invalid expire time in '${command}' command`);
}
