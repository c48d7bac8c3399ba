/**
 * One connection: bytes in, commands run, replies out. All requests of a chunk are run, and their replies leave in one write at the
 * end of the turn; at once where there are many, or something has to be waited for.
 * A client that does not read is not served: while more than REPLY_PAUSE_BYTES wait for it, nothing of it is run, and nothing
 * is read beyond READ_AHEAD_BYTES. Messages, which it did not ask for, wait in a PushQueue for it to read, up to a bound.
 */
import type { Socket } from "node:net";
import { runBits } from "../commands/bitmaps/bit-run.js";
import { replyError } from "../commands/call.js";
import { Client, type Peer, type Pending } from "../commands/client.js";
import type { ServerContext } from "../commands/context.js";
import { execute } from "../commands/execute.js";
import { CHUNK_MS_MAX, READ_AHEAD_BYTES, REPLY_PAUSE_BYTES } from "../config.js";
import { ProtocolError } from "../errors.js";
import type { Argv } from "../resp/argv.js";
import type { Reply, Segment } from "../resp/reply.js";
import { type RequestLimits, RequestParser } from "../resp/request-parser.js";
import { PushQueue } from "./push-queue.js";
import type { Sender, Turn } from "./turn.js";

/** What the connections of a listener share. */
export interface Shared {
  /** Empty whenever no connection is running a chunk. */
  readonly reply: Reply;
  readonly turn: Turn;
}

export class Connection implements Peer, Sender {
  readonly address: string;
  readonly localAddress: string;
  readonly #socket: Socket;
  readonly #server: ServerContext;
  readonly #client: Client;
  readonly #parser: RequestParser;
  readonly #reply: Reply;
  readonly #turn: Turn;
  /** Segments that wait: for the turn's end, for the client to take a stream before them, or under `always` for a commit. */
  readonly #unsent: Segment[] = [];
  /** Messages that came after them. */
  readonly #pushed = new PushQueue();
  #isRunning = false;
  /** Under `always`: `changes` of the keyspace when the unsent replies were made, and whether this client made any of them. */
  #unsentChanges = 0;
  #hasWritten = false;
  #isHeld = false;
  #isPaused = false;
  /** The client has ended its side: nothing more comes, and what came is run and answered. */
  #hasAll = false;
  #isEnded = false;
  /** Bytes that had gone either way when they were looked at last, and since when there have been no others. */
  #seenBytes = 0;
  #silentSinceMs: number;
  /** Since when more than the soft limit waits for the client. */
  #softSinceMs: number | undefined;

  /** `receive` must be given what is read from the socket. `path` is that of a unix socket. */
  constructor(socket: Socket, server: ServerContext, { reply, turn }: Shared, path = "") {
    this.#socket = socket;
    this.#server = server;
    this.#reply = reply;
    this.#turn = turn;
    this.address = path === "" ? endpoint(socket.remoteAddress, socket.remotePort) : `${path}:0`;
    this.localAddress = path === "" ? endpoint(socket.localAddress, socket.localPort) : this.address;
    this.#silentSinceMs = server.keyspace.now;
    this.#client = new Client(server, this);
    this.#parser = new RequestParser(limitsOf(this.#client));
    server.clients.set(this.#client.id, this.#client);
    server.stats.connections++;
    socket.on("drain", () => this.advance());
    socket.on("end", () => this.#inputEnded());
    socket.on("close", () => this.#left());
    // The close that follows says all that there is to say: clients come and go.
    socket.on("error", (error) => server.log.debug(`client ${this.#client.id}: ${error.message}`));
    server.log.verbose(`client ${this.#client.id} connected from ${this.address}`);
  }

  get queryBufferBytes(): number {
    return this.#parser.bufferedBytes;
  }

  get replyBytes(): number {
    const unsent = this.#unsent.reduce((sum, part) => sum + (part instanceof Uint8Array ? part.length : 0), 0);
    return unsent + this.#pushedBytes;
  }

  get #pushedBytes(): number {
    return this.#pushed.byteLength + this.#socket.writableLength;
  }

  /** What has to be looked at again and again: is the client idle, does it leave too much unread. */
  sweep(nowMs: number): void {
    const { settings, log } = this.#server;
    const { softBytes, softSeconds } = settings.clientOutputBufferLimit[this.#client.outputClass];
    if (softBytes === 0 || this.replyBytes <= softBytes) this.#softSinceMs = undefined;
    else this.#softSinceMs ??= nowMs;
    if (this.#softSinceMs !== undefined && nowMs - this.#softSinceMs > softSeconds * 1000) {
      log.warning(`${this.#named} closed: more than ${softBytes} bytes of replies wait for it for ${softSeconds} s`);
      return this.destroy();
    }
    const bytes = settings.timeout === 0 ? Number.NaN : this.#socket.bytesRead + this.#socket.bytesWritten;
    if (bytes !== this.#seenBytes || this.#client.mayBeIdle) {
      this.#seenBytes = bytes;
      this.#silentSinceMs = nowMs;
    } else if (nowMs - this.#silentSinceMs > settings.timeout * 1000) {
      log.verbose(`${this.#named} closed: it was idle`);
      this.destroy();
    }
  }

  get #named(): string {
    return `client ${this.#client.id} at ${this.address}`;
  }

  /** Ends the connection now: nobody sees the client any more. */
  destroy(): void {
    this.#isEnded = true;
    this.#client.leave();
    this.#socket.destroy();
  }

  push(bytes: Uint8Array): void {
    if (this.#isEnded) return;
    if (this.#isRunning) return this.#reply.raw(bytes);
    if (!this.#hasUnsent) this.#turn.add(this);
    this.#pushed.add(bytes);
    this.#unsentChanges = this.#server.keyspace.changes;
    const { hardBytes } = this.#server.settings.clientOutputBufferLimit[this.#client.outputClass];
    if (hardBytes === 0 || this.#pushedBytes <= hardBytes) return;
    this.#server.log.warning(`${this.#named} closed: more than ${hardBytes} bytes of messages wait for it`);
    this.destroy();
  }

  get #hasUnsent(): boolean {
    return this.#unsent.length > 0 || this.#pushed.byteLength > 0;
  }

  /** Runs nothing more, and ends the connection when the replies so far are sent. */
  end(): void {
    this.#client.closing = true;
    this.advance();
  }

  /** Takes a chunk that came, which need not be good any longer than this runs. */
  receive(chunk: Buffer): void {
    this.#server.stats.inputBytes += chunk.length;
    this.#server.stats.reads++;
    this.#parser.feed(chunk);
    if (this.#canRun()) {
      if (this.#runChunk()) this.advance();
      else if (this.#unsent.length > 0) this.#turn.add(this);
    } else {
      this.#pauseWhenFull();
    }
    this.#parser.keep();
  }

  /** As in Redis, all that came before the end is run, but a client that is blocked is let go. */
  #inputEnded(): void {
    this.#hasAll = true;
    if (this.#client.pending?.isBlocking === true) this.destroy();
    else this.advance();
  }

  /** Does what can be done now: sends, runs, sends. Called when a turn ends, room came, or a pending command is done. */
  advance(): void {
    if (this.#isEnded) return;
    this.#send();
    while (this.#hasInput && this.#canRun() && (this.#runChunk() || this.#unsent.length > 0)) this.#send();
    if (this.#isEnded) return;
    if ((this.#client.closing && !this.#hasUnsent) || (this.#hasAll && this.#canRun())) {
      this.#isEnded = true;
      this.#client.leave();
      this.#socket.destroySoon();
      return;
    }
    this.#pauseWhenFull();
  }

  /** Whether bytes have come that were not run yet: mostly a turn ends with nothing left. */
  get #hasInput(): boolean {
    return this.#parser.bufferedBytes > 0;
  }

  #canRun(): boolean {
    return (
      !this.#isEnded &&
      !this.#client.closing &&
      this.#client.pending === undefined &&
      !this.#hasUnsent &&
      this.#socket.writableLength <= REPLY_PAUSE_BYTES
    );
  }

  /**
   * Runs the requests that have arrived, after `first`, which had to wait itself, until there is enough to send. Returns whether to go on
   * now and not at the turn's end.
   */
  #runChunk(first?: Argv): boolean {
    const client = this.#client;
    const { keyspace, saver, stats, timing } = this.#server;
    let waited = first;
    keyspace.tick();
    const beganMs = keyspace.now;
    timing.beginChunk(stats.commands);
    // Others may have changed the user meanwhile.
    this.#parser.limits = limitsOf(client);
    this.#isRunning = true;
    try {
      while (!this.#hasEnough()) {
        const { mustAuthenticate } = client;
        const { changes } = keyspace;
        if (waited !== undefined || !this.#hasInput || !runBits(client, this.#parser, this.#reply)) {
          const argv = waited ?? this.#parser.next();
          if (argv === undefined) break;
          waited = undefined;
          execute(client, argv, this.#reply);
        }
        if (keyspace.changes !== changes) {
          this.#hasWritten = true;
          if (saver.isBehind) client.pending ??= waitFor(saver.caughtUp());
        }
        // What is quick does not move this clock: a chunk of it is over soon, but where it had to read the file.
        if (keyspace.workSince !== 0) keyspace.tick();
        if (keyspace.now - beganMs >= CHUNK_MS_MAX && this.#hasInput) client.pending ??= TURN_OVER;
        if (client.mustAuthenticate !== mustAuthenticate) this.#parser.limits = limitsOf(client);
        if (client.pending !== undefined) this.#await(client.pending);
        if (client.closing || client.pending !== undefined || this.#isEnded) break;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#server.log.verbose(`client ${client.id} at ${this.address}: ${error.message}`);
      replyError(client, this.#reply, `ERR ${error.message}`);
      client.closing = true;
    } finally {
      this.#isRunning = false;
    }
    const isUrgent = this.#hasEnough() || client.closing || client.pending !== undefined;
    this.#takeReplies();
    this.#unsentChanges = keyspace.changes;
    saver.noticeChanges();
    return isUrgent;
  }

  /** Puts what was replied behind the messages that came before. */
  #takeReplies(): void {
    this.#pushed.take(this.#unsent);
    this.#reply.take(this.#unsent);
  }

  /** Whether the client must first take what there is: a stream, or many replies. */
  #hasEnough(): boolean {
    return this.#reply.hasStream || this.#reply.size > REPLY_PAUSE_BYTES;
  }

  #await(pending: Pending): void {
    const settle = (write: (reply: Reply) => void) => {
      this.#client.pending = undefined;
      if (this.#isEnded) return;
      if (pending.again === undefined) {
        this.#reply.protocol = this.#client.protocol;
        write(this.#reply);
        this.#takeReplies();
      } else if (!this.#client.closing) {
        this.#runChunk(pending.again);
      }
      this.advance();
    };
    if (pending === TURN_OVER) {
      setImmediate(() => this.#goOn());
      return;
    }
    pending.until.then(
      () => settle(pending.done),
      () => settle(pending.failed),
    );
  }

  /** Others have had their turn. That replies are held until a commit is no reason to wait: all of a chunk may be in one. */
  #goOn(): void {
    this.#client.pending = undefined;
    const hasRoom = this.#heldBytes + this.#socket.writableLength <= REPLY_PAUSE_BYTES;
    if (this.#isHeld && hasRoom && !this.#isEnded && !this.#client.closing) this.#runChunk();
    this.advance();
  }

  get #heldBytes(): number {
    const bytesOf = (segment: Segment) => (segment instanceof Uint8Array ? segment.length : Number.POSITIVE_INFINITY);
    return this.#unsent.reduce((sum, segment) => sum + bytesOf(segment), this.#pushed.byteLength);
  }

  /** Writes what waits, as long as the client takes it: a stream is pulled no faster than it is read. */
  #send(): void {
    const socket = this.#socket;
    if (this.#hasUnsent && this.#mustHold()) return;
    for (let segment = this.#next(); segment !== undefined && !this.#isEnded; segment = this.#next()) {
      if (segment instanceof Uint8Array) {
        this.#unsent.shift();
        this.#write(segment);
        continue;
      }
      const { value, done } = segment.slices.next();
      if (done === true) this.#unsent.shift();
      else if (!this.#write(value) && socket.writableLength > REPLY_PAUSE_BYTES) return;
    }
  }

  /** What is to be written next. Messages stay where they are counted until all that was before them is gone. */
  #next(): Segment | undefined {
    if (this.#unsent.length === 0 && !this.#socket.writableNeedDrain) this.#pushed.take(this.#unsent);
    return this.#unsent[0];
  }

  /**
   * Whether replies may not leave yet: under `always` they wait until what they tell of is committed. What others have written is
   * waited for too, as in Redis, but not while the disk fails: reading goes on then.
   */
  #mustHold(): boolean {
    const { saver, settings } = this.#server;
    if (this.#isHeld) return true;
    if (settings.appendfsync !== "always" || saver.savedChanges >= this.#unsentChanges) {
      this.#hasWritten = false;
      return false;
    }
    if (!this.#hasWritten && saver.failure !== undefined) return false;
    this.#isHeld = true;
    void (this.#hasWritten ? saver.committed() : saver.committedOrFailed()).then(() => {
      this.#isHeld = false;
      this.advance();
    });
    return true;
  }

  #write(bytes: Uint8Array): boolean {
    this.#server.stats.outputBytes += bytes.length;
    this.#server.stats.writes++;
    const { hardBytes } = this.#server.settings.clientOutputBufferLimit[this.#client.outputClass];
    if (hardBytes !== 0 && this.#socket.writableLength + bytes.length > hardBytes) {
      this.#server.log.warning(`${this.#named} closed: more than ${hardBytes} bytes of replies wait for it`);
      this.destroy();
      return false;
    }
    return this.#socket.write(bytes);
  }

  /** Reads on for a while though nothing can be run: only who reads learns that the client has left. */
  #pauseWhenFull(): void {
    const isPaused = this.#parser.bufferedBytes >= READ_AHEAD_BYTES && !this.#canRun();
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    if (isPaused) this.#socket.pause();
    else this.#socket.resume();
  }

  #left(): void {
    this.#isEnded = true;
    this.#client.leave();
    for (const segment of this.#unsent) if (!(segment instanceof Uint8Array)) segment.slices.return?.();
    this.#unsent.length = 0;
    this.#server.log.verbose(`client ${this.#client.id} left`);
  }
}

/** A command that has replied, and whose client may not go on before something else is done. */
function waitFor(until: Promise<void>): Pending {
  return { until, done: () => {}, failed: () => {} };
}

/** What a client waits for whose turn is over. */
const TURN_OVER: Pending = waitFor(Promise.resolve());

function limitsOf({ mustAuthenticate, server }: Client): RequestLimits {
  return mustAuthenticate ? server.requestLimits.unauthenticated : server.requestLimits.authenticated;
}

/** `127.0.0.1:50312`, `[::1]:50312`; an IPv4 peer of a socket for both families is shown as IPv4, as Redis does. */
function endpoint(host: string | undefined, port: number | undefined): string {
  const address = (host ?? "?").replace(/^::ffff:/, "");
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
