/** Messages that wait: every byte in its order, in few pieces. */
import { expect, test } from "vitest";
import { PushQueue } from "../../../src/net/push-queue.js";
import type { Segment } from "../../../src/resp/reply.js";

function taken(queue: PushQueue): Uint8Array[] {
  const segments: Segment[] = [];
  queue.take(segments);
  return segments as Uint8Array[];
}

test("gives back what was added, in order, small and large", () => {
  const queue = new PushQueue();
  const messages = Array.from({ length: 1000 }, (_, i) => Buffer.alloc(i % 100 === 7 ? 10_000 : i % 90, i & 255));
  for (const message of messages) queue.add(message);
  const all = Buffer.concat(messages);
  expect(queue.byteLength).toBe(all.length);
  expect(Buffer.concat(taken(queue)).equals(all)).toBe(true);
  expect(queue.byteLength).toBe(0);
  expect(taken(queue)).toEqual([]);
});

test("makes few pieces of many small messages, and copies no large ones", () => {
  const queue = new PushQueue();
  for (let i = 0; i < 6400; i++) queue.add(Buffer.from("message"));
  const large = Buffer.alloc(100_000);
  queue.add(large);
  const pieces = taken(queue);
  expect(pieces.length).toBeLessThan(200);
  expect(pieces.at(-1)).toBe(large);
});

test("a message alone is not copied", () => {
  const queue = new PushQueue();
  const message = Buffer.from("message");
  queue.add(message);
  expect(taken(queue)[0]).toBe(message);
});
