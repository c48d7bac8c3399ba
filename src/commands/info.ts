/** INFO: Redis' sections with the fields that mean something here, and the Go bitmapist-server's `keys` and `commands`. */
import { totalmem } from "node:os";
import { CRON_INTERVAL_MS, MEMORY_DB, REDIS_VERSION } from "../config.js";
import type { Argv } from "../resp/argv.js";
import type { Reply } from "../resp/reply.js";
import type { Client } from "./client.js";
import type { Command } from "./command.js";
import type { ServerContext } from "./context.js";
import { processMemory } from "./memory.js";

type Fields = Record<string, string | number>;
type Section = (server: ServerContext) => Fields;

const SECONDS_PER_DAY = 86_400;

const server: Section = (context) => {
  const uptime = Math.max(Math.floor((context.keyspace.now - context.startedMs) / 1000), 0);
  return {
    redis_version: REDIS_VERSION,
    redis_git_sha1: "00000000",
    redis_git_dirty: 0,
    redis_mode: "standalone",
    bitmapist_server_version: context.version,
    os: `${process.platform} ${process.arch}`,
    arch_bits: 64,
    node_version: process.versions.node,
    process_id: context.pid,
    run_id: context.runId,
    tcp_port: context.port,
    server_time_usec: context.keyspace.now * 1000,
    uptime_in_seconds: uptime,
    uptime_in_days: Math.floor(uptime / SECONDS_PER_DAY),
    hz: 1000 / CRON_INTERVAL_MS,
  };
};

const clients: Section = (context) => ({
  connected_clients: context.clients.size,
  cluster_connections: 0,
  maxclients: context.settings.maxclients,
  blocked_clients: [...context.clients.values()].filter(({ pending }) => pending !== undefined).length,
});

const memory: Section = (context) => {
  const { used, rss } = processMemory(context);
  const { keyspace } = context;
  const { residency } = keyspace;
  return {
    used_memory: used,
    used_memory_human: human(used),
    used_memory_rss: rss,
    used_memory_rss_human: human(rss),
    used_memory_dataset: residency.bytes,
    total_system_memory: totalmem(),
    total_system_memory_human: human(totalmem()),
    maxmemory: residency.maxBytes,
    maxmemory_human: human(residency.maxBytes),
    maxmemory_policy: "noeviction",
    mem_fragmentation_ratio: (rss / used).toFixed(2),
    mem_allocator: "libc",
    // Memory as a cache: what is in it of what there is, and how often a key, and a value, had to be read from the file.
    resident_keys: residency.keys,
    total_keys: keyspace.databases.reduce((sum, { size }) => sum + size, 0),
    key_hits: keyspace.memoryHits,
    key_misses: keyspace.storageLookups,
    value_misses: keyspace.storageLoads,
    resident_bitmaps: residency.nativeValues,
    resident_bitmap_bytes: residency.nativeBytes,
  };
};

const persistence: Section = ({ saver, keyspace, storage: { figures }, db }) => ({
  loading: 0,
  async_loading: 0,
  rdb_changes_since_last_save: keyspace.changes - saver.savedChanges,
  rdb_bgsave_in_progress: saver.isSaving ? 1 : 0,
  rdb_last_save_time: Math.floor(saver.lastSaveMs / 1000),
  rdb_last_bgsave_status: saver.failure === undefined ? "ok" : "err",
  aof_enabled: db === MEMORY_DB ? 0 : 1,
  aof_last_write_status: saver.failure === undefined ? "ok" : "err",
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
});

const stats: Section = ({ stats: counters, keyspace, pubsub }) => ({
  total_connections_received: counters.connections,
  total_commands_processed: counters.commands,
  total_net_input_bytes: counters.inputBytes,
  total_net_output_bytes: counters.outputBytes,
  rejected_connections: counters.rejectedConnections,
  expired_keys: keyspace.expiredKeys,
  evicted_keys: keyspace.residency.evicted,
  keyspace_hits: counters.keyspaceHits,
  keyspace_misses: counters.keyspaceMisses,
  pubsub_channels: pubsub.size(""),
  pubsub_patterns: pubsub.size("p"),
  pubsubshard_channels: pubsub.size("s"),
  total_error_replies: counters.errorReplies,
});

const replication: Section = ({ runId }) => ({
  role: "master",
  connected_slaves: 0,
  master_failover_state: "no-failover",
  master_replid: runId,
  master_repl_offset: 0,
});

const cpu: Section = () => {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  return { used_cpu_sys: (systemCPUTime / 1e6).toFixed(6), used_cpu_user: (userCPUTime / 1e6).toFixed(6) };
};

const cluster: Section = () => ({ cluster_enabled: 0 });

const keyspaceSection: Section = (context) => {
  const fields: Fields = {};
  for (const { number, size, volatileSize } of context.keyspace.databases) {
    if (size > 0) fields[`db${number}`] = `keys=${size},expires=${volatileSize},avg_ttl=0`;
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
  Cluster: cluster,
  Keyspace: keyspaceSection,
};

const ALL_WORDS = ["all", "default", "everything"];

/** The Go bitmapist-server's forms, whose lines end in a plain newline. They are asked for alone. */
const GO_SECTIONS: ReadonlyMap<string, Section> = new Map(
  Object.entries<Section>({
    keys: ({ keyspace }) => ({
      keys_total: keyspace.databases.reduce((sum, { size }) => sum + size, 0),
      keys_cached: keyspace.residency.keys,
    }),
    commands: ({ stats: { byCommand } }) => {
      const calls = [...byCommand].map(([name, { calls }]) => [name, calls] as const);
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
  const all = words.length === 0 || words.some((word) => ALL_WORDS.includes(word));
  const wanted = Object.entries(SECTIONS).filter(([name]) => all || words.includes(name.toLowerCase()));
  const text = wanted.map(([name, section]) => `# ${name}\r\n${lines(section(client.server))}`).join("\r\n");
  reply.verbatim(text);
}

function lines(fields: Fields): string {
  return Object.entries(fields)
    .map(([field, value]) => `${field}:${value}\r\n`)
    .join("");
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
    flags: ["loading", "stale"],
    categories: ["dangerous"],
    tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    group: "server",
    since: "1.0.0",
    complexity: "O(N) in the number of connections",
    summary: "How the server is doing.",
    differs:
      "Redis' sections with the fields that mean something here; sections `keys` and `commands` as in the Go bitmapist-server",
    handler: info,
  },
];
