/** Connections by the thousand, replies larger than memory should hold, and clients that do not take them. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServerOptions } from "../../../src/config.js";
import { startOurs } from "../../differential/ours.js";
import type { Target } from "../../differential/runner.js";
import { encodeRequest, RawClient } from "../../support/raw-client.js";

const MIB = 2 ** 20;
const LONGEST_BYTES = 512 * MIB;
const CONNECTIONS = 1000;

let target: Target;

beforeAll(async () => {
  target = await startOurs({} satisfies Partial<ServerOptions>);
});

afterAll(async () => {
  await target.stop();
});

test("GET of a sparse 512 MB value gives every byte and holds a few MB", { timeout: 120_000 }, async () => {
  const client = await RawClient.connect(target.port);
  expect(await client.call("SETBIT", "sparse", "4294967295", "1")).toBe(":0\r\n");
  const socket = connect({ port: target.port, host: "127.0.0.1" });
  await once(socket, "connect");
  const header = `$${LONGEST_BYTES}\r\n`;
  const wanted = header.length + LONGEST_BYTES + 2;
  const hash = createHash("md5");
  let got = 0;
  let rssMax = 0;
  const rssBefore = process.memoryUsage().rss;
  const read = new Promise<void>((resolve) => {
    socket.on("data", (chunk: Buffer) => {
      hash.update(chunk);
      got += chunk.length;
      rssMax = Math.max(rssMax, process.memoryUsage.rss());
      if (got >= wanted) resolve();
    });
  });
  socket.write(encodeRequest(["GET", "sparse"]));
  await read;
  const expected = createHash("md5").update(header);
  for (let i = 0; i < LONGEST_BYTES / MIB - 1; i++) expected.update(Buffer.alloc(MIB));
  expected.update(Buffer.alloc(MIB - 1)).update("\x01\r\n");
  expect(hash.digest("hex")).toBe(expected.digest("hex"));
  // Server, client and test are one process here: the bound is for the three of them, garbage included.
  expect((rssMax - rssBefore) / MIB).toBeLessThan(128);
  socket.destroy();
  client.close();
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

test("requests behind a SAVE are answered behind it", async () => {
  const client = await RawClient.connect(target.port);
  const replies = await client.pipeline([["SET", "k", "v"], ["SAVE"], ["GET", "k"], ["SAVE"], ["PING"]]);
  expect(replies).toEqual(["+OK\r\n", "+OK\r\n", "$1\r\nv\r\n", "+OK\r\n", "+PONG\r\n"]);
  client.close();
});

test(`${CONNECTIONS} connections are served at once`, async () => {
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => RawClient.connect(target.port)));
  const replies = await Promise.all(clients.map((client, i) => client.call("ECHO", String(i))));
  expect(replies).toEqual(clients.map((_client, i) => `$${String(i).length}\r\n${i}\r\n`));
  for (const client of clients) client.close();
});
