/**
 * Reads all sockets into one buffer: Node's own way makes a buffer for each chunk and takes it through a stream. Node offers that
 * (`onread`) for sockets that connect but not for those that a server accepts, so an accepted one is wrapped anew around its
 * handle. A socket that has none to take is read Node's own way. The server that accepted does not learn when the new socket is
 * closed: it counts connections that are gone, and its "close" never comes.
 */
import { Socket } from "node:net";
import { READ_BUFFER_BYTES } from "../config.js";

/** What Node's types do not tell: where a socket has its handle, which is also the name of the option that takes one. */
interface Handled {
  _handle?: object | null;
}

const buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

/** Views of its first bytes, by their number, of those that a request or two are: a new one takes longer than to read what is in it. */
const views: Buffer[] = [];
const VIEW_BYTES_MAX = 512;

function firstBytes(bytes: number): Buffer {
  if (bytes > VIEW_BYTES_MAX) return buffer.subarray(0, bytes);
  views[bytes] ??= buffer.subarray(0, bytes);
  return views[bytes];
}

/**
 * Begins to read a socket that was accepted with `pauseOnConnect`, and returns the socket to be used in its place. `onChunk` is
 * never called before this returns; a chunk is valid until `onChunk` returns.
 */
export function readShared(accepted: Socket, onChunk: (chunk: Buffer) => void): Socket {
  const handled = accepted as Handled;
  const { _handle: handle } = handled;
  if (accepted.constructor !== Socket || handle === undefined || handle === null) {
    return accepted.on("data", onChunk).resume();
  }
  handled._handle = null;
  const callback = (bytes: number): boolean => {
    onChunk(firstBytes(bytes));
    return true;
  };
  const options = { handle, allowHalfOpen: accepted.allowHalfOpen, onread: { buffer, callback } };
  return new Socket(options as ConstructorParameters<typeof Socket>[0]);
}
