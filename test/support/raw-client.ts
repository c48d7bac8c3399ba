/**
 * A client that knows the framing of RESP2 and RESP3 and nothing else: arguments or raw bytes go out, the bytes of each
 * reply come back untouched. It shares no code with the server, so that the two cannot be wrong together.
 * Bytes are latin1 strings throughout: one character is one byte.
 */
import { connect, type Socket } from "node:net";

const DEFAULT_TIMEOUT_MS = 10_000;

/** One reply. `text` is the line, or the payload of a bulk; null replies (`$-1`, `*-1`, `_`) keep their first line as text. */
export interface Reply {
  readonly type: string;
  readonly text: string;
  /** Elements of an aggregate; of a map the keys and values in turn. */
  readonly items?: readonly Reply[];
}

/** The connection ended while replies were awaited. */
export class ConnectionClosed extends Error {}

/** A request in wire form. Arguments are latin1 strings or bytes. */
export function encodeRequest(argv: readonly (string | Buffer)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${argv.length}\r\n`)];
  for (const arg of argv) {
    const bytes = typeof arg === "string" ? Buffer.from(arg, "latin1") : arg;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat(parts);
}

/**
 * The reply at `start` and where it ends, or how many bytes the buffer must hold before another look is worth it.
 */
export function readReply(buffer: Buffer, start = 0): { reply: Reply; end: number } | { need: number } {
  const newline = buffer.indexOf("\r\n", start);
  if (newline < 0) return { need: buffer.length + 1 };
  const type = String.fromCharCode(buffer[start] ?? 0);
  const line = buffer.toString("latin1", start + 1, newline);
  const body = newline + 2;
  switch (type) {
    case "+":
    case "-":
    case ":":
    case "_":
    case ",":
    case "#":
    case "(":
      return { reply: { type, text: line }, end: body };
    case "$":
    case "!":
    case "=": {
      const length = lengthIn(line);
      if (length < 0) return { reply: { type, text: line }, end: body };
      const end = body + length + 2;
      if (buffer.length < end) return { need: end };
      if (buffer.toString("latin1", end - 2, end) !== "\r\n")
        throw new Error(`a bulk of ${line} bytes is longer than that`);
      return { reply: { type, text: buffer.toString("latin1", body, end - 2) }, end };
    }
    case "*":
    case "~":
    case ">":
      return readItems(buffer, type, line, body, lengthIn(line));
    case "%":
      return readItems(buffer, type, line, body, lengthIn(line) * 2);
    case "|":
      // An attribute stands before the reply it belongs to: its pairs and that reply are one frame.
      return readItems(buffer, type, line, body, lengthIn(line) * 2 + 1);
    default:
      throw new Error(`no reply begins with ${JSON.stringify(buffer.toString("latin1", start, start + 40))}`);
  }
}

function lengthIn(line: string): number {
  if (!/^(?:-1|0|[1-9]\d*)$/.test(line)) throw new Error(`not a length in a reply: ${JSON.stringify(line)}`);
  return Number(line);
}

function readItems(
  buffer: Buffer,
  type: string,
  line: string,
  start: number,
  count: number,
): ReturnType<typeof readReply> {
  if (count < 0) return { reply: { type, text: line }, end: start };
  const items: Reply[] = [];
  let at = start;
  for (let i = 0; i < count; i += 1) {
    const item = readReply(buffer, at);
    if ("need" in item) return item;
    items.push(item.reply);
    at = item.end;
  }
  return { reply: { type, text: line, items }, end: at };
}

/** The wire form of a reply: the inverse of readReply. */
export function encodeReply(reply: Reply): string {
  const { type, text, items } = reply;
  if (items !== undefined) return `${type}${text}\r\n${items.map(encodeReply).join("")}`;
  if ("$!=".includes(type) && text !== "-1") return `${type}${text.length}\r\n${text}\r\n`;
  return `${type}${text}\r\n`;
}

interface Waiter {
  resolve(reply: string): void;
  reject(error: Error): void;
}

export class RawClient {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  #chunks: Buffer[] = [];
  #held = 0;
  #need = 1;
  readonly #replies: string[] = [];
  readonly #waiters: Waiter[] = [];
  #failure: Error | undefined;
  /** Resolves when the other side, or this one, has ended the connection. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("error", () => {}); // a reset is an end as any other: `close` follows
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        this.#fail(new ConnectionClosed("the connection was closed"));
        resolve();
      });
    });
  }

  /** Over a connection that is made: TLS, a unix socket. */
  static over(socket: Socket, timeoutMs = DEFAULT_TIMEOUT_MS): RawClient {
    return new RawClient(socket, timeoutMs);
  }

  static connect(port: number, { timeoutMs = DEFAULT_TIMEOUT_MS } = {}): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1" });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new RawClient(socket, timeoutMs));
      });
    });
  }

  /** Sends one request; its reply's bytes. */
  async call(...argv: (string | Buffer)[]): Promise<string> {
    const [reply] = await this.pipeline([argv]);
    return reply ?? "";
  }

  /** Sends the requests in one write; the bytes of each reply, in order. */
  pipeline(requests: readonly (readonly (string | Buffer)[])[]): Promise<string[]> {
    this.send(Buffer.concat(requests.map(encodeRequest)));
    return this.replies(requests.length);
  }

  /** Sends bytes as they are and waits for nothing. */
  send(bytes: Buffer | string): void {
    if (!this.#socket.destroyed) this.#socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** The next `count` replies, each as its bytes. */
  async replies(count: number, timeoutMs = this.#timeoutMs): Promise<string[]> {
    const list: string[] = [];
    for (let i = 0; i < count; i += 1) list.push(await this.#next(timeoutMs));
    return list;
  }

  /** Replies that have come and nobody asked for yet. */
  get unread(): number {
    return this.#replies.length;
  }

  get isClosed(): boolean {
    return this.#failure !== undefined;
  }

  /** Stops taking bytes from the socket, so that the server's replies have nowhere to go. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  #next(timeoutMs: number): Promise<string> {
    const ready = this.#replies.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const held = Buffer.concat(this.#chunks).toString("latin1", 0, 200);
        this.#fail(new Error(`no reply within ${timeoutMs} ms; ${this.#held} bytes held: ${JSON.stringify(held)}`));
      }, timeoutMs);
      this.#waiters.push({
        resolve: (reply) => {
          clearTimeout(timer);
          resolve(reply);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
    });
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    if (this.#held < this.#need) return;
    const buffer = Buffer.concat(this.#chunks);
    let at = 0;
    try {
      while (at < buffer.length) {
        const next = readReply(buffer, at);
        if ("need" in next) {
          this.#need = next.need - at;
          break;
        }
        this.#give(buffer.toString("latin1", at, next.end));
        at = next.end;
        this.#need = 1;
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      this.#socket.destroy();
    }
    this.#chunks = at < buffer.length ? [buffer.subarray(at)] : [];
    this.#held = buffer.length - at;
  }

  #give(reply: string): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#replies.push(reply);
    else waiter.resolve(reply);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#failure);
  }
}
