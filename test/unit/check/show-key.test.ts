/** Keys on a line of a terminal. */
import { expect, test } from "vitest";
import { showKey } from "../../../src/storage/show-key.js";

test.each([
  ["plain:1", '"plain:1"'],
  ["", '""'],
  ['quoted "x" \\', '"quoted \\"x\\" \\\\"'],
  ["clé:日本:🎉", '"clé:日本:🎉"'],
  ["tab\tline\nend\x00", '"tab\\x09line\\x0aend\\x00"'],
  ["\x1b[31mred", '"\\x1b[31mred"'],
  // Control characters, marks of direction and line ends that only Unicode knows.
  ["a\u0085b\u202ec\u2028d", '"a\\xc2\\x85b\\xe2\\x80\\xaec\\xe2\\x80\\xa8d"'],
])("the text %j", (text, shown) => {
  expect(showKey(Buffer.from(text))).toBe(shown);
});

test.each([
  [[0xff, 0x00, 0x41], '"\\xff\\x00A"'],
  [[0x6c, 0xe9, 0x22], '"l\\xe9\\""'],
  [[0xc3], '"\\xc3"'],
])("bytes that are no text: %j", (bytes, shown) => {
  expect(showKey(Buffer.from(bytes))).toBe(shown);
});

test("a long key is cut, between characters", () => {
  expect(showKey(Buffer.alloc(101, "a"))).toBe(`"${"a".repeat(100)}"... of 101 bytes`);
  expect(showKey(Buffer.alloc(100, "a"))).toBe(`"${"a".repeat(100)}"`);
  expect(showKey(Buffer.from(`a${"é".repeat(100)}`))).toBe(`"a${"é".repeat(49)}"... of 201 bytes`);
  expect(showKey(Buffer.from(`ab${"🎉".repeat(100)}`))).toBe(`"ab${"🎉".repeat(24)}"... of 402 bytes`);
  expect(showKey(Buffer.alloc(1000, 0xff))).toBe(`"${"\\xff".repeat(100)}"... of 1000 bytes`);
});
