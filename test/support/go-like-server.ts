/**
 * What the Go bitmapist-server takes and refuses, in front of a real redis-server that has the data: as its source (Doist/bitmapist-server,
 * internal/bitmapist, and artyom/red) has it. SCAN knows one form and gives all keys at once, INFO one section, and there is no STRLEN,
 * GETRANGE, TYPE, DBSIZE or PEXPIRETIME. Its values end with the last bit; so must those of the tests.
 */
import type { RawClient } from "./raw-client.js";
import { startPeer } from "./redis-peer.js";

const HANDLED = ["bitcount", "get", "info", "keys", "ping", "pttl", "scan", "select", "setbit", "ttl"];

/** Its port. `isOld`: before it kept its data in SQLite, `*` did not cross "/". */
export async function startGoLikeServer(redisPort: number, { isOld }: { isOld: boolean }): Promise<number> {
  return await startPeer(redisPort, (redis, argv) => answer(redis, argv, isOld));
}

async function answer(redis: RawClient, argv: string[], isOld: boolean): Promise<string | undefined> {
  const [name = "", ...args] = argv;
  const command = name.toLowerCase();
  if (!HANDLED.includes(command)) return `-ERR unknown command '${command}'\r\n`;
  const wrong = `-ERR wrong number of arguments for '${command}' command\r\n`;
  if (["get", "pttl", "ttl", "bitcount"].includes(command) && args.length !== 1) return wrong;
  if (command === "select") return args[0] === "0" ? "+OK\r\n" : "-ERR invalid DB index\r\n";
  if (command === "info") {
    if (args.length !== 1 || args[0]?.toLowerCase() !== "keys") return wrong;
    const text = `keys_total:${(await keysLike(redis, "*")).length}\n`;
    return `$${text.length}\r\n${text}\r\n`;
  }
  if (command === "scan") {
    const [cursor, match = "", pattern = "", count = ""] = args;
    if (args.length !== 5 || cursor !== "0" || match.toLowerCase() !== "match" || count.toLowerCase() !== "count")
      return wrong;
    const found = await keysLike(redis, pattern);
    // A star of Go's path.Match stays between slashes.
    const slashes = (text: string) => text.split("/").length;
    const keys = isOld ? found.filter((key) => slashes(key) === slashes(pattern)) : found;
    return `*2\r\n$1\r\n0\r\n*${keys.length}\r\n${keys.map((key) => `$${key.length}\r\n${key}\r\n`).join("")}`;
  }
  return undefined;
}

async function keysLike(redis: RawClient, pattern: string): Promise<string[]> {
  const reply = await redis.call("KEYS", pattern);
  return reply
    .split("\r\n")
    .slice(1)
    .filter((line) => line !== "" && !line.startsWith("$"));
}
