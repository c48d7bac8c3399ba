/**
 * The wire, over real sockets: what is no request, what is an odd one, and how the connection goes on or ends. Every case
 * runs whole and byte by byte, on this server and, where there is one, on a redis-server, which vouches for the table.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { normalise } from "../differential/normalise.js";
import { startOurs } from "../differential/ours.js";
import { startRedis } from "../differential/redis.js";
import type { Target } from "../differential/runner.js";
import { START_MS } from "../differential/steps.js";
import { byteByByte, exchange, whole } from "../support/exchange.js";
import { encodeRequest, RawClient, readReply } from "../support/raw-client.js";
import { RedisServer, redisMissing, sayRedisMissing } from "../support/redis-server.js";

const PASSWORD = "secret";
/** Redis' PROTO_INLINE_MAX_SIZE: a line may be this long without its end in sight. */
const LINE_MAX = 64 * 1024;

interface Case {
  readonly bytes: string;
  readonly reply: string;
}

const protocolError = (text: string) => `-ERR Protocol error: ${text}\r\n`;

/** After these the connection is closed. */
const CLOSING: Readonly<Record<string, Case>> = {
  "a count that is no number": { bytes: "*abc\r\n", reply: protocolError("invalid multibulk length") },
  "no count": { bytes: "*\r\n", reply: protocolError("invalid multibulk length") },
  "a count with a sign": { bytes: "*+1\r\n", reply: protocolError("invalid multibulk length") },
  "a count with a leading zero": { bytes: "*01\r\n", reply: protocolError("invalid multibulk length") },
  "a count with a space": { bytes: "*1 \r\n", reply: protocolError("invalid multibulk length") },
  "a count of 2^31": { bytes: "*2147483648\r\n", reply: protocolError("invalid multibulk length") },
  "a count of 2^32": { bytes: "*4294967296\r\n", reply: protocolError("invalid multibulk length") },
  "a count beyond 64 bits": { bytes: "*99999999999999999999\r\n", reply: protocolError("invalid multibulk length") },
  "a count without end": { bytes: `*${"1".repeat(LINE_MAX)}`, reply: protocolError("too big mbulk count string") },
  "a status where a bulk belongs": { bytes: "*1\r\n+PING\r\n", reply: protocolError("expected '$', got '+'") },
  "an integer where a bulk belongs": { bytes: "*1\r\n:1\r\n", reply: protocolError("expected '$', got ':'") },
  "an array in an array": { bytes: "*1\r\n*1\r\n", reply: protocolError("expected '$', got '*'") },
  "a word where a bulk belongs": { bytes: "*2\r\n$3\r\nGET\r\nabc\r\n", reply: protocolError("expected '$', got 'a'") },
  "a length that is no number": { bytes: "*1\r\n$abc\r\n", reply: protocolError("invalid bulk length") },
  "no length": { bytes: "*1\r\n$\r\n", reply: protocolError("invalid bulk length") },
  "a negative length": { bytes: "*1\r\n$-1\r\n", reply: protocolError("invalid bulk length") },
  "a length with a leading zero": { bytes: "*1\r\n$04\r\n", reply: protocolError("invalid bulk length") },
  "a length of 512 MB and one byte": { bytes: "*1\r\n$536870913\r\n", reply: protocolError("invalid bulk length") },
  "a length without end": {
    bytes: `*1\r\n$${"1".repeat(LINE_MAX)}`,
    reply: protocolError("too big bulk count string"),
  },
  "a line without end": { bytes: "x".repeat(LINE_MAX + 1), reply: protocolError("too big inline request") },
  "an open double quote": { bytes: 'SET "a\r\n', reply: protocolError("unbalanced quotes in request") },
  "an open single quote": { bytes: "SET 'a\r\n", reply: protocolError("unbalanced quotes in request") },
  "a closed quote with more behind it": {
    bytes: 'ECHO "a"b\r\n',
    reply: protocolError("unbalanced quotes in request"),
  },
  "an escaped closing quote": { bytes: 'ECHO "a\\"\r\n', reply: protocolError("unbalanced quotes in request") },
  "good requests before a bad one": {
    bytes: "*1\r\n$4\r\nPING\r\nECHO x\r\n*x\r\n",
    reply: `+PONG\r\n$1\r\nx\r\n${protocolError("invalid multibulk length")}`,
  },
  QUIT: { bytes: "PING\r\nQUIT\r\n", reply: "+PONG\r\n+OK\r\n" },
  "an HTTP request": { bytes: "POST / HTTP/1.1\r\n", reply: "" },
  "an HTTP header": { bytes: "Host: localhost\r\n", reply: "" },
  "POST as an array": { bytes: "*1\r\n$4\r\npost\r\n", reply: "" },
  "Host: as an array": { bytes: "*2\r\n$5\r\nhost:\r\n$1\r\nx\r\n", reply: "" },
};

/** After these it goes on. */
const OPEN: Readonly<Record<string, Case>> = {
  "an empty array": { bytes: "*0\r\n", reply: "" },
  "a negative count": { bytes: "*-1\r\n*-5\r\n", reply: "" },
  "an empty line": { bytes: "\r\n\n\r\n", reply: "" },
  "a line of blanks": { bytes: "   \t \r\n", reply: "" },
  "an empty line between requests": { bytes: "PING\r\n\r\nPING\r\n", reply: "+PONG\r\n+PONG\r\n" },
  "a line ended by LF": { bytes: "PING\nECHO x\n", reply: "+PONG\r\n$1\r\nx\r\n" },
  "a line with blanks around": { bytes: "  ping \t  x  \r\n", reply: "$1\r\nx\r\n" },
  "a line among arrays": { bytes: "*1\r\n$4\r\nPING\r\nping\r\n*1\r\n$4\r\nping\r\n", reply: "+PONG\r\n".repeat(3) },
  "double quotes and their escapes": {
    bytes: 'ECHO "a\\x41\\n\\r\\t\\b\\a\\"\\q\\xz"\r\n',
    reply: '$11\r\naA\n\r\t\b\x07"qxz\r\n',
  },
  "single quotes and their escape": { bytes: "ECHO 'it\\'s \\n'\r\n", reply: "$7\r\nit's \\n\r\n" },
  "empty quotes": { bytes: "ECHO \"\"\r\nECHO ''\r\n", reply: "$0\r\n\r\n$0\r\n\r\n" },
  "a quote inside a word": { bytes: 'ECHO a"b c"\r\n', reply: "$4\r\nab c\r\n" },
  "bytes beyond ASCII in a line": { bytes: "ECHO \xff\x80\r\n", reply: "$2\r\n\xff\x80\r\n" },
  "a long line": {
    bytes: `ECHO ${"x".repeat(LINE_MAX - 10)}\r\n`,
    reply: `$${LINE_MAX - 10}\r\n${"x".repeat(LINE_MAX - 10)}\r\n`,
  },
  "an empty argument": { bytes: "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", reply: "$0\r\n\r\n" },
  "an empty command": { bytes: "*1\r\n$0\r\n\r\n", reply: "-ERR unknown command '', with args beginning with: \r\n" },
  "CRLF, NUL and what looks like headers in an argument": {
    bytes: "*2\r\n$4\r\nECHO\r\n$14\r\n\r\n*1\r\n$4\r\n\x00\xff\r\n\r\n",
    reply: "$14\r\n\r\n*1\r\n$4\r\n\x00\xff\r\n\r\n",
  },
  "two bytes that are no CRLF behind an argument": { bytes: "*1\r\n$4\r\nPINGxy", reply: "+PONG\r\n" },
  "an argument longer than a socket's buffer": {
    bytes: encodeRequest(["ECHO", "y".repeat(300_000)]).toString("latin1"),
    reply: `$300000\r\n${"y".repeat(300_000)}\r\n`,
  },
  "an unknown command with bytes that are no text": {
    bytes: encodeRequest(["NO\r\nSUCH", "a\r\nb", "\x00\xff"]).toString("latin1"),
    reply: "-ERR unknown command 'NO  SUCH', with args beginning with: 'a  b' '' \r\n",
  },
  "an unknown command with long arguments": {
    bytes: encodeRequest(["N".repeat(300), "a".repeat(100), "b".repeat(100)]).toString("latin1"),
    reply: `-ERR unknown command '${"N".repeat(128)}', with args beginning with: '${"a".repeat(100)}' '${"b".repeat(25)}' \r\n`,
  },
};

const greeting = (proto: 2 | 3) =>
  `${proto === 3 ? "%7" : "*14"}\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$8\r\n<hidden>\r\n$5\r\nproto\r\n:${proto}\r\n` +
  "$2\r\nid\r\n:<hidden>\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";

const NO_PASSWORD =
  "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n";
const WRONG_PASSWORD = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
const HELLO_NEEDS_AUTH =
  "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option " +
  "can be used to authenticate the client and select the RESP protocol version at the same time\r\n";
const NEEDS_AUTH = "-NOAUTH Authentication required.\r\n";

/** Conversations: each line and its reply, on one connection. */
type Talk = readonly (readonly [string, string])[];

const HELLOS: Readonly<Record<string, Talk>> = {
  "HELLO alone keeps the protocol": [
    ["HELLO", greeting(2)],
    ["HELLO 3", greeting(3)],
    ["HELLO", greeting(3)],
    ["GET nokey", "_\r\n"],
    ["HELLO 2", greeting(2)],
    ["GET nokey", "$-1\r\n"],
  ],
  "RESET goes back to RESP2": [
    ["HELLO 3 SETNAME me", greeting(3)],
    ["RESET", "+RESET\r\n"],
    ["GET nokey", "$-1\r\n"],
    ["CLIENT GETNAME", "$-1\r\n"],
  ],
  "HELLO with what it does not take": [
    ["HELLO 1", "-NOPROTO unsupported protocol version\r\n"],
    ["HELLO 4", "-NOPROTO unsupported protocol version\r\n"],
    ["HELLO -3", "-NOPROTO unsupported protocol version\r\n"],
    ["HELLO three", "-ERR Protocol version is not an integer or out of range\r\n"],
    ["HELLO 03", "-ERR Protocol version is not an integer or out of range\r\n"],
    ["HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'\r\n"],
    ["HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'\r\n"],
    ["HELLO 3 AUTH default", "-ERR Syntax error in HELLO option 'AUTH'\r\n"],
    ["HELLO 3 AUTH nobody x", WRONG_PASSWORD],
    ["HELLO 3 SETNAME 'two words'", "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"],
    ["GET nokey", "$-1\r\n"],
  ],
  "HELLO with its options in any order": [
    ["HELLO 2 SETNAME me AUTH default x", greeting(2)],
    ["CLIENT GETNAME", "$2\r\nme\r\n"],
    ["hello 3 auth default x setname you", greeting(3)],
    ["CLIENT GETNAME", "$3\r\nyou\r\n"],
  ],
  "AUTH where no password is set": [
    ["AUTH x", NO_PASSWORD],
    ["AUTH default x", "+OK\r\n"],
    ["AUTH nobody x", WRONG_PASSWORD],
    ["AUTH", "-ERR wrong number of arguments for 'auth' command\r\n"],
    ["AUTH a b c", "-ERR syntax error\r\n"],
  ],
  "replies kept back and let through again": [
    ["CLIENT REPLY SKIP\r\nECHO a\r\nECHO b", "$1\r\nb\r\n"],
    ["CLIENT REPLY OFF\r\nECHO a\r\nNOSUCH\r\nCLIENT REPLY ON", "+OK\r\n"],
    ["CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nECHO a\r\nECHO b\r\nCLIENT REPLY ON\r\nECHO c", "+OK\r\n$1\r\nc\r\n"],
    ["CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nECHO a\r\nECHO b", "$1\r\nb\r\n"],
  ],
};

const LOCKED: Readonly<Record<string, Talk>> = {
  "nothing but AUTH, HELLO, RESET and QUIT before the password": [
    ["PING", NEEDS_AUTH],
    ["GET a", NEEDS_AUTH],
    ["GET", "-ERR wrong number of arguments for 'get' command\r\n"],
    ["NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"],
    ["MULTI", NEEDS_AUTH],
    ["CLIENT SETNAME me", NEEDS_AUTH],
    ["COMMAND", NEEDS_AUTH],
    ["HELLO", HELLO_NEEDS_AUTH],
    ["HELLO 3", HELLO_NEEDS_AUTH],
    ["HELLO 3 SETNAME me", HELLO_NEEDS_AUTH],
    ["HELLO 4", "-NOPROTO unsupported protocol version\r\n"],
    ["RESET", "+RESET\r\n"],
    ["PING", NEEDS_AUTH],
  ],
  "the password, wrong and right": [
    ["AUTH wrong", WRONG_PASSWORD],
    ["AUTH default wrong", WRONG_PASSWORD],
    [`AUTH nobody ${PASSWORD}`, WRONG_PASSWORD],
    ["HELLO 3 AUTH default wrong", WRONG_PASSWORD],
    ["PING", NEEDS_AUTH],
    [`AUTH ${PASSWORD}`, "+OK\r\n"],
    ["PING", "+PONG\r\n"],
    ["AUTH wrong", WRONG_PASSWORD],
    ["PING", "+PONG\r\n"],
    ["RESET", "+RESET\r\n"],
    ["PING", NEEDS_AUTH],
    [`AUTH default ${PASSWORD}`, "+OK\r\n"],
    ["PING", "+PONG\r\n"],
  ],
  "HELLO with the password": [
    [`HELLO 3 AUTH default ${PASSWORD}`, greeting(3)],
    ["GET nokey", "_\r\n"],
  ],
};

const LOCKED_CLOSING: Readonly<Record<string, Case>> = {
  "more than ten arguments before the password": {
    bytes: "*11\r\n",
    reply: protocolError("unauthenticated multibulk length"),
  },
  "more than 16 KB before the password": {
    bytes: "*1\r\n$16385\r\n",
    reply: protocolError("unauthenticated bulk length"),
  },
};

const LOCKED_OPEN: Readonly<Record<string, Case>> = {
  "the limits are gone after the password": {
    bytes: `AUTH ${PASSWORD}\r\n${encodeRequest(["ECHO", "x".repeat(20_000)]).toString("latin1")}*11\r\n${"$1\r\nx\r\n".repeat(11)}`,
    reply: `+OK\r\n$20000\r\n${"x".repeat(20_000)}\r\n-ERR unknown command 'x', with args beginning with: ${"'x' ".repeat(10)}\r\n`,
  },
};

function countReplies(raw: string): number {
  const bytes = Buffer.from(raw, "latin1");
  let count = 0;
  for (let at = 0; at < bytes.length; count += 1) {
    const next = readReply(bytes, at);
    if ("need" in next) throw new Error("the table expects half a reply");
    at = next.end;
  }
  return count;
}

sayRedisMissing("the protocol's table of cases checked on a live redis-server");

describe.each([
  {
    name: "this server",
    skip: false,
    start: () => startOurs(),
    startLocked: () => startOurs({ requirepass: PASSWORD }),
  },
  {
    name: "redis-server",
    skip: redisMissing !== undefined,
    start: () => startRedis(),
    startLocked: () => RedisServer.start(START_MS, ["--requirepass", PASSWORD]),
  },
])("$name", ({ skip, start, startLocked }) => {
  let server: Target;
  let locked: Pick<Target, "port" | "stop">;

  beforeAll(async () => {
    if (skip) return;
    server = await start();
    locked = await startLocked();
  });

  afterAll(async () => {
    await server?.stop();
    await locked?.stop();
  });

  function cases(title: string, list: Readonly<Record<string, Case>>, port: () => number, closes: boolean): void {
    describe.skipIf(skip).each([
      { how: "whole", cut: whole },
      { how: "byte by byte", cut: byteByByte },
    ])(`${title}, $how`, ({ cut }) => {
      test.each(Object.entries(list))("%s", async (_, { bytes, reply }) => {
        const outcome = await exchange(port(), bytes, cut, closes);
        expect(outcome).toEqual({ reply, closed: closes });
      });
    });
  }

  function talks(title: string, list: Readonly<Record<string, Talk>>, port: () => number): void {
    describe.skipIf(skip)(title, () => {
      test.each(Object.entries(list))("%s", async (_, talk) => {
        const client = await RawClient.connect(port());
        for (const [line, expected] of talk) {
          client.send(`${line}\r\n`);
          const replies = await client.replies(countReplies(expected));
          expect([line, replies.map((raw) => normalise(line.split(" "), raw)).join("")]).toEqual([line, expected]);
        }
        client.close();
      });
    });
  }

  cases("the connection is closed", CLOSING, () => server.port, true);
  cases("the connection goes on", OPEN, () => server.port, false);
  talks("HELLO, AUTH and CLIENT REPLY", HELLOS, () => server.port);
  talks("with a password", LOCKED, () => locked.port);
  cases("with a password, the connection is closed", LOCKED_CLOSING, () => locked.port, true);
  cases("with a password, the connection goes on", LOCKED_OPEN, () => locked.port, false);
});
