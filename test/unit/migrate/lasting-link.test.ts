import { createServer, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { MigrateError } from "../../../src/migrate/item.js";
import { LastingLink } from "../../../src/migrate/lasting-link.js";
import { LinkClosed, LinkError } from "../../../src/migrate/redis-link.js";

/** A server that answers so many PINGs of the n-th connection by `answer`. */
async function peer(answer: (connection: number, socket: Socket, asked: number) => void) {
  let connections = 0;
  const server = createServer((socket) => {
    const connection = ++connections;
    socket.on("error", () => {});
    socket.on("data", (chunk) => answer(connection, socket, chunk.toString().split("PING").length - 1));
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
  onTestFinished(() => void server.close());
  return { server, port, connections: () => connections };
}

async function open(port: number, pausesMs: readonly number[]) {
  const troubles: string[] = [];
  const link = await LastingLink.open({ host: "127.0.0.1", port }, (message) => void troubles.push(message), pausesMs);
  onTestFinished(() => link.close());
  return { link, troubles };
}

test("work that a break has cut is done again, and whoever shares the link uses the new one", async () => {
  const { port, connections } = await peer((connection, socket, asked) => {
    if (connection === 1) socket.destroy();
    else socket.write("+PONG\r\n".repeat(asked));
  });
  const { link, troubles } = await open(port, [0]);
  const ping = () => link.run((link) => link.ask("PING"));
  expect((await Promise.all([ping(), ping(), ping()])).map(String)).toEqual(["PONG", "PONG", "PONG"]);
  expect(connections()).toBe(2);
  expect(troubles).toEqual([expect.stringMatching(/closed the connection|ECONNRESET/)]);
});

test("a server that does not come back is given up, with what was said last", async () => {
  const { port, server } = await peer((_connection, socket) => {
    server.close();
    socket.destroy();
  });
  const { link } = await open(port, [0, 10, 10]);
  const lost = link.run((link) => link.ask("PING"));
  await expect(lost).rejects.toThrow(MigrateError);
  await expect(lost).rejects.toThrow(`the link to 127.0.0.1:${port} is lost: can't connect to 127.0.0.1:${port}: `);
});

test("an error reply is no break", async () => {
  const { port, connections } = await peer((_connection, socket) => socket.write("-ERR no\r\n"));
  const { link } = await open(port, [0]);
  await expect(link.run((link) => link.ask("PING"))).rejects.toThrow(new LinkError("ERR no"));
  expect(connections()).toBe(1);
});

test("closing ends the wait for a server that is gone", async () => {
  const { port, server } = await peer((_connection, socket) => {
    server.close();
    socket.destroy();
  });
  const { link } = await open(port, [600_000]);
  const waiting = link.run((link) => link.ask("PING"));
  const failed = expect(waiting).rejects.toThrow(MigrateError);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await link.close();
  await failed;
});

test("what never was is not waited for", async () => {
  const { port, server } = await peer(() => {});
  await new Promise((resolve) => server.close(resolve));
  await expect(open(port, [600_000])).rejects.toThrow(LinkClosed);
});

test("a server that accepts connections and does not serve them yet is waited for", async () => {
  const { port, connections } = await peer((connection, socket, asked) => {
    if (connection < 4) socket.destroy();
    else if (connection < 8) socket.write("-LOADING Redis is loading the dataset in memory\r\n".repeat(asked));
    else socket.write("+PONG\r\n".repeat(asked));
  });
  const { link } = await open(port, Array(10).fill(1));
  expect(String(await link.run((link) => link.ask("PING")))).toBe("PONG");
  expect(connections()).toBe(8);
});

test("a link to another database is waited for, when the server is away just then", async () => {
  const { port, server } = await peer((_connection, socket, asked) => {
    // SELECT, or PINGs.
    socket.write(asked === 0 ? "+OK\r\n" : "+PONG\r\n".repeat(asked));
  });
  const { link, troubles } = await open(port, [0, 10, 20, 40, 80, 160, 320, 640, 1280]);
  server.close();
  const beside = link.beside(3);
  onTestFinished(() => beside.close());
  const answer = beside.run((link) => link.ask("PING"));
  await new Promise((resolve) => setTimeout(resolve, 50));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  expect(String(await answer)).toBe("PONG");
  expect(troubles).toEqual([expect.stringContaining("connecting again")]);
});
