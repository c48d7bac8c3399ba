/** One client as the commands know it: its database, protocol, name and transaction. What bytes it sends is net's business. */
import type { Database } from "../keyspace/database.js";
import type { Watcher } from "../keyspace/watches.js";
import type { OutputClass } from "../options/kinds.js";
import type { Argv } from "../resp/argv.js";
import type { Reply } from "../resp/reply.js";
import type { User } from "./acl/user.js";
import type { Subscriptions } from "./channels/pubsub.js";
import type { Command } from "./command.js";
import type { ServerContext } from "./context.js";

/** What a command can see and do of the connection behind a client. */
export interface Peer {
  /** Like `127.0.0.1:50312`. */
  readonly address: string;
  readonly localAddress: string;
  /** Bytes received and not run yet, and bytes of replies not sent yet. */
  readonly queryBufferBytes: number;
  readonly replyBytes: number;
  /** Sends bytes that are no reply, behind what has been replied so far. They must not be changed any more. */
  push(bytes: Uint8Array): void;
  /** Ends the connection now, without waiting for replies to be read. */
  destroy(): void;
}

/** What MULTI gathers. */
export interface Transaction {
  queue: { command: Command; argv: Argv }[];
  /** Bytes of the queued arguments. */
  queueBytes: number;
  /** A command could not be queued: EXEC must refuse. */
  poisoned: boolean;
}

/** Work that a command waits for; the client's further requests wait with it, all other clients go on. */
export interface Pending {
  until: Promise<void>;
  /** Writes the reply when the work is done. */
  done: (reply: Reply) => void;
  /** Writes the reply when it failed. */
  failed: (reply: Reply) => void;
  /** The client has left: nobody waits any more. */
  cancel?: () => void;
  /** The client is blocked until others do something, perhaps for ever: it is let go as soon as it ends its side (Redis). */
  isBlocking?: boolean;
  /** The request itself waits: it is run when the work is done, as if it had come then. */
  again?: Argv;
  /** CLIENT UNBLOCK: ends the wait as if its time were over, or with an error. */
  unblock?: (reason: "timeout" | "error") => void;
}

export class Client implements Watcher {
  readonly id: number;
  readonly server: ServerContext;
  readonly peer: Peer;
  readonly createdMs: number;
  lastActiveMs: number;
  database: Database;
  protocol: 2 | 3 = 2;
  name = "";
  libName = "";
  libVersion = "";
  /** Whose permissions it has; `default` until it logs in as another. */
  user: User;
  /** It has logged in, or `default` was open when it came. */
  authenticated = false;
  /** It must log in before anything else. */
  mustAuthenticate = true;
  /** Nothing of what it sends needs to be looked at: it has been let in as a user who may do everything. */
  isUnrestricted = false;
  noEvict = false;
  noTouch = false;
  /** CLIENT REPLY: `skip-next` is said by SKIP and becomes `skip` for the command after it. */
  replyMode: "on" | "off" | "skip-next" | "skip" = "on";
  transaction: Transaction | undefined;
  /** Name of the command that was asked for last, whether or not it ran. */
  lastCommand = "NULL";
  pending: Pending | undefined;
  /** GETBIT and SETBIT requests that are worth reading at a time (see bit-run). */
  bitRun = 1;
  /** What it has subscribed to; undefined where that is nothing. */
  subscriptions: Subscriptions | undefined;
  /** It is shown what all clients do (MONITOR). */
  isMonitor = false;
  /** It is the master of this server, whose commands come to be repeated here. */
  isMaster = false;
  /** What was pushed to a client whose replies are switched off, while its own command runs. */
  heldPushes: Uint8Array[] | undefined;
  /** The connection ends as soon as the replies so far are sent. */
  closing = false;
  readonly #watched: { database: number; key: string }[] = [];
  #touched = false;

  constructor(server: ServerContext, peer: Peer) {
    this.server = server;
    this.peer = peer;
    this.id = server.nextClientId();
    this.createdMs = server.keyspace.now;
    this.lastActiveMs = this.createdMs;
    this.database = server.keyspace.databases[0] as Database;
    this.user = server.users.default;
    this.logout();
  }

  /** The client has said who it is. */
  login(user: User): void {
    this.user = user;
    this.authenticated = true;
    this.refreshAccess();
  }

  /** The client is who it was when it came. */
  logout(): void {
    this.user = this.server.users.default;
    this.authenticated = this.server.users.isOpen;
    this.refreshAccess();
  }

  /** Users have changed, or the client's user: works out anew what every command asks. */
  refreshAccess(): void {
    this.mustAuthenticate = !this.authenticated && !this.server.users.isOpen;
    this.isUnrestricted = !this.mustAuthenticate && this.user.isUnrestricted;
  }

  /** WATCH: from now on a change of the key makes EXEC refuse. */
  watch(key: string): void {
    const database = this.database.number;
    if (this.#watched.some((watched) => watched.database === database && watched.key === key)) return;
    // A key whose deadline has passed dies now, before the watch, as a change that the client already knows.
    this.server.keyspace.lookup(this.database, key);
    this.#watched.push({ database, key });
    this.server.keyspace.watches.add(database, key, this);
  }

  unwatch(): void {
    for (const { database, key } of this.#watched) this.server.keyspace.watches.delete(database, key, this);
    this.#watched.length = 0;
    this.#touched = false;
  }

  /** A watched key was changed. */
  touched(): void {
    this.#touched = true;
  }

  /** Whether a watched key was changed or has expired since WATCH. */
  get watchFailed(): boolean {
    const { keyspace } = this.server;
    for (const { database, key } of this.#watched) keyspace.lookup(keyspace.databases[database] as Database, key);
    return this.#touched;
  }

  get watchedKeys(): number {
    return this.#watched.length;
  }

  /** Sends a message, which CLIENT REPLY does not hold back. */
  push(message: Uint8Array): void {
    if (this.heldPushes === undefined) this.peer.push(message);
    else this.heldPushes.push(message);
  }

  /** Ends its subscriptions, and MONITOR. */
  stopListening(): void {
    this.server.pubsub.leave(this);
    this.server.monitors.delete(this);
    this.isMonitor = false;
  }

  /** Which of the limits of unsent replies holds for it. */
  get outputClass(): OutputClass {
    return this.subscriptions === undefined && !this.isMonitor ? "normal" : "pubsub";
  }

  /** `timeout` is not for it: it waits for something, and need not say anything meanwhile. */
  get mayBeIdle(): boolean {
    return this.pending !== undefined || this.outputClass === "pubsub";
  }

  /** DISCARD, and what every end of a transaction does. */
  discardTransaction(): void {
    this.transaction = undefined;
    this.unwatch();
  }

  /** The connection is gone: forgets what others could still see of the client. */
  leave(): void {
    this.pending?.cancel?.();
    this.discardTransaction();
    this.stopListening();
    this.server.clients.delete(this.id);
  }
}
