/** A server without sockets and disk, on which commands run one by one: what execute() does, without the net around it. */
import { ManualClock } from "../../../src/clock.js";
import { AclLog } from "../../../src/commands/acl/log.js";
import { LoginLimit } from "../../../src/commands/acl/login-limit.js";
import { Users } from "../../../src/commands/acl/users.js";
import { Notifications } from "../../../src/commands/channels/notifications.js";
import { PubSub } from "../../../src/commands/channels/pubsub.js";
import { Client, type Peer, type Pending } from "../../../src/commands/client.js";
import { Pause } from "../../../src/commands/connections/pause.js";
import type { ServerContext, Settings } from "../../../src/commands/context.js";
import { execute } from "../../../src/commands/execute.js";
import { Monitors } from "../../../src/commands/monitoring/monitor.js";
import { Stats } from "../../../src/commands/monitoring/stats.js";
import { Timing } from "../../../src/commands/monitoring/timing.js";
import { Replication } from "../../../src/commands/replication.js";
import { COMMAND_TABLE } from "../../../src/commands/table.js";
import type { AppendFsync, DebugUsers } from "../../../src/config.js";
import type { Batch } from "../../../src/keyspace/change-log.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { Saver } from "../../../src/keyspace/saver.js";
import { LineLog } from "../../../src/log.js";
import type { SlurpFrom } from "../../../src/migrate/slurp.js";
import type { Master } from "../../../src/options/kinds.js";
import { DEFAULT_OPTIONS } from "../../../src/options/table.js";
import { Argv } from "../../../src/resp/argv.js";
import { Reply } from "../../../src/resp/reply.js";
import { AUTHENTICATED_LIMITS, UNAUTHENTICATED_LIMITS } from "../../../src/resp/request-parser.js";
import { StorageInHand } from "../keyspace/sqlite.js";

/** A Thursday in November 2023. */
export const START_MS = 1_700_000_000_000;

/** Keeps the batches that it was given, beside committing them. */
class RecordingStorage extends StorageInHand {
  readonly batches: Batch[] = [];

  override write(batch: Batch): Promise<Uint32Array> {
    this.batches.push(batch);
    return super.write(batch);
  }
}

export class TestServer implements ServerContext {
  readonly version = "0.0.0-test";
  readonly runId = "f".repeat(40);
  readonly startedMs = START_MS;
  readonly pid = 4242;
  port = 6379;
  readonly db = "data.db";
  readonly commands = COMMAND_TABLE;
  readonly clock = new ManualClock(START_MS);
  readonly storage = new RecordingStorage();
  readonly keyspace = new Keyspace(this.storage, this.clock, () => 0);
  readonly saver = new Saver(this.keyspace, this.storage, this.clock);
  readonly clients = new Map<number, Client>();
  readonly users = new Users(this.commands, this.clients);
  readonly aclLog = new AclLog();
  readonly pubsub = new PubSub();
  readonly monitors = new Monitors();
  readonly notifications = new Notifications(this.pubsub, this.keyspace);
  readonly pause = new Pause(this.keyspace);
  readonly settings: Settings = { ...DEFAULT_OPTIONS, db: "data.db" };
  readonly replication = new Replication(this.settings);
  configFile: string | undefined;
  readonly requestLimits = {
    authenticated: { ...AUTHENTICATED_LIMITS },
    unauthenticated: { ...UNAUTHENTICATED_LIMITS },
  };
  readonly logins = new LoginLimit();
  readonly stats = new Stats();
  readonly timing = new Timing();
  readonly memoryMarks = { startup: 0, peak: 0, purgedMs: Number.NEGATIVE_INFINITY };
  readonly logged: string[] = [];
  readonly log = new LineLog("debug", (line) => void this.logged.push(line));
  readonly debug = false;
  enableDebugCommand: DebugUsers = "no";
  readonly shutdowns: { save: boolean }[] = [];
  #clientId = 0;

  setAppendfsync(appendfsync: AppendFsync): void {
    this.settings.appendfsync = appendfsync;
  }

  replicaOf(master: Master | undefined): void {
    this.settings.replicaof = master;
  }

  /** Throws where a test wants it to. */
  renewTls = (): void => {};

  /** How often it was asked for. */
  trims = 0;

  trimHeap(): void {
    this.trims++;
  }

  /** What is asked of it; a test says what comes of it. */
  readonly slurped: SlurpFrom[] = [];
  slurpEnds: () => Promise<void> = async () => {};

  slurp(from: SlurpFrom): Promise<void> {
    this.slurped.push(from);
    return this.slurpEnds();
  }

  async shutdown(options: { save: boolean }): Promise<void> {
    this.shutdowns.push(options);
  }

  nextClientId(): number {
    return ++this.#clientId;
  }

  connect(): TestClient {
    const client = new TestClient(this);
    this.clients.set(client.client.id, client.client);
    return client;
  }
}

/** A client whose requests are run at once, and whose replies come back as bytes in latin1. */
export class TestClient implements Peer {
  readonly address = "127.0.0.1:50000";
  readonly localAddress = "127.0.0.1:6379";
  readonly queryBufferBytes = 0;
  readonly replyBytes = 0;
  isDestroyed = false;
  readonly client: Client;
  readonly #reply = new Reply();

  constructor(server: ServerContext) {
    this.client = new Client(server, this);
  }

  destroy(): void {
    this.isDestroyed = true;
    this.client.leave();
  }

  push(bytes: Uint8Array): void {
    this.#reply.raw(bytes);
  }

  /** Runs one request, given as its arguments, and gives what was replied to it. */
  run(...args: (string | Uint8Array)[]): string {
    return this.#run(Argv.of(...args));
  }

  /** The same with any number of arguments. */
  runAll(args: readonly string[]): string {
    const argv = new Argv();
    argv.begin(Buffer.from(args.join(""), "latin1"));
    let start = 0;
    for (const { length } of args) {
      argv.push(start, start + length);
      start += length;
    }
    return this.#run(argv);
  }

  #run(argv: Argv): string {
    this.client.server.keyspace.tick(); // as the connection does before a chunk
    execute(this.client, argv, this.#reply);
    return this.#reply.bytes().toString("latin1");
  }

  /** Runs one request of words that stand between single spaces. */
  say(request: string): string {
    return this.run(...request.split(" "));
  }

  /** The replies to several such requests. */
  sayAll(...requests: string[]): string[] {
    return requests.map((request) => this.say(request));
  }

  /** Waits for what the last command waits for, as the connection does, and gives its reply. */
  async settled(): Promise<string> {
    const { pending } = this.client;
    if (pending === undefined) throw new Error("the client waits for nothing");
    let write: Pending["done"] = pending.failed;
    await pending.until.then(
      () => {
        write = pending.done;
      },
      () => {},
    );
    this.client.pending = undefined;
    if (this.client.replyMode === "on") write(this.#reply);
    return this.#reply.bytes().toString("latin1");
  }
}
