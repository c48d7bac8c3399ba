/** What is asked of a server whose keys are read, and what its replies mean. Knows nothing of what they are for. */
import { NO_DEADLINE } from "../keyspace/storage.js";
import { MigrateError } from "./item.js";
import { isKnown, type RedisDialect } from "./redis-dialect.js";
import { type Argument, LinkError, type LinkReply, type RedisLink } from "./redis-link.js";

/** Sends requests together, if there are any. */
export function askAll(link: RedisLink, requests: Argument[][]): Promise<LinkReply[]> {
  return requests.length === 0 ? Promise.resolve([]) : link.askAll(requests);
}

/** Throws the reply if it is an error. */
export function throwing(reply: LinkReply | undefined): LinkReply | undefined {
  if (reply instanceof LinkError) throw reply;
  return reply;
}

/** The reply as a number. Throws MigrateError where it is none. */
export function integer(reply: LinkReply | undefined): number {
  if (typeof reply !== "number") throw new MigrateError(`a number was expected, and ${String(reply)} came`);
  return reply;
}

/** Throws what a server answers that is not that a key is of another type. */
export function refuse(name: string, error: LinkError): void {
  if (!error.message.startsWith("WRONGTYPE"))
    throw new MigrateError(`${name} answers: ${error.message}`, { cause: error });
}

/**
 * What a server answers to a dialect's `expiry` as wall-clock milliseconds, or NO_DEADLINE; undefined where there is no such key. Throws
 * MigrateError for an error reply.
 */
export function deadlineOf(
  server: string,
  expiry: RedisDialect["expiry"],
  reply: LinkReply | undefined,
): number | undefined {
  if (expiry === "TTL" && !isKnown(reply)) return NO_DEADLINE;
  if (reply instanceof LinkError) throw new MigrateError(`${server} answers: ${reply.message}`);
  const ms = integer(reply);
  if (ms === -2) return undefined;
  if (ms === -1) return NO_DEADLINE;
  return expiry === "PEXPIRETIME" ? ms : Date.now() + (expiry === "TTL" ? ms * 1000 : ms);
}
