/**
 * The keys of a running server as the source of a move: Redis 4 and later, Valkey, this server, and the Go bitmapist-server. Keys come by
 * SCAN, small values a page at a time, large ones in slices of which those without a bit are not sent at all.
 *
 * It is no snapshot: each key is as it was when it was read, and one that came or was renamed after its place was passed is not among
 * them. A value that changed while it was read is read again, a few times. For a source that is written to, a replica is the way.
 */
import { KIB, MIB } from "../config.js";
import { Bitmap } from "../keyspace/bitmap.js";
import { BitmapBuilder } from "../keyspace/bitmap-builder.js";
import { compileGlob } from "../keyspace/glob.js";
import { NO_DEADLINE } from "../keyspace/storage.js";
import { differenceOf } from "./difference.js";
import { GONE, type Item, MigrateError, type Skipped, type Source, THERE_ALREADY, type There } from "./item.js";
import { LastingLink } from "./lasting-link.js";
import { readAhead } from "./read-ahead.js";
import { askDialect, type RedisDialect } from "./redis-dialect.js";
import {
  type Argument,
  keyArgument,
  LinkError,
  type LinkOptions,
  type LinkReply,
  type RedisLink,
} from "./redis-link.js";
import { SeenKeys } from "./seen-keys.js";

/** SCAN's COUNT, where a page is also what is asked in one pipeline. */
const PAGE_KEYS = 1000;
/** Values up to this length are read whole. */
const SMALL_BYTES_MAX = 64 * KIB;
/** Bytes of strings that are read at a time, but for one value that is longer. */
const BATCH_BYTES = 2 * MIB;
/** Batches, and pages, that are asked for before they are needed. */
const READ_AHEAD = 2;
/** A large value: bytes of a slice, slices that are asked for at a time, and those whose bits are counted at a time. */
const SLICE_BYTES = MIB;
const SLICES_AT_ONCE = 4;
const COUNTS_AT_ONCE = 16;
/** Bytes whose bits one BITCOUNT counts where a value is only counted: some milliseconds in which the server serves nobody else. */
const COUNT_BYTES = 32 * MIB;
/** How often a value is read that changes meanwhile. */
const READS_MAX = 4;
/** Keys that were perhaps seen before and wait to be looked at. */
const DOUBTFUL_MAX = 100_000;
/** Values of a server that does not tell their lengths that are asked for at a time. */
const WHOLE_AT_ONCE = 8;
/** Levels of "/" in names that are asked for of a Go bitmapist-server whose `*` stops there. */
const SLASHES_MAX = 16;

export interface RedisSourceOptions {
  link: LinkOptions;
  /** The one database to read; undefined for all. */
  database: number | undefined;
  /** The number that its keys get in the target; by default the same. */
  into?: number;
  /** Which keys, as SCAN's MATCH. */
  pattern: string;
  /** Where the keys go, to be asked what is there already; undefined where they go nowhere. */
  target: There | undefined;
  /** Leave out what the target has with the same length, number of bits and deadline. */
  resume: boolean;
  /** Is told of broken links, and of what could not be looked at. */
  onTrouble(message: string): void;
}

/** What is known of a key without its value. */
interface KeyFacts {
  byteLength: number;
  cardinality: number;
  deadline: number;
}

/** What came of reading a key. */
type Read = Item | "gone" | "large" | "other type";

/** Items that were read together, of so many keys. */
interface Batch {
  keys: number;
  items: Item[];
}

/** The replies to what is asked of a small key, or of a whole one. */
interface ItemReplies {
  database: number;
  key: string;
  bytes: LinkReply | undefined;
  length: LinkReply | undefined;
  count: LinkReply | undefined;
  ttl: LinkReply | undefined;
}

/** A database that is being read. */
class Reading {
  readonly database: number;
  /** Keys that were perhaps seen before. */
  readonly doubtful: string[] = [];
  readonly #skip: (skipped: Skipped) => void;

  constructor(database: number, skip: (skipped: Skipped) => void) {
    this.database = database;
    this.#skip = skip;
  }

  skip(key: string, reason: string): void {
    this.#skip({ database: this.database, key, reason });
  }
}

export class RedisSource implements Source {
  readonly #options: RedisSourceOptions;
  readonly #dialect: RedisDialect;
  readonly #links = new Map<number, LastingLink>();
  /** The databases to read, with their keys where that is known. */
  readonly #databases: Map<number, number>;
  readonly #keys: number;
  #keysPassed = 0;

  /** Rejects with LinkClosed, LinkError or MigrateError when the server can't be reached or does not let us read. */
  static async open(options: RedisSourceOptions): Promise<RedisSource> {
    const database = options.database ?? 0;
    const first = await LastingLink.open({ ...options.link, database }, options.onTrouble);
    try {
      const dialect = await first.run(askDialect);
      const databases = await first.run((link) => databasesOf(link, options.database));
      const source = new RedisSource(options, dialect, databases);
      source.#links.set(database, first);
      return source;
    } catch (error) {
      await first.close();
      throw error;
    }
  }

  private constructor(options: RedisSourceOptions, dialect: RedisDialect, databases: Map<number, number>) {
    this.#options = options;
    this.#dialect = dialect;
    this.#databases = databases;
    this.#keys = [...databases.values()].reduce((sum, keys) => sum + keys, 0);
  }

  get share(): number | undefined {
    // SCAN does not tell how many keys it has passed that do not match.
    if (this.#options.pattern !== "*" || !(this.#keys > 0)) return undefined;
    return Math.min(this.#keysPassed / this.#keys, 1);
  }

  async *items(skip: (skipped: Skipped) => void): AsyncGenerator<Item, void> {
    for (const database of this.#databases.keys()) yield* this.#itemsOf(new Reading(database, skip));
  }

  async again(database: number, key: string): Promise<Item | undefined> {
    const from = this.#options.into === undefined ? database : (this.#options.database ?? 0);
    const [item] = await this.#read(new Reading(from, () => {}), [key]);
    return item;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.close()));
  }

  async *#itemsOf(reading: Reading): AsyncGenerator<Item, void> {
    for await (const { keys, items } of readAhead(this.#batches(reading), READ_AHEAD, ({ items }) =>
      disposeAll(items),
    )) {
      yield* given(items);
      this.#keysPassed += keys;
      if (reading.doubtful.length >= DOUBTFUL_MAX) yield* this.#doubtful(reading);
    }
    yield* this.#doubtful(reading);
  }

  /** Items that were perhaps given before: by SCAN, which may do so, or before the server was started anew. */
  async *#doubtful(reading: Reading): AsyncGenerator<Item, void> {
    const keys = reading.doubtful.splice(0);
    // Those that do not move have been told of, unless they are one in 10,000 that was not seen before.
    const again = new Reading(reading.database, () => {});
    for (let at = 0; at < keys.length; at += PAGE_KEYS) {
      const page = [...new Set(keys.slice(at, at + PAGE_KEYS))];
      const { target } = this.#options;
      if (target === undefined) continue;
      const { absent } = await this.#compare(again, page, target);
      yield* given(await this.#read(again, absent));
    }
  }

  /** Batches of items, a page of SCAN or less each. */
  async *#batches(reading: Reading): AsyncGenerator<Batch, void> {
    for await (const keys of readAhead(this.#pages(reading), READ_AHEAD)) {
      let left = keys;
      const { target, resume } = this.#options;
      if (resume && target !== undefined && this.#dialect.hasSlices) {
        const { absent, same } = await this.#compare(reading, keys, target);
        for (const key of same) reading.skip(key, THERE_ALREADY);
        left = absent;
      }
      const lengths = await this.#lengths(reading, left);
      let batch: string[] = [];
      let bytes = 0;
      for (const [i, key] of left.entries()) {
        batch.push(key);
        bytes += lengths[i] as number;
        if (bytes < BATCH_BYTES) continue;
        yield { keys: batch.length, items: await this.#read(reading, batch) };
        batch = [];
        bytes = 0;
      }
      const keysThere = keys.length - left.length;
      yield { keys: batch.length + keysThere, items: await this.#read(reading, batch) };
    }
  }

  // --- keys

  /** Pages of keys that were not seen yet. Those that perhaps were are put aside. */
  async *#pages(reading: Reading): AsyncGenerator<string[], void> {
    if (!this.#dialect.hasSlices) return yield* this.#pagesOfGo(reading.database);
    const seen = new SeenKeys();
    for await (const keys of this.#scan(reading.database, this.#options.pattern)) {
      const fresh: string[] = [];
      for (const key of keys) (seen.add(key) ? reading.doubtful : fresh).push(key);
      if (fresh.length > 0) yield fresh;
    }
  }

  /**
   * The Go bitmapist-server has patterns of its own, so it is asked for all keys, and gives them at once. Before it kept them in SQLite its `*`
   * did not cross "/": names with one, two and more of them are asked for until there are as many as it says it has.
   */
  async *#pagesOfGo(database: number): AsyncGenerator<string[], void> {
    const { pattern, onTrouble } = this.#options;
    const matches = compileGlob(pattern);
    const link = await this.#link(database);
    const all = (await link.run(keysOfGo)) ?? 0;
    const keys = new Set<string>();
    for (let slashes = 0; slashes <= SLASHES_MAX && (slashes === 0 || keys.size < all); slashes++) {
      for await (const page of this.#scan(database, `*${"/*".repeat(slashes)}`)) for (const key of page) keys.add(key);
    }
    if (keys.size < all) onTrouble(`${link.name} says that it has ${all} keys, but lists ${keys.size}`);
    const matching = [...keys].filter(matches);
    for (let at = 0; at < matching.length; at += PAGE_KEYS) yield matching.slice(at, at + PAGE_KEYS);
  }

  /** Pages of SCAN: a key may be in more than one. */
  async *#scan(database: number, pattern: string): AsyncGenerator<string[], void> {
    const link = await this.#link(database);
    let cursor = "0";
    let runId: string | undefined;
    let connections = 0;
    do {
      if (connections !== link.connections) {
        connections = link.connections;
        const runsAs = await link.run(askRunId);
        // A server that was started anew has its keys in another order, in which the cursor means nothing.
        if (runId !== undefined && runsAs !== runId) cursor = "0";
        runId = runsAs;
      }
      const from = cursor;
      const page = await link.run((link) => scan(link, from, pattern));
      cursor = page.cursor;
      yield page.keys;
    } while (cursor !== "0");
  }

  /** Which of the keys the target has with the same facts, and which it has not. */
  async #compare(reading: Reading, keys: string[], target: There): Promise<{ same: string[]; absent: string[] }> {
    const { into = reading.database } = this.#options;
    const facts = await this.#facts(reading, keys);
    const found = await Promise.all(keys.map((key) => target.facts(into, key)));
    const same: string[] = [];
    const absent: string[] = [];
    for (const [i, key] of keys.entries()) {
      const [ours, theirs] = [facts[i], found[i]];
      const isSame = ours !== undefined && theirs !== undefined && differenceOf(ours, theirs) === undefined;
      (isSame ? same : absent).push(key);
    }
    return { same, absent };
  }

  /** What the source says of each key; undefined of one that is no string. */
  async #facts(reading: Reading, keys: string[]): Promise<(KeyFacts | undefined)[]> {
    const link = await this.#link(reading.database);
    const lengths = await this.#lengths(reading, keys);
    const { expiry } = this.#dialect;
    const replies = await link.run((link) =>
      askAll(
        link,
        keys.flatMap((key) => [
          ["BITCOUNT", keyArgument(key), 0, SMALL_BYTES_MAX - 1],
          [expiry, keyArgument(key)],
        ]),
      ),
    );
    const facts: (KeyFacts | undefined)[] = [];
    for (const [i, key] of keys.entries()) {
      const byteLength = lengths[i] as number;
      const [count, ttl] = [replies[i * 2], replies[i * 2 + 1]];
      if (count instanceof LinkError) {
        refuse(link.name, count);
        facts.push(undefined);
        continue;
      }
      const cardinality =
        byteLength <= SMALL_BYTES_MAX ? integer(count) : await link.run((link) => countBits(link, key, byteLength));
      const deadline = this.#deadline(link.name, ttl);
      facts.push(deadline === undefined ? undefined : { byteLength, cardinality, deadline });
    }
    return facts;
  }

  /** Lengths of strings, 0 of anything else. Where the server does not tell, all are taken for small. */
  async #lengths(reading: Reading, keys: string[]): Promise<number[]> {
    if (!this.#dialect.hasSlices) return keys.map(() => SMALL_BYTES_MAX);
    const link = await this.#link(reading.database);
    const replies = await link.run((link) =>
      askAll(
        link,
        keys.map((key) => ["STRLEN", keyArgument(key)]),
      ),
    );
    return replies.map((reply) => {
      if (reply instanceof LinkError) refuse(link.name, reply);
      return typeof reply === "number" ? reply : 0;
    });
  }

  // --- values

  /** Reads the keys. Those that are not there, or no strings, are told of. */
  async #read(reading: Reading, keys: string[]): Promise<Item[]> {
    if (keys.length === 0) return [];
    const link = await this.#link(reading.database);
    const items: Item[] = [];
    const others: string[] = [];
    try {
      const reads = await link.run((link) =>
        this.#dialect.hasSlices
          ? this.#readSmall(link, reading.database, keys)
          : this.#readWhole(link, reading.database, keys),
      );
      for (const [i, key] of keys.entries()) {
        let read = reads[i] as Read;
        for (let tries = 1; mustBeReadAgain(read) && tries < READS_MAX; tries++) {
          if (typeof read !== "string") read.bitmap.dispose();
          read = await link.run((link) => this.#readAgain(link, reading.database, key));
        }
        if (read === "gone") reading.skip(key, GONE);
        else if (read === "other type") others.push(key);
        else items.push(read as Item);
      }
      await this.#tellTypes(reading, others);
      return items;
    } catch (error) {
      disposeAll(items);
      throw error;
    }
  }

  async #readAgain(link: RedisLink, database: number, key: string): Promise<Read> {
    const [read] = this.#dialect.hasSlices
      ? await this.#readSmall(link, database, [key])
      : await this.#readWhole(link, database, [key]);
    return read === "large" ? await this.#readLarge(link, database, key) : (read as Read);
  }

  async #readSmall(link: RedisLink, database: number, keys: string[]): Promise<Read[]> {
    const last = SMALL_BYTES_MAX - 1;
    const replies = await askAll(
      link,
      keys.flatMap((name) => {
        const key = keyArgument(name);
        return [
          ["GETRANGE", key, 0, last],
          ["STRLEN", key],
          ["BITCOUNT", key, 0, last],
          [this.#dialect.expiry, key],
        ];
      }),
    );
    return keys.map((key, i): Read => {
      const [bytes, length, count, ttl] = replies.slice(i * 4, i * 4 + 4);
      if (!(length instanceof LinkError) && integer(length) > SMALL_BYTES_MAX) return "large";
      return this.#item({ database, key, bytes, length, count, ttl });
    });
  }

  /** All that the Go bitmapist-server can do. It sends as many bytes as there are up to the last bit. */
  async #readWhole(link: RedisLink, database: number, keys: string[]): Promise<Read[]> {
    const reads: Read[] = [];
    for (let at = 0; at < keys.length; at += WHOLE_AT_ONCE) {
      const some = keys.slice(at, at + WHOLE_AT_ONCE);
      const replies = await askAll(
        link,
        some.flatMap((name) => {
          const key = keyArgument(name);
          return [
            ["GET", key],
            ["BITCOUNT", key],
            [this.#dialect.expiry, key],
          ];
        }),
      );
      for (const [i, key] of some.entries()) {
        const [bytes, count, ttl] = replies.slice(i * 3, i * 3 + 3);
        const length = Buffer.isBuffer(bytes) ? bytes.length : 0;
        reads.push(this.#item({ database, key, bytes, length, count, ttl }));
      }
    }
    return reads;
  }

  /** What the replies of a key say. */
  #item(replies: ItemReplies): Read {
    const { database, key, bytes, length, count, ttl } = replies;
    const name = this.#name;
    for (const reply of [bytes, length, count]) {
      if (!(reply instanceof LinkError)) continue;
      refuse(name, reply);
      return "other type";
    }
    const deadline = this.#deadline(name, ttl);
    if (deadline === undefined || !Buffer.isBuffer(bytes)) return "gone";
    const bitmap = Bitmap.fromBytes(bytes);
    const facts = { cardinality: integer(count), byteLength: integer(length) };
    return { database: this.#options.into ?? database, key, bitmap, deadline, facts };
  }

  /** Counts the bits of some slices, then asks for those that have any, a few at a time. */
  async #readLarge(link: RedisLink, database: number, name: string): Promise<Read> {
    const key = keyArgument(name);
    const builder = new BitmapBuilder();
    try {
      const length = await link.ask("STRLEN", key);
      let cardinality = 0;
      for (let start = 0; start < integer(length); start += COUNTS_AT_ONCE * SLICE_BYTES) {
        const slices = slicesOf(start, Math.min(start + COUNTS_AT_ONCE * SLICE_BYTES, integer(length)));
        const counts = await askAll(
          link,
          slices.map(({ first, last }) => ["BITCOUNT", key, first, last]),
        );
        for (const count of counts) cardinality += integer(throwing(count));
        await appendSlices(
          link,
          key,
          builder,
          slices.filter((_slice, i) => counts[i] !== 0),
        );
        builder.appendZeros(Math.min(start + COUNTS_AT_ONCE * SLICE_BYTES, integer(length)) - builder.byteLength);
      }
      const [lengthNow, ttl] = await askAll(link, [
        ["STRLEN", key],
        [this.#dialect.expiry, key],
      ]);
      const deadline = this.#deadline(this.#name, ttl);
      if (deadline === undefined) return "gone";
      const facts = { cardinality, byteLength: integer(lengthNow) };
      return { database: this.#options.into ?? database, key: name, bitmap: builder.finish(), deadline, facts };
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      refuse(this.#name, error);
      return "other type";
    } finally {
      builder.dispose();
    }
  }

  /** Wall-clock milliseconds, or NO_DEADLINE; undefined where there is no such key. */
  #deadline(name: string, reply: LinkReply | undefined): number | undefined {
    if (reply instanceof LinkError) throw new MigrateError(`${name} answers: ${reply.message}`);
    const ms = integer(reply);
    if (ms === -2) return undefined;
    if (ms === -1) return NO_DEADLINE;
    const { expiry } = this.#dialect;
    return expiry === "PEXPIRETIME" ? ms : Date.now() + (expiry === "TTL" ? ms * 1000 : ms);
  }

  async #tellTypes(reading: Reading, keys: string[]): Promise<void> {
    if (keys.length === 0) return;
    const { hasType } = this.#dialect;
    const link = await this.#link(reading.database);
    const types = hasType
      ? await link.run((link) =>
          askAll(
            link,
            keys.map((key) => ["TYPE", keyArgument(key)]),
          ),
        )
      : [];
    for (const [i, key] of keys.entries()) {
      const type = types[i];
      reading.skip(key, Buffer.isBuffer(type) ? `of type ${type}` : "no string");
    }
  }

  // --- links

  get #name(): string {
    return [...this.#links.values()][0]?.name ?? "";
  }

  async #link(database: number): Promise<LastingLink> {
    const { link: options, onTrouble } = this.#options;
    const known = this.#links.get(database);
    if (known !== undefined) return known;
    const link = await LastingLink.open({ ...options, database }, onTrouble);
    this.#links.set(database, link);
    return link;
  }
}

// --- what is asked

function askAll(link: RedisLink, requests: Argument[][]): Promise<LinkReply[]> {
  return requests.length === 0 ? Promise.resolve([]) : link.askAll(requests);
}

/** The databases to read, each with the number of its keys, NaN where that is not told. */
async function databasesOf(link: RedisLink, database: number | undefined): Promise<Map<number, number>> {
  const [keyspace, size] = await link.askAll([["INFO", "keyspace"], ["DBSIZE"]]);
  if (database !== undefined) {
    return new Map([[database, typeof size === "number" ? size : ((await keysOfGo(link)) ?? Number.NaN)]]);
  }
  // The Go bitmapist-server has one database, and no INFO of more than that.
  if (keyspace instanceof LinkError && /wrong number of arguments|unknown command/i.test(keyspace.message)) {
    return new Map([[0, (await keysOfGo(link)) ?? Number.NaN]]);
  }
  const lines = String(throwing(keyspace)).matchAll(/^db(\d+):keys=(\d+)/gm);
  return new Map([...lines].map(([, number, keys]) => [Number(number), Number(keys)]));
}

/** How many keys a Go bitmapist-server says it has. */
async function keysOfGo(link: RedisLink): Promise<number | undefined> {
  const [info] = await link.askAll([["INFO", "keys"]]);
  const keys = /^keys_total:(\d+)/m.exec(String(info))?.[1];
  return keys === undefined ? undefined : Number(keys);
}

/** undefined of a server that does not tell. */
async function askRunId(link: RedisLink): Promise<string | undefined> {
  const [info] = await link.askAll([["INFO", "server"]]);
  return /^run_id:(\S+)/m.exec(String(info))?.[1];
}

/** One page. The words stand in the only order that the Go bitmapist-server takes. */
async function scan(link: RedisLink, cursor: string, pattern: string): Promise<{ cursor: string; keys: string[] }> {
  const reply = await link.ask("SCAN", cursor, "MATCH", keyArgument(pattern), "COUNT", PAGE_KEYS);
  const [next, keys] = Array.isArray(reply) ? reply : [];
  if (!Buffer.isBuffer(next) || !Array.isArray(keys)) throw new MigrateError("SCAN gives no page of keys");
  return { cursor: next.toString("latin1"), keys: keys.map((key) => (key as Buffer).toString("latin1")) };
}

/** The bits of a large value. */
async function countBits(link: RedisLink, name: string, byteLength: number): Promise<number> {
  let bits = 0;
  for (let start = 0; start < byteLength; start += COUNT_BYTES) {
    bits += integer(await link.ask("BITCOUNT", keyArgument(name), start, start + COUNT_BYTES - 1));
  }
  return bits;
}

interface Slice {
  first: number;
  last: number;
}

function slicesOf(start: number, end: number): Slice[] {
  return Array.from({ length: Math.ceil((end - start) / SLICE_BYTES) }, (_, i) => {
    const first = start + i * SLICE_BYTES;
    return { first, last: Math.min(first + SLICE_BYTES, end) - 1 };
  });
}

/** Reads the slices, and zeros between them, into the builder. */
async function appendSlices(link: RedisLink, key: Argument, builder: BitmapBuilder, slices: Slice[]): Promise<void> {
  for (let at = 0; at < slices.length; at += SLICES_AT_ONCE) {
    const some = slices.slice(at, at + SLICES_AT_ONCE);
    const replies = await askAll(
      link,
      some.map(({ first, last }) => ["GETRANGE", key, first, last]),
    );
    for (const [i, { first }] of some.entries()) {
      const bytes = throwing(replies[i]);
      builder.appendZeros(first - builder.byteLength);
      // Shorter than it was asked for where the value was cut meanwhile: it will be read again.
      if (Buffer.isBuffer(bytes)) builder.append(bytes);
    }
  }
}

// --- replies

/** Throws the reply if it is an error. */
function throwing(reply: LinkReply | undefined): LinkReply | undefined {
  if (reply instanceof LinkError) throw reply;
  return reply;
}

function integer(reply: LinkReply | undefined): number {
  if (typeof reply !== "number") throw new MigrateError(`a number was expected, and ${String(reply)} came`);
  return reply;
}

/** Throws what a server answers that is not that a key is of another type. */
function refuse(name: string, error: LinkError): void {
  if (!error.message.startsWith("WRONGTYPE"))
    throw new MigrateError(`${name} answers: ${error.message}`, { cause: error });
}

/** Whether only a part was read, or what was read is not what the source says of it: somebody wrote in between. */
function mustBeReadAgain(read: Read): boolean {
  if (typeof read === "string") return read === "large";
  const { bitmap, facts = bitmap } = read;
  return bitmap.cardinality !== facts.cardinality || bitmap.byteLength !== facts.byteLength;
}

// --- items

/** Gives the items one by one; those that nobody takes any more are let go. */
function* given(items: Item[]): Generator<Item, void> {
  let next = 0;
  try {
    while (next < items.length) yield items[next++] as Item;
  } finally {
    disposeAll(items.slice(next));
  }
}

function disposeAll(items: readonly Item[]): void {
  for (const { bitmap } of items) bitmap.dispose();
}
