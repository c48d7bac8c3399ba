/**
 * What the Go bitmapist-server takes and refuses, in front of a real redis-server that has the data: as its source (Doist/bitmapist-server,
 * internal/bitmapist, and artyom/red) has it. SCAN knows one form and gives all keys at once, INFO one section, and there is no STRLEN,
 * GETRANGE, TYPE, DBSIZE or PEXPIRETIME. Its values end with the last bit; so must those of the tests.
 *
 * Of its versions, `first` and `bbolt` keep their data in bbolt: `*` does not cross "/", and where no key matches SCAN has null for an array;
 * `first` knows no deadlines. `sqlite` came after them.
 */
import type { RawClient } from "./raw-client.js";
import { startPeer } from "./redis-peer.js";

export type GoVersion = "first" | "bbolt" | "sqlite";

const FIRST = ["bitcount", "get", "info", "keys", "scan", "select", "setbit"];
const HANDLED: Record<GoVersion, string[]> = {
  first: FIRST,
  bbolt: [...FIRST, "pttl", "ttl"],
  sqlite: [...FIRST, "pttl", "ttl", "ping"],
};

/** Its port. `onRequest` is told the name of each command that comes, in small letters, before it is answered. */
export async function startGoLikeServer(
  redisPort: number,
  version: GoVersion,
  onRequest: (command: string) => void = () => {},
): Promise<number> {
  return await startPeer(redisPort, (redis, argv) => {
    onRequest(argv[0]?.toLowerCase() ?? "");
    return answer(redis, argv, version);
  });
}

async function answer(redis: RawClient, argv: string[], version: GoVersion): Promise<string | undefined> {
  const [name = "", ...args] = argv;
  const command = name.toLowerCase();
  if (!HANDLED[version].includes(command)) return `-ERR unknown command '${command}'\r\n`;
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
    const keys = version === "sqlite" ? found : found.filter((key) => slashes(key) === slashes(pattern));
    if (keys.length === 0 && version !== "sqlite") return "*2\r\n$1\r\n0\r\n*-1\r\n";
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
