/**
 * The keys of a running server as the source of a move: Redis 4 and later, Valkey, this server, and the Go bitmapist-server. Keys come by
 * SCAN (redis-keys), and their values in pages and slices (redis-values): here they are joined, and those that change meanwhile read again.
 *
 * It is no snapshot: each key is as it was when it was read, and one that came or was renamed after its place was passed is not among
 * them. For a source that is written to, a replica is the way.
 */
import { MIB } from "../config.js";
import { differenceOf } from "./difference.js";
import { GONE, type Item, type Skipped, type Source, THERE_ALREADY, type There } from "./item.js";
import { LastingLink } from "./lasting-link.js";
import { readAhead } from "./read-ahead.js";
import { askDialect, type RedisDialect } from "./redis-dialect.js";
import { databasesOf, PAGE_KEYS, pagesOfGo, pagesOfScan } from "./redis-keys.js";
import { keyArgument, LinkError, type LinkOptions, nameOf } from "./redis-link.js";
import { askAll, deadlineOf, integer, refuse } from "./redis-replies.js";
import { countBits, type Read, RedisValues, SMALL_BYTES_MAX } from "./redis-values.js";
import { ExactKeys, SeenKeys } from "./seen-keys.js";

/** Bytes of strings that are read at a time, but for one value that is longer. */
const BATCH_BYTES = 2 * MIB;
/** Batches, and pages, that are asked for before they are needed. */
const READ_AHEAD = 2;
/** How often a value is read that changes meanwhile. */
const READS_MAX = 4;
/** Keys that were perhaps seen before and wait to be looked at. */
const DOUBTFUL_MAX = 100_000;

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

/** Items that were read together, of so many keys. */
interface Batch {
  keys: number;
  items: Item[];
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
  readonly #values: RedisValues;
  /** By database. */
  readonly #links = new Map<number, LastingLink>();
  readonly #first: LastingLink;
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
      return new RedisSource(options, dialect, databases, first);
    } catch (error) {
      await first.close();
      throw error;
    }
  }

  private constructor(
    options: RedisSourceOptions,
    dialect: RedisDialect,
    databases: Map<number, number>,
    first: LastingLink,
  ) {
    this.#first = first;
    this.#links.set(options.database ?? 0, first);
    this.#options = options;
    this.#dialect = dialect;
    const takePieces = async () => await options.target?.takePieces?.();
    this.#values = new RedisValues(nameOf(options.link), dialect, options.into, takePieces);
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
    const { pattern, target, onTrouble } = this.#options;
    const link = this.#link(reading.database);
    if (!this.#dialect.hasSlices) return yield* pagesOfGo(link, pattern, onTrouble);
    // What is put twice into a file can't be told from it, and an RDB file with a key twice is refused by Redis.
    const isFinal = target?.isFinal === true;
    const seen = isFinal ? new ExactKeys() : new SeenKeys();
    for await (const keys of pagesOfScan(link, pattern)) {
      const fresh: string[] = [];
      for (const key of keys) {
        if (!seen.add(key)) fresh.push(key);
        else if (!isFinal) reading.doubtful.push(key);
      }
      if (fresh.length > 0) yield fresh;
    }
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
    const link = this.#link(reading.database);
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
      const deadline = deadlineOf(link.name, expiry, ttl);
      facts.push(deadline === undefined ? undefined : { byteLength, cardinality, deadline });
    }
    return facts;
  }

  /** Lengths of strings, 0 of anything else. Where the server does not tell, all are taken for small. */
  async #lengths(reading: Reading, keys: string[]): Promise<number[]> {
    if (!this.#dialect.hasSlices) return keys.map(() => SMALL_BYTES_MAX);
    const link = this.#link(reading.database);
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
    const link = this.#link(reading.database);
    const items: Item[] = [];
    const others: string[] = [];
    try {
      const reads = await link.run((link) => this.#values.read(link, reading.database, keys));
      for (const [i, key] of keys.entries()) {
        let read = reads[i] as Read;
        for (let tries = 1; mustBeReadAgain(read) && tries < READS_MAX; tries++) {
          if (typeof read !== "string") read.bitmap.dispose();
          read = await link.run((link) => this.#values.readOne(link, reading.database, key));
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

  async #tellTypes(reading: Reading, keys: string[]): Promise<void> {
    if (keys.length === 0) return;
    const { hasType } = this.#dialect;
    const link = this.#link(reading.database);
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
      reading.skip(key, Buffer.isBuffer(type) ? typeName(String(type)) : "no string");
    }
  }

  // --- links

  #link(database: number): LastingLink {
    const link = this.#links.get(database) ?? this.#first.beside(database);
    this.#links.set(database, link);
    return link;
  }
}

/** What TYPE answers, as it is called of RDB files too. */
function typeName(type: string): string {
  if (type === "zset") return "a sorted set";
  return ["list", "set", "hash", "stream"].includes(type) ? `a ${type}` : `of type ${type}`;
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
