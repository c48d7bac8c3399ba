/**
 * Follows a master, as a replica of Redis does (REPLICAOF): takes its data set as RDB, then its commands as they come, and when the link
 * breaks goes on where it was, or begins anew. The RDB becomes bitmaps while it arrives. Commands and their checks know only
 * `Replication`, which is kept up to date here.
 */
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Peer } from "../commands/client.js";
import type { ServerContext, Settings } from "../commands/context.js";
import type { Master } from "../commands/replication.js";
import { CHUNK_MS_MAX } from "../config.js";
import { ProtocolError, reasonOf } from "../errors.js";
import type { Bitmap } from "../keyspace/bitmap.js";
import { BitmapBuilder } from "../keyspace/bitmap-builder.js";
import { RdbReader } from "../rdb/reader.js";
import { RdbError } from "../rdb/string.js";
import { RequestParser } from "../resp/request-parser.js";
import { MigrateError, type Target } from "./item.js";
import { KeyspaceTarget } from "./keyspace-target.js";
import { MasterCommands } from "./master-commands.js";
import { type Argument, encode, LinkClosed, LinkError, type LinkOptions, nameOf, RedisLink } from "./redis-link.js";
import { SocketReader } from "./socket-reader.js";

/** A link that broke is made anew after so long, in milliseconds (Redis' figure). */
const RETRY_MS = 1000;
/** The same when what the master sent could not be used: twice as long each time, up to this. Each time the master makes an RDB. */
const RETRY_MS_MAX = 60_000;

/** How often the master is told how far the data is (Redis' figure), and the log how far a full synchronisation, in milliseconds. */
const ACK_INTERVAL_MS = 1000;
const PROGRESS_INTERVAL_MS = 10_000;

/** A disk that can't be written is looked at again after so long, in milliseconds. */
const DISK_LOOK_MS = 100;

/** What the reader calls a string, also one that is too long: then it says that behind. */
const STRING = "a string";

/** Bytes of the mark behind an RDB whose length nobody knew before (diskless). */
const MARK_BYTES = 40;

/** Following one master, from one REPLICAOF to the next. */
class Life {
  readonly master: Master;
  readonly commands: MasterCommands;
  /** The link to the master, while there is one. */
  socket: Socket | undefined;
  readonly #ending = new AbortController();
  #wake: () => void = () => {};

  constructor(master: Master, commands: MasterCommands) {
    this.master = master;
    this.commands = commands;
  }

  get isOver(): boolean {
    return this.#ending.signal.aborted;
  }

  /** Ends the link, also one that is being made. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  end(): void {
    this.#ending.abort();
    this.#wake();
  }

  /** Waits for `until`, but not longer than this lasts. One at a time. */
  async wait(until: Promise<void>): Promise<void> {
    if (this.isOver) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      void until.then(resolve);
    });
  }

  /** Throws LinkClosed if it is over. */
  check(): void {
    if (this.isOver) throw new LinkClosed("it is followed no more");
  }
}

export class Replica implements Peer {
  readonly #server: ServerContext;
  #life: Life | undefined;
  /** Resolves when the life before has come to rest. */
  #rest: Promise<void> = Promise.resolve();
  /** The data is that of a master at `replication.offset`: what follows there can be asked for. */
  #canContinue = false;
  #saidFailure = "";
  #saidProgressMs = 0;

  constructor(server: ServerContext) {
    this.#server = server;
  }

  /** REPLICAOF: makes this server a replica of `master`, or without one a master that has the data as it is. */
  follow(master: Master | undefined): void {
    const { keyspace, log, replication, settings } = this.#server;
    const before = this.#life;
    before?.end();
    this.#life = undefined;
    settings.replicaof = master;
    keyspace.isReplica = master !== undefined;
    if (master === undefined) {
      this.#canContinue = false;
      replication.rename();
      log.notice("a master again: writes are taken");
      return;
    }
    if (before === undefined) replication.skippedCommands.clear();
    replication.state = "connect";
    replication.downSinceMs = undefined;
    const life = new Life(master, before?.commands ?? new MasterCommands(this.#server, this));
    this.#life = life;
    log.notice(`a replica of ${nameOf(master)}`);
    this.#rest = this.#rest.then(() => this.#live(life));
  }

  /** Follows nobody any more. Resolves when nothing changes by it: of a data set that was half there nothing is left. */
  async stop(): Promise<void> {
    this.#life?.end();
    await this.#rest;
  }

  // --- the master as a client

  get address(): string {
    return this.#life === undefined ? "" : nameOf(this.#life.master);
  }

  get localAddress(): string {
    const { localAddress = "", localPort = 0 } = this.#life?.socket ?? {};
    return nameOf({ host: localAddress, port: localPort });
  }

  get queryBufferBytes(): number {
    const { readOffset, offset } = this.#server.replication;
    return readOffset - offset;
  }

  readonly replyBytes = 0;

  /** Nobody is told anything. */
  push(): void {}

  /** CLIENT KILL: the link is made anew. */
  destroy(): void {
    this.#life?.socket?.destroy();
  }

  // --- the link

  async #live(life: Life): Promise<void> {
    const { keyspace, replication, saver } = this.#server;
    let retryMs = RETRY_MS;
    while (!life.isOver) {
      const begunMs = performance.now();
      try {
        // What can't be kept need not be asked for.
        if (saver.failure === undefined) await this.#attend(life);
      } catch (error) {
        const isUsable = error instanceof LinkClosed || error instanceof LinkError;
        if (!isUsable) this.#canContinue = false;
        if (performance.now() - begunMs > RETRY_MS_MAX) retryMs = RETRY_MS;
        else retryMs = isUsable ? RETRY_MS : Math.min(retryMs * 2, RETRY_MS_MAX);
        if (!life.isOver) this.#sayFailure(life, error);
      }
      this.#disconnect(life);
      if (life.isOver) return;
      if (replication.state === "connected") replication.downSinceMs = keyspace.now;
      replication.state = "connect";
      await life.wait(sleep(retryMs));
    }
  }

  #disconnect(life: Life): void {
    life.socket?.destroy();
    life.socket = undefined;
    life.commands.drop();
    this.#server.clients.delete(life.commands.client.id);
  }

  /** Says why a master can't be followed, once for each reason. */
  #sayFailure({ master }: Life, error: unknown): void {
    const isExpected = [LinkClosed, LinkError, MigrateError, RdbError, ProtocolError].some(
      (kind) => error instanceof kind,
    );
    const reason = isExpected || !(error instanceof Error) ? reasonOf(error) : String(error.stack);
    if (reason === this.#saidFailure) return;
    this.#saidFailure = reason;
    this.#server.log.warning(`the link to the master ${nameOf(master)} is down: ${reason}`);
  }

  /** Connects, gets up to date, and stays so until the link breaks, which rejects. */
  async #attend(life: Life): Promise<void> {
    const { replication } = this.#server;
    replication.state = "connecting";
    const socket = await this.#shakeHands(life);
    const reader = new SocketReader(socket);
    const timer = setInterval(() => this.#tick(socket, reader), ACK_INTERVAL_MS);
    try {
      await this.#synchronise(life, socket, reader);
      this.#saidFailure = "";
      this.#heard();
      this.#server.clients.set(life.commands.client.id, life.commands.client);
      replication.state = "connected";
      this.#acknowledge(socket);
      await this.#repeat(life, socket, reader);
    } finally {
      clearInterval(timer);
    }
  }

  /** A connection to the master that knows who it is. */
  async #shakeHands(life: Life): Promise<Socket> {
    const { port, replication, settings } = this.#server;
    const { masterauth, masteruser, replTimeout, tlsReplication } = settings;
    const link = await RedisLink.connect({
      ...life.master,
      silenceMs: replTimeout * 1000,
      signal: life.signal,
      ...(tlsReplication ? { tls: certificates(settings) } : {}),
    });
    try {
      life.check();
      replication.state = "handshake";
      if (masterauth !== "")
        await link.ask("AUTH", ...[masteruser, masterauth].filter((word) => word !== "").map(bytesOf));
      // What a master does not know, or may not be asked by this user, does not matter: PSYNC's answer does.
      await link.askAll([
        ["PING"],
        ["REPLCONF", "listening-port", port],
        ["REPLCONF", "capa", "eof", "capa", "psync2"],
      ]);
      life.check();
      life.socket = link.detach();
      return life.socket;
    } catch (error) {
      link.close();
      throw error;
    }
  }

  #tick(socket: Socket, { waitingSinceMs }: SocketReader): void {
    const { log, replication, settings } = this.#server;
    const { isLoading, state, sync } = replication;
    if (waitingSinceMs !== undefined && performance.now() - waitingSinceMs > settings.replTimeout * 1000) {
      socket.destroy(new LinkClosed(`it has said nothing for ${settings.replTimeout} s`));
    } else if (state === "connected") {
      this.#acknowledge(socket);
    } else if (isLoading) {
      // Lets the master know that somebody is there.
      socket.write("\n");
      if (performance.now() - this.#saidProgressMs < PROGRESS_INTERVAL_MS) return;
      this.#saidProgressMs = performance.now();
      const total = sync.totalBytes === 0 ? "" : ` of ${sync.totalBytes}`;
      log.notice(`full synchronisation: ${sync.readBytes}${total} bytes, ${sync.keys} keys`);
    }
  }

  #acknowledge(socket: Socket): void {
    request(socket, "REPLCONF", "ACK", this.#server.replication.offset);
  }

  /** Something came from the master. */
  #heard(): void {
    this.#server.replication.lastIoMs = this.#server.keyspace.now;
  }

  // --- getting up to date

  async #synchronise(life: Life, socket: Socket, reader: SocketReader): Promise<void> {
    const { log, replication } = this.#server;
    const { id, offset } = replication;
    if (this.#canContinue) request(socket, "PSYNC", id, offset + 1);
    else request(socket, "PSYNC", "?", -1);
    const line = await reader.line();
    const [word, givenId, givenOffset] = line.split(" ");
    if (word === "+CONTINUE" && this.#canContinue) {
      if (givenId !== undefined && givenId !== id) replication.rename(givenId);
      replication.readOffset = offset;
      log.notice(`goes on with ${nameOf(life.master)} at byte ${offset} of its history`);
    } else if (word === "+FULLRESYNC" && givenId !== undefined && Number.isSafeInteger(Number(givenOffset))) {
      replication.state = "sync";
      await this.#load(life, reader);
      replication.begin(givenId, Number(givenOffset));
      this.#canContinue = true;
    } else {
      throw new LinkError(line.replace(/^-/, ""));
    }
  }

  /** Takes the master's data set in the place of what is here, which stays when that does not come whole. */
  async #load(life: Life, reader: SocketReader): Promise<void> {
    const { keyspace, log, replication, saver } = this.#server;
    replication.sync = { begunMs: keyspace.now, totalBytes: 0, readBytes: 0, keys: 0 };
    const header = await reader.line();
    const [, length, mark] = /^\$(?:([0-9]+)|EOF:(.*))$/.exec(header) ?? [];
    if (length === undefined && mark?.length !== MARK_BYTES) throw new LinkError(header.replace(/^-/, ""));
    this.#saidProgressMs = performance.now();
    log.notice(
      `full synchronisation with ${nameOf(life.master)}: ${length ?? "not known how many"} bytes; what is here goes when all have come`,
    );
    this.#canContinue = false;
    replication.sync.totalBytes = Number(length ?? 0);
    replication.skippedKeys = 0;
    replication.isLoading = true;
    const target = new KeyspaceTarget(keyspace, saver);
    const rdb = new RdbReader(() => new BitmapBuilder(() => target.takePieces()));
    try {
      await this.#settle(life);
      keyspace.beginReplacement();
      await this.#loadKeys(life, reader, rdb, target);
      await checkEnd(reader, rdb, length === undefined ? mark : Number(length));
      life.commands.select(Number(rdb.aux.get("repl-stream-db") ?? 0));
      keyspace.completeReplacement();
    } finally {
      keyspace.undoReplacement();
      rdb.dispose();
      replication.isLoading = false;
      saver.noticeChanges();
    }
    keyspace.tick();
    const { begunMs, keys } = replication.sync;
    const skipped =
      replication.skippedKeys === 0 ? "" : `, and ${replication.skippedKeys} that are no strings passed over`;
    log.notice(
      `full synchronisation done in ${((keyspace.now - begunMs) / 1000).toFixed(1)} s: ${keys} keys${skipped}`,
    );
  }

  async #loadKeys(life: Life, reader: SocketReader, rdb: RdbReader<Bitmap>, target: Target): Promise<void> {
    const { replication } = this.#server;
    for (;;) {
      const found = rdb.next();
      replication.sync.readBytes = rdb.offset;
      if (found === undefined) {
        if (rdb.isDone) return;
        await rdb.makeRoom();
        rdb.feed(await reader.chunk());
        this.#heard();
      } else if (found.value === undefined) {
        // Commands would make another string of it.
        if (found.type.startsWith(STRING))
          throw new MigrateError(`the master has ${found.type}, which can't be kept here`);
        replication.skippedKeys++;
      } else {
        const { database, key, value: bitmap, deadline } = found;
        await target.put({ database, key, bitmap, deadline });
        replication.sync.keys++;
      }
      life.check();
    }
  }

  /** Waits until all that is here can be read from the file. Clients are refused meanwhile, so that nothing is added. */
  async #settle(life: Life): Promise<void> {
    const { keyspace, saver } = this.#server;
    do {
      let failure: unknown;
      const settled = saver.settle().catch((reason: unknown) => {
        failure = reason;
      });
      await life.wait(settled);
      life.check();
      if (failure !== undefined) throw new MigrateError(`can't write: ${reasonOf(failure)}`, { cause: failure });
    } while (!keyspace.isSettled);
  }

  // --- staying up to date

  /** Repeats what the master does, until the link breaks. */
  async #repeat(life: Life, socket: Socket, reader: SocketReader): Promise<void> {
    const { replication, saver, stats, timing } = this.#server;
    const parser = new RequestParser();
    let turnEndsMs = 0;
    for (;;) {
      const chunk = await reader.chunk();
      this.#heard();
      replication.readOffset += chunk.length;
      parser.feed(chunk);
      timing.beginChunk(stats.commands);
      for (let argv = parser.next(); argv !== undefined; argv = parser.next()) {
        if (this.#mustWait || performance.now() >= turnEndsMs) {
          await this.#wait(life);
          turnEndsMs = performance.now() + CHUNK_MS_MAX;
        }
        life.check();
        if (argv.is(0, "REPLCONF")) {
          if (argv.length > 1 && argv.is(1, "GETACK")) this.#acknowledge(socket);
        } else life.commands.run(argv);
        // A transaction of which only a part has come comes again.
        if (!life.commands.isInTransaction) replication.offset = replication.readOffset - parser.bufferedBytes;
      }
      saver.noticeChanges();
    }
  }

  /** Whether the next command must wait: changes can't be kept now, or are paused. */
  get #mustWait(): boolean {
    const { pause, saver } = this.#server;
    return saver.isBehind || saver.failure !== undefined || pause.kind !== undefined;
  }

  /** Lets others have their turn, and waits until the next command may run. */
  async #wait(life: Life): Promise<void> {
    const { pause, saver } = this.#server;
    saver.noticeChanges();
    await new Promise(setImmediate);
    while (!life.isOver && this.#mustWait) {
      if (pause.kind !== undefined) {
        const { until, cancel } = pause.wait();
        await life.wait(until);
        cancel();
      }
      if (saver.failure !== undefined) await life.wait(sleep(DISK_LOOK_MS));
      else if (saver.isBehind) await life.wait(saver.caughtUp());
    }
  }
}

/** Throws unless the data set ended where it was to: after so many bytes, or with the mark. */
async function checkEnd(reader: SocketReader, rdb: RdbReader<Bitmap>, end: number | string | undefined): Promise<void> {
  reader.unread(rdb.rest);
  const found = typeof end === "number" ? rdb.offset : (await reader.bytes(MARK_BYTES)).toString("latin1");
  if (found !== end) throw new MigrateError("the master's data set does not end where it is to");
}

/** What TLS to a master needs, from the options that serving it has. */
function certificates(settings: Settings): NonNullable<LinkOptions["tls"]> {
  const { tlsCaCertFile: ca, tlsCertFile: cert, tlsKeyFile: key } = settings;
  const files = Object.entries({ ca, cert, key }).filter(([, file]) => file !== "");
  try {
    return Object.fromEntries(files.map(([name, file]) => [name, readFileSync(file)]));
  } catch (error) {
    throw new LinkClosed(`can't read the certificates: ${reasonOf(error)}`, { cause: error });
  }
}

function request(socket: Socket, ...argv: Argument[]): void {
  socket.write(encode([argv]));
}

function bytesOf(latin1: string): Buffer {
  return Buffer.from(latin1, "latin1");
}
