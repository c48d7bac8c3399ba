/**
 * Which keys a running server has: by SCAN, page by page, or all at once where it is the Go bitmapist-server. It must not know what is done
 * with them.
 */
import { compileGlob } from "../keyspace/glob.js";
import { MigrateError } from "./item.js";
import type { LastingLink } from "./lasting-link.js";
import { keyArgument, LinkError, type RedisLink } from "./redis-link.js";
import { throwing } from "./redis-replies.js";

/** SCAN's COUNT, where a page is also what is asked in one pipeline. */
export const PAGE_KEYS = 1000;
/** Levels of "/" in names that are asked for of a Go bitmapist-server whose `*` stops there. */
const SLASHES_MAX = 16;

/** Pages of SCAN: a key may be in more than one. */
export async function* pagesOfScan(link: LastingLink, pattern: string): AsyncGenerator<string[], void> {
  let runId: string | undefined;
  for (let cursor: string | undefined = "0"; cursor !== undefined; ) {
    const from: string = cursor;
    const page = await link.run((link) => scan(link, from, pattern));
    yield page.keys;
    // A server that was started anew has its keys in another order, in which the cursor of the one before means nothing.
    const isGood = from === "0" || page.runId === runId;
    runId = page.runId;
    if (!isGood) cursor = "0";
    else cursor = page.cursor === "0" ? undefined : page.cursor;
  }
}

/**
 * The Go bitmapist-server has patterns of its own, so it is asked for all keys, and gives them at once. Before it kept them in SQLite its `*`
 * did not cross "/": names with one, two and more of them are asked for until there are as many as it says it has.
 */
export async function* pagesOfGo(
  link: LastingLink,
  pattern: string,
  onTrouble: (message: string) => void,
): AsyncGenerator<string[], void> {
  const matches = compileGlob(pattern);
  const all = (await link.run(keysOfGo)) ?? 0;
  const keys = new Set<string>();
  for (let slashes = 0; slashes <= SLASHES_MAX && (slashes === 0 || keys.size < all); slashes++) {
    for await (const page of pagesOfScan(link, `*${"/*".repeat(slashes)}`)) for (const key of page) keys.add(key);
  }
  if (keys.size < all) onTrouble(`${link.name} says that it has ${all} keys, but lists ${keys.size}`);
  const matching = [...keys].filter(matches);
  for (let at = 0; at < matching.length; at += PAGE_KEYS) yield matching.slice(at, at + PAGE_KEYS);
}

/** The databases to read, each with the number of its keys, NaN where that is not told. */
export async function databasesOf(link: RedisLink, database: number | undefined): Promise<Map<number, number>> {
  const [keyspace, size] = await link.askAll([["INFO", "keyspace"], ["DBSIZE"]]);
  if (database !== undefined) {
    return new Map([[database, typeof size === "number" ? size : ((await keysOfGo(link)) ?? Number.NaN)]]);
  }
  // The Go bitmapist-server has one database, and no INFO of more than that.
  if (keyspace instanceof LinkError && /wrong number of arguments|unknown command/i.test(keyspace.message)) {
    return new Map([[0, (await keysOfGo(link)) ?? Number.NaN]]);
  }
  const lines = String(throwing(keyspace)).matchAll(/^db(\d+):keys=(\d+)/gm);
  return new Map([...lines].map(([, number, keys]) => [Number(number), Number(keys)]));
}

/** How many keys a Go bitmapist-server says it has. */
async function keysOfGo(link: RedisLink): Promise<number | undefined> {
  const [info] = await link.askAll([["INFO", "keys"]]);
  const keys = /^keys_total:(\d+)/m.exec(String(info))?.[1];
  return keys === undefined ? undefined : Number(keys);
}

interface Page {
  cursor: string;
  keys: string[];
  /** Of the process that gave it; undefined of a server that does not tell. */
  runId: string | undefined;
}

/** One page. The words stand in the only order that the Go bitmapist-server takes. */
async function scan(link: RedisLink, cursor: string, pattern: string): Promise<Page> {
  const [scanned, info] = await link.askAll([
    ["SCAN", cursor, "MATCH", keyArgument(pattern), "COUNT", PAGE_KEYS],
    ["INFO", "server"],
  ]);
  const reply = throwing(scanned);
  const [next, keys] = Array.isArray(reply) ? reply : [];
  // The Go bitmapist-server's first versions give no array where no key matches.
  const page = keys === null ? [] : keys;
  if (!Buffer.isBuffer(next) || !Array.isArray(page)) throw new MigrateError("SCAN gives no page of keys");
  return {
    cursor: next.toString("latin1"),
    keys: page.map((key) => (key as Buffer).toString("latin1")),
    runId: /^run_id:(\S+)/m.exec(String(info))?.[1],
  };
}
