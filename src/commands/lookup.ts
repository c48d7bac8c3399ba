/** Looking a key up for reading, with the statistics that go with it. */
import type { Bitmap } from "../keyspace/bitmap.js";
import type { Entry } from "../keyspace/entry.js";
import { type KeyBytes, keyString } from "../keyspace/key-bytes.js";
import type { Bit, Value } from "../keyspace/value.js";
import { notify } from "./channels/notifications.js";
import type { Client } from "./client.js";

/**
 * The value of a key that is read, good until the next change; undefined when there is none. Counts a hit or a miss, as Redis'
 * lookupKeyRead.
 */
export function lookupRead(client: Client, key: string): Value | undefined {
  const entry = lookupEntry(client, key);
  return entry === undefined ? undefined : client.server.keyspace.value(entry);
}

/** The same as a Bitmap, which BITOP needs. */
export function lookupBitmap(client: Client, key: string): Bitmap | undefined {
  const entry = lookupEntry(client, key);
  return entry === undefined ? undefined : client.server.keyspace.bitmap(entry);
}

/** The entry of a key of which nothing but its existence or deadline is read: the value need not be in memory. */
export function lookupEntry(client: Client, key: string): Entry | undefined {
  const { keyspace } = client.server;
  const found = client.noTouch ? keyspace.peek(client.database, key) : keyspace.lookup(client.database, key);
  const entry = counted(client, found);
  if (entry === undefined) notify(client, "m", "keymiss", key);
  return entry;
}

/** The same without being a use of the key, and a miss without being told of (Redis' LOOKUP_NOTOUCH and LOOKUP_NONOTIFY). */
export function peekEntry(client: Client, key: string): Entry | undefined {
  return counted(client, client.server.keyspace.peek(client.database, key));
}

/** One bit of a key; undefined where there is no such key. */
export function lookupBit(client: Client, key: KeyBytes, offset: number): Bit | undefined {
  // The short way below is a use of the key.
  if (client.noTouch) return lookupRead(client, keyString(key))?.getBit(offset);
  return countedOrTold(client, key, client.server.keyspace.getBit(client.database, key, offset));
}

/** How many bits of a key are 1; undefined where there is no such key. */
export function lookupCardinality(client: Client, key: KeyBytes): number | undefined {
  if (client.noTouch) return lookupRead(client, keyString(key))?.cardinality;
  return countedOrTold(client, key, client.server.keyspace.cardinality(client.database, key));
}

/** Counts what was found of a key; a miss is told of. */
function countedOrTold<T>(client: Client, key: KeyBytes, found: T | undefined): T | undefined {
  if (counted(client, found) === undefined && client.server.notifications.isOn) {
    notify(client, "m", "keymiss", keyString(key));
  }
  return found;
}

/** Counts a hit, or a miss where there is nothing. */
function counted<T>({ server: { stats } }: Client, found: T | undefined): T | undefined {
  if (found === undefined) stats.keyspaceMisses++;
  else stats.keyspaceHits++;
  return found;
}
