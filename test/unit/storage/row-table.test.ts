import fc from "fast-check";
import { expect, test } from "vitest";
import { ID_MAX } from "../../../src/keyspace/change-log.js";
import { RowTable } from "../../../src/storage/row-table.js";

/** Some of which are the same in their lower 32 bits, and some the same but for bits that the hash does not use. */
const id = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 1, max: 20 }).map((high) => 7 + high * 2 ** 32),
  fc.integer({ min: 1, max: ID_MAX }),
);

test("rows have the index at which they came, as in a Map", () => {
  fc.assert(
    fc.property(fc.array(fc.array(id, { maxLength: 400 }), { maxLength: 3 }), fc.array(id), (rounds, others) => {
      const table = new RowTable();
      for (const ids of rounds) {
        table.clear();
        const expected = new Map<number, number>();
        for (const of of ids) {
          if (!expected.has(of)) expected.set(of, expected.size);
          expect(table.add(of)).toBe(expected.get(of));
        }
        expect(table.size).toBe(expected.size);
        expect([...table.ids()]).toEqual([...expected.keys()]);
        for (const of of [...ids, ...others]) expect(table.indexOf(of)).toBe(expected.get(of) ?? -1);
      }
    }),
  );
});
