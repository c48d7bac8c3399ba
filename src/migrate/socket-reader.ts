/** The bytes of a socket for who asks for them one after the other: nothing more is read from the network than is asked for. */
import type { Socket } from "node:net";
import { LinkClosed } from "./redis-link.js";

/** A line is a reply to the handshake: longer ones are none. */
const LINE_BYTES_MAX = 64 * 1024;

const EMPTY: Buffer = Buffer.alloc(0);
const LF = 0x0a;

export class SocketReader {
  readonly #chunks: AsyncIterator<Buffer, unknown>;
  #unread: Buffer = EMPTY;
  /** Since when somebody waits for bytes, on the clock of `performance.now()`. */
  waitingSinceMs: number | undefined;

  /** The socket is the reader's from now on, but for writing. */
  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  /** The bytes that come next, at least one; they are the caller's. Rejects with LinkClosed when no more come. */
  async chunk(): Promise<Buffer> {
    if (this.#unread.length > 0) {
      const unread = this.#unread;
      this.#unread = EMPTY;
      return unread;
    }
    this.waitingSinceMs = performance.now();
    try {
      const { done, value } = await this.#chunks.next();
      if (done !== true) return value;
    } catch (error) {
      throw new LinkClosed((error as Error).message, { cause: error });
    } finally {
      this.waitingSinceMs = undefined;
    }
    throw new LinkClosed("it closed the connection");
  }

  /** Gives bytes back that were read and are to be read again. */
  unread(bytes: Buffer): void {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([bytes, this.#unread]);
  }

  /** The next `count` bytes. For a few. */
  async bytes(count: number): Promise<Buffer> {
    let bytes: Buffer = EMPTY;
    while (bytes.length < count) bytes = Buffer.concat([bytes, await this.chunk()]);
    this.unread(bytes.subarray(count));
    return bytes.subarray(0, count);
  }

  /** The next line that is not empty, without its end: a master that has nothing to say yet sends empty ones. */
  async line(): Promise<string> {
    let bytes: Buffer = EMPTY;
    for (;;) {
      bytes = Buffer.concat([bytes, await this.chunk()]);
      for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF)) {
        const line = bytes.toString("latin1", 0, end).trimEnd();
        bytes = bytes.subarray(end + 1);
        if (line === "") continue;
        this.unread(bytes);
        return line;
      }
      if (bytes.length > LINE_BYTES_MAX) throw new LinkClosed("what it sends is not Redis' protocol");
    }
  }
}
