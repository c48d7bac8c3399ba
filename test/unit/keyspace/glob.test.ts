/** Glob patterns: Redis' cases one by one, and random ones against its algorithm written down plainly. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileGlob } from "../../../src/keyspace/glob.js";

/**
 * Redis' stringmatchlen, its recursion and all, with `i` into the pattern and `k` into the key. A single star stands for "all keys", as KEYS and SCAN take it.
 */
function redisMatches(pattern: string, key: string, i = 0, k = 0): boolean {
  if (pattern === "*") return true;
  if (key === "") return pattern === "";
  while (i < pattern.length && k < key.length) {
    const char = pattern[i] as string;
    if (char === "*") {
      while (pattern[i + 1] === "*") i++;
      if (i + 1 === pattern.length) return true;
      for (; k < key.length; k++) if (redisMatches(pattern, key, i + 1, k)) return true;
      return false;
    }
    if (char === "[") {
      const { matched, end } = inClass(pattern, i + 1, key[k] as string);
      if (!matched) return false;
      i = end;
    } else if (char !== "?") {
      if (char === "\\" && i + 1 < pattern.length) i++;
      if (pattern[i] !== key[k]) return false;
    }
    i++;
    k++;
  }
  while (pattern[i] === "*") i++;
  return i >= pattern.length && k === key.length;
}

/** A byte as C's signed char, which redis-server 7.0.15 on x86 compares: `[a-\xff]` is everything from \xff (-1) to a. */
function signed(byte: string): number {
  return (byte.charCodeAt(0) << 24) >> 24;
}

function inClass(pattern: string, start: number, byte: string): { matched: boolean; end: number } {
  let i = start;
  const negated = pattern[i] === "^";
  if (negated) i++;
  let matched = false;
  for (; ; i++) {
    const left = pattern.length - i;
    if (left >= 2 && pattern[i] === "\\") {
      i++;
      if (pattern[i] === byte) matched = true;
    } else if (left === 0 || pattern[i] === "]") {
      break;
    } else if (left >= 3 && pattern[i + 1] === "-") {
      const ends = [signed(pattern[i] as string), signed(pattern[i + 2] as string)];
      if (signed(byte) >= Math.min(...ends) && signed(byte) <= Math.max(...ends)) matched = true;
      i += 2;
    } else if (pattern[i] === byte) matched = true;
  }
  return { matched: matched !== negated, end: i };
}

const CASES: [pattern: string, matching: string[], others: string[]][] = [
  ["", [""], ["a"]],
  ["*", ["", "a", "a/b", "\0\xff"], []],
  // Redis looks at the pattern only while there are bytes: `KEYS **` does not list the empty key, `KEYS *` does.
  ["**", ["a", "ab"], [""]],
  ["?", ["a", "\n", "\xff"], ["", "ab"]],
  ["a?c", ["abc", "a/c"], ["ac", "abbc"]],
  ["h*llo", ["hllo", "heeeello", "h/llo"], ["hell", "hllo "]],
  ["*a*", ["a", "ba", "ab", "bab"], ["", "b"]],
  ["a*a", ["aa", "aba"], ["a", "ab"]],
  ["*.log", [".log", "x.log"], ["x.log2"]],
  ["h[ae]llo", ["hello", "hallo"], ["hillo", "hllo", "haello"]],
  ["h[^e]llo", ["hallo", "h^llo"], ["hello", "hllo"]],
  ["h[a-b]llo", ["hallo", "hbllo"], ["hcllo", "h-llo"]],
  ["[z-a]", ["a", "m", "z"], ["A", "-"]],
  ["[^z-a]", ["A"], ["a", "m"]],
  ["[a-c0-9]", ["b", "5"], ["d", "-"]],
  // `-` at the end of a class begins a range up to `]`, so the class is not closed.
  ["[a-]", ["a", "]", "^"], ["-", "b"]],
  ["[-a]", ["-", "a"], ["b"]],
  ["[a-b-c]", ["a", "b", "-", "c"], ["d"]],
  ["[]", [], ["", "]", "a"]],
  ["[]a]", [], ["]", "a", "]a]"]],
  ["[^]", ["a", "]", "^"], ["", "ab"]],
  ["[^]a", ["xa"], ["a", "x"]],
  ["[a^]", ["a", "^"], ["b"]],
  ["[abc", ["a", "b", "c"], ["[abc", "d", ""]],
  ["[^abc", ["d"], ["a", "", "dd"]],
  ["[", [], ["", "["]],
  ["[^", ["a", "^"], ["", "ab"]],
  ["a[", [], ["a", "a["]],
  ["[a-", ["a", "-"], ["b"]],
  ["[\\]]", ["]"], ["\\", "a"]],
  ["[\\^a]", ["^", "a"], ["b"]],
  ["[a\\-c]", ["a", "-", "c"], ["b"]],
  ["[\\", ["\\"], ["["]],
  ["[+-\\]]", ["+]", "A]"], ["+", "]"]],
  ["\\*", ["*"], ["a", "\\*"]],
  ["\\?", ["?"], ["a"]],
  ["\\[a]", ["[a]"], ["a"]],
  ["\\\\", ["\\"], ["\\\\"]],
  ["\\a", ["a"], ["\\a"]],
  ["a\\", ["a\\"], ["a"]],
  ["\\", ["\\"], [""]],
  ["*\\", ["\\", "a\\"], ["a"]],
  ["[\xe0-\xff]", ["\xe4", "\xff"], ["a", "\xdf"]],
  ["[a-\xff]", ["a", "*", "\0", "\xff"], ["b", "\xfe"]],
  ["a\0*", ["a\0", "a\0b"], ["a", "ab"]],
  ["A", ["A"], ["a"]],
];

describe.each(CASES)("pattern %j", (pattern, matching, others) => {
  const matches = compileGlob(pattern);
  for (const key of matching) test(`matches ${JSON.stringify(key)}`, () => expect(matches(key)).toBe(true));
  for (const key of others) test(`does not match ${JSON.stringify(key)}`, () => expect(matches(key)).toBe(false));
});

test("random patterns match what Redis' algorithm matches", () => {
  const alphabet = [..."ab-]^[*?\\c\xff"];
  const text = (maxLength: number) => fc.array(fc.constantFrom(...alphabet), { maxLength }).map((all) => all.join(""));
  fc.assert(
    fc.property(text(10), text(8), (pattern, key) => {
      expect(compileGlob(pattern)(key)).toBe(
        key === "" ? pattern === "" || pattern === "*" : redisMatches(pattern, key),
      );
    }),
    { numRuns: 20_000 },
  );
});

test("a pattern of many stars takes no exponential time", () => {
  const key = "a".repeat(10_000);
  expect(compileGlob(`${"a*".repeat(50)}b`)(key)).toBe(false);
  expect(compileGlob(`${"*a".repeat(50)}`)(key)).toBe(true);
  expect(compileGlob(`${"*?".repeat(500)}`)(key)).toBe(true);
  expect(compileGlob(`${"*[a-z]".repeat(50)}*[^a]`)(key)).toBe(false);
});
