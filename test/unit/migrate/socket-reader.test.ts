import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { LinkClosed } from "../../../src/migrate/redis-link.js";
import { SocketReader } from "../../../src/migrate/socket-reader.js";

/** Both ends of a connection. */
async function pair(): Promise<{ reader: SocketReader; peer: Socket }> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const socket = connect((server.address() as { port: number }).port, "127.0.0.1");
  const [peer] = await accepted;
  peer.setNoDelay(true);
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  return { reader: new SocketReader(socket), peer };
}

test("gives lines without empty ones, then bytes, whole and byte by byte", async () => {
  for (const size of [1000, 1]) {
    const { reader, peer } = await pair();
    const bytes = Buffer.from("\n\r\n+FULLRESYNC a 1\r\n\n\n$EOF:mark\r\nRDBmark*1");
    for (let i = 0; i < bytes.length; i += size) {
      peer.write(bytes.subarray(i, i + size));
      if (size === 1) await new Promise(setImmediate);
    }
    expect(await reader.line()).toBe("+FULLRESYNC a 1");
    expect(await reader.line()).toBe("$EOF:mark");
    expect((await reader.bytes(3)).toString()).toBe("RDB");
    reader.unread(Buffer.from("DB"));
    expect((await reader.bytes(6)).toString()).toBe("DBmark");
    expect((await reader.bytes(2)).toString()).toBe("*1");
  }
});

test("says when it waits, and rejects when nothing more comes", async () => {
  const { reader, peer } = await pair();
  expect(reader.waitingSinceMs).toBe(undefined);
  const chunk = reader.chunk();
  expect(reader.waitingSinceMs).toBeGreaterThan(0);
  peer.end("last");
  expect((await chunk).toString()).toBe("last");
  expect(reader.waitingSinceMs).toBe(undefined);
  await expect(reader.line()).rejects.toThrow(LinkClosed);
});

test("rejects a line that does not end", async () => {
  const { reader, peer } = await pair();
  peer.on("error", () => {});
  peer.write(Buffer.alloc(200_000, "x"));
  await expect(reader.line()).rejects.toThrow("not Redis' protocol");
});
