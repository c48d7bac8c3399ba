/**
 * Every option there is, once: the command line, configuration files, CONFIG GET, SET and REWRITE, and docs/configuration.md read this
 * table. A new option is a row. What it does is elsewhere: `server.settings` holds its value, and where a change takes more than
 * that, commands/server/settings.ts says what.
 */
import { basename, dirname, resolve } from "node:path";
import {
  APPENDFSYNC,
  BIND_ADDRESSES_MAX,
  BULK_BYTES_MAX,
  DATABASES,
  DEBUG_USERS,
  MEMORY_DB,
  MIB,
  PUBSUB_DEFAULTS,
  REQUEST_BYTES_MIN,
} from "../config.js";
import { LOG_LEVELS } from "../log.js";
import { checkFolder, checkTlsProtocol } from "./checks.js";
import {
  bytes,
  choice,
  eventClasses,
  INT64_END,
  integer,
  type Kind,
  type Master,
  master,
  memory,
  NO_PORT,
  octal,
  outputLimits,
  percentiles,
  port,
  renamings,
  text,
  toBytes,
  userRules,
  words,
  yesNo,
} from "./kinds.js";

export interface Option<T> extends Kind<T> {
  readonly default: T;
  /** What it does, for the usage and the documentation. */
  readonly summary: string;
  /** CONFIG SET changes it while the server runs. */
  readonly isMutable?: true;
  /** CONFIG knows nothing of it: it says how to start, and nothing after that. */
  readonly isStartOnly?: true;
  /** CONFIG REWRITE writes it although CONFIG knows nothing else of it: other commands change what it says. */
  readonly isRewritten?: true;
}

/** Makes a row; `default` may be narrower than what the kind takes. */
function option<T>(kind: Kind<T>, row: Omit<Option<NoInfer<T>>, keyof Kind<T>>): Option<T> {
  return { ...kind, ...row };
}

/** `bind` of a server that every network reaches (Redis' default). */
export const ALL_INTERFACES: readonly string[] = ["*", "-::*"];

const INT_MAX = 2 ** 31 - 1;
const isMutable = true;
const isStartOnly = true;

/** By the name in our code. The name outside is the same in lower case with dashes (`nameOf`). */
export const OPTIONS = {
  bind: option(words("<addresses>", BIND_ADDRESSES_MAX), {
    default: ["localhost"],
    summary: "addresses and names to listen on; `* -::*` is all interfaces, a `-` before one lets it be missing",
  }),
  port: option(port(), { default: 6379, summary: "TCP port; 0 is none" }),
  unixsocket: option(text("<path>"), {
    default: "",
    summary: "unix socket to listen on, too; a socket that is there is replaced",
  }),
  unixsocketperm: option(octal("<mode>", 0o777), {
    default: 0,
    summary: "access rights of the unix socket, such as 700; 0 leaves them to the umask",
  }),
  tcpBacklog: option(integer("<connections>", 0, INT_MAX), {
    default: 4096,
    summary: "connections that may wait to be accepted; the system may allow fewer",
  }),
  tcpKeepalive: option(integer("<seconds>", 0, INT_MAX), {
    default: 300,
    isMutable,
    summary:
      "silence after which a connection is probed whether its other side is still there; 0 is never; for new connections",
  }),
  timeout: option(integer("<seconds>", 0, INT_MAX), {
    default: 0,
    isMutable,
    summary: "idle clients are closed after this; 0 is never; those that wait in a command stay",
  }),
  maxclients: option(integer("<clients>", 1, 2 ** 32 - 1), {
    default: 10_000,
    isMutable,
    summary: "clients at once; further ones get an error and are closed",
  }),
  protectedMode: option(yesNo, {
    default: false,
    isMutable,
    summary: "without a password, only clients of this machine are served",
  }),

  db: option(text("<file>"), {
    default: "bitmapist.db",
    summary: `database file, made if missing; ${MEMORY_DB} keeps nothing`,
  }),
  dir: option(text("<folder>", checkFolder), {
    default: "",
    isStartOnly,
    summary: "folder that files are in whose names have none before them; the current one where it is not given",
  }),
  bak: option(text("<file>"), { default: "", summary: "where SIGUSR1 puts a consistent copy of the database" }),
  appendfsync: option(choice(APPENDFSYNC), {
    default: "everysec",
    isMutable,
    summary: "when writes are forced to the disk: before the reply, within a second, or when the system likes",
  }),
  maxmemory: option(memory(0, Number.MAX_SAFE_INTEGER), {
    default: 0,
    isMutable,
    summary: "what keys and values in memory may take; the file has the others; 0 is no bound",
  }),
  writeBuffer: option(memory(0, Number.MAX_SAFE_INTEGER), {
    default: 256 * MIB,
    isMutable,
    summary: "uncommitted changes in memory at which clients that write are made to wait",
  }),

  clientOutputBufferLimit: option(outputLimits, {
    default: {
      normal: { hardBytes: 256 * MIB, softBytes: 0, softSeconds: 0 },
      slave: { hardBytes: 256 * MIB, softBytes: 64 * MIB, softSeconds: 60 },
      pubsub: { hardBytes: 32 * MIB, softBytes: 8 * MIB, softSeconds: 60 },
    },
    isMutable,
    summary:
      "unsent replies at which a client of the class (normal, replica, pubsub) is closed: at once when more than the hard limit, or when more than the soft one for so many seconds; 0 is no limit",
  }),
  clientQueryBufferLimit: option(memory(REQUEST_BYTES_MIN, Number.MAX_SAFE_INTEGER), {
    default: 1024 * MIB,
    isMutable,
    summary: "bytes of an unfinished request, or of a transaction's queue, at which a client is closed",
  }),
  protoMaxBulkLen: option(memory(REQUEST_BYTES_MIN, BULK_BYTES_MAX), {
    default: BULK_BYTES_MAX,
    isMutable,
    summary: "longest argument of a request",
  }),

  requirepass: option(bytes("<password>"), { default: "", isMutable, summary: "password clients must AUTH with" }),
  aclfile: option(text("<file>"), {
    default: "",
    summary: "file of users and what they may do, which must be there and may be empty",
  }),
  user: option(userRules, {
    default: [],
    isStartOnly,
    isRewritten: true,
    summary: "a user and its rules, where there is no aclfile; may be given several times",
  }),
  aclPubsubDefault: option(choice(PUBSUB_DEFAULTS), {
    default: "resetchannels",
    isMutable,
    summary: "which channels new users may use: none, or all",
  }),
  acllogMaxLen: option(integer("<entries>", 0, INT64_END), {
    default: 128,
    isMutable,
    summary: "entries that ACL LOG keeps",
  }),
  loginFailuresMax: option(integer("<failures>", 0, INT_MAX), {
    default: 20,
    isMutable,
    summary:
      "wrong passwords from one address after which its logins are refused; one is forgotten each second; 0 is no limit",
  }),
  renameCommand: option(renamings, {
    default: [],
    isStartOnly,
    summary: 'another name for a command, or "" for none: it cannot be called then; may be given several times',
  }),
  enableDebugCommand: option(choice(DEBUG_USERS), {
    default: "no",
    summary: "who may use DEBUG, which can stop the server for a time; local is who connects from this machine",
  }),

  notifyKeyspaceEvents: option(eventClasses, {
    default: new Set<string>(),
    isMutable,
    summary: "which events of keys are told on channels, in Redis' letters",
  }),

  slowlogLogSlowerThan: option(integer("<us>", -1, INT64_END), {
    default: 10_000,
    isMutable,
    summary: "microseconds from which on SLOWLOG keeps a command; 0 is each, -1 is none",
  }),
  slowlogMaxLen: option(integer("<entries>", 0, INT64_END), {
    default: 128,
    isMutable,
    summary: "commands that SLOWLOG keeps",
  }),
  latencyMonitorThreshold: option(integer("<ms>", 0, INT64_END), {
    default: 0,
    isMutable,
    summary: "milliseconds from which on LATENCY keeps what took them; 0 is nothing",
  }),
  latencyTracking: option(yesNo, {
    default: true,
    isMutable,
    summary: "whether LATENCY HISTOGRAM and INFO latencystats are kept",
  }),
  latencyTrackingInfoPercentiles: option(percentiles, {
    default: [50, 99, 99.9],
    isMutable,
    summary: "percentiles that INFO latencystats shows",
  }),

  replicaof: option<Master | undefined>(master, {
    default: undefined,
    summary: "the Redis that this server is a replica of: host and port, or `no one`; REPLICAOF changes it",
  }),
  masterauth: option(bytes("<password>"), {
    default: "",
    isMutable,
    summary: "password that is given to the master; empty is none",
  }),
  masteruser: option(bytes("<name>"), {
    default: "",
    isMutable,
    summary: "user that it is given for; empty is `default`",
  }),
  replTimeout: option(integer("<seconds>", 1, INT_MAX), {
    default: 60,
    isMutable,
    summary: "a master that says nothing for so long is given up and connected to anew",
  }),
  replicaReadOnly: option(yesNo, {
    default: true,
    isMutable,
    summary: "clients of a replica may not write",
  }),
  replicaServeStaleData: option(yesNo, {
    default: true,
    isMutable,
    summary: "a replica answers from what it has while its master is not there; otherwise with an error",
  }),

  tlsPort: option(port(), { default: NO_PORT, summary: "port for TLS, beside port; 0 is none" }),
  tlsCertFile: option(text("<file>"), {
    default: "",
    isMutable,
    summary: "the server's certificate and those between it and the authority's, as PEM; read anew at SIGHUP",
  }),
  tlsKeyFile: option(text("<file>"), {
    default: "",
    isMutable,
    summary: "its private key, as PEM; read anew at SIGHUP",
  }),
  tlsKeyFilePass: option(bytes("<password>"), { default: "", isMutable, summary: "password of that file" }),
  tlsCaCertFile: option(text("<file>"), {
    default: "",
    isMutable,
    summary: "certificates of the authorities whose clients are accepted, as PEM; read anew at SIGHUP",
  }),
  tlsAuthClients: option(choice(["no", "yes", "optional"]), {
    default: "yes",
    summary: "whether clients need a certificate; optional: one that is shown must be good",
  }),
  tlsProtocols: option(words("<versions>", 2, checkTlsProtocol), {
    default: [],
    isMutable,
    summary: "TLSv1.2, TLSv1.3 or both, which is what nothing means",
  }),
  tlsCiphers: option(bytes("<list>"), {
    default: "",
    isMutable,
    summary: "ciphers up to TLS 1.2, in OpenSSL's form; nothing is Node.js' choice",
  }),
  tlsCiphersuites: option(bytes("<list>"), { default: "", isMutable, summary: "the same for TLS 1.3" }),
  tlsPreferServerCiphers: option(yesNo, {
    default: false,
    isMutable,
    summary: "the server's order of ciphers counts and not the client's",
  }),

  tlsReplication: option(yesNo, {
    default: false,
    isMutable,
    summary: "the master is connected to by TLS, with the certificates of these options",
  }),

  loglevel: option(choice(LOG_LEVELS), { default: "notice", isMutable, summary: "least level that is logged" }),
  debug: option(yesNo, { default: false, summary: "log every command" }),
};

export type OptionKey = keyof typeof OPTIONS;

/** A value for every option. */
export type ServerOptions = {
  [K in OptionKey]: (typeof OPTIONS)[K] extends Option<infer T> ? T : never;
};

/** The rows as what they have in common, for code that handles all alike. */
export const ROWS = Object.entries(OPTIONS) as unknown as readonly (readonly [OptionKey, Option<unknown>])[];

export const DEFAULT_OPTIONS = Object.fromEntries(ROWS.map(([key, row]) => [key, row.default])) as ServerOptions;

/** `tcpKeepalive` is `tcp-keepalive` outside. */
export function nameOf(key: OptionKey): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Redis' old names of options. */
const OLD_NAMES: Readonly<Record<string, OptionKey>> = {
  "slave-read-only": "replicaReadOnly",
  "slave-serve-stale-data": "replicaServeStaleData",
  slaveof: "replicaof",
};

const KEYS: ReadonlyMap<string, OptionKey> = new Map([
  ...ROWS.map(([key]) => [nameOf(key), key] as const),
  ...Object.entries(OLD_NAMES),
]);

/** All names of options that CONFIG knows, the old ones too. */
export const NAMES: readonly string[] = [...KEYS]
  .filter(([, key]) => rowOf(key).isStartOnly !== true)
  .map(([name]) => name);

/** The key of the option with this name, in any case. */
export function keyOf(name: string): OptionKey | undefined {
  return KEYS.get(name.toLowerCase());
}

export function rowOf(key: OptionKey): Option<unknown> {
  return OPTIONS[key] as unknown as Option<unknown>;
}

/** What CONFIG GET tells too, since tools ask for it. In a configuration file any value is accepted, and none has an effect. */
export interface Fact {
  get(options: ServerOptions): string;
  /** Why CONFIG SET refuses it (Redis); without one it accepts the value that it has. */
  refusal?: "can't set immutable config" | "can't set protected config";
}

const isInMemory = ({ db }: ServerOptions) => db === MEMORY_DB;

export const FACTS: ReadonlyMap<string, Fact> = new Map(
  Object.entries<Fact>({
    // What is written is always on disk after a second: Redis calls that an append-only file.
    appendonly: { get: (options) => (isInMemory(options) ? "no" : "yes") },
    databases: { get: () => String(DATABASES), refusal: "can't set immutable config" },
    dbfilename: {
      get: (options) => (isInMemory(options) ? "" : toBytes(basename(options.db))),
      refusal: "can't set protected config",
    },
    dir: {
      get: (options) => (isInMemory(options) ? "" : toBytes(dirname(resolve(options.db)))),
      refusal: "can't set protected config",
    },
    "maxmemory-policy": { get: () => "noeviction" },
    save: { get: () => "" },
  }),
);

/**
 * Directives of a redis.conf that mean nothing here: they are about what this server does in another way, or about types and parts of
 * Redis that it does not have. One that would leave a client without what it counts on (loadmodule) is not among them: it is
 * refused.
 */
export const WITHOUT_EFFECT: ReadonlySet<string> = new Set(
  `activedefrag active-defrag-cycle-max active-defrag-cycle-min active-defrag-ignore-bytes
  active-defrag-max-scan-fields active-defrag-threshold-lower active-defrag-threshold-upper active-expire-effort activerehashing
  always-show-logo aof-disable-auto-gc aof-load-truncated aof-rewrite-cpulist aof_rewrite_cpulist
  aof-rewrite-incremental-fsync aof-timestamp-enabled aof-use-rdb-preamble appenddirname appendfilename auto-aof-rewrite-min-size
  auto-aof-rewrite-percentage bgsave_cpulist bgsave-cpulist bind-source-addr bio_cpulist bio-cpulist busy-reply-threshold
  crash-log-enabled crash-memcheck-enabled daemonize disable-thp dynamic-hz enable-module-command enable-protected-configs
  gopher-enabled hll-sparse-max-bytes hz ignore-warnings io-threads io-threads-do-reads jemalloc-bg-thread   lazyfree-lazy-eviction lazyfree-lazy-expire lazyfree-lazy-server-del
  lazyfree-lazy-user-del lazyfree-lazy-user-flush lfu-decay-time lfu-log-factor list-compress-depth list-max-listpack-size
  list-max-ziplist-entries list-max-ziplist-size list-max-ziplist-value locale-collate logfile
  max-new-connections-per-cycle max-new-tls-connections-per-cycle maxmemory-clients maxmemory-eviction-tenacity maxmemory-samples
  min-replicas-max-lag min-replicas-to-write min-slaves-max-lag min-slaves-to-write no-appendfsync-on-rewrite
  oom-score-adj oom-score-adj-values pidfile proc-title-template propagation-error-behavior rdbchecksum
  rdbcompression rdb-del-sync-files rdb-save-incremental-fsync rdb-version-check repl-backlog-size repl-backlog-ttl
  repl-disable-tcp-nodelay repl-diskless-load repl-diskless-sync repl-diskless-sync-delay repl-diskless-sync-max-replicas
  repl-diskless-sync-period repl-ping-replica-period repl-ping-slave-period sanitize-dump-payload server_cpulist
  server-cpulist set-max-intset-entries set-max-listpack-entries set-max-listpack-value set-proc-title shutdown-on-sigint
  shutdown-on-sigterm shutdown-timeout socket-mark-id stop-writes-on-bgsave-error
  stream-node-max-bytes stream-node-max-entries supervised syslog-enabled syslog-facility syslog-ident tls-ca-cert-dir
  tls-client-cert-file tls-client-key-file tls-client-key-file-pass tls-cluster tls-dh-params-file
  tls-session-cache-size tls-session-cache-timeout tls-session-caching tracking-table-max-keys`.split(/\s+/),
);

/** Families of them, by how their names begin. */
export const PREFIXES_WITHOUT_EFFECT: readonly string[] = [
  "cluster-",
  "hash-max-",
  "lua-",
  "replica-",
  "slave-",
  "zset-max-",
];

/** Whether a directive is taken and does nothing. */
export function isWithoutEffect(name: string): boolean {
  const lower = name.toLowerCase();
  if (KEYS.has(lower)) return false;
  return (
    FACTS.has(lower) || WITHOUT_EFFECT.has(lower) || PREFIXES_WITHOUT_EFFECT.some((prefix) => lower.startsWith(prefix))
  );
}
