/**
 * What a server that speaks Redis' protocol knows of what a move needs: Redis before 7 has no PEXPIRETIME, and the Go bitmapist-server
 * neither that nor STRLEN, GETRANGE, TYPE and INFO's sections.
 */
import { LinkError, type LinkReply, type RedisLink } from "./redis-link.js";

/** A name that nobody has a key under: it is only asked for. */
const PROBE = "bitmapist-server:probe";

export interface RedisDialect {
  /** Values can be read in slices: STRLEN and GETRANGE, and BITCOUNT of a range. */
  hasSlices: boolean;
  hasType: boolean;
  /**
   * PEXPIRETIME is exact to the millisecond and in the source's clock; PTTL is what others have. The first Go bitmapist-servers know no
   * deadlines: they answer to TTL too that they don't know it.
   */
  expiry: "PEXPIRETIME" | "PTTL" | "TTL";
}

/** Finds out by asking. Commands that the user may not run are taken for there: reading will say so. */
export async function askDialect(link: RedisLink): Promise<RedisDialect> {
  const [strlen, getrange, type, pexpiretime, pttl] = await link.askAll([
    ["STRLEN", PROBE],
    ["GETRANGE", PROBE, 0, 0],
    ["TYPE", PROBE],
    ["PEXPIRETIME", PROBE],
    ["PTTL", PROBE],
  ]);
  return {
    hasSlices: isKnown(strlen) && isKnown(getrange),
    hasType: isKnown(type),
    expiry: isKnown(pexpiretime) ? "PEXPIRETIME" : isKnown(pttl) ? "PTTL" : "TTL",
  };
}

/** Whether a server knows the command that it answers so. */
export function isKnown(reply: LinkReply | undefined): boolean {
  return !(reply instanceof LinkError && /unknown command/i.test(reply.message));
}
