/** A peer in front of a real redis-server that answers some requests in its own way and passes the others on. */
import { createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { RawClient } from "./raw-client.js";

/** The bytes of a reply as latin1, undefined for what the redis-server answers. */
type Answer = (redis: RawClient, argv: string[]) => Promise<string | undefined>;

/** Starts one for the running test, and gives its port. */
export async function startPeer(redisPort: number, answer: Answer): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    // Who closes amid a request is gone, and nothing is to be answered any more.
    serve(socket, redisPort, answer).catch(() => socket.destroy());
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return port;
}

async function serve(socket: Socket, redisPort: number, answer: Answer): Promise<void> {
  const redis = await RawClient.connect(redisPort);
  socket.on("close", () => redis.close());
  for await (const argv of requests(socket)) {
    socket.write((await answer(redis, argv)) ?? (await redis.call(...argv)), "latin1");
  }
}

/** Each an array of bulks, as latin1 strings. */
async function* requests(socket: Socket): AsyncGenerator<string[], void> {
  let text = "";
  for await (const chunk of socket) {
    text += (chunk as Buffer).toString("latin1");
    for (let command = first(text); command !== undefined; command = first(text)) {
      text = text.slice(command.end);
      yield command.argv;
    }
  }
}

function first(text: string): { argv: string[]; end: number } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (head === null) return undefined;
  const argv: string[] = [];
  let end = head[0].length;
  for (let i = 0; i < Number(head[1]); i++) {
    const bulk = /\$(\d+)\r\n/y;
    bulk.lastIndex = end;
    const length = bulk.exec(text);
    if (length === null) return undefined;
    const start = bulk.lastIndex;
    end = start + Number(length[1]) + 2;
    if (text.length < end) return undefined;
    argv.push(text.slice(start, end - 2));
  }
  return { argv, end };
}
