import { expect, test } from "vitest";
import { SeenKeys } from "../../../src/migrate/seen-keys.js";

test("what was seen is always known, and of what was not hardly any is taken for it", () => {
  const seen = new SeenKeys();
  const keys = 300_000;
  let wrong = 0;
  for (let i = 0; i < keys; i++) if (seen.add(`trackist_event:${i}:2026-1-${i % 31}`)) wrong++;
  expect(wrong).toBeLessThan(3);
  let known = 0;
  for (let i = 0; i < keys; i++) if (seen.add(`trackist_event:${i}:2026-1-${i % 31}`)) known++;
  expect(known).toBe(keys);
});
