/** Lines of syntax, and what COMMAND DOCS makes of them. That they say what Redis says is command-info.test.ts' business. */
import { describe, expect, test } from "vitest";
import { parseSyntax } from "../../../src/commands/syntax.js";

describe("a line of syntax", () => {
  test.each<[string, string, unknown[]]>([
    ["has no arguments when it is empty", "", []],
    ["has strings where it says nothing else", "value", [{ name: "value", type: "string", flags: [] }]],
    ["has types behind a colon", "ttl:integer", [{ name: "ttl", type: "integer", flags: [] }]],
    ["takes a name that is a type for it", "pattern", [{ name: "pattern", type: "pattern", flags: [] }]],
    ["takes other colons for a part of the name", "ip:port", [{ name: "ip:port", type: "string", flags: [] }]],
    ["has tokens", "NOW", [{ name: "now", type: "pure-token", token: "NOW", flags: [] }]],
    [
      "has tokens that belong to arguments",
      "COUNT count:integer",
      [{ name: "count", type: "integer", token: "COUNT", flags: [] }],
    ],
    [
      "may have a token behind a token",
      "NO ONE",
      [
        { name: "no", type: "pure-token", token: "NO", flags: [] },
        { name: "one", type: "pure-token", token: "ONE", flags: [] },
      ],
    ],
    [
      "says what may be missing and what comes several times",
      "[id:integer...]",
      [{ name: "id", type: "integer", flags: ["optional", "multiple"] }],
    ],
    [
      "says when the token is repeated too",
      "[PREFIX... prefix]",
      [{ name: "prefix", type: "string", token: "PREFIX", flags: ["optional", "multiple", "multiple_token"] }],
    ],
    [
      "says since when, and until when",
      "a@7.0.0 b~2.8.12",
      [
        { name: "a", type: "string", flags: [], since: "7.0.0" },
        { name: "b", type: "string", flags: [], deprecatedSince: "2.8.12" },
      ],
    ],
    [
      "has one of several, and blocks, in each other",
      "x:(A | y:<b C>...)",
      [
        {
          name: "x",
          type: "oneof",
          flags: [],
          arguments: [
            { name: "a", type: "pure-token", token: "A", flags: [] },
            {
              name: "y",
              type: "block",
              flags: ["multiple"],
              arguments: [
                { name: "b", type: "string", flags: [] },
                { name: "c", type: "pure-token", token: "C", flags: [] },
              ],
            },
          ],
        },
      ],
    ],
    [
      "counts its keys, wherever they are",
      "key x:<source:key...>",
      [
        { name: "key", type: "key", keySpec: 0, flags: [] },
        {
          name: "x",
          type: "block",
          flags: [],
          arguments: [{ name: "source", type: "key", keySpec: 1, flags: ["multiple"] }],
        },
      ],
    ],
  ])("%s", (_, line, list) => {
    expect(parseSyntax(line)).toEqual(list);
  });

  test.each(["[a", "a]", "x:(A | ", "x:<a)", "x:(A B)", "...", "[]", "a | b", "x:(", "@7.0.0"])(
    "is none: %s",
    (line) => {
      expect(() => parseSyntax(line)).toThrow(line);
    },
  );
});
