/** INFO: Redis' sections with the fields that mean something here, and the Go bitmapist-server's `keys` and `commands`. */
import { machine, release, totalmem, type } from "node:os";
import { CRON_INTERVAL_MS, KIB, MEMORY_DB, REDIS_VERSION } from "../../config.js";
import type { Master } from "../../options/kinds.js";
import type { Argv } from "../../resp/argv.js";
import type { Reply } from "../../resp/reply.js";
import type { Client } from "../client.js";
import type { Command } from "../command.js";
import { commandStats, type ServerContext } from "../context.js";
import type { FullSync, Replication } from "../replication.js";
import { clientBytes, noteMemory } from "./memory.js";

type Fields = Record<string, string | number>;
type Section = (server: ServerContext) => Fields;

const SECONDS_PER_DAY = 86_400;

/** Redis' LRU clock has 24 bits, in seconds. */
const LRU_CLOCK_END = 2 ** 24;

const server: Section = (context) => {
  const uptime = Math.max(Math.floor((context.keyspace.now - context.startedMs) / 1000), 0);
  return {
    redis_version: REDIS_VERSION,
    redis_git_sha1: "00000000",
    redis_git_dirty: 0,
    redis_mode: "standalone",
    bitmapist_server_version: context.version,
    os: `${type()} ${release()} ${machine()}`,
    arch_bits: 64,
    node_version: process.versions.node,
    process_id: context.pid,
    run_id: context.runId,
    tcp_port: context.port,
    server_time_usec: context.keyspace.now * 1000,
    uptime_in_seconds: uptime,
    uptime_in_days: Math.floor(uptime / SECONDS_PER_DAY),
    hz: 1000 / CRON_INTERVAL_MS,
    configured_hz: 1000 / CRON_INTERVAL_MS,
    lru_clock: Math.floor(context.keyspace.now / 1000) % LRU_CLOCK_END,
    executable: process.argv[1] ?? "",
  };
};

const clients: Section = (context) => {
  const all = [...context.clients.values()];
  return {
    connected_clients: all.length,
    cluster_connections: 0,
    maxclients: context.settings.maxclients,
    // Of this moment, where Redis has those of the last seconds.
    client_recent_max_input_buffer: Math.max(...all.map(({ peer }) => peer.queryBufferBytes), 0),
    client_recent_max_output_buffer: Math.max(...all.map(({ peer }) => peer.replyBytes), 0),
    blocked_clients: all.filter(({ pending }) => pending !== undefined).length,
    tracking_clients: 0,
  };
};

const memory: Section = (context) => {
  const { used, rss } = noteMemory(context);
  const { keyspace, memoryMarks } = context;
  const { residency } = keyspace;
  const dataset = residency.bytes;
  return {
    used_memory: used,
    used_memory_human: human(used),
    used_memory_rss: rss,
    used_memory_rss_human: human(rss),
    used_memory_peak: memoryMarks.peak,
    used_memory_peak_human: human(memoryMarks.peak),
    used_memory_peak_perc: percent(used, memoryMarks.peak),
    used_memory_overhead: Math.max(Math.round(used - dataset), 0),
    used_memory_startup: memoryMarks.startup,
    used_memory_dataset: Math.round(dataset),
    used_memory_dataset_perc: percent(dataset, used),
    total_system_memory: totalmem(),
    total_system_memory_human: human(totalmem()),
    used_memory_lua: 0,
    used_memory_lua_human: human(0),
    used_memory_scripts: 0,
    used_memory_scripts_human: human(0),
    number_of_cached_scripts: 0,
    maxmemory: residency.maxBytes,
    maxmemory_human: human(residency.maxBytes),
    maxmemory_policy: "noeviction",
    mem_fragmentation_ratio: (rss / used).toFixed(2),
    mem_fragmentation_bytes: Math.round(rss - used),
    mem_replication_backlog: 0,
    mem_clients_slaves: 0,
    mem_clients_normal: clientBytes(context),
    mem_aof_buffer: context.saver.bufferBytes,
    mem_allocator: "libc",
    active_defrag_running: 0,
    lazyfree_pending_objects: 0,
    // Memory as a cache: what is in it of what there is, and how often a key, and a value, had to be read from the file.
    resident_keys: residency.keys,
    total_keys: totalKeys(context),
    key_hits: keyspace.memoryHits,
    key_misses: keyspace.storageLookups,
    value_misses: keyspace.storageLoads,
    // The values in memory as the plain strings that Redis keeps: compare it with used_memory_dataset.
    resident_string_bytes: residency.stringBytes,
    resident_bitmaps: residency.nativeValues,
    resident_bitmap_bytes: residency.nativeBytes,
  };
};

const persistence: Section = (context) => {
  const { saver, keyspace, storage, db, replication } = context;
  const { figures } = storage;
  const state = saver.failure === undefined ? "ok" : "err";
  const isKept = db !== MEMORY_DB;
  return {
    loading: replication.isLoading ? 1 : 0,
    async_loading: 0,
    ...(replication.isLoading ? loadingFields(context) : {}),
    rdb_changes_since_last_save: keyspace.changes - saver.savedChanges,
    rdb_bgsave_in_progress: saver.isSaving ? 1 : 0,
    rdb_last_save_time: Math.floor(saver.lastSaveMs / 1000),
    rdb_last_bgsave_status: state,
    rdb_last_bgsave_time_sec: saver.commits === 0 ? -1 : Math.floor(saver.lastSaveTookMs / 1000),
    rdb_current_bgsave_time_sec: saver.isSaving ? Math.floor(saver.savingMs / 1000) : -1,
    rdb_saves: saver.commits,
    aof_enabled: isKept ? 1 : 0,
    aof_rewrite_in_progress: 0,
    aof_rewrite_scheduled: 0,
    aof_last_rewrite_time_sec: -1,
    aof_current_rewrite_time_sec: -1,
    aof_last_bgrewrite_status: "ok",
    aof_last_write_status: state,
    ...(isKept ? { aof_current_size: figures.fileBytes + figures.walBytes, aof_buffer_length: saver.bufferBytes } : {}),
    // From here on Redis has no names: what is in memory and not committed, the commits, and what the file has still to put in order.
    uncommitted_bytes: saver.bufferBytes,
    oldest_uncommitted_ms: saver.oldestChangeMs.toFixed(0),
    flushes: saver.commits,
    last_flush_ms: saver.lastSaveTookMs.toFixed(1),
    max_flush_ms: saver.longestSaveMs.toFixed(1),
    flush_stall_us_p999: Math.round(saver.stalls.percentile(99.9) / 1000),
    flush_stall_us_max: saver.commits === 0 ? 0 : Math.round(saver.stalls.max / 1000),
    db_file_bytes: figures.fileBytes,
    wal_bytes: figures.walBytes,
    log_bytes: figures.logBytes,
    log_keys: figures.logRows,
    fold_debt_bytes: figures.deltaBytes,
  };
};

const stats: Section = ({ stats: counters, keyspace, pubsub }) => ({
  total_connections_received: counters.connections,
  total_commands_processed: counters.commands,
  instantaneous_ops_per_sec: Math.round(counters.commandRate.perSecond),
  total_net_input_bytes: counters.inputBytes,
  total_net_output_bytes: counters.outputBytes,
  instantaneous_input_kbps: (counters.inputRate.perSecond / KIB).toFixed(2),
  instantaneous_output_kbps: (counters.outputRate.perSecond / KIB).toFixed(2),
  rejected_connections: counters.rejectedConnections,
  // There are no replicas, forks and tracking clients here: this is how many.
  sync_full: 0,
  sync_partial_ok: 0,
  sync_partial_err: 0,
  expired_keys: keyspace.expiredKeys,
  expired_time_cap_reached_count: counters.expireCyclesCut,
  expire_cycle_cpu_milliseconds: Math.round(counters.expireCycleMs),
  evicted_keys: keyspace.residency.evicted,
  evicted_clients: 0,
  keyspace_hits: counters.keyspaceHits,
  keyspace_misses: counters.keyspaceMisses,
  pubsub_channels: pubsub.size(""),
  pubsub_patterns: pubsub.size("p"),
  pubsubshard_channels: pubsub.size("s"),
  latest_fork_usec: 0,
  total_forks: 0,
  migrate_cached_sockets: 0,
  slave_expires_tracked_keys: 0,
  tracking_total_keys: 0,
  tracking_total_items: 0,
  tracking_total_prefixes: 0,
  unexpected_error_replies: 0,
  total_error_replies: counters.errorReplies,
  total_reads_processed: counters.reads,
  total_writes_processed: counters.writes,
});

/** What of the master's data set has come. */
function loadingFields({ replication: { sync }, keyspace }: ServerContext): Fields {
  const elapsed = Math.max(Math.floor((keyspace.now - sync.begunMs) / 1000), 0);
  const left = sync.totalBytes === 0 ? 1 : sync.totalBytes - sync.readBytes;
  return {
    loading_start_time: Math.floor(sync.begunMs / 1000),
    loading_total_bytes: sync.totalBytes,
    loading_loaded_bytes: sync.readBytes,
    loading_loaded_perc: syncPercent(sync),
    loading_eta_seconds: elapsed === 0 ? 1 : Math.floor((elapsed * left) / (sync.readBytes + 1)),
    // From here on Redis has no names.
    loading_loaded_keys: sync.keys,
  };
}

function syncPercent({ totalBytes, readBytes }: FullSync): string {
  return (totalBytes === 0 ? 0 : (readBytes / totalBytes) * 100).toFixed(2);
}

const replication: Section = (context) => {
  const { id, offset, secondId, secondOffset, master } = context.replication;
  return {
    role: master === undefined ? "master" : "slave",
    ...(master === undefined ? {} : replicaFields(context, master)),
    connected_slaves: 0,
    master_failover_state: "no-failover",
    master_replid: id,
    master_replid2: secondId,
    master_repl_offset: offset,
    second_repl_offset: secondOffset,
    repl_backlog_active: 0,
    ...skippedFields(context.replication),
  };
};

function replicaFields({ keyspace, replication, settings }: ServerContext, { host, port }: Master): Fields {
  const { state, sync, lastIoMs, downSinceMs, offset, readOffset } = replication;
  const secondsSince = (ms: number | undefined) =>
    ms === undefined ? -1 : Math.max(Math.floor((keyspace.now - ms) / 1000), 0);
  const isUp = state === "connected";
  return {
    master_host: host,
    master_port: port,
    master_link_status: isUp ? "up" : "down",
    master_last_io_seconds_ago: isUp ? secondsSince(lastIoMs) : -1,
    master_sync_in_progress: state === "sync" ? 1 : 0,
    slave_read_repl_offset: readOffset,
    slave_repl_offset: offset,
    ...(state === "sync"
      ? {
          master_sync_total_bytes: sync.totalBytes,
          master_sync_read_bytes: sync.readBytes,
          master_sync_left_bytes: sync.totalBytes - sync.readBytes,
          master_sync_perc: syncPercent(sync),
          master_sync_last_io_seconds_ago: secondsSince(lastIoMs),
        }
      : {}),
    ...(isUp ? {} : { master_link_down_since_seconds: secondsSince(downSinceMs) }),
    slave_priority: 100,
    slave_read_only: settings.replicaReadOnly ? 1 : 0,
    replica_announced: 1,
  };
}

/** What of a master was passed over, since it was of other types; nothing where there was none of it. */
function skippedFields({ skippedKeys, skippedCommands }: Replication): Fields {
  const counts = [...skippedCommands].sort(([, a], [, b]) => b - a);
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  const named = counts.map(([name, count]) => `,${name}=${count}`).join("");
  return {
    ...(skippedKeys === 0 ? {} : { repl_skipped_keys: skippedKeys }),
    ...(total === 0 ? {} : { repl_skipped_commands: `total=${total}${named}` }),
  };
}

const cpu: Section = () => {
  // Of all threads, the writer's too. Node has no figures of one thread.
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return {
    used_cpu_sys: (systemCPUTime / 1e6).toFixed(6),
    used_cpu_user: (userCPUTime / 1e6).toFixed(6),
    used_cpu_sys_children: "0.000000",
    used_cpu_user_children: "0.000000",
  };
};

const modules: Section = () => ({});

const commandstats: Section = (context) => {
  const fields: Fields = {};
  for (const [name, { calls, usec, rejected, failed }] of commandStats(context)) {
    const each = calls === 0 ? 0 : usec / calls;
    const times = `usec=${Math.round(usec)},usec_per_call=${each.toFixed(2)}`;
    fields[`cmdstat_${name}`] = `calls=${calls},${times},rejected_calls=${rejected},failed_calls=${failed}`;
  }
  return fields;
};

const errorstats: Section = ({ stats: { errors } }) => {
  const fields: Fields = {};
  for (const [word, count] of errors) fields[`errorstat_${word}`] = `count=${count}`;
  return fields;
};

const latencystats: Section = (context) => {
  const { infoPercentiles } = context.timing;
  const fields: Fields = {};
  for (const [name, { latencies }] of commandStats(context)) {
    if (latencies === undefined) continue;
    const told = infoPercentiles.map((each) => `p${each}=${(latencies.percentile(each) / 1000).toFixed(3)}`);
    fields[`latency_percentiles_usec_${name}`] = told.join(",");
  }
  return fields;
};

const cluster: Section = () => ({ cluster_enabled: 0 });

const keyspaceSection: Section = ({ keyspace }) => {
  const fields: Fields = {};
  for (const database of keyspace.databases) {
    const { number, size, volatileSize } = database;
    if (size === 0) continue;
    fields[`db${number}`] = `keys=${size},expires=${volatileSize},avg_ttl=${keyspace.averageTtlMs(database)}`;
  }
  return fields;
};

/** In Redis' order. */
const SECTIONS: Readonly<Record<string, Section>> = {
  Server: server,
  Clients: clients,
  Memory: memory,
  Persistence: persistence,
  Stats: stats,
  Replication: replication,
  CPU: cpu,
  Modules: modules,
  Commandstats: commandstats,
  Errorstats: errorstats,
  Latencystats: latencystats,
  Cluster: cluster,
  Keyspace: keyspaceSection,
};

const NAMES = Object.keys(SECTIONS).map((name) => name.toLowerCase());

/** Sections that are shown to those who ask for them, or for all. */
const BY_NAME_ONLY = ["commandstats", "latencystats"];

/** Words for several sections. */
const SETS: Readonly<Record<string, readonly string[]>> = {
  all: NAMES,
  everything: NAMES,
  default: NAMES.filter((name) => !BY_NAME_ONLY.includes(name)),
};

/** The Go bitmapist-server's forms, whose lines end in a plain newline. They are asked for alone. */
const GO_SECTIONS: ReadonlyMap<string, Section> = new Map(
  Object.entries<Section>({
    keys: (context) => ({
      keys_total: totalKeys(context),
      keys_cached: context.keyspace.residency.keys,
    }),
    commands: (context) => {
      const calls = commandStats(context).flatMap(([name, { calls }]) => (calls === 0 ? [] : [[name, calls] as const]));
      return Object.fromEntries(calls.sort(([a], [b]) => (a < b ? -1 : 1)));
    },
  }),
);

/** INFO [section [section ...]] */
function info(client: Client, argv: Argv, reply: Reply): void {
  const words: string[] = [];
  for (let i = 1; i < argv.length; i++) words.push(argv.string(i).toLowerCase());
  const go = words.length === 1 ? GO_SECTIONS.get(words[0] as string) : undefined;
  if (go !== undefined) {
    const lines = Object.entries(go(client.server)).map(([field, value]) => `${field}:${value}\n`);
    return reply.bulk(lines.join(""));
  }
  const names = new Set((words.length === 0 ? ["default"] : words).flatMap((word) => SETS[word] ?? word));
  const wanted = Object.entries(SECTIONS).filter(([name]) => names.has(name.toLowerCase()));
  const text = wanted.map(([name, section]) => `# ${name}\r\n${lines(section(client.server))}`).join("\r\n");
  reply.verbatim(text);
}

function lines(fields: Fields): string {
  return Object.entries(fields)
    .map(([field, value]) => `${field}:${value}\r\n`)
    .join("");
}

function totalKeys({ keyspace }: ServerContext): number {
  return keyspace.databases.reduce((sum, { size }) => sum + size, 0);
}

function percent(part: number, whole: number): string {
  return `${((part / whole) * 100).toFixed(2)}%`;
}

/** Bytes for people, as Redis writes them: `1.50M`. */
function human(bytes: number): string {
  const units = ["K", "M", "G", "T"];
  if (bytes < 1024) return `${bytes}B`;
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(2)}${units[unit]}`;
}

export const INFO_COMMANDS: readonly Command[] = [
  {
    name: "info",
    arity: -1,
    syntax: "[section...]",
    flags: ["loading", "stale"],
    categories: ["dangerous"],
    tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    group: "server",
    since: "1.0.0",
    complexity: "O(N) in the number of connections",
    summary: "How the server is doing.",
    differs:
      "Redis' sections with the fields that mean something here, and some of its own; evicted_keys have left memory and are still there; client_recent_max_input_buffer and _output_buffer are of this moment; usec and percentiles are of the calls that were timed, see SLOWLOG; avg_ttl is of 64 keys by chance; sections `keys` and `commands` as in the Go bitmapist-server",
    handler: info,
  },
];
