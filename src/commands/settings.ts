/** What a changed setting does beyond being read where it counts. The options themselves are in options/table.ts. */
import { CommandError } from "../errors.js";
import type { OptionKey, ServerOptions } from "../options/table.js";
import type { ServerContext } from "./context.js";

/** Puts the new value into effect. Throws CommandError, with what CONFIG SET says, when it can't be. */
type Effect = (server: ServerContext) => void;

const EFFECTS: { readonly [K in OptionKey]?: Effect } = {
  aclPubsubDefault: ({ settings, users }) => {
    users.pubsubDefault = settings.aclPubsubDefault;
  },
  acllogMaxLen: ({ aclLog, settings }) => {
    aclLog.entriesMax = settings.acllogMaxLen;
  },
  appendfsync: (server) => server.setAppendfsync(server.settings.appendfsync),
  clientQueryBufferLimit: limitRequests,
  latencyMonitorThreshold: ({ settings, timing }) => {
    timing.thresholdMs = settings.latencyMonitorThreshold;
  },
  latencyTracking: ({ settings, timing }) => {
    timing.tracksLatencies = settings.latencyTracking;
  },
  latencyTrackingInfoPercentiles: ({ settings, timing }) => {
    timing.infoPercentiles = settings.latencyTrackingInfoPercentiles;
  },
  loglevel: ({ log, settings }) => {
    log.level = settings.loglevel;
  },
  maxmemory: ({ keyspace, settings }) => {
    keyspace.residency.maxBytes = settings.maxmemory;
  },
  notifyKeyspaceEvents: ({ notifications, settings }) => notifications.ask(settings.notifyKeyspaceEvents),
  protoMaxBulkLen: limitRequests,
  requirepass: ({ settings, users }) => {
    users.requirepass = settings.requirepass;
  },
  slowlogLogSlowerThan: ({ settings, timing }) => {
    timing.slowerThanUs = settings.slowlogLogSlowerThan;
  },
  slowlogMaxLen: ({ settings, timing }) => {
    timing.slowlog.lengthMax = settings.slowlogMaxLen;
  },
  tlsCaCertFile: renewTls,
  tlsCertFile: renewTls,
  tlsCiphers: renewTls,
  tlsCiphersuites: renewTls,
  tlsKeyFile: renewTls,
  tlsKeyFilePass: renewTls,
  tlsPreferServerCiphers: renewTls,
  tlsProtocols: renewTls,
  writeBuffer: ({ saver, settings }) => {
    saver.bufferBytesMax = settings.writeBuffer;
  },
};

/** The parsers of all connections read these two objects. */
export function limitRequests({ requestLimits, settings }: ServerContext): void {
  const { authenticated, unauthenticated } = requestLimits;
  authenticated.bulkBytesMax = settings.protoMaxBulkLen;
  authenticated.bufferBytesMax = settings.clientQueryBufferLimit;
  unauthenticated.bufferBytesMax = settings.clientQueryBufferLimit;
}

function renewTls(server: ServerContext): void {
  try {
    server.renewTls();
  } catch (error) {
    server.log.warning(`TLS stays as it was: ${(error as Error).message}`);
    throw new CommandError("Unable to update TLS configuration. Check server logs.");
  }
}

/** An effect that failed, and what it was for. */
export class SettingFailed extends Error {
  readonly key: OptionKey;

  constructor(key: OptionKey, cause: CommandError) {
    super(cause.message, { cause });
    this.key = key;
  }
}

/** Changes settings: all of them, or none and SettingFailed. Options that share an effect have it once. */
export function changeSettings(server: ServerContext, changes: Partial<ServerOptions>): void {
  const before = { ...server.settings };
  Object.assign(server.settings, changes);
  const done = new Set<Effect>();
  for (const key of Object.keys(changes) as OptionKey[]) {
    const effect = EFFECTS[key];
    if (effect === undefined || done.has(effect)) continue;
    try {
      effect(server);
      done.add(effect);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      Object.assign(server.settings, before);
      for (const each of done) each(server);
      throw new SettingFailed(key, error);
    }
  }
}
