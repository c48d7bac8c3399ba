/**
 * A connection to a server that speaks Redis' protocol, with this process as the client. Requests may be sent without waiting for
 * replies, which come in the order of the requests. Knows the protocol (RESP2) and no command but AUTH and SELECT.
 */
import { connect, isIP, type Socket } from "node:net";
import { addAbortSignal } from "node:stream";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type RedisParser from "redis-parser";

const ASCII = /^\p{ASCII}*$/u;

/** What AUTH answers of a server that has none: since Redis 6, and before. */
const HAS_NO_PASSWORD = /without any password configured|no password is set/;

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
  /** With the password; none for the default user, whose AUTH servers before Redis 6 know too. */
  user?: string;
  /** Sent with AUTH before anything else; the empty string, or none, for a server without. */
  password?: string;
  /** A server that has no password is taken too. */
  mayBeOpen?: boolean;
  /** The database that is selected; by default 0, as it is by itself. */
  database?: number;
  /** TLS, with certificates as Node takes them; undefined for none. */
  tls?: Pick<ConnectionOptions, "ca" | "cert" | "key" | "rejectUnauthorized">;
  silenceMs?: number;
  /** Ends the connection, also one that is being made. */
  signal?: AbortSignal;
}

/** Strings are text, which goes as UTF-8; what is bytes goes as bytes. */
export type Argument = string | number | Uint8Array;

/** Who waits for the replies to requests that were sent together. */
interface Waiter {
  /** How many they are, and those that have come. */
  readonly requests: number;
  replies: LinkReply[];
  resolve(replies: LinkReply[]): void;
  reject(error: Error): void;
}

export class RedisLink {
  readonly #name: string;
  readonly #socket: Socket;
  readonly #parser: RedisParser;
  /** Who waits, in the order of the requests; those before `#first` have all they asked for. */
  readonly #waiters: Waiter[] = [];
  #first = 0;
  #owed = 0;
  #failure: Error | undefined;

  /** Rejects with LinkClosed when nobody answers there, with LinkError when the password or the database is not taken. */
  static async connect(options: LinkOptions): Promise<RedisLink> {
    // Loaded only now: it takes a server some 10 ms, and most need it never.
    const { default: Parser } = await import("redis-parser");
    const link = new RedisLink(await openSocket(options), Parser, nameOf(options), options.silenceMs ?? SILENCE_MS);
    const { user, password = "", database = 0, mayBeOpen = false } = options;
    try {
      if (user !== undefined) await link.ask("AUTH", user, password);
      else if (password !== "") {
        const [reply] = await link.askAll([["AUTH", password]]);
        if (reply instanceof LinkError && !(mayBeOpen && HAS_NO_PASSWORD.test(reply.message))) throw reply;
      }
      if (database !== 0) await link.ask("SELECT", database);
      return link;
    } catch (error) {
      link.close();
      throw error;
    }
  }

  private constructor(socket: Socket, Parser: typeof RedisParser, name: string, silenceMs: number) {
    this.#name = name;
    this.#socket = socket;
    this.#parser = new Parser({
      returnBuffers: true,
      returnReply: (reply) => this.#take(withLinkErrors(reply)),
      returnError: (error) => this.#take(new LinkError(error.message)),
      returnFatalError: (error) => this.#fail(`what it sends is not Redis' protocol (${error.message})`),
    });
    socket.setTimeout(silenceMs);
    socket.on("data", this.#receive);
    socket.on("timeout", () => {
      if (this.owed > 0) this.#fail(`it has not answered for ${silenceMs / 1000} s`);
    });
    socket.on("error", (error) => this.#fail(error.message));
    socket.on("close", () => this.#fail("it closed the connection"));
  }

  /** Replies that are still to come. */
  get owed(): number {
    return this.#owed;
  }

  /** Whether the other side is on this machine, as far as addresses tell: both ends have the same. */
  get isLocal(): boolean {
    return this.#socket.localAddress !== undefined && this.#socket.localAddress === this.#socket.remoteAddress;
  }

  /** Sends one request. An error reply rejects with LinkError. */
  async ask(...argv: readonly Argument[]): Promise<LinkReply> {
    const [reply] = await this.askAll([argv]);
    if (reply instanceof LinkError) throw reply;
    return reply as LinkReply;
  }

  /** Sends requests, at least one, in one write. Resolves with all replies, of which errors are values too. */
  askAll(requests: readonly (readonly Argument[])[]): Promise<LinkReply[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ requests: requests.length, replies: [], resolve, reject });
      this.#owed += requests.length;
      this.#socket.write(encode(requests));
    });
  }

  /** Ends the connection. Whoever still waits gets LinkClosed. */
  close(): void {
    this.#fail("it was closed on this side");
  }

  /** Gives the socket away, paused, for what is no requests and replies any more. Nothing must be owed. The link is of no use then. */
  detach(): Socket {
    this.#socket.pause();
    this.#socket.setTimeout(0);
    this.#socket.off("data", this.#receive);
    this.#failure ??= new LinkClosed(`${this.#name}: it is used for something else`);
    return this.#socket;
  }

  readonly #receive = (chunk: Buffer): void => {
    try {
      this.#parser.execute(chunk);
    } catch (error) {
      // An array of more elements, or deeper, than can be.
      this.#fail(`what it sends is not Redis' protocol (${(error as Error).message})`);
    }
  };

  #take(reply: LinkReply): void {
    const waiter = this.#waiters[this.#first];
    if (waiter === undefined) return this.#fail("it sent a reply that nobody asked for");
    this.#owed--;
    waiter.replies.push(reply);
    if (waiter.replies.length < waiter.requests) return;
    this.#first++;
    // Shifting each off a long list would take the square of its length.
    if (this.#first === this.#waiters.length) {
      this.#waiters.length = 0;
      this.#first = 0;
    }
    waiter.resolve(waiter.replies);
    // It may stay in the list for a while, and the replies be large.
    waiter.replies = [];
  }

  #fail(reason: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = new LinkClosed(`${this.#name}: ${reason}`);
    this.#socket.destroy();
    const waiters = this.#waiters.splice(0).slice(this.#first);
    this.#first = 0;
    this.#owed = 0;
    for (const { reject } of waiters) reject(this.#failure);
  }
}

/** The parser's errors inside arrays, as ours. */
function withLinkErrors(reply: unknown): LinkReply {
  if (Array.isArray(reply)) return reply.map(withLinkErrors);
  return reply instanceof Error ? new LinkError(reply.message) : (reply as LinkReply);
}

function openSocket(options: LinkOptions): Promise<Socket> {
  const { host, port, signal, tls } = options;
  return new Promise((resolve, reject) => {
    const socket = tls === undefined ? connect({ host, port, noDelay: true }) : openTls(options);
    if (signal !== undefined) addAbortSignal(signal, socket);
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
    socket.once(tls === undefined ? "connect" : "secureConnect", () => {
      clearTimeout(timer);
      socket.off("error", onError);
      resolve(socket);
    });
  });
}

/** The name is sent so that the server can choose its certificate; an address is none. */
function openTls({ host, port, tls }: LinkOptions): Socket {
  const socket = connectTls({ host, port, ...tls, ...(isIP(host) === 0 ? { servername: host } : {}) });
  return socket.setNoDelay(true);
}

/** A key, of which each character is a byte, as an argument. */
export function keyArgument(key: string): Argument {
  return ASCII.test(key) ? key : Buffer.from(key, "latin1");
}

/** As it is written in messages. */
export function nameOf({ host, port }: LinkOptions): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Requests: each an array of bulks. Short ones are put together as latin1 text, which is much quicker than as buffers. */
export function encode(requests: readonly (readonly Argument[])[]): Buffer {
  const parts: Uint8Array[] = [];
  let text = "";
  for (const argv of requests) {
    text += `*${argv.length}\r\n`;
    for (const argument of argv) {
      const bytes = typeof argument === "number" ? String(argument) : argument;
      if (bytes instanceof Uint8Array) {
        parts.push(Buffer.from(`${text}$${bytes.length}\r\n`, "latin1"), bytes);
        text = "\r\n";
      } else {
        const latin1 = ASCII.test(bytes) ? bytes : Buffer.from(bytes, "utf8").toString("latin1");
        text += `$${latin1.length}\r\n${latin1}\r\n`;
      }
    }
  }
  parts.push(Buffer.from(text, "latin1"));
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}
