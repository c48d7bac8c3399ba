/**
 * Several connections that talk to one server, told as a text that is its own expectation: a line `a> SUBSCRIBE c` is what
 * connection `a` sends, what is indented below it is what comes back, to `a` and to the others.
 *
 *     b> PUBLISH c hello
 *        :1
 *        a: ["message" "c" "hello"]
 *
 * Requests of one line, with `; ` between them, are sent in one write. MULTI and CLIENT REPLY OFF must end in the line they begin in:
 * behind it each connection sends a PING, whose reply tells that all before it has come.
 */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startOurs } from "../differential/ours.js";
import { startRedis } from "../differential/redis.js";
import type { Target } from "../differential/runner.js";
import { ConnectionClosed, encodeRequest, RawClient, type Reply, readReply } from "./raw-client.js";
import { redisMissing, sayRedisMissing } from "./redis-server.js";

const MARK = "~mark~";

/** Does what the lines with `>` say, and returns the whole text anew. `replace` makes what is not the same each time comparable. */
export async function converse(
  port: number,
  text: string,
  replace: (shown: string) => string = (shown) => shown,
): Promise<string> {
  const clients = new Map<string, RawClient>();
  const told: string[] = [];
  for (const line of lines(text)) {
    const [, name = "", requests = ""] = /^(\w+)> (.*)$/.exec(line) ?? [];
    if (name === "") continue;
    const client = clients.get(name) ?? (await RawClient.connect(port));
    clients.set(name, client);
    client.send(Buffer.concat(requests.split("; ").map((request) => encodeRequest(words(request)))));
    told.push(line);
    const own = await heard(client);
    told.push(...own.map((reply) => `   ${replace(reply)}`));
    for (const [other, each] of clients) {
      if (other !== name) told.push(...(await heard(each)).map((reply) => `   ${other}: ${replace(reply)}`));
    }
    for (const [each, { isClosed }] of clients) if (isClosed) clients.delete(each);
  }
  // Who has left is not in the way of the next conversation.
  for (const client of clients.values()) {
    client.send(encodeRequest(["QUIT"]));
    await client.closed;
  }
  return told.join("\n");
}

/** The text as `converse` gives it: without indentation that is the test file's. */
export function conversation(text: string): string {
  return lines(text).join("\n");
}

function lines(text: string): string[] {
  const all = text.split("\n").filter((line) => line.trim() !== "");
  const indent = Math.min(...all.map((line) => line.length - line.trimStart().length));
  return all.map((line) => line.slice(indent));
}

/** A request's words: between spaces, or as JSON strings. */
function words(request: string): string[] {
  return (request.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? []).map((word) =>
    word.startsWith('"') ? (JSON.parse(word) as string) : word,
  );
}

/** All that has come to a client. */
async function heard(client: RawClient): Promise<string[]> {
  client.send(encodeRequest(["PING", MARK]));
  const all: string[] = [];
  try {
    for (;;) {
      const [bytes = ""] = await client.replies(1);
      const parsed = readReply(Buffer.from(bytes, "latin1"));
      const shown = "reply" in parsed ? show(parsed.reply) : bytes;
      if (shown === `"${MARK}"` || shown === `["pong" "${MARK}"]`) return all;
      if (!shown.includes(MARK)) all.push(shown);
    }
  } catch (error) {
    if (!(error instanceof ConnectionClosed)) throw error;
    return [...all, "closed"];
  }
}

/** A reply in one line: RESP3's types can be told from RESP2's. */
function show({ type, text, items }: Reply): string {
  if (items !== undefined) {
    // HELLO's: the version and the connection's number are not the same everywhere.
    if (items[0]?.text === "server") return "(hello)";
    const inside = items.map(show).join(" ");
    if (type === "%") return `{${inside}}`;
    return `${type === "*" ? "" : type}[${inside}]`;
  }
  if (type === "_" || ("$*".includes(type) && text === "-1")) return type === "_" ? "null" : "nil";
  if (type === "$") return JSON.stringify(text);
  return `${type}${text}`;
}

/** Tests that this server, and a redis-server where there is one, say in each conversation what is written there. */
export function testConversations(about: string, conversations: Readonly<Record<string, string>>): void {
  sayRedisMissing(`the conversations about ${about} held with a live redis-server`);
  describe.each([
    ["this server", startOurs, false],
    ["redis-server", startRedis, redisMissing !== undefined],
  ] as const)(`${about}: %s`, (_name, start, isMissing) => {
    describe.skipIf(isMissing)("in conversations", () => {
      let target: Target;

      beforeAll(async () => {
        target = await start();
      });

      afterAll(() => target?.stop());

      test.each(Object.entries(conversations))("%s", async (_sentence, text) => {
        expect(await converse(target.port, text)).toBe(conversation(text));
      });
    });
  });
}
