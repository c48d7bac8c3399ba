/** The hash of keys. It is part of the file format, so its values are pinned. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { HASH_MAX, keyHash } from "../../../src/keyspace/hash.js";

const ALL_BYTES = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join("");

test.each([
  ["", 2626220755680267],
  ["a", 498032234207257],
  ["b", 898545410623325],
  ["ab", 2017977156797340],
  ["ba", 930247661248330],
  ["\0", 2949515172625241],
  ["\xff", 1623556592479548],
  ["trackist_active_2026-11-25", 2289079762642659],
  ["user:1000", 2291394280228918],
  ["x".repeat(1000), 444962061726902],
  [ALL_BYTES, 2563845001308849],
])("the hash of %j is what files hold", (key, hash) => {
  expect(keyHash(key)).toBe(hash);
});

test("a cursor one past the largest hash is an exact number", () => {
  expect(HASH_MAX).toBe(2 ** 52 - 1);
  expect(Number.isSafeInteger(HASH_MAX + 1)).toBe(true);
});

test("every hash is an integer of 0..HASH_MAX", () => {
  const key = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
  fc.assert(
    fc.property(key, (each) => {
      const hash = keyHash(each);
      expect(Number.isInteger(hash) && hash >= 0 && hash <= HASH_MAX).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test("keys as people name them spread evenly and do not collide", () => {
  const hashes = new Set<number>();
  const sixteenths = new Array<number>(16).fill(0);
  const KEYS = 100_000;
  for (let i = 0; i < KEYS; i++) {
    const hash = keyHash(`trackist_event:${i % 100}_2026-${i}`);
    hashes.add(hash);
    const part = Math.floor((hash / (HASH_MAX + 1)) * 16);
    sixteenths[part] = (sixteenths[part] as number) + 1;
  }
  expect(hashes.size).toBe(KEYS);
  for (const keys of sixteenths) expect(Math.abs(keys - KEYS / 16)).toBeLessThan(KEYS / 16 / 10);
});
