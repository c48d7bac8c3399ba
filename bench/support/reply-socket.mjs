// A connection of a load client: its replies are only counted, by their lines, and none may be an error. All connections of a
// process read into one shared buffer, so that the client has time to spare where the server has none.

import { connect } from "node:net";

const newline = 10;
const minus = 45;
const readBuffer = Buffer.allocUnsafe(256 * 1024);

/**
 * @param {{
 *   port: number,
 *   name: string,
 *   onLines: (lines: number) => void,
 *   fail: (message: string) => never,
 * }} options `onLines` is told how many lines of replies have come; `fail` ends the process
 */
export function replySocket({ port, name, onLines, fail }) {
  let atLineStart = true;
  /** @param {number} length how much of the read buffer is new */
  const countLines = (length) => {
    let lines = 0;
    for (let i = 0; i < length; i++) {
      const byte = readBuffer[i];
      if (atLineStart && byte === minus)
        fail(`error reply: ${readBuffer.toString("latin1", i, Math.min(length, i + 200))}`);
      atLineStart = byte === newline;
      if (atLineStart) lines += 1;
    }
    return lines;
  };
  const socket = connect({
    host: "127.0.0.1",
    port,
    noDelay: true,
    onread: {
      buffer: readBuffer,
      callback: (length) => {
        onLines(countLines(length));
        return true;
      },
    },
  });
  socket.on("error", (error) => fail(`${name}: ${error.message}`));
  socket.on("close", () => fail(`${name}: closed by the server`));
  return socket;
}
