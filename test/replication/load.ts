/** What bitmapist and others do to a Redis, at random: events, bit operations, strings, deadlines, whole databases, other types. */

import type { Dice } from "../support/random.js";
import type { RawClient } from "../support/raw-client.js";

const DATABASES = 4;
const KEYS = 40;
const BITS = 100_000;
const SECONDS = 1000;

type Request = (string | Buffer)[];

/** Requests of one client, some of which are one transaction. Keys are few, so that clients meet. */
export function someRequests(random: Dice): Request[] {
  const { int, pick } = random;
  const key = () => `k${int(1, KEYS)}`;
  const event = () => ["SETBIT", key(), String(int(0, BITS)), String(int(0, 9) === 0 ? 0 : 1)];
  const events = () => [["MULTI"], ...Array.from({ length: int(3, 5) }, event), ["EXEC"]];
  const operation = () => {
    const result = key();
    const op = pick(["AND", "OR", "XOR"]);
    return [["MULTI"], ["BITOP", op, result, key(), key()], ["EXPIRE", result, String(int(1, SECONDS))], ["EXEC"]];
  };
  const deadline = () =>
    pick([
      ["EXPIRE", key(), String(int(1, SECONDS))],
      ["PEXPIRE", key(), String(int(-5, 60))],
      ["PEXPIREAT", key(), String(Date.now() + int(-50, 100_000))],
      ["PERSIST", key()],
      ["GETEX", key(), "PX", String(int(1, 200))],
      ["GETEX", key(), "PERSIST"],
      ["SET", key(), "brief", "PX", String(int(1, 40))],
      ["SETEX", key(), String(int(1, SECONDS)), "v"],
    ]);
  const string = () =>
    pick([
      ["SET", key(), "x".repeat(int(0, 300))],
      ["SET", key(), String(int(-5, 5)), "KEEPTTL"],
      ["SET", key(), "v", "NX", "GET"],
      ["MSET", key(), "a", key(), "b"],
      ["MSETNX", key(), "a", key(), "b"],
      ["GETSET", key(), "1"],
      ["GETDEL", key()],
      ["APPEND", key(), "\xf0"],
      ["SETRANGE", key(), String(int(0, 2000)), "range"],
      ["INCR", key()],
      ["DECRBY", key(), "3"],
      ["INCRBYFLOAT", key(), "0.1"],
      ["BITFIELD", key(), "INCRBY", "u8", String(int(0, 500)), "7"],
      ["DEL", key(), key()],
      ["UNLINK", key()],
    ]);
  const name = () =>
    pick([
      ["RENAME", key(), key()],
      ["RENAMENX", key(), key()],
      ["COPY", key(), key(), "REPLACE"],
      ["COPY", key(), key(), "DB", String(int(0, DATABASES - 1))],
      ["MOVE", key(), String(int(0, DATABASES - 1))],
    ]);
  const other = () =>
    pick([
      ["RPUSH", key(), "a", "b"],
      ["SADD", key(), "1", "2"],
      ["ZADD", key(), "1", "a"],
      ["HSET", key(), "f", "v"],
      ["SUNIONSTORE", key(), key(), key()],
      ["ZRANGESTORE", key(), key(), "0", "-1"],
      ["SORT", key(), "BY", "nosort", "STORE", key()],
      ["LMOVE", key(), key(), "LEFT", "RIGHT"],
      ["XADD", key(), "*", "f", "v"],
      ["PUBLISH", "channel", "message"],
    ]);
  const whole = () =>
    pick([
      ["FLUSHDB"],
      ["SWAPDB", String(int(0, DATABASES - 1)), String(int(0, DATABASES - 1))],
      ["FLUSHALL", "ASYNC"],
    ]);
  const dice = int(1, 1000);
  if (dice <= 400) return events();
  if (dice <= 500) return operation();
  if (dice <= 600) return [deadline()];
  if (dice <= 750) return [string()];
  if (dice <= 850) return [name()];
  if (dice <= 930) return [other()];
  if (dice <= 995) return [["SELECT", String(int(0, DATABASES - 1))]];
  return [whole()];
}

/** Sends so many pipelines of such requests, each when the one before is answered. Errors are answers too. */
export async function load(client: RawClient, random: Dice, pipelines: number): Promise<void> {
  for (let i = 0; i < pipelines; i++) {
    await client.pipeline(Array.from({ length: random.int(1, 20) }, () => someRequests(random)).flat());
  }
}
