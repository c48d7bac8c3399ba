/** ACL LOG: what was denied, and logins that failed. The newest first; what happens again within a minute is counted. */
import { ACL_LOG_ENTRIES, ACL_LOG_MERGE_ENTRIES, ACL_LOG_MERGE_MS, ACL_LOG_TEXT_BYTES_MAX } from "../../config.js";
import type { Client } from "../client.js";
import { describeClient } from "../connections/client-commands.js";
import type { Denial } from "./check.js";

export interface AclLogEntry {
  count: number;
  readonly reason: Denial["what"] | "auth";
  /** Whether it was to be queued, or was queued, in a transaction. */
  readonly context: "toplevel" | "multi";
  /** The command, the key or the channel. */
  readonly object: string;
  readonly username: string;
  /** When it happened last. */
  atMs: number;
  /** The client then, as CLIENT LIST shows it. */
  clientInfo: string;
}

export class AclLog {
  /** `acllog-max-len` */
  entriesMax = ACL_LOG_ENTRIES;
  #entries: AclLogEntry[] = [];

  addDenial(client: Client, { what, object }: Denial): void {
    this.#add(client, what, object, client.user.name);
  }

  /** A login with a wrong name or password. `command` is what it was asked with, as it was spelled. */
  addFailedLogin(client: Client, command: string, username: string): void {
    this.#add(client, "auth", command, username);
  }

  /** The newest entries, the newest first. */
  newest(count: number): readonly AclLogEntry[] {
    return this.#entries.slice(0, Math.max(count, 0));
  }

  reset(): void {
    this.#entries = [];
  }

  #add(client: Client, reason: AclLogEntry["reason"], object: string, username: string): void {
    const entry: AclLogEntry = {
      count: 1,
      reason,
      context: client.transaction === undefined ? "toplevel" : "multi",
      object: object.slice(0, ACL_LOG_TEXT_BYTES_MAX),
      username: username.slice(0, ACL_LOG_TEXT_BYTES_MAX),
      atMs: client.server.keyspace.now,
      clientInfo: describeClient(client),
    };
    const same = this.#entries.slice(0, ACL_LOG_MERGE_ENTRIES).findIndex((other) => isSame(entry, other));
    if (same >= 0) entry.count += (this.#entries.splice(same, 1)[0] as AclLogEntry).count;
    this.#entries.unshift(entry);
    this.#entries.length = Math.min(this.#entries.length, this.entriesMax);
  }
}

function isSame(a: AclLogEntry, b: AclLogEntry): boolean {
  return (
    a.reason === b.reason &&
    a.context === b.context &&
    a.object === b.object &&
    a.username === b.username &&
    Math.abs(a.atMs - b.atMs) <= ACL_LOG_MERGE_MS
  );
}
