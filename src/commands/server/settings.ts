/** What a changed setting does beyond being read where it counts. The options themselves are in options/table.ts. */
import { CommandError } from "../../errors.js";
import type { OptionKey, ServerOptions } from "../../options/table.js";
import type { ServerContext } from "../context.js";

/** Puts the new value into effect. Of these only `renewTls` may throw. */
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

/** The effect of a change failed, and what it was for. */
export class SettingFailed extends Error {
  readonly key: OptionKey;

  constructor(key: OptionKey, cause: CommandError) {
    super(cause.message, { cause });
    this.key = key;
  }
}

/**
 * Changes settings: all of them, or none and SettingFailed. Options that share an effect have it once. TLS alone can fail and comes
 * first, so that there is no effect to be taken back: that of `requirepass` could not be, since the user may have had other passwords.
 */
export function changeSettings(server: ServerContext, changes: Partial<ServerOptions>): void {
  const keys = Object.keys(changes) as OptionKey[];
  const before = { ...server.settings };
  Object.assign(server.settings, changes);
  const tlsKey = keys.find((key) => EFFECTS[key] === renewTls);
  if (tlsKey !== undefined) {
    try {
      renewTls(server);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      Object.assign(server.settings, before);
      throw new SettingFailed(tlsKey, error);
    }
  }
  const others = new Set(keys.map((key) => EFFECTS[key]).filter((effect) => effect !== renewTls));
  for (const effect of others) effect?.(server);
}
