/** The options of a subcommand that is a client of a Redis: how its URL becomes a link's options. TLS is named as redis-cli names it. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { reasonOf, StartError } from "../errors.js";
import type { LinkOptions } from "../migrate/redis-link.js";
import { parseRedisUrl } from "../migrate/redis-url.js";

export interface RedisFlags {
  tls?: true;
  cacert?: string;
  cert?: string;
  key?: string;
  insecure?: true;
}

/** How the URLs are written, for the help. */
export const URL_EXPLANATION = `
A URL is redis://[[user:]password@]host[:port][/db], or rediss:// for TLS. Where it has no password, that in the environment as
REDISCLI_AUTH is taken. Without /db all databases are meant, each with its number; a target's /db takes the keys of one database.`;

export function addRedisFlags(command: Command): Command {
  return command
    .option("--tls", "TLS, as rediss:// says it")
    .option("--cacert <file>", "certificates of the authorities that are trusted (default: the system's)")
    .option("--cert <file>", "the client's certificate")
    .option("--key <file>", "its private key")
    .option("--insecure", "any certificate of the server will do");
}

export function isRedisUrl(text: string): boolean {
  return /^rediss?:/i.test(text);
}

/** Ends the process where options say how TLS is to be, and nothing speaks TLS. */
export function refuseIdleTls(ends: readonly (string | undefined)[], flags: RedisFlags, command: Command): void {
  const urls = ends.filter((end) => end !== undefined && isRedisUrl(end));
  const given = (["tls", "cacert", "cert", "key", "insecure"] as const).find((name) => flags[name] !== undefined);
  if (given === undefined || (flags.tls === true && urls.length > 0)) return;
  if (urls.some((url) => /^rediss:/i.test(url ?? ""))) return;
  command.error(
    `error: option '--${given}' is for a link to a running Redis by TLS: rediss://, or redis:// with --tls`,
  );
}

/** A URL without what is secret in it; any other name as it is. */
export function shownUrl(text: string): string {
  return isRedisUrl(text) ? text.replace(/\/\/.*@/s, "//") : text;
}

/** What the URL, the options and the environment say together. Throws StartError. */
export function linkOptions(url: string, flags: RedisFlags): { link: LinkOptions; database: number | undefined } {
  const { tls, database, ...address } = parse(url);
  const fromEnvironment = process.env.REDISCLI_AUTH;
  const link: LinkOptions =
    address.password === undefined && fromEnvironment !== undefined
      ? // Of two servers perhaps only one has a password.
        { ...address, password: fromEnvironment, mayBeOpen: true }
      : address;
  if (tls || flags.tls === true) {
    const { cacert, cert, key, insecure } = flags;
    link.tls = {
      ...(cacert === undefined ? {} : { ca: read("--cacert", cacert) }),
      ...(cert === undefined ? {} : { cert: read("--cert", cert) }),
      ...(key === undefined ? {} : { key: read("--key", key) }),
      rejectUnauthorized: insecure !== true,
    };
  }
  return { link, database };
}

function parse(url: string): ReturnType<typeof parseRedisUrl> {
  try {
    return parseRedisUrl(url);
  } catch (cause) {
    throw new StartError(reasonOf(cause), { cause });
  }
}

function read(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new StartError(`can't read ${option}: ${reasonOf(cause)}`, { cause });
  }
}
