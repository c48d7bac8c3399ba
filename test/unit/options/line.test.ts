import fc from "fast-check";
import { expect, test } from "vitest";
import { quoted, wordsOf } from "../../../src/options/line.js";

test.each([
  ["port 6379", ["port", "6379"]],
  ["  bind\t127.0.0.1   ::1 ", ["bind", "127.0.0.1", "::1"]],
  ['requirepass "a b\\x01\\n\\""', ["requirepass", 'a b\x01\n"']],
  ["requirepass 'a \\' \\x01'", ["requirepass", "a ' \\x01"]],
  ['rename-command FLUSHALL ""', ["rename-command", "FLUSHALL", ""]],
  ["", []],
])("the words of %j", (line, words) => {
  expect(wordsOf(line)).toEqual(words);
});

test.each(['a "b', "a 'b", 'a "b"c'])("%j has unbalanced quotes", (line) => {
  expect(wordsOf(line)).toBeUndefined();
});

test("every word comes back from its quoted form, beside others", () => {
  const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
  const word = fc.array(byte, { maxLength: 12 }).map((bytes) => bytes.join(""));
  fc.assert(
    fc.property(fc.array(word), (words) => {
      const line = words.map(quoted).join(" ");
      expect(wordsOf(line)).toEqual(words);
      expect(line).toMatch(/^[ -~]*$/);
    }),
  );
});
