/** Replies as values, for tests that mean the value and not its bytes. Strings are latin1: one character is one byte. */
import { type RawClient, type Reply, readReply } from "./raw-client.js";

export type Value = string | number | null | Value[];

/** An error reply. `message` is its line, like `ERR syntax error`. */
export class ReplyError extends Error {}

/** Sends one request. An error reply is thrown. */
export async function ask(client: RawClient, ...argv: (string | Buffer | number)[]): Promise<Value> {
  return replyValue(await client.call(...argv.map((arg) => (typeof arg === "number" ? String(arg) : arg))));
}

/** The same with any number of arguments: some 60,000 are the most that a call may have. */
export async function askLong(client: RawClient, argv: readonly (string | number)[]): Promise<Value> {
  const [reply] = await client.pipeline([argv.map(String)]);
  return replyValue(reply as string);
}

/** Sends requests, written as words with blanks between, in one write. The first error reply is thrown. */
export async function askAll(
  client: RawClient,
  requests: readonly (string | readonly (string | Buffer)[])[],
): Promise<Value[]> {
  const argvs = requests.map((request) => (typeof request === "string" ? request.split(" ") : request));
  return (await client.pipeline(argvs)).map(replyValue);
}

/** All keys of the selected database, by SCAN, sorted. */
export async function scanAll(client: RawClient, ...options: string[]): Promise<string[]> {
  const keys = new Set<string>();
  let cursor = "0";
  do {
    const [next, page] = (await ask(client, "SCAN", cursor, ...options)) as [string, string[]];
    for (const key of page) keys.add(key);
    cursor = next;
  } while (cursor !== "0");
  return [...keys].sort();
}

export async function keysOf(client: RawClient, pattern = "*"): Promise<string[]> {
  return ((await ask(client, "KEYS", pattern)) as string[]).sort();
}

export function replyValue(raw: string): Value {
  const read = readReply(Buffer.from(raw, "latin1"));
  if ("need" in read) throw new Error(`half a reply: ${JSON.stringify(raw)}`);
  return convert(read.reply);
}

function convert({ type, text, items }: Reply): Value {
  if (type === "-" || type === "!") throw new ReplyError(text);
  if (items !== undefined) return items.map(convert);
  if (type === ":") return Number(text);
  if (type === "_" || ((type === "$" || type === "*") && text === "-1")) return null;
  return text;
}
