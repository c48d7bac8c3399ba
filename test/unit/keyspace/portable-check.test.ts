import roaring from "roaring";
import { expect, test } from "vitest";
import { portableProblem } from "../../../src/keyspace/portable-check.js";

const { RoaringBitmap32 } = roaring;

/** An array, a bitset, runs, and a full container. */
function everyKind(): Buffer {
  const set = new RoaringBitmap32([1, 5, 70]);
  for (let i = 0; i < 65_536; i += 3) set.add(65_536 + i);
  set.addRange(200_000, 210_000);
  set.addRange(7 * 65_536, 8 * 65_536);
  set.runOptimize();
  return Buffer.from(set.serialize("portable"));
}

test("sets that Roaring writes are good, the empty one too", () => {
  expect(portableProblem(everyKind())).toBeUndefined();
  expect(portableProblem(new RoaringBitmap32().serialize("portable"))).toBeUndefined();
  expect(portableProblem(new RoaringBitmap32([4_294_967_295]).serialize("portable"))).toBeUndefined();
  expect(portableProblem(RoaringBitmap32.fromRange(0, 2 ** 20).serialize("portable"))).toBeUndefined();
});

test("what is taken for good with any byte changed is in order, and as large as it says", () => {
  const whole = everyKind();
  let refused = 0;
  for (let at = 0; at < whole.length; at++) {
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] as number) ^ (1 << (at & 7));
    if (portableProblem(changed) !== undefined) {
      refused++;
      continue;
    }
    const set = RoaringBitmap32.deserialize(changed, "portable");
    const members = set.toUint32Array();
    expect(members.length).toBe(set.size);
    for (let i = 1; i < members.length; i++)
      if ((members[i] as number) <= (members[i - 1] as number)) expect.fail(`byte ${at}`);
    set.dispose();
  }
  // A bitset tells nearly any change by its cardinality.
  expect(refused).toBeGreaterThan(whole.length * 0.95);
});

test("a set is refused that is cut off anywhere, or has bytes behind it", () => {
  const whole = everyKind();
  for (let bytes = 0; bytes < whole.length; bytes++) expect(portableProblem(whole.subarray(0, bytes))).toBeDefined();
  expect(portableProblem(Buffer.concat([whole, Buffer.of(0)]))).toBe("there are 1 bytes behind it");
  expect(portableProblem(Buffer.from("no bitmap"))).toBe("it does not begin as a Roaring bitmap does");
});
