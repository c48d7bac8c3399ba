/**
 * Bytes to a server and what comes back, for tests of the protocol itself: nothing is framed, nothing is assumed, and the
 * other side may close the connection at any moment.
 */
import { once } from "node:events";
import { connect } from "node:net";

export interface Outcome {
  /** All that was sent back, as latin1. */
  readonly reply: string;
  readonly closed: boolean;
}

/** How a request is cut into writes. */
export type Cut = (bytes: Buffer) => Buffer[];

export const whole: Cut = (bytes) => [bytes];

/** One byte a write; long requests, where that would say nothing more, in pieces of an odd size. */
export const byteByByte: Cut = (bytes) => pieces(bytes, bytes.length > 2000 ? 4093 : 1);

function pieces(bytes: Buffer, size: number): Buffer[] {
  const list: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) list.push(bytes.subarray(at, at + size));
  return list;
}

const END = "END OF THE TEST";
const END_REQUEST = `*2\r\n$4\r\nECHO\r\n$${END.length}\r\n${END}\r\n`;
const END_REPLY = `$${END.length}\r\n${END}\r\n`;
const TIMEOUT_MS = 10_000;

/**
 * Sends the bytes on a connection of their own. When they leave it open a last request is sent behind them, whose reply
 * says that all others have come; with `closes` there is only the wait for the other side to close.
 */
export async function exchange(port: number, bytes: string, cut: Cut, closes: boolean): Promise<Outcome> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const chunks: Buffer[] = [];
  const received = () => Buffer.concat(chunks).toString("latin1");
  let closed = false;
  socket.on("error", () => {}); // a reset: `close` follows
  await once(socket, "connect");
  const done = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, TIMEOUT_MS);
    const finish = () => {
      clearTimeout(timer);
      resolve();
    };
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      if (!closes && received().endsWith(END_REPLY)) finish();
    });
    socket.on("close", () => {
      closed = true;
      finish();
    });
  });
  for (const piece of cut(Buffer.from(closes ? bytes : bytes + END_REQUEST, "latin1"))) {
    if (closed) break;
    socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await done;
  socket.destroy();
  const reply = received();
  return { reply: !closes && reply.endsWith(END_REPLY) ? reply.slice(0, -END_REPLY.length) : reply, closed };
}
