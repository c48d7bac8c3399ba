/** What the hostile run takes for a bug in the server's log. */
import { expect, test } from "vitest";
import { BUG } from "../../hostile/hostile-run.js";

test.each([
  "Error: the database file has no value for the key with id 7",
  "warning  command get failed: TypeError: undefined is not a function",
  "SqliteError: disk I/O error",
  "Uncaught exception",
])("%s", (line) => {
  expect(BUG.test(`2026-01-01T00:00:00.000Z notice  ready\n${line}\n`)).toBe(true);
});

test.each(["notice  ready", "verbose client 7 closed: protocol error", "warning the disk has an error"])(
  "not %s",
  (line) => {
    expect(BUG.test(line)).toBe(false);
  },
);
