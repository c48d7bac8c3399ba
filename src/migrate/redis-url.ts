/** Where a Redis is, as a URL says it: redis://[[user:]password@]host[:port][/db], or rediss:// for TLS. Pure text. */
import { DATABASES } from "../config.js";
import { MigrateError } from "./item.js";

const DEFAULT_PORT = 6379;
/** Servers may have more databases than this one. */
const DATABASE_MAX = 2 ** 31 - 1;

export interface RedisUrl {
  host: string;
  port: number;
  user?: string;
  password?: string;
  /** undefined where the URL names none. */
  database: number | undefined;
  tls: boolean;
}

const HOW = "write redis://[[user:]password@]host[:port][/db]";

/** Reads a URL. Throws MigrateError with a sentence that says what is wrong, in which no password is. */
export function parseRedisUrl(text: string): RedisUrl {
  const scheme = /^rediss?(?=:\/\/)/i.exec(text)?.[0].toLowerCase();
  if (scheme === undefined) throw new MigrateError(`a Redis is named by a URL: ${HOW}`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === "") throw new MigrateError(`the URL of the Redis can't be read: ${HOW}`);
  if (url.search !== "" || url.hash !== "")
    throw new MigrateError(`the URL of the Redis ends with its database: ${HOW}`);
  const { user, password } = credentials(url);
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? DEFAULT_PORT : Number(url.port),
    ...(user === "" ? {} : { user }),
    ...(password === "" ? {} : { password }),
    database: database(url.pathname),
    tls: scheme === "rediss",
  };
}

/** A word alone is the password, as for redis-cli. */
function credentials({ username, password }: URL): { user: string; password: string } {
  try {
    const [user, secret] = [decodeURIComponent(username), decodeURIComponent(password)];
    return secret === "" ? { user: "", password: user } : { user, password: secret };
  } catch (cause) {
    throw new MigrateError("the password in the URL of the Redis is badly encoded: a % is written %25", { cause });
  }
}

function database(path: string): number | undefined {
  const name = path.replace(/^\//, "");
  if (name === "") return undefined;
  const number = Number(name);
  if (!/^\d{1,10}$/.test(name) || number > DATABASE_MAX) {
    throw new MigrateError(
      `a database is a number, as 0 to ${DATABASES - 1}, but the URL of the Redis ends with /${name}`,
    );
  }
  return number;
}
