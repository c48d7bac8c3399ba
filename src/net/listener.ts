/**
 * Accepts connections: on TCP at each address of `bind`, on the same addresses for TLS, and on a unix socket. A name with several
 * addresses, as `localhost`, is listened on at each of them.
 */
import { lookup } from "node:dns/promises";
import { chmodSync, lstatSync, rmSync } from "node:fs";
import { createServer, type ListenOptions, type Server as NetServer, type Socket } from "node:net";
import { resolve as absolute } from "node:path";
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from "node:tls";
import type { ServerContext } from "../commands/context.js";
import { TLS_HANDSHAKE_MS } from "../config.js";
import { reasonOf, StartError } from "../errors.js";
import { NO_PORT } from "../options/kinds.js";
import { Reply } from "../resp/reply.js";
import { Connection, type Shared } from "./connection.js";
import { readShared } from "./shared-read.js";
import { readCertificates } from "./tls.js";
import { Turn } from "./turn.js";

/** An address family that the machine does not have. */
const FAMILY_MISSING = new Set(["EADDRNOTAVAIL", "EAFNOSUPPORT"]);

const TOO_MANY_CLIENTS = "-ERR max number of clients reached\r\n";

const PROTECTED =
  "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.\r\n";

/** How Redis writes "every address of the family". */
const ANY_IPV4 = "*";
const ANY_IPV6 = "::*";

/** An entry of `bind` without its `-`. */
interface BindAddress {
  host: string;
  /** It began with `-`: that there is no such address here is no failure. */
  mayBeMissing: boolean;
}

export class Listener {
  readonly #server: ServerContext;
  readonly #shared: Shared = { reply: new Reply(), turn: new Turn() };
  readonly #listening: NetServer[] = [];
  readonly #tlsListening: TlsServer[] = [];
  readonly #connections = new Set<Connection>();
  /** Connections whose TLS handshake is not done, by their other end. They count as clients, and are nobody's yet. */
  readonly #handshakes = new Map<string, Socket>();

  constructor(server: ServerContext) {
    this.#server = server;
  }

  /** Listens wherever the settings say, and returns the TCP port: what the system has chosen where it is 0. */
  async listen(): Promise<number> {
    const { bind, port, tlsPort, unixsocket } = this.#server.settings;
    try {
      const isTcp = bind.length > 0 && (port !== NO_PORT || tlsPort !== NO_PORT);
      if (unixsocket === "" && !isTcp) throw new StartError("configured to not listen anywhere");
      const chosen = port === NO_PORT ? port : await this.#listenOnAll(bind, port, () => this.#plainServer());
      if (tlsPort !== NO_PORT) await this.#listenOnAll(bind, tlsPort, () => this.#tlsServer());
      if (unixsocket !== "") await this.#listenOnPath(absolute(unixsocket));
      return chosen;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Listens at every address of `bind`, and returns the port. */
  async #listenOnAll(bind: readonly string[], port: number, make: () => NetServer): Promise<number> {
    let chosen = port;
    for (const address of bind.map(bindAddress)) chosen = await this.#listenOnAddress(address, chosen, make);
    return chosen;
  }

  async #listenOnAddress({ host, mayBeMissing }: BindAddress, port: number, make: () => NetServer): Promise<number> {
    const places = host === ANY_IPV4 || host === ANY_IPV6 ? [anyAddress(host)] : await resolve(host, mayBeMissing);
    const { tcpBacklog: backlog } = this.#server.settings;
    let chosen = port;
    let isListening = false;
    for (const place of places) {
      try {
        chosen = await this.#start(make(), { ...place, port: chosen, backlog });
        isListening = true;
      } catch (cause) {
        const isMissing = FAMILY_MISSING.has((cause as NodeJS.ErrnoException).code ?? "");
        if (isMissing && (mayBeMissing || places.length > 1)) continue;
        throw new StartError(`can't listen on ${host}:${port}: ${reasonOf(cause)}`, { cause });
      }
    }
    if (!isListening && !mayBeMissing) throw new StartError(`can't listen on ${host}:${port}: no such address here`);
    return chosen;
  }

  /** Listens on a unix socket. One that is there is taken for what a server has left (Redis); anything else is not touched. */
  async #listenOnPath(path: string): Promise<void> {
    const { unixsocketperm, tcpBacklog } = this.#server.settings;
    try {
      const found = lstatSync(path, { throwIfNoEntry: false });
      if (found?.isSocket() === true) rmSync(path);
      await this.#start(this.#plainServer(path), { path, backlog: tcpBacklog });
      if (unixsocketperm !== 0) chmodSync(path, unixsocketperm);
    } catch (cause) {
      throw new StartError(`can't listen on the unix socket ${path}: ${reasonOf(cause)}`, { cause });
    }
  }

  #plainServer(path?: string): NetServer {
    const listening = createServer({ allowHalfOpen: true, noDelay: path === undefined, pauseOnConnect: true });
    return listening.on("connection", (socket) => this.#accept(socket, path));
  }

  #tlsServer(): NetServer {
    const { settings, log } = this.#server;
    const isOptional = settings.tlsAuthClients === "optional";
    const listening = createTlsServer({
      ...this.#certificates(),
      noDelay: true,
      pauseOnConnect: true,
      handshakeTimeout: TLS_HANDSHAKE_MS,
      requestCert: settings.tlsAuthClients !== "no",
      rejectUnauthorized: settings.tlsAuthClients === "yes",
    });
    listening.on("connection", (socket: Socket) => {
      if (this.#isFull) return this.#refuse(socket, "");
      const end = otherEnd(socket);
      this.#handshakes.set(end, socket);
      socket.once("close", () => this.#handshakes.delete(end));
    });
    listening.on("tlsClientError", (error, socket) => {
      log.verbose(`a TLS handshake failed: ${error.message}`);
      socket.destroy();
    });
    listening.on("secureConnection", (socket) => {
      this.#handshakes.delete(otherEnd(socket));
      // Not before: Node would wait for the handshake of who has left.
      socket.allowHalfOpen = true;
      if (isOptional && showsBadCertificate(socket)) {
        log.verbose(`a client's certificate is not good: ${socket.authorizationError}`);
        socket.destroy();
      } else this.#accept(socket);
    });
    this.#tlsListening.push(listening);
    return listening;
  }

  #certificates() {
    try {
      return readCertificates(this.#server.settings);
    } catch (cause) {
      throw new StartError(`can't listen for TLS: ${reasonOf(cause)}`, { cause });
    }
  }

  /** Reads the certificates anew, for connections to come. Throws when they are not good, and the old ones stay. */
  renewTls(): void {
    if (this.#tlsListening.length === 0) return;
    const certificates = readCertificates(this.#server.settings);
    for (const listening of this.#tlsListening) listening.setSecureContext(certificates);
  }

  /** Resolves with the port when `listening` listens. */
  #start(listening: NetServer, options: ListenOptions): Promise<number> {
    return new Promise((resolved, rejected) => {
      listening.once("error", rejected);
      listening.listen(options, () => {
        listening.off("error", rejected);
        // After this, an error is one connection's that could not be accepted, as when the process has no descriptors left.
        listening.on("error", (error) => this.#server.log.warning(`can't accept a connection: ${error.message}`));
        this.#listening.push(listening);
        const address = listening.address();
        resolved(typeof address === "object" && address !== null ? address.port : 0);
      });
    });
  }

  /** `path` is that of the unix socket that the client came by. */
  #accept(accepted: Socket, path?: string): void {
    const { settings } = this.#server;
    if (this.#isFull) return this.#refuse(accepted, TOO_MANY_CLIENTS);
    if (settings.protectedMode && this.#server.users.isOpen && path === undefined && !isLoopback(accepted)) {
      return this.#refuse(accepted, PROTECTED);
    }
    if (path === undefined && settings.tcpKeepalive > 0) accepted.setKeepAlive(true, settings.tcpKeepalive * 1000);
    const socket = readShared(accepted, (chunk) => connection.receive(chunk));
    const connection = new Connection(socket, this.#server, this.#shared, path);
    this.#connections.add(connection);
    socket.on("close", () => this.#connections.delete(connection));
  }

  get #isFull(): boolean {
    return this.#server.clients.size + this.#handshakes.size >= this.#server.settings.maxclients;
  }

  #refuse(accepted: Socket, reason: string): void {
    this.#server.stats.rejectedConnections++;
    accepted.on("error", () => {});
    accepted.end(reason);
    accepted.destroySoon();
  }

  /** Looks at what clients leave unread, and whether they are idle. */
  sweep(nowMs: number): void {
    for (const connection of this.#connections) connection.sweep(nowMs);
  }

  /** Accepts no more connections. Those that are open stay. */
  async stop(): Promise<void> {
    for (const listening of this.#listening.splice(0)) listening.close();
    for (const socket of this.#handshakes.values()) socket.destroy();
  }

  /** Ends all connections: gives them `graceMs` to take their last replies. */
  async closeAll(graceMs: number): Promise<void> {
    for (const connection of this.#connections) connection.end();
    const end = performance.now() + graceMs;
    while (this.#connections.size > 0 && performance.now() < end) await new Promise((done) => setTimeout(done, 5));
    for (const connection of this.#connections) connection.destroy();
  }
}

function bindAddress(entry: string): BindAddress {
  return entry.startsWith("-") ? { host: entry.slice(1), mayBeMissing: true } : { host: entry, mayBeMissing: false };
}

function anyAddress(host: string): ListenOptions {
  return host === ANY_IPV4 ? { host: "0.0.0.0" } : { host: "::", ipv6Only: true };
}

function otherEnd({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function showsBadCertificate(socket: TLSSocket): boolean {
  return !socket.authorized && Object.keys(socket.getPeerCertificate()).length > 0;
}

function isLoopback({ remoteAddress = "" }: Socket): boolean {
  const address = remoteAddress.replace(/^::ffff:/, "");
  return address.startsWith("127.") || address === "::1";
}

async function resolve(host: string, mayBeMissing: boolean): Promise<ListenOptions[]> {
  try {
    const found = await lookup(host, { all: true });
    const addresses = [...new Set(found.map(({ address }) => address))];
    return addresses.map((address) => ({ host: address, ipv6Only: address.includes(":") }));
  } catch (cause) {
    if (mayBeMissing) return [];
    throw new StartError(`can't listen on ${host}: ${reasonOf(cause)}`, { cause });
  }
}
