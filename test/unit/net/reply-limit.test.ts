/** A client that is sent more than it may leave unread. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startOurs } from "../../differential/ours.js";
import type { Target } from "../../differential/runner.js";
import { encodeRequest, RawClient } from "../../support/raw-client.js";

let target: Target;

beforeAll(async () => {
  target = await startOurs();
});

afterAll(async () => {
  await target.stop();
});

test("a client is closed when one transaction leaves more replies for it than it may have", async () => {
  const client = await RawClient.connect(target.port);
  await client.call("SETBIT", "wide", String(64 * 1024 * 8 - 1), "1");
  const socket = connect({ port: target.port, host: "127.0.0.1" });
  await once(socket, "connect");
  socket.pause();
  const closed = new Promise<void>((resolve) => {
    socket.on("error", () => {});
    socket.on("close", () => resolve());
  });
  // 64 KB is the longest reply that is no stream: 5,000 of them are more than the limit of 256 MB.
  const requests = [["MULTI"], ...Array.from({ length: 5000 }, () => ["GET", "wide"]), ["EXEC"]];
  socket.write(Buffer.concat(requests.map(encodeRequest)));
  while (!(await client.call("CLIENT", "LIST")).includes(`addr=127.0.0.1:${socket.localPort}`));
  while ((await client.call("CLIENT", "LIST")).includes(`addr=127.0.0.1:${socket.localPort}`));
  socket.resume();
  await closed;
  expect(await client.call("PING")).toBe("+PONG\r\n");
  client.close();
});
