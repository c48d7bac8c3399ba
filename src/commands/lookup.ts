/** Looking a key up for reading, with the statistics that go with it. */
import type { Bitmap } from "../keyspace/bitmap.js";
import type { Entry } from "../keyspace/entry.js";
import type { Value } from "../keyspace/value.js";
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
  const { keyspace, stats } = client.server;
  const entry = keyspace.lookup(client.database, key);
  if (entry === undefined) stats.keyspaceMisses++;
  else stats.keyspaceHits++;
  return entry;
}
