// A plain client for loading and verifying: one connection, pipelines, replies parsed in full. Speed is measured by
// load.mjs and not by this.

import { once } from "node:events";
import { connect } from "node:net";
import Parser from "redis-parser";

/** @typedef {string | number | Buffer<ArrayBuffer>} Argument */
/** @typedef {Buffer | number | null | Error | unknown[]} Reply */

const replyWaitMsMax = 120_000;

export class Connection {
  #socket;
  /** @type {{ count: number, keepErrors: boolean, replies: Reply[], resolve: (replies: Reply[]) => void, reject: (error: Error) => void } | undefined} */
  #waiting;

  /** @param {import("node:net").Socket} socket connected */
  constructor(socket) {
    this.#socket = socket;
    const parser = new Parser({
      returnBuffers: true,
      returnReply: (/** @type {Reply} */ reply) => this.#take(reply),
      returnError: (/** @type {Error} */ error) => this.#take(error),
      returnFatalError: (/** @type {Error} */ error) => this.#fail(error),
    });
    socket.on("data", (chunk) => parser.execute(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the server closed the connection")));
  }

  /** @param {number} port on this machine */
  static async open(port) {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    await once(socket, "connect");
    return new Connection(socket);
  }

  /**
   * One command; an error reply is thrown.
   * @param {...Argument} args
   */
  async call(...args) {
    const [reply] = await this.pipeline([args]);
    return /** @type {Reply} */ (reply);
  }

  /**
   * Commands in one write; their replies in order. An error reply is thrown.
   * @param {readonly (readonly Argument[])[]} commands
   */
  pipeline(commands) {
    return this.send(Buffer.concat(commands.map(encodeCommand)), commands.length);
  }

  /**
   * Requests that are already encoded.
   * @param {Buffer | string} bytes a string is latin1
   * @param {number} count how many commands they are
   * @param {{ keepErrors?: boolean }} [options] whether an error reply is a reply as any other, and not thrown
   * @returns {Promise<Reply[]>}
   */
  async send(bytes, count, { keepErrors = false } = {}) {
    if (this.#waiting !== undefined) throw new Error("one pipeline at a time");
    let timer;
    try {
      return await new Promise((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`no reply within ${replyWaitMsMax} ms`)), replyWaitMsMax);
        this.#waiting = { count, keepErrors, replies: [], resolve, reject };
        this.#socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
      });
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
    }
  }

  close() {
    this.#socket.destroy();
  }

  /** @param {Reply} reply */
  #take(reply) {
    if (this.#waiting === undefined) return;
    if (reply instanceof Error && !this.#waiting.keepErrors) return this.#waiting.reject(reply);
    this.#waiting.replies.push(reply);
    if (this.#waiting.replies.length === this.#waiting.count) this.#waiting.resolve(this.#waiting.replies);
  }

  /** @param {Error} error */
  #fail(error) {
    this.#waiting?.reject(error);
  }
}

/**
 * @param {readonly Argument[]} args strings are latin1
 * @returns {Buffer<ArrayBuffer>}
 */
export function encodeCommand(args) {
  const parts = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg), "latin1");
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat(parts);
}

/**
 * Sets bits, many to a write; every reply must be the bit's old value, 0.
 * @param {Connection} connection
 * @param {Iterable<readonly [key: string, offset: number]>} bits all different, none set yet
 * @returns {Promise<number>} how many
 */
export async function setBits(connection, bits) {
  const pipelineMax = 5_000;
  let text = "";
  let count = 0;
  let total = 0;
  const flush = async () => {
    const replies = await connection.send(text, count);
    const wrong = replies.findIndex((reply) => reply !== 0);
    if (wrong !== -1) throw new Error(`SETBIT of a new bit replied ${replies[wrong]}`);
    total += count;
    text = "";
    count = 0;
  };
  for (const [key, offset] of bits) {
    const digits = String(offset);
    text += `*4\r\n$6\r\nSETBIT\r\n$${key.length}\r\n${key}\r\n$${digits.length}\r\n${digits}\r\n$1\r\n1\r\n`;
    count += 1;
    if (count === pipelineMax) await flush();
  }
  if (count > 0) await flush();
  return total;
}

/**
 * BITCOUNT of each key.
 * @param {Connection} connection
 * @param {readonly string[]} keys
 */
export async function bitCounts(connection, keys) {
  return /** @type {number[]} */ (await connection.pipeline(keys.map((key) => ["BITCOUNT", key])));
}
