/** Members of sets, for random tests. */
import fc from "fast-check";

/** The largest member there can be. */
export const X_MAX = 0xffffffff;

/** Numbers that meet: few containers, and the borders of all. */
export const member = fc.oneof(
  fc.integer({ min: 0, max: 100 }),
  fc.integer({ min: 0, max: 300_000 }),
  fc.integer({ min: X_MAX - 100, max: X_MAX }),
  fc.integer({ min: 0, max: X_MAX }),
  fc.constantFrom(0, 1, 65_535, 65_536, 65_537, 2 ** 31 - 1, 2 ** 31, X_MAX - 1, X_MAX),
);
