/** Accepts connections on TCP. A name with several addresses, as `localhost`, is listened on at each of them. */
import { lookup } from "node:dns/promises";
import { createServer, type Server as NetServer, type Socket } from "node:net";
import type { ServerContext } from "../commands/context.js";
import { CLIENTS_MAX, TCP_BACKLOG, TCP_KEEPALIVE_MS } from "../config.js";
import { reasonOf, StartError } from "../errors.js";
import { Reply } from "../resp/reply.js";
import { Connection, type Shared } from "./connection.js";
import { readShared } from "./shared-read.js";
import { Turn } from "./turn.js";

/** An address family that the machine does not have. */
const FAMILY_MISSING = new Set(["EADDRNOTAVAIL", "EAFNOSUPPORT"]);

const TOO_MANY_CLIENTS = "-ERR max number of clients reached\r\n";

export class Listener {
  readonly #server: ServerContext;
  readonly #shared: Shared = { reply: new Reply(), turn: new Turn() };
  readonly #listening: NetServer[] = [];
  readonly #connections = new Set<Connection>();

  constructor(server: ServerContext) {
    this.#server = server;
  }

  /** Listens on `host` (undefined: all interfaces) and returns the port, which the system chooses where `port` is 0. */
  async listen(host: string | undefined, port: number): Promise<number> {
    const addresses = host === undefined ? [undefined] : await resolve(host);
    let chosen = port;
    for (const address of addresses) {
      try {
        chosen = await this.#listenOn(address, chosen);
      } catch (cause) {
        const code = (cause as NodeJS.ErrnoException).code ?? "";
        if (FAMILY_MISSING.has(code) && addresses.length > 1) continue;
        await this.stop();
        throw new StartError(`can't listen on ${host ?? ""}:${port}: ${reasonOf(cause)}`, { cause });
      }
    }
    if (this.#listening.length === 0) throw new StartError(`can't listen on ${host}:${port}: no such address here`);
    return chosen;
  }

  #listenOn(host: string | undefined, port: number): Promise<number> {
    const listening = createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEPALIVE_MS,
      pauseOnConnect: true,
    });
    listening.on("connection", (socket) => this.#accept(socket));
    return new Promise((resolved, rejected) => {
      listening.once("error", rejected);
      listening.listen({ host, port, backlog: TCP_BACKLOG }, () => {
        listening.off("error", rejected);
        // After this, an error is one connection's that could not be accepted, as when the process has no descriptors left.
        listening.on("error", (error) => this.#server.log.warning(`can't accept a connection: ${error.message}`));
        this.#listening.push(listening);
        const address = listening.address();
        resolved(typeof address === "object" && address !== null ? address.port : port);
      });
    });
  }

  #accept(accepted: Socket): void {
    if (this.#server.clients.size >= CLIENTS_MAX) {
      this.#server.stats.rejectedConnections++;
      accepted.on("error", () => {});
      accepted.end(TOO_MANY_CLIENTS);
      accepted.destroySoon();
      return;
    }
    const socket = readShared(accepted, (chunk) => connection.receive(chunk));
    const connection = new Connection(socket, this.#server, this.#shared);
    this.#connections.add(connection);
    socket.on("close", () => this.#connections.delete(connection));
  }

  /** Accepts no more connections. Those that are open stay. */
  async stop(): Promise<void> {
    for (const listening of this.#listening.splice(0)) listening.close();
  }

  /** Ends all connections: gives them `graceMs` to take their last replies. */
  async closeAll(graceMs: number): Promise<void> {
    for (const connection of this.#connections) connection.end();
    const end = performance.now() + graceMs;
    while (this.#connections.size > 0 && performance.now() < end) await new Promise((done) => setTimeout(done, 5));
    for (const connection of this.#connections) connection.destroy();
  }
}

async function resolve(host: string): Promise<string[]> {
  try {
    const found = await lookup(host, { all: true });
    return [...new Set(found.map(({ address }) => address))];
  } catch (cause) {
    throw new StartError(`can't listen on ${host}: ${reasonOf(cause)}`, { cause });
  }
}
