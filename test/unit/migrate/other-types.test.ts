import { expect, test } from "vitest";
import { overwrittenKey } from "../../../src/migrate/other-types.js";
import { Argv } from "../../../src/resp/argv.js";

test.each([
  ["SUNIONSTORE dst a b", "dst"],
  ["zrangestore dst a 0 -1", "dst"],
  ["SORT list", undefined],
  ["SORT list STORE dst", "dst"],
  ["SORT list BY store GET STORE LIMIT 0 1 ASC store dst", "dst"],
  // Redis takes the last one.
  ["SORT list STORE a STORE b", "b"],
  ["SORT list STORE", undefined],
  ["GEORADIUS geo 1 2 3 km STOREDIST dst", "dst"],
  ["GEORADIUS STORE 1 2 3 km WITHDIST", undefined],
  ["GEORADIUSBYMEMBER geo STORE 3 km COUNT 5 STORE dst ASC", "dst"],
  ["PFADD hll a", "hll"],
  ["PFMERGE hll a b", "hll"],
  ["LMOVE a b LEFT RIGHT", undefined],
  ["HSET h f v", undefined],
])("%s is over the key %s", (request, key) => {
  const argv = Argv.of(...request.split(" "));
  expect(overwrittenKey(argv.string(0).toLowerCase(), argv)).toBe(key);
});
