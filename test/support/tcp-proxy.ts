/** A proxy between a client and a server of 127.0.0.1 that can cut what goes through it, and change what is asked. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export class TcpProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections that were made through it. */
  connections = 0;
  /** Bytes that came from the server. */
  received = 0;
  /** Connections are cut when so many bytes have come from the server on them, once for each entry; then no more. */
  readonly cuts: number[];
  /** Port of the server. A connection stays with the one that it was made to. */
  target: number;
  /** Nobody is let in. */
  isDown = false;

  /** A proxy for the running test. */
  static async start(target: number, cuts: readonly number[] = []): Promise<TcpProxy> {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
    });
    const proxy = new TcpProxy(server, port, target, cuts);
    onTestFinished(() => proxy.#close());
    return proxy;
  }

  private constructor(server: Server, port: number, target: number, cuts: readonly number[]) {
    this.port = port;
    this.cuts = [...cuts];
    this.#server = server;
    this.target = target;
    server.on("connection", (client) => this.#accept(client));
  }

  #accept(client: Socket): void {
    client.on("error", () => {});
    if (this.isDown) return void client.destroy();
    this.connections++;
    const behind = connect({ port: this.target, host: "127.0.0.1" });
    behind.on("error", () => {});
    this.#sockets.add(client).add(behind);
    client.on("close", () => behind.destroy());
    behind.on("close", () => client.destroy());
    client.pipe(behind);
    let bytes = 0;
    behind.on("data", (chunk) => {
      bytes += chunk.length;
      this.received += chunk.length;
      const [cut] = this.cuts;
      if (cut === undefined || bytes < cut) return void client.write(chunk);
      this.cuts.shift();
      // A part of the reply still arrives.
      client.end(chunk.subarray(0, Math.max(chunk.length - (bytes - cut), 0)));
      behind.destroy();
    });
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  #close(): void {
    this.cut();
    this.#server.close();
  }
}
