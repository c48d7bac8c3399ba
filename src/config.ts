/**
 * Every option, default and limit of the server, each with its unit and, where Redis has one, its CONFIG name.
 * Nothing else in the source holds a bare limit.
 */
import type { LogLevel } from "./log.js";

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** The Redis whose commands and replies are ours: clients read it to know what they may send. */
export const REDIS_VERSION = "7.0.15";

/** `databases`: number of logical databases, as Redis' default. */
export const DATABASES = 16;

/** Largest bit offset: 2^32 - 1. A value is therefore at most 512 MiB long, as in Redis. */
export const OFFSET_MAX = 0xffffffff;

/** `proto-max-bulk-len`: longest argument of a request and longest value, in bytes. */
export const BULK_BYTES_MAX = 512 * MIB;

/** Longest inline request, and longest header line of any request, in bytes (Redis' PROTO_INLINE_MAX_SIZE). */
export const INLINE_BYTES_MAX = 64 * KIB;

/** Most arguments of one request. */
export const ARGUMENTS_MAX = 1024 * 1024;

/** Limits before a client is authenticated, while a password is set (Redis' figures). */
export const UNAUTHENTICATED_ARGUMENTS_MAX = 10;
export const UNAUTHENTICATED_BULK_BYTES_MAX = 16 * KIB;

/** `client-query-buffer-limit`: most bytes of an unfinished request, and of a transaction's queue, one client may make us hold. */
export const QUERY_BUFFER_BYTES_MAX = 1024 * MIB;

/** Bytes of unsent replies from which on no more requests of that client are run. */
export const REPLY_PAUSE_BYTES = MIB;

/** Bytes of unsent replies at which a client is closed: it was sent more than it reads. */
export const REPLY_CLOSE_BYTES = 256 * MIB;

/** Bulk replies longer than this are produced in slices of this many bytes, as the client reads them. */
export const REPLY_SLICE_BYTES = 64 * KIB;

/** `tcp-backlog`: connections waiting to be accepted. */
export const TCP_BACKLOG = 4096;

/** `tcp-keepalive`, in milliseconds (Redis' default of 300 s). */
export const TCP_KEEPALIVE_MS = 300_000;

/** `maxclients`: connections at once; further ones get Redis' error and are closed. */
export const CLIENTS_MAX = 10_000;

/** Pause between two flushes of the change log. With `everysec` nothing older than this plus one commit is lost. */
export const FLUSH_INTERVAL_MS = 500;

/** Pause before a failed flush is tried again. */
export const FLUSH_RETRY_MS = 1000;

/** A key not used for this long leaves memory, as in the Go bitmapist-server. */
export const IDLE_MS = 5 * 60_000;

/** Pause between two runs of the background work (active expiry, idle sweep), as Redis' default `hz 10`. */
export const CRON_INTERVAL_MS = 100;

/** Longest time one run of active expiry, or of the idle sweep, may keep the event loop. */
export const CRON_BUDGET_MS = 1;

/** Rows one step of active expiry reads. */
export const EXPIRE_BATCH_ROWS = 64;

/** Entries one step of the idle sweep looks at before it asks the time again. */
export const IDLE_BATCH_ENTRIES = 64;

/** Most keys one SCAN call returns, whatever COUNT says, so that one call cannot keep the others waiting. */
export const SCAN_COUNT_MAX = 1_000_000;

/** SQLite page cache of the reader and of the writer, in KiB each. The default of 2 MiB is too small for random inserts. */
export const READER_CACHE_KIB = 32 * KIB;
export const WRITER_CACHE_KIB = 64 * KIB;

/** How long SIGTERM waits for clients to take their last replies before their sockets are destroyed. */
export const CLOSE_GRACE_MS = 500;

/** Name of the database that is kept in memory only. */
export const MEMORY_DB = ":memory:";

export const APPENDFSYNC = ["everysec", "no"] as const;
/** `appendfsync`: when commits reach the disk. `everysec`: each flush is synced. `no`: when the operating system likes. */
export type AppendFsync = (typeof APPENDFSYNC)[number];

/** What the server is started with. */
export interface ServerOptions {
  /** Host to listen on; undefined means all interfaces. */
  host: string | undefined;
  /** `port`: TCP port; 0 lets the system choose one. */
  port: number;
  /** The SQLite file, or `:memory:`. */
  db: string;
  /** Where SIGUSR1 puts a consistent copy; undefined means SIGUSR1 is refused with a log line. */
  bak: string | undefined;
  appendfsync: AppendFsync;
  /** `requirepass`: password of the default user; the empty string means none. */
  requirepass: string;
  loglevel: LogLevel;
  /** Log every command. */
  debug: boolean;
}

export const DEFAULT_OPTIONS: ServerOptions = {
  host: "localhost",
  port: 6379,
  db: "bitmapist.db",
  bak: undefined,
  appendfsync: "everysec",
  requirepass: "",
  loglevel: "notice",
  debug: false,
};
