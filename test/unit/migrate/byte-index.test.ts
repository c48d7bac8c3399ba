import { expect, test } from "vitest";
import { ByteIndex } from "../../../src/migrate/byte-index.js";
import { dice } from "../../support/random.js";

test("strings of bytes are found by what they are, wherever they lie, as in a Map", () => {
  const random = dice("byte index");
  const index = new ByteIndex();
  const model = new Map<string, number>();
  for (let i = 0; i < 30_000; i++) {
    const length = random.pick([0, 1, 2, 3, 300]);
    const bytes = Buffer.from(Array.from({ length: Math.min(length, 20) }, () => random.int(0, 255)));
    const padded = Buffer.concat([
      Buffer.from("xx"),
      bytes,
      Buffer.alloc(length - bytes.length, "y"),
      Buffer.from("z"),
    ]);
    const [start, end] = [2, padded.length - 1];
    const text = padded.toString("latin1", start, end);
    expect(index.find(padded, start, end)).toBe(model.get(text));
    if (model.has(text)) continue;
    model.set(text, i);
    index.add(padded, start, end, i);
  }
  expect(model.size).toBeGreaterThan(10_000);
});
