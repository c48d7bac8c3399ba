/** Values of options: what is read, what is refused, and that what is written is read back. */
import { describe, expect, test } from "vitest";
import { OptionError } from "../../../src/options/kinds.js";
import { wordsOf } from "../../../src/options/line.js";
import {
  DEFAULT_OPTIONS,
  FACTS,
  isWithoutEffect,
  keyOf,
  nameOf,
  ROWS,
  rowOf,
  WITHOUT_EFFECT,
} from "../../../src/options/table.js";

/** The value of a line, as CONFIG GET shows it, or the error. */
function read(line: string): string {
  const [name, ...words] = wordsOf(line) as [string, ...string[]];
  const key = keyOf(name);
  if (key === undefined) return "no option";
  try {
    return rowOf(key).show(rowOf(key).parse(words, DEFAULT_OPTIONS[key]));
  } catch (error) {
    if (error instanceof OptionError) return `! ${error.message}`;
    throw error;
  }
}

describe("values", () => {
  test.each([
    ["timeout 5", "5"],
    ["TimeOut 0", "0"],
    ["timeout 05", "! argument couldn't be parsed into an integer"],
    ["timeout +5", "! argument couldn't be parsed into an integer"],
    ["timeout -0", "! argument couldn't be parsed into an integer"],
    ["timeout 99999999999999999999", "! argument couldn't be parsed into an integer"],
    ["timeout 9223372036854775807", "! argument must be between 0 and 2147483647 inclusive"],
    ["timeout 9223372036854775808", "! argument couldn't be parsed into an integer"],
    ["acllog-max-len 9223372036854775807", "9223372036854775807"],
    ["slowlog-max-len 9223372036854775807", "9223372036854775807"],
    ["slowlog-log-slower-than 9223372036854775807", "9223372036854775807"],
    ["latency-monitor-threshold 9223372036854775807", "9223372036854775807"],
    ["slowlog-max-len 4611686018427387904", "4611686018427387904"],
    ["slowlog-max-len 9223372036854775808", "! argument couldn't be parsed into an integer"],
    ["timeout -1", "! argument must be between 0 and 2147483647 inclusive"],
    ["timeout", "! wrong number of arguments"],
    ["timeout 1 2", "! wrong number of arguments"],
    ["maxclients 0", "! argument must be between 1 and 4294967295 inclusive"],
    ["maxmemory 1kb", "1024"],
    ["maxmemory 1x", "! argument must be a memory value"],
    ["proto-max-bulk-len 100", "! argument must be between 1048576 and 536870912 inclusive"],
    ["unixsocketperm 700", "700"],
    ["unixsocketperm 9", "! argument couldn't be parsed as an octal number"],
    ["unixsocketperm 1000", "! argument must be between 0 and 777 inclusive"],
    ["protected-mode YES", "yes"],
    ["protected-mode 1", "! argument must be 'yes' or 'no'"],
    ["loglevel WARNING", "warning"],
    ["loglevel loud", "! argument(s) must be one of the following: debug, verbose, notice, warning"],
    ["bind 127.0.0.1 -::1", "127.0.0.1 -::1"],
    ['bind "127.0.0.1 -::1"', "127.0.0.1 -::1"],
    ['bind ""', ""],
    ["bind", "! wrong number of arguments"],
    [`bind ${"x ".repeat(17)}`, "! wrong number of arguments"],
    ["tls-protocols TLSv1.3 tlsv1.2", "TLSv1.3 tlsv1.2"],
    ["tls-protocols TLSv1.1", "! argument must be TLSv1.2, TLSv1.3 or both"],
    ["rename-command GET", "! Bad directive or wrong number of arguments"],
    ["dir /no/such/folder", "! No such file or directory"],
    ["dir /dev/null", "! Not a directory"],
    ["db d\\xc3\\xa4", "d\\xc3\\xa4"],
    ['db "d\\xc3\\xa4"', "d\xc3\xa4"],
    ["save 60 1", "no option"],
    ["constructor x", "no option"],
  ])("%s is %s", (line, shown) => {
    expect(read(line)).toBe(shown);
  });
});

describe("client-output-buffer-limit", () => {
  const wrongNumber = "! Wrong number of arguments in buffer limit configuration.";
  const wrongClass = "! Invalid client class specified in buffer limit configuration.";
  const wrongValue = "! Error in hard, soft or soft_seconds setting in buffer limit configuration.";
  const initial = "normal 268435456 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";

  test.each([
    ["normal 1mb 2mb 60", "normal 1048576 2097152 60 slave 268435456 67108864 60 pubsub 33554432 8388608 60"],
    ['"NORMAL 0 0 0 replica 1 2 3"', "normal 0 0 0 slave 1 2 3 pubsub 33554432 8388608 60"],
    ["slave 1 2 3 pubsub 1mb 1k 5", "normal 268435456 0 0 slave 1 2 3 pubsub 1048576 1000 5"],
    ['""', initial],
    ["normal 0 0", wrongNumber],
    ['"normal 0  0 0"', wrongNumber],
    ["master 0 0 0", wrongClass],
    ["normal -1 0 0", wrongValue],
    ["normal 1x 0 0", wrongValue],
    ["normal 0 0 abc", wrongValue],
    ["normal 0 0 -1", wrongValue],
  ])("%s is %s", (value, shown) => {
    expect(read(`client-output-buffer-limit ${value}`)).toBe(shown);
  });
});

describe("the table", () => {
  test("reads what it writes, of every default", () => {
    for (const [key, row] of ROWS) {
      if (row.isStartOnly === true) continue;
      let value: unknown = row.default;
      for (const line of row.lines(row.default)) value = row.parse(wordsOf(line) as string[], value);
      expect([key, value]).toEqual([key, row.default]);
    }
  });

  test("has a name for every key, and finds it again", () => {
    for (const [key] of ROWS) expect(keyOf(nameOf(key).toUpperCase())).toBe(key);
  });

  test("tells options from facts and from what has no effect", () => {
    for (const [key] of ROWS) expect([key, isWithoutEffect(nameOf(key))]).toEqual([key, false]);
    for (const name of ["save", "CLUSTER-enabled", "lua-time-limit", "hash-max-listpack-entries", "rdbcompression"]) {
      expect([name, isWithoutEffect(name)]).toEqual([name, true]);
    }
    for (const name of ["replicaof", "slaveof", "loadmodule", "aclfile", "user", "constructor", ""]) {
      expect([name, isWithoutEffect(name)]).toEqual([name, false]);
    }
    for (const name of FACTS.keys()) expect(WITHOUT_EFFECT.has(name)).toBe(false);
  });
});
