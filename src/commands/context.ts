/** What every command may use of the server. server.ts makes it; a test may make a smaller one. */
import type { AppendFsync, DebugUsers } from "../config.js";
import type { Keyspace } from "../keyspace/keyspace.js";
import type { Saver } from "../keyspace/saver.js";
import type { Storage } from "../keyspace/storage.js";
import type { Log } from "../log.js";
import type { Client } from "./client.js";
import type { CommandTable } from "./command-table.js";
import type { MemoryMarks } from "./memory.js";
import type { CommandStats, Stats } from "./stats.js";
import type { Timing } from "./timing.js";

/** Settings that CONFIG SET can change while the server runs. */
export interface Settings {
  appendfsync: AppendFsync;
  /** Its bytes as latin1, which is how arguments come. The empty string means no password. */
  requirepass: string;
}

/** What is counted of each command that was asked for, and that clients are told of. */
export function commandStats({ stats, commands }: ServerContext): [string, CommandStats][] {
  return stats.byCommand.filter(([name]) => commands.named(name) !== undefined);
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
  readonly settings: Settings;
  readonly stats: Stats;
  readonly timing: Timing;
  readonly memoryMarks: MemoryMarks;
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
