/** What commands do with whole values: write them as replies, put another one in their place, and delete them. */
import { REPLY_SLICE_BYTES } from "../config.js";
import type { Bitmap } from "../keyspace/bitmap.js";
import type { Entry } from "../keyspace/entry.js";
import type { Value } from "../keyspace/value.js";
import type { Reply } from "../resp/reply.js";
import { notify } from "./channels/notifications.js";
import type { Client } from "./client.js";

/** Writes bytes `start`..`start + length - 1` of a value as a bulk: at once if they are few, else in slices. */
export function replyBytes(reply: Reply, value: Value, start: number, length: number): void {
  if (length <= REPLY_SLICE_BYTES) reply.bulk(value.bytes(start, length));
  else reply.stream(length, value.slices(start, length));
}

/** Writes a value as a bulk, and nil where there is none. */
export function replyValue(reply: Reply, value: Value | undefined): void {
  if (value === undefined) reply.nil();
  else replyBytes(reply, value, 0, value.byteLength);
}

/** Makes `bitmap` the value of a key, which does not expire afterwards unless `keepTtl`. */
export function assign(client: Client, key: string, bitmap: Bitmap, options: { keepTtl?: boolean } = {}): Entry {
  const { keyspace } = client.server;
  const entry = keyspace.setValue(client.database, key, bitmap);
  if (entry.volatile && options.keepTtl !== true) keyspace.persist(entry);
  notify(client, "$", "set", key);
  return entry;
}

/** Deletes a key. */
export function remove(client: Client, key: string, entry: Entry): void {
  client.server.keyspace.delete(entry);
  notify(client, "g", "del", key);
}
