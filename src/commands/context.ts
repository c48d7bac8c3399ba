/** What every command may use of the server. server.ts makes it; a test may make a smaller one. */
import type { AppendFsync, DebugUsers } from "../config.js";
import type { Keyspace } from "../keyspace/keyspace.js";
import type { Saver } from "../keyspace/saver.js";
import type { Storage } from "../keyspace/storage.js";
import type { Log } from "../log.js";
import type { Master } from "../options/kinds.js";
import type { ServerOptions } from "../options/table.js";
import type { RequestLimits } from "../resp/request-parser.js";
import type { AclLog } from "./acl/log.js";
import type { LoginLimit } from "./acl/login-limit.js";
import type { Users } from "./acl/users.js";
import type { Notifications } from "./channels/notifications.js";
import type { PubSub } from "./channels/pubsub.js";
import type { Client } from "./client.js";
import type { CommandTable } from "./command-table.js";
import type { Pause } from "./connections/pause.js";
import type { MemoryMarks } from "./monitoring/memory.js";
import type { Monitors } from "./monitoring/monitor.js";
import type { CommandStats, Stats } from "./monitoring/stats.js";
import type { Timing } from "./monitoring/timing.js";
import type { Replication } from "./replication.js";

/** All options as they are now: CONFIG SET changes those of them that may change while the server runs. */
export type Settings = ServerOptions;

/** What is counted of each command that was asked for, and that clients are told of. */
export function commandStats({ stats, commands }: ServerContext): [string, CommandStats][] {
  return stats.byCommand.filter(([name]) => commands.ownNamed(name) !== undefined);
}

export interface ServerContext {
  readonly version: string;
  /** 40 hexadecimal digits, new with each start. */
  readonly runId: string;
  readonly startedMs: number;
  readonly pid: number;
  port: number;
  /** The file, or `:memory:`. */
  readonly db: string;
  readonly commands: CommandTable;
  readonly keyspace: Keyspace;
  readonly saver: Saver;
  readonly replication: Replication;
  readonly storage: Storage;
  readonly clients: Map<number, Client>;
  readonly users: Users;
  readonly aclLog: AclLog;
  readonly pubsub: PubSub;
  readonly monitors: Monitors;
  readonly notifications: Notifications;
  readonly pause: Pause;
  readonly settings: Settings;
  /** The file the options came from, which CONFIG REWRITE writes. */
  readonly configFile: string | undefined;
  /** What clients may send, before they are authenticated and after. */
  readonly requestLimits: Readonly<Record<"authenticated" | "unauthenticated", RequestLimits>>;
  readonly logins: LoginLimit;
  readonly stats: Stats;
  readonly timing: Timing;
  readonly memoryMarks: MemoryMarks;
  readonly log: Log;
  /** Log every command. */
  readonly debug: boolean;
  /** Who may use DEBUG. */
  readonly enableDebugCommand: DebugUsers;
  setAppendfsync(appendfsync: AppendFsync): void;
  /** Makes this server a replica of `master`, with everything that is there and nothing else; or, without one, a master again. */
  replicaOf(master: Master | undefined): void;
  /** Reads the certificates anew, for connections to come. Throws the reason when they are not good, and the old ones stay. */
  renewTls(): void;
  /** Brings the keys of a database of a running Redis into one of ours. Rejects with the reason where not all of them came. */
  slurp(from: { host: string; port: number; database: number; into: number }): Promise<void>;
  /** Asks that holes in the C library's heap go back to the system. */
  trimHeap(): void;
  /** Ends the server; `save` commits what has changed first. Rejects when that fails, and then the server goes on. */
  shutdown(options: { save: boolean }): Promise<void>;
  /** Gives a client its number. */
  nextClientId(): number;
}
