/** Inline requests: the cases were asked of a real Redis 7. */
import { describe, expect, test } from "vitest";
import { splitInline, splitUnquoted } from "../../../src/resp/inline.js";

const split = (line: string): string[] | undefined =>
  splitInline(Buffer.from(line, "latin1"))?.map((arg) => arg.toString("latin1"));

/** As places in the line, turned into what is there. */
function splitInPlace(line: string): string[] | undefined {
  const args: string[] = [];
  const bytes = Buffer.from(`"${line}"`, "latin1");
  const push = (start: number, end: number) => args.push(bytes.toString("latin1", start, end));
  return splitUnquoted(bytes, 1, bytes.length - 1, { push }) ? args : undefined;
}

describe("an inline request", () => {
  test.each<[string, string, string[]]>([
    ["is split at blanks", " SET  k\tv ", ["SET", "k", "v"]],
    ["may be empty", "", []],
    ["may be blank", " \t\v\f\r", []],
    ["keeps every byte", "\xff\x00 \x80", ["\xff\x00", "\x80"]],
    ["keeps blanks between double quotes", 'SET "a b" c', ["SET", "a b", "c"]],
    ["keeps blanks between single quotes", "SET 'a b' c", ["SET", "a b", "c"]],
    ["may have empty arguments", "\"\" ''", ["", ""]],
    ["knows escapes between double quotes", '"\\n\\r\\t\\b\\a\\q\\\\\\"\\x41\\xfF"', ['\n\r\t\b\x07q\\"A\xff']],
    ["takes an unfinished \\x for an x", '"\\xzz \\x4 \\x"', ["xzz x4 x"]],
    ["knows only the escaped quote between single quotes", "'a\\'b\\n\\\\ '", ["a'b\\n\\\\ "]],
    ["has no escapes without quotes", "a\\n \\x41", ["a\\n", "\\x41"]],
    ["may open a quote within an argument", "a\"b c\" d'e f'", ["ab c", "de f"]],
    ["takes one kind of quote between the other", '"it\'s" \'say "x"\'', ["it's", 'say "x"']],
    ["does not end an argument at a vertical tab", "a\vb\f", ["a\vb\f"]],
    ["skips a vertical tab between arguments", '\va "b"\v\fc', ["a", "b", "c"]],
    ["ends an argument at a carriage return", 'a\rb "c"\rd', ["a", "b", "c", "d"]],
  ])("%s", (_, line, args) => {
    expect(split(line)).toEqual(args);
    expect(splitInPlace(line)).toEqual(/["']/.test(line) ? undefined : args);
  });

  test.each<[string, string]>([
    ["a double quote is not closed", '"abc'],
    ["a single quote is not closed", "'abc"],
    ["a quote is opened last", 'abc "'],
    ["the closing double quote is escaped", '"abc\\"'],
    ["the closing single quote is escaped", "'abc\\'"],
    ["a backslash comes last", '"abc\\'],
    ["something follows a closing double quote", '"abc"d'],
    ["something follows a closing single quote", "'abc'd"],
    ["a quote follows a closing quote", '"abc""d"'],
  ])("is unbalanced when %s", (_, line) => {
    expect(split(line)).toBeUndefined();
  });
});
