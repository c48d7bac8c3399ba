// The null server: sockets are read, requests parsed and replies sent as this project does it (it is its code), and each
// request has the same reply. What is left to a server in Node.js is what it does beside. Usage: node null-server.mjs PORT

import { createServer } from "node:net";
import { readShared } from "../../src/net/shared-read.js";
import { Turn } from "../../src/net/turn.js";
import { RequestParser } from "../../src/resp/request-parser.js";

const reply = ":0\r\n";
const backlog = 4_096;
const turn = new Turn();

/** @param {import("node:net").Socket} accepted */
function serve(accepted) {
  const parser = new RequestParser();
  let unanswered = 0;
  const sender = {
    advance() {
      socket.write(reply.repeat(unanswered), "latin1");
      unanswered = 0;
    },
  };
  const socket = readShared(accepted, (chunk) => {
    parser.feed(chunk);
    const before = unanswered;
    while (parser.next() !== undefined) unanswered += 1;
    parser.keep();
    if (before === 0 && unanswered > 0) turn.add(sender);
  });
  // A load client goes without saying so.
  socket.on("error", () => socket.destroy());
}

createServer({ noDelay: true, pauseOnConnect: true }, serve).listen({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  backlog,
});
