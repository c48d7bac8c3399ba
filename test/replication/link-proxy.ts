/** Stands between a replica and its master: cuts the link at a byte of the master's, slows it down, or lets nobody through. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export class LinkProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #links = new Set<Socket>();
  /** Links that were made so far. */
  links = 0;
  /** Bytes that came from the master on all links. */
  bytes = 0;
  /** The link is cut after so many more bytes of the master's; once. */
  cutAfter = Number.POSITIVE_INFINITY;
  /** What has come so far on a link from the master is as much as goes through. */
  bytesMax = Number.POSITIVE_INFINITY;
  isClosed = false;

  static async start(target: number): Promise<LinkProxy> {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
    });
    const proxy = new LinkProxy(server, port, target);
    onTestFinished(() => {
      proxy.cut();
      server.close();
    });
    return proxy;
  }

  private constructor(server: Server, port: number, target: number) {
    this.port = port;
    this.#server = server;
    this.#server.on("connection", (replica) => this.#join(replica, target));
  }

  cut(): void {
    for (const link of this.#links) link.destroy();
  }

  #join(replica: Socket, target: number): void {
    replica.on("error", () => {});
    if (this.isClosed) {
      replica.destroy();
      return;
    }
    this.links++;
    const master = connect({ port: target, host: "127.0.0.1" });
    master.on("error", () => {});
    this.#links.add(replica);
    replica.on("close", () => {
      this.#links.delete(replica);
      master.destroy();
    });
    master.on("close", () => replica.end());
    replica.pipe(master);
    let passed = 0;
    master.on("data", (chunk) => {
      const bytes = Math.min(chunk.length, this.cutAfter);
      const allowed = Math.max(Math.min(bytes, this.bytesMax - passed), 0);
      if (!replica.write(chunk.subarray(0, allowed))) {
        master.pause();
        replica.once("drain", () => master.resume());
      }
      passed += allowed;
      this.bytes += bytes;
      this.cutAfter -= bytes;
      if (allowed < bytes) master.pause().removeAllListeners("data");
      if (this.cutAfter > 0) return;
      this.cutAfter = Number.POSITIVE_INFINITY;
      replica.end();
      master.destroy();
    });
  }
}
