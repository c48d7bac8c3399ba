/**
 * Every limit of the server, each with its unit and, where Redis has one, its CONFIG name. Nothing else in the source holds a bare
 * limit. What an operator may choose is in options/table.ts, with its default.
 */

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** The Redis whose commands and replies are ours: clients read it to know what they may send. */
export const REDIS_VERSION = "7.0.15";

/** `databases`: number of logical databases, Redis' default. */
export const DATABASES = 16;

/** Largest bit offset: 2^32 - 1. A value is therefore at most 512 MiB long, as in Redis. */
export const OFFSET_MAX = 0xffffffff;

/** Longest value in bytes, and longest argument of a request that `proto-max-bulk-len` may allow. */
export const BULK_BYTES_MAX = 512 * MIB;

/** Longest inline request, and longest header line of any request, in bytes (Redis' PROTO_INLINE_MAX_SIZE). */
export const INLINE_BYTES_MAX = 64 * KIB;

/** Most arguments of one request. */
export const ARGUMENTS_MAX = 1024 * 1024;

/** `acllog-max-len`: entries of ACL LOG (Redis' default), and how many it shows when not told. */
export const ACL_LOG_ENTRIES = 128;
export const ACL_LOG_REPLY_ENTRIES = 10;

/** An entry that is as one of the last few was, so many milliseconds ago at most, is counted with it (Redis' figures). */
export const ACL_LOG_MERGE_ENTRIES = 10;
export const ACL_LOG_MERGE_MS = 60_000;

/** Bytes that an entry keeps of a key, a channel or a user's name: Redis keeps them all. */
export const ACL_LOG_TEXT_BYTES_MAX = 4 * KIB;

/** Bits of ACL GENPASS' passwords: how many without an argument, and at most (Redis' figures). */
export const GENPASS_BITS = 256;
export const GENPASS_BITS_MAX = 4096;

/** Limits before a client is authenticated, while a password is set (Redis' figures). */
export const UNAUTHENTICATED_ARGUMENTS_MAX = 10;
export const UNAUTHENTICATED_BULK_BYTES_MAX = 16 * KIB;

/** Least that `proto-max-bulk-len` and `client-query-buffer-limit` may be, in bytes (Redis' figures). */
export const REQUEST_BYTES_MIN = MIB;

/** Bytes that are read from a socket at a time. All sockets share the memory. */
export const READ_BUFFER_BYTES = 64 * KIB;

/** GETBIT and SETBIT requests of one client that are taken at a time: so many keys are looked up side by side. */
export const RUN_REQUESTS_MAX = 64;

/** How long the requests of one client are run before others have their turn, in milliseconds, but for one request that takes longer. */
export const CHUNK_MS_MAX = 2;

/** Bytes of requests from which on nothing more is read of a client that has to wait. */
export const READ_AHEAD_BYTES = 64 * KIB;

/** Bytes of unsent replies from which on no more requests of that client are run. */
export const REPLY_PAUSE_BYTES = MIB;

/** Bytes of a request's arguments that MONITOR shows. */
export const MONITOR_LINE_BYTES_MAX = MIB;

/** Bulk replies longer than this are produced in slices of this many bytes, as the client reads them. */
export const REPLY_SLICE_BYTES = 64 * KIB;

/** Most addresses of `bind` (Redis' figure). */
export const BIND_ADDRESSES_MAX = 16;

/** How long a TLS handshake may take before the connection is closed, in milliseconds. */
export const TLS_HANDSHAKE_MS = 10_000;

/** Pause between two looks at what clients leave unread and whether they are idle, in milliseconds. */
export const CLIENT_SWEEP_MS = 1000;

/** Configuration files that may include each other in a chain, and the longest of them in bytes. */
export const INCLUDE_DEPTH_MAX = 16;
export const CONFIG_FILE_BYTES_MAX = 16 * MIB;

/** Failed logins of an address are forgotten at this pace, in milliseconds for one; and so many addresses are remembered at most. */
export const LOGIN_FAILURE_MS = 1000;
export const LOGIN_ADDRESSES_MAX = 10_000;

/** Pause between two flushes of the change log. With `everysec` nothing older than this plus one commit is lost. */
export const FLUSH_INTERVAL_MS = 500;

/** How long writing the large values of a batch may keep the event loop at a time, but for one value that takes longer. */
export const DRAFT_BUDGET_MS = 2;

/** Least pause between two collections of all objects that MEMORY PURGE asks for, in milliseconds: each stops the server for 10 to 40. */
export const PURGE_PAUSE_MS = 1000;

/** Size of a batch, and number of values in it, at which it is flushed at once: so much is taken without a noticeable pause. */
export const FLUSH_BYTES = 4 * MIB;
/** Size of the values in it that were replaced, which are written a few at a time: who replaces them again before it does so for free. */
export const FLUSH_VALUE_BYTES = 16 * MIB;
export const FLUSH_ENTRIES = 16_384;
/**
 * The same of the first batch; each may have twice as many as the one before. V8 has compiled nothing of it at first, and a batch of 10,000 values
 * would take 10 ms and more instead of one.
 */
export const FLUSH_ENTRIES_FIRST = 64;

/**
 * Bytes of the results of BITOP that the file keeps as expressions of one row, and of what they are of, at most. All of them have to be made when that row
 * changes: a flush takes some 0.6 s longer where none of them is in memory.
 */
export const SOURCE_BYTES_MAX = 256 * MIB;
/** The same of all rows of a database: one transaction may change all of them. A start reads them, some 4,000 at most. */
export const EXPRESSIONS_BYTES_MAX = 1024 * MIB;
/** Each expression counts as so many at least: sparse ones take 0.5 ms whatever their bytes. */
export const EXPRESSION_BYTES_MIN = 256 * KIB;
/** How many expressions may stand upon each other: who reads the last one reads the sources of all. */
export const EXPRESSION_DEPTH_MAX = 4;

/**
 * Values in uncommitted batches at which those who write are made to wait: where all of them are new keys, and server and writer
 * share a core, so many take the writer most of a second.
 */
export const UNCOMMITTED_ENTRIES_MAX = 2 * FLUSH_ENTRIES;

/** Bytes of them at which they wait while the storage is behind in its own work, to be divided by how far it is. */
export const UNCOMMITTED_BYTES_PRESSED = 2 * FLUSH_BYTES;

/** Age of the oldest uncommitted change at which clients that write are made to wait, so that `everysec` holds. */
export const COMMIT_AGE_MS_MAX = 900;

/** Turns of the event loop that a commit somebody waits for gathers changes, as long as each brings some. */
export const GATHER_TURNS_MAX = 16;

/** Pause before a failed flush is tried again. */
export const FLUSH_RETRY_MS = 1000;

/** After so long without a change, in milliseconds, the memory that changes have used is given back. */
export const REST_MS = 10_000;

/** What the process takes beside what it uses must have grown by so much, in bytes, before holes in the C library's heap are given back. */
export const HOLES_BYTES_MIN = 8 * MIB;
/** Least pause between two times of that, in milliseconds. */
export const TRIM_PAUSE_MS = 10_000;
/** With more native values than this, in bytes, it is not done: the heap is locked while glibc goes through it, 10 ms for so much. */
export const TRIM_NATIVE_BYTES_MAX = 64 * MIB;

/** A key not used for this long leaves memory, as in the Go bitmapist-server. */
export const IDLE_MS = 5 * 60_000;

/** Keys of a database that are remembered as not being there, and the longest of them in bytes: some 2 MB in all. */
export const ABSENT_KEYS_MAX = 8192;
export const ABSENT_KEY_LENGTH_MAX = 256;

/** Pause between two runs of the background work (active expiry, idle sweep), as Redis' default `hz 10`. */
export const CRON_INTERVAL_MS = 100;

/** Longest time one run of the idle sweep may keep the event loop, and one of what must not fall behind (expired keys). */
export const CRON_BUDGET_MS = 1;
export const BACKLOG_BUDGET_MS = 4;

/** Rows one step of active expiry reads. */
export const EXPIRE_BATCH_ROWS = 64;

/**
 * Values of up to so many members are kept as a sorted array, which is no object and half as fast again. It is as small as a native set
 * of them where these are spread over a million ids; over more it is smaller, over fewer up to twice as large.
 */
export const SMALL_MEMBERS_MAX = 1024;
/**
 * The same of a value that is written bit by bit: so many for each 65,536 ids that it spans, and so many whatever it spans. From there on
 * containers take less memory, and less is moved to make room for a member.
 */
export const SMALL_MEMBERS_PER_CONTAINER = 8;
export const SMALL_MEMBERS_MIN = 128;

/** How many times fewer members containers must have to become such an array again, so that it does not go back and forth. */
export const SMALL_AGAIN_DIVISOR = 2;

/** Bits of a string that are written one by one, which leaves small values what they are: 20 to 100 µs. Longer strings are written as a set. */
export const BITS_ONE_BY_ONE_MAX = 512;

/** Most changed bits of a longer string that go into the change log instead of the whole value: some 800 KB of log. */
export const LOGGED_BITS_MAX = 65_536;

/**
 * A native value becomes containers after so many single bits were asked of it, and one more for so many of its members: each bit is some
 * 0.6 µs cheaper then, and turning it takes some 10 µs and 10 ns a member.
 */
export const BIT_USES_MIN = 16;
export const MEMBERS_PER_BIT_USE = 64;

/** Larger values stay native, in bytes of Roaring's portable format: turning one takes a millisecond a megabyte. */
export const CONTAINERS_BYTES_MAX = 2 * MIB;

/** A value that would be more than so many times as large stays native: containers have no runs. */
export const CONTAINERS_GROWTH_MAX = 1.5;

/** What a native value takes beside what Roaring's allocator counts: its JavaScript object, and its handle, in bytes. */
export const NATIVE_OBJECT_BYTES = 400;

/** What a server's process may take beside `maxmemory` before it keeps less: code, JavaScript, page caches, holes in the heap. */
export const MEMORY_BESIDE_BYTES = 125 * MIB;

/** Heap that a byte of a native value takes where values come and go: glibc before 2.38 cannot use again all that was freed. */
export const NATIVE_HEAP_FACTOR = 1.5;

/** `maxmemory-samples`: entries of which the coldest leaves when memory is short. */
export const EVICT_SAMPLE = 5;

/** Entries and values that may come into memory before it is compared with its bound, and most that leave at one time. */
export const MEMORY_CHECK_ENTRIES = 32;
export const EVICT_BATCH = 256;

/** Pause between two times that what lies in nearly empty pages of memory is moved together, in milliseconds. */
export const COMPACT_PAUSE_MS = 10_000;

/** Entries one step of the idle sweep looks at before it asks the time again. */
export const IDLE_BATCH_ENTRIES = 64;

/** Keys of a database up to which KEYS answers at once; of a larger one it reads for so many milliseconds at a time. */
export const KEYS_AT_ONCE_MAX = 10_000;
export const KEYS_SLICE_MS = 2;
/** What it has found it puts aside in pieces of so many bytes: a buffer for each few keys would keep the collector at work. */
export const KEYS_PIECE_BYTES = 32 * KIB;

/** Most keys one SCAN call looks at, whatever COUNT says, so that one call cannot keep the others waiting: some 1 ms. */
export const SCAN_COUNT_MAX = 250;

/** Most ids that one BITSCAN lists, whatever COUNT says: some 1 ms. */
export const BITSCAN_COUNT_MAX = 10_000;
/** Ids that other lists are made of at a time, as the client reads them: some 50 KB. */
export const LISTED_IDS = 4096;

/**
 * What one COHORT may ask for, since nobody else is served meanwhile: cells, keys and filters of keys, bytes of what filters leave, and
 * time by an estimate, in milliseconds.
 */
export const COHORT_CELLS_MAX = 100_000;
export const COHORT_KEYS_MAX = 10_000;
export const COHORT_FILTERED_BYTES_MAX = 256 * MIB;
export const COHORT_MS_MAX = 2000;

/** SQLite page cache of the reader and of the writer, in KiB each. The default of 2 MiB is too small for random inserts. */
export const READER_CACHE_KIB = 8 * KIB;
export const WRITER_CACHE_KIB = 16 * KIB;

/** Largest row of a value in the file, in bytes of Roaring's portable format: what a fold rewrites at a time. */
export const CHUNK_BYTES_MAX = 128 * KIB;

/** Up to this size changed bits go into a value's chunk at once; beyond it they become deltas. */
export const CHUNK_FOLD_NOW_BYTES_MAX = 4 * KIB;

/** A value's deltas are folded into its chunks when they are larger than one part in so many of these. */
export const FOLD_RATIO = 4;

/** Or when there are so many of them, each of which costs a look-up of the value: of few bits a round they never grow large. */
export const DELTAS_MAX = 1024;

/** Size of the file's log, and number of keys in it, at which its bits are brought home. A start after a crash reads up to three times of it. */
export const LOG_BYTES_MAX = 16 * MIB;
export const LOG_ROWS_MAX = 100_000;
/** The size at which that happens too once the log is so old, in milliseconds: where little is changed it would stand in memory for long. */
export const LOG_BYTES_OLD = 4 * MIB;
export const LOG_AGE_MS_MAX = 60_000;

/**
 * Names of keys that are gathered before they go into the index of all, and how many go there at a time. So many are some 6 MB, which
 * the writer's page cache holds; with 10,000,000 keys a page of the index then takes two or three of them.
 */
export const NEW_NAMES_MAX = 250_000;
export const NAMES_SLICE_ROWS = 1000;

/** Without further bits the log is brought home after this long. */
export const FOLD_IDLE_MS = 2000;

/** How long one transaction of the writer's own work may take, in milliseconds: so long a flush may have to wait. */
export const FOLD_SLICE_MS = 10;

/** While that work is late it gets, after each flush, one part in so many of the time that the flush took. */
export const LATE_SHARE = 2;

/**
 * The log is late when it is twice as large as it should be. Each further eighth of that makes the batches half as large, so that those
 * who write wait, and doubles the share of the work: it grows to some three times of what it should be, unless one transaction or flush is larger.
 */
export const PRESSURE_STEPS = 8;
export const PRESSURE_MAX = 2 ** PRESSURE_STEPS;

/** So long may a flush wait for it then, in milliseconds, and those with it whose commit is waited for. */
export const CATCH_UP_MS_MAX = 100;

/** Values up to this many bytes are deleted with their key, larger ones a slice of so many rows at a time. */
export const GARBAGE_SYNC_BYTES_MAX = 64 * KIB;
export const GARBAGE_SLICE_ROWS = 64;

/** Memory for young JavaScript objects of the writer thread, in MiB. */
export const WRITER_YOUNG_MIB = 8;

/** Bytes of large buffers that may be out of use before the collector is called for them. */
export const PASSING_BYTES_MAX = 4 * MIB;

/** The writer thread's niceness: on one core it gets about a quarter of what the server's thread gets. */
export const WRITER_NICENESS = 5;

/** The write-ahead log is copied into the file from this many pages (of 4 KiB) on, and cut to this many bytes when it was longer. */
export const WAL_CHECKPOINT_PAGES = 4096;
export const WAL_BYTES_MAX = 64 * MIB;

/** How long SIGTERM waits for clients to take their last replies before their sockets are destroyed. */
export const CLOSE_GRACE_MS = 500;

/** A command that took less than so many microseconds is timed once in so many calls: to read the clock twice takes some 0.1 µs. */
export const QUICK_CALL_US = 10;
export const QUICK_CALLS_A_SAMPLE = 64;
/** After a chunk of so many commands the first of the next is not timed for being the first. */
export const LONG_CHUNK_COMMANDS = 8;

/** Name of the database that is kept in memory only. */
export const MEMORY_DB = ":memory:";

/** In the order in which Redis' error names them. */
export const APPENDFSYNC = ["everysec", "always", "no"] as const;
/**
 * `appendfsync`: when commits reach the disk. `always`: before the reply leaves. `everysec`: at most a second later. `no`: when the
 * operating system likes.
 */
export type AppendFsync = (typeof APPENDFSYNC)[number];

/** `enable-debug-command`: who may use DEBUG, which can stop the server for a time. `local`: who connects from 127.0.0.1 or ::1. */
export const DEBUG_USERS = ["no", "local", "yes"] as const;
export type DebugUsers = (typeof DEBUG_USERS)[number];

/** `acl-pubsub-default`: what a new user may do with channels. */
export const PUBSUB_DEFAULTS = ["allchannels", "resetchannels"] as const;
export type PubsubDefault = (typeof PUBSUB_DEFAULTS)[number];

/** What an import or an export keeps in memory of a database, and what may be uncommitted in it. */
export const IMPORT_MEMORY_BYTES = 64 * MIB;
