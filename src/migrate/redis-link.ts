/**
 * A connection to a server that speaks Redis' protocol, with this process as the client. Requests may be sent without waiting for
 * replies, which come in the order of the requests. Knows the protocol (RESP2) and no command but AUTH.
 */
import { connect, type Socket } from "node:net";
import RedisParser from "redis-parser";

/** A server that says nothing for so long while it owes a reply is given up. */
const SILENCE_MS = 60_000;
const CONNECT_MS = 10_000;

/**
 * A reply. Simple strings and bulks are bytes, which share the memory of what was received with them: copy what is kept for long.
 * An error inside an array (an EXEC's, for example) is a value; a reply that is an error rejects.
 */
export type LinkReply = Buffer | number | null | LinkError | LinkReply[];

/** An error reply. `message` is its line, like `ERR syntax error`. */
export class LinkError extends Error {}

/** The connection can't be made, or ended while replies were owed. */
export class LinkClosed extends Error {}

export interface LinkOptions {
  host: string;
  port: number;
  /** Sent with AUTH before anything else; the empty string, or none, for a server without. */
  password?: string;
  silenceMs?: number;
}

export type Argument = string | number | Uint8Array;

interface Waiter {
  resolve(reply: LinkReply): void;
  reject(error: Error): void;
}

export class RedisLink {
  readonly #name: string;
  readonly #socket: Socket;
  readonly #parser: RedisParser;
  /** Who waits for a reply, in the order of the requests. */
  readonly #waiters: Waiter[] = [];
  #answered = 0;
  #failure: Error | undefined;

  /** Rejects with LinkClosed when nobody answers there, with LinkError when the password is not taken. */
  static async connect(options: LinkOptions): Promise<RedisLink> {
    const link = new RedisLink(await openSocket(options), nameOf(options), options.silenceMs ?? SILENCE_MS);
    const { password = "" } = options;
    try {
      if (password !== "") await link.ask("AUTH", password);
      return link;
    } catch (error) {
      link.close();
      throw error;
    }
  }

  private constructor(socket: Socket, name: string, silenceMs: number) {
    this.#name = name;
    this.#socket = socket;
    this.#parser = new RedisParser({
      returnBuffers: true,
      returnReply: (reply) => this.#take(withLinkErrors(reply)),
      returnError: (error) => this.#take(new LinkError(error.message)),
      returnFatalError: (error) => this.#fail(`what it sends is not Redis' protocol (${error.message})`),
    });
    socket.setTimeout(silenceMs);
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("timeout", () => {
      if (this.owed > 0) this.#fail(`it has not answered for ${silenceMs / 1000} s`);
    });
    socket.on("error", (error) => this.#fail(error.message));
    socket.on("close", () => this.#fail("it closed the connection"));
  }

  /** Replies that are still to come. */
  get owed(): number {
    return this.#waiters.length - this.#answered;
  }

  /** Whether the other side is on this machine, as far as addresses tell: both ends have the same. */
  get isLocal(): boolean {
    return this.#socket.localAddress !== undefined && this.#socket.localAddress === this.#socket.remoteAddress;
  }

  /** Sends one request. An error reply rejects with LinkError. */
  ask(...argv: readonly Argument[]): Promise<LinkReply> {
    return this.#send(encode(argv), 1)[0] as Promise<LinkReply>;
  }

  /** Sends requests in one write. Resolves with all replies, of which errors are values too. */
  askAll(requests: readonly (readonly Argument[])[]): Promise<LinkReply[]> {
    const replies = this.#send(Buffer.concat(requests.map(encode)), requests.length);
    return Promise.all(
      replies.map((reply) =>
        reply.catch((error: unknown) => {
          if (error instanceof LinkError) return error;
          throw error;
        }),
      ),
    );
  }

  /** Ends the connection. Whoever still waits gets LinkClosed. */
  close(): void {
    this.#fail("it was closed on this side");
  }

  /** Gives the socket away, paused, for what is no requests and replies any more. All replies must have come. The link is of no use then. */
  detach(): Socket {
    const socket = this.#socket;
    socket.pause();
    socket.setTimeout(0);
    socket
      .removeAllListeners("data")
      .removeAllListeners("timeout")
      .removeAllListeners("error")
      .removeAllListeners("close");
    // Whoever reads it is told of it.
    socket.on("error", () => {});
    return socket;
  }

  #send(bytes: Buffer, requests: number): Promise<LinkReply>[] {
    const replies = Array.from(
      { length: requests },
      () => new Promise<LinkReply>((resolve, reject) => void this.#waiters.push({ resolve, reject })),
    );
    if (this.#failure === undefined) this.#socket.write(bytes);
    else this.#rejectAll(this.#failure);
    return replies;
  }

  #receive(chunk: Buffer): void {
    try {
      this.#parser.execute(chunk);
    } catch (error) {
      // An array of more elements, or deeper, than can be.
      this.#fail(`what it sends is not Redis' protocol (${(error as Error).message})`);
    }
  }

  #take(reply: LinkReply): void {
    const waiter = this.#waiters[this.#answered];
    if (waiter === undefined) return this.#fail("it sent a reply that nobody asked for");
    this.#answered++;
    // Shifting each off a long list would take the square of its length.
    if (this.#answered === this.#waiters.length) {
      this.#waiters.length = 0;
      this.#answered = 0;
    }
    if (reply instanceof LinkError) waiter.reject(reply);
    else waiter.resolve(reply);
  }

  #fail(reason: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = new LinkClosed(`${this.#name}: ${reason}`);
    this.#socket.destroy();
    this.#rejectAll(this.#failure);
  }

  #rejectAll(error: Error): void {
    const waiters = this.#waiters.splice(0).slice(this.#answered);
    this.#answered = 0;
    for (const { reject } of waiters) reject(error);
  }
}

/** The parser's errors inside arrays, as ours. */
function withLinkErrors(reply: unknown): LinkReply {
  if (Array.isArray(reply)) return reply.map(withLinkErrors);
  return reply instanceof Error ? new LinkError(reply.message) : (reply as LinkReply);
}

function openSocket(options: LinkOptions): Promise<Socket> {
  const { host, port } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    const failed = (reason: string) => {
      socket.destroy();
      reject(new LinkClosed(`can't connect to ${nameOf(options)}: ${reason}`));
    };
    const timer = setTimeout(() => failed(`no answer for ${CONNECT_MS / 1000} s`), CONNECT_MS);
    const onError = (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      // Of a name with several addresses, none of which answers, there is only the code.
      failed(error.message || (error.code ?? "it is refused"));
    };
    socket.once("error", onError);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", onError);
      resolve(socket);
    });
  });
}

function nameOf({ host, port }: LinkOptions): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** A request: an array of bulks. */
export function encode(argv: readonly Argument[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${argv.length}\r\n`)];
  for (const argument of argv) {
    const bytes = argument instanceof Uint8Array ? argument : Buffer.from(String(argument));
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat(parts);
}
