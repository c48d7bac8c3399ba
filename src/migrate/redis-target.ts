/**
 * A running server as the target of a move: Redis 4 and later, Valkey, this server. Large values are written in pieces, zeros not at all,
 * under another name that then takes the place of the old value: readers see the old or the new one, never a part.
 */
import { randomBytes } from "node:crypto";
import { KIB } from "../config.js";
import type { Bitmap } from "../keyspace/bitmap.js";
import { NO_DEADLINE } from "../keyspace/storage.js";
import { type Item, MigrateError, type Target, type TargetFacts } from "./item.js";
import { LastingLink } from "./lasting-link.js";
import { askDialect, type RedisDialect } from "./redis-dialect.js";
import {
  type Argument,
  keyArgument,
  LinkError,
  type LinkOptions,
  type LinkReply,
  type RedisLink,
} from "./redis-link.js";

/** Values up to this length are written whole. */
const WHOLE_BYTES_MAX = 64 * KIB;
/** Bytes of a piece of a larger one, and pieces that are sent at a time. */
const PIECE_BYTES = 64 * KIB;
const PIECES_AT_ONCE = 32;
/** A value that was being written when the move broke off goes after so long, in milliseconds. */
const UNFINISHED_MS = 3_600_000;

export interface RedisTargetOptions {
  link: LinkOptions;
  /** The database that all keys go to, which must then be of one; undefined where each goes to that of the same number. */
  into: number | undefined;
  /** Is told of broken links. */
  onTrouble(message: string): void;
}

export class RedisTarget implements Target {
  readonly #options: RedisTargetOptions;
  readonly #dialect: RedisDialect;
  /** By database. */
  readonly #links = new Map<number, LastingLink>();
  readonly #first: LastingLink;
  readonly #unfinishedName = `bitmapist-server:unfinished:${randomBytes(8).toString("hex")}`;
  #unfinished = 0;
  /** The large value that was begun last: the next waits for it, since pieces on their way take memory that many values would take at once. */
  #large: Promise<void> = Promise.resolve();
  /** The first database that keys came from. */
  #from: number | undefined;

  /** Rejects with LinkClosed or LinkError when nobody answers there or lets us in. */
  static async open(options: RedisTargetOptions): Promise<RedisTarget> {
    const database = options.into ?? 0;
    const link = await LastingLink.open({ ...options.link, database }, options.onTrouble);
    try {
      return new RedisTarget(options, await link.run(askDialect), link);
    } catch (error) {
      await link.close();
      throw error;
    }
  }

  private constructor(options: RedisTargetOptions, dialect: RedisDialect, first: LastingLink) {
    this.#options = options;
    this.#dialect = dialect;
    this.#first = first;
    this.#links.set(options.into ?? 0, first);
  }

  async put({ database, key, bitmap, deadline }: Item): Promise<void> {
    try {
      const link = this.#link(database);
      const name = keyArgument(key);
      if (bitmap.byteLength <= WHOLE_BYTES_MAX) {
        await link.run((link) => putWhole(link, name, bitmap, deadline));
      } else {
        const unfinished = `${this.#unfinishedName}:${this.#unfinished++}`;
        const put = () => link.run((link) => putLarge(link, name, bitmap, deadline, unfinished));
        this.#large = this.#large.then(put, put);
        await this.#large;
      }
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      throw new MigrateError(`the target answers: ${error.message}`, { cause: error });
    } finally {
      bitmap.dispose();
    }
  }

  async facts(database: number, key: string): Promise<TargetFacts | undefined> {
    const link = this.#link(database);
    const name = keyArgument(key);
    const { expiry } = this.#dialect;
    const [length, count, ttl, time] = await link.run((link) =>
      askAll(link, [["STRLEN", name], ["BITCOUNT", name], [expiry, name], ["TIME"]]),
    );
    if (typeof length !== "number" || typeof count !== "number" || typeof ttl !== "number") {
      throw new MigrateError(`${link.name} does not tell of its keys: it answers ${[length, count, ttl].join(", ")}`);
    }
    if (ttl === -2) return undefined;
    const facts = { byteLength: length, cardinality: count };
    if (ttl === -1) return { ...facts, deadline: NO_DEADLINE };
    // Its own clock, which counts for its deadlines.
    return { ...facts, deadline: expiry === "PEXPIRETIME" ? ttl : ttl + msOf(time) };
  }

  /** Waits for the disk where the server can be asked to: this one, and Redis from 7.2 on with an append-only file. */
  async finish(): Promise<void> {
    for (const link of this.#links.values()) await link.run((link) => link.askAll([["WAITAOF", 1, 0, 0]]));
  }

  async close(): Promise<void> {
    for (const link of this.#links.values()) await link.close();
  }

  #link(from: number): LastingLink {
    const { into } = this.#options;
    this.#from ??= from;
    if (into !== undefined && from !== this.#from) {
      throw new MigrateError(
        `keys of databases ${this.#from} and ${from} would be mixed in database ${into}: name one of them`,
      );
    }
    const database = into ?? from;
    const link = this.#links.get(database) ?? this.#first.beside(database);
    this.#links.set(database, link);
    return link;
  }
}

async function putWhole(link: RedisLink, key: Argument, bitmap: Bitmap, deadline: number): Promise<void> {
  const set = ["SET", key, bitmap.bytes(0, bitmap.byteLength)];
  await askAll(link, deadline === NO_DEADLINE ? [set] : [["MULTI"], set, ["PEXPIREAT", key, deadline], ["EXEC"]]);
}

/** By way of the key `name`. Where the server refuses a piece, that one goes at once, and the old value stays. */
async function putLarge(link: RedisLink, key: Argument, bitmap: Bitmap, deadline: number, name: string): Promise<void> {
  try {
    await putPieces(link, bitmap, name);
    const expire = deadline === NO_DEADLINE ? ["PERSIST", name] : ["PEXPIREAT", name, deadline];
    await askAll(link, [["MULTI"], expire, ["RENAME", name, key], ["EXEC"]]);
  } catch (error) {
    if (error instanceof LinkError) await link.askAll([["DEL", name]]);
    throw error;
  }
}

async function putPieces(link: RedisLink, bitmap: Bitmap, name: string): Promise<void> {
  const { byteLength } = bitmap;
  // All of it at once, so that the server need not move it as it grows.
  await askAll(link, [
    ["DEL", name],
    ["SETRANGE", name, byteLength - 1, Buffer.alloc(1)],
    ["PEXPIRE", name, UNFINISHED_MS],
  ]);
  let pieces: Argument[][] = [];
  for (let at = 0; at < byteLength; at += PIECE_BYTES) {
    const bit = bitmap.position(1, at * 8, byteLength * 8 - 1);
    if (bit === -1) break;
    at = Math.floor(bit / 8);
    pieces.push(["SETRANGE", name, at, bitmap.bytes(at, Math.min(PIECE_BYTES, byteLength - at))]);
    if (pieces.length < PIECES_AT_ONCE) continue;
    await askAll(link, pieces);
    pieces = [];
  }
  if (pieces.length > 0) await askAll(link, pieces);
}

/** TIME's reply in milliseconds. */
function msOf(time: LinkReply | undefined): number {
  const [seconds, microseconds] = Array.isArray(time) ? time : [];
  return Number(String(seconds)) * 1000 + Number(String(microseconds)) / 1000;
}

/** Sends requests together. Rejects with the first error among the replies. */
async function askAll(link: RedisLink, requests: Argument[][]): Promise<LinkReply[]> {
  const replies = await link.askAll(requests);
  for (const reply of replies.flat()) if (reply instanceof LinkError) throw reply;
  return replies;
}
