/** What every command may use of the server. server.ts makes it; a test may make a smaller one. */
import type { AppendFsync, DebugUsers } from "../config.js";
import type { Keyspace } from "../keyspace/keyspace.js";
import type { Saver } from "../keyspace/saver.js";
import type { Storage } from "../keyspace/storage.js";
import type { Log } from "../log.js";
import type { AclLog } from "./acl-log.js";
import type { Users } from "./acl-users.js";
import type { Client } from "./client.js";
import type { CommandTable } from "./command-table.js";
import type { Monitors } from "./monitor.js";
import type { Notifications } from "./notifications.js";
import type { Pause } from "./pause.js";
import type { PubSub } from "./pubsub.js";

/** Settings that CONFIG SET can change while the server runs. */
export interface Settings {
  appendfsync: AppendFsync;
}

export interface CommandStats {
  calls: number;
}

/** Counters since the start, or since CONFIG RESETSTAT. */
export class Stats {
  connections = 0;
  rejectedConnections = 0;
  commands = 0;
  keyspaceHits = 0;
  keyspaceMisses = 0;
  errorReplies = 0;
  inputBytes = 0;
  outputBytes = 0;
  /** What is counted of each command that ran, by its name. */
  readonly byCommand = new Map<string, CommandStats>();

  /** A command runs, or so many of a kind do. */
  count(command: string, calls = 1): void {
    this.commands += calls;
    const known = this.byCommand.get(command);
    if (known === undefined) this.byCommand.set(command, { calls });
    else known.calls += calls;
  }

  reset(): void {
    Object.assign(this, new Stats());
  }
}

export interface ServerContext {
  readonly version: string;
  /** 40 hexadecimal digits, new with each start. */
  readonly runId: string;
  readonly startedMs: number;
  readonly pid: number;
  readonly host: string | undefined;
  port: number;
  /** The file, or `:memory:`. */
  readonly db: string;
  readonly commands: CommandTable;
  readonly keyspace: Keyspace;
  readonly saver: Saver;
  readonly storage: Storage;
  readonly clients: Map<number, Client>;
  readonly users: Users;
  readonly aclLog: AclLog;
  /** Where the users are kept; undefined means nowhere. */
  readonly aclfile: string | undefined;
  readonly pubsub: PubSub;
  readonly monitors: Monitors;
  readonly notifications: Notifications;
  readonly pause: Pause;
  readonly settings: Settings;
  readonly stats: Stats;
  readonly log: Log;
  /** Log every command. */
  readonly debug: boolean;
  /** Who may use DEBUG. */
  readonly enableDebugCommand: DebugUsers;
  setAppendfsync(appendfsync: AppendFsync): void;
  /** Ends the server; `save` commits what has changed first. Rejects when that fails, and then the server goes on. */
  shutdown(options: { save: boolean }): Promise<void>;
  /** Gives a client its number. */
  nextClientId(): number;
}
