/**
 * The keyspace: what keys there are and what they hold. Memory is a cache over the storage: a key that is not in memory is
 * looked up there, a changed key stays in memory until its change is committed, and an idle clean one leaves.
 * Every change goes through a method here, which is what puts it into the change log and tells WATCH.
 * It must not know the wire, the commands or SQLite.
 */
import type { Clock, Random } from "../clock.js";
import { CRON_BUDGET_MS, EXPIRE_BATCH_ROWS, IDLE_BATCH_ENTRIES, IDLE_MS } from "../config.js";
import { type Bit, Bitmap } from "./bitmap.js";
import { type Batch, ChangeLog } from "./change-log.js";
import { Database } from "./database.js";
import { CLEAN, Entry } from "./entry.js";
import { HASH_MAX, keyHash } from "./hash.js";
import { type ExpiredCursor, NO_DEADLINE, type Storage, type StoredKey } from "./storage.js";
import { Watches } from "./watches.js";

/** Rows a walk over a whole database reads at a time. */
const WALK_ROWS = 4096;

const FIRST_EXPIRED: ExpiredCursor = { deadline: Number.NEGATIVE_INFINITY, id: 0 };

export interface ScanPage {
  /** Where the next page begins; 0 when this was the last. */
  cursor: number;
  keys: string[];
}

export class Keyspace {
  readonly databases: readonly Database[];
  readonly watches = new Watches();
  /** Wall-clock milliseconds as the running command, or transaction, sees them: they stand still for it. */
  now: number;
  /** Effective changes since the start (Redis' `dirty`, never reset). */
  changes = 0;
  /** Keys that died of their deadline since the start. */
  expiredKeys = 0;
  /** Look-ups answered from memory, and those that had to ask the storage. */
  memoryHits = 0;
  storageLookups = 0;

  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log = new ChangeLog();
  /** What each batch touched that was taken and is not committed. */
  readonly #inFlight = new Map<number, Entry[]>();
  #nextId: number;
  #nextSlot: number;
  #expired = FIRST_EXPIRED;
  #sweep: Iterator<Entry> | undefined;

  constructor(storage: Storage, clock: Clock, random: Random) {
    this.#storage = storage;
    this.#clock = clock;
    this.#random = random;
    this.now = clock.now();
    this.#nextId = storage.nextId;
    this.databases = [...storage.databases]
      .sort((a, b) => a.number - b.number)
      .map((stored) => new Database(stored.number, stored.slot, stored.keys, stored.volatileKeys));
    this.#nextSlot = Math.max(...this.databases.map((database) => database.slot)) + 1;
  }

  /** Lets the time that commands see catch up with the clock. Called before each command or transaction. */
  tick(): void {
    this.now = this.#clock.now();
  }

  // --- looking up

  /** The entry of a key; undefined when there is none, or none any more (lazy expiry). */
  lookup(database: Database, key: string): Entry | undefined {
    const known = database.entries.get(key);
    if (known === undefined) return this.#lookupStored(database, key);
    this.memoryHits++;
    if (!known.alive || this.#expire(known)) return undefined;
    known.lastUse = this.now;
    return known;
  }

  #lookupStored(database: Database, key: string): Entry | undefined {
    this.storageLookups++;
    const stored = this.#storage.find(database.slot, key);
    if (stored === undefined) return undefined;
    const entry = this.#adopt(database, stored);
    return this.#expire(entry) ? undefined : entry;
  }

  #adopt(database: Database, stored: StoredKey): Entry {
    const entry = new Entry(stored.id, database, stored.key, stored.deadline, undefined, this.now);
    database.entries.set(stored.key, entry);
    return entry;
  }

  /** The entry's value, read from the storage if it is not in memory. To be changed through the keyspace only. */
  bitmap(entry: Entry): Bitmap {
    if (entry.bitmap === undefined) {
      const stored = this.#storage.load(entry.id);
      entry.bitmap = Bitmap.fromPortable(stored.portable, stored.byteLength);
    }
    return entry.bitmap;
  }

  // --- changing

  /** Adds a key that does not exist, with `bitmap`, which is the keyspace's from now on. */
  create(database: Database, key: string, bitmap: Bitmap): Entry {
    const entry = this.#create(database, key, bitmap);
    if (bitmap.byteLength > 0) this.#log.value(entry);
    this.#changed(database, key);
    return entry;
  }

  #create(database: Database, key: string, bitmap: Bitmap): Entry {
    const entry = new Entry(this.#nextId++, database, key, NO_DEADLINE, bitmap, this.now);
    this.#place(entry);
    this.#log.create(entry);
    database.count(1, 0);
    return entry;
  }

  /** Puts an entry under its key, where there is no row yet. */
  #place(entry: Entry): void {
    entry.database.entries.set(entry.key, entry);
    entry.database.created.set(entry.key, entry);
    entry.createdIn = this.#log.number;
  }

  /** Makes `bitmap`, which is the keyspace's from now on, the value of a key that may exist; its deadline stays. */
  setValue(database: Database, key: string, bitmap: Bitmap): Entry {
    const entry = this.lookup(database, key);
    if (entry === undefined) return this.create(database, key, bitmap);
    entry.bitmap?.dispose();
    entry.bitmap = bitmap;
    this.#log.value(entry);
    this.#changed(database, key);
    return entry;
  }

  /** SETBIT: sets or clears one bit of a key that may exist, and returns the bit's old value. */
  setBit(database: Database, key: string, offset: number, bit: Bit): Bit {
    const entry = this.lookup(database, key) ?? this.#create(database, key, new Bitmap());
    const bitmap = this.bitmap(entry);
    const lengthBefore = bitmap.byteLength;
    const before = bitmap.setBit(offset, bit);
    if (before !== bit || bitmap.byteLength !== lengthBefore) {
      this.#log.bit(entry, offset, bit);
      this.#changed(database, key);
    }
    return before;
  }

  delete(entry: Entry): void {
    const { database, key } = entry;
    entry.alive = false;
    entry.bitmap?.dispose();
    entry.bitmap = undefined;
    database.created.delete(key);
    database.count(-1, entry.volatile ? -1 : 0);
    this.#log.delete(entry);
    this.#changed(database, key);
  }

  /** Gives a key a deadline in wall-clock milliseconds, or takes it (NO_DEADLINE). */
  setDeadline(entry: Entry, deadline: number): void {
    this.#setDeadline(entry, deadline);
    this.#changed(entry.database, entry.key);
  }

  #setDeadline(entry: Entry, deadline: number): void {
    const was = entry.volatile ? 1 : 0;
    entry.deadline = deadline;
    entry.database.count(0, (entry.volatile ? 1 : 0) - was);
    this.#log.deadline(entry);
  }

  /** Takes a key's deadline away. */
  persist(entry: Entry): void {
    this.setDeadline(entry, NO_DEADLINE);
  }

  /** RENAME and MOVE: gives an entry another name, in a database where that name must not exist. */
  rename(entry: Entry, database: Database, key: string): void {
    const from = { database: entry.database, key: entry.key };
    const volatileKeys = entry.volatile ? 1 : 0;
    const tombstone = new Entry(entry.id, from.database, from.key, NO_DEADLINE, undefined, this.now);
    tombstone.alive = false;
    from.database.entries.set(from.key, tombstone);
    from.database.created.delete(from.key);
    from.database.count(-1, -volatileKeys);
    this.#log.vacate(tombstone);
    entry.database = database;
    entry.key = key;
    this.#place(entry);
    database.count(1, volatileKeys);
    this.#log.rekey(entry);
    this.watches.touch(from.database.number, from.key);
    this.#changed(database, key);
  }

  /** COPY: adds a key with the value and the deadline of `entry`, where none exists. */
  copy(entry: Entry, database: Database, key: string): void {
    const copy = this.create(database, key, this.bitmap(entry).clone());
    if (entry.volatile) this.#setDeadline(copy, entry.deadline);
  }

  /** FLUSHDB. The rows in the file are the writer's work; here the database only gets an empty slot. */
  flush(database: Database): void {
    this.watches.touchAll(database.number, (key) => this.lookup(database, key) !== undefined);
    if (database.size === 0) return;
    this.changes += database.size;
    for (const entry of database.entries.values()) {
      entry.alive = false;
      entry.bitmap?.dispose();
      entry.bitmap = undefined;
    }
    this.#log.dropSlot(database.slot);
    database.slot = this.#nextSlot++;
    database.entries = new Map();
    database.created = new Map();
    this.#sweep = undefined;
    database.count(-database.size, -database.volatileSize);
  }

  /** SWAPDB: what is in one database is in the other. */
  swap(a: Database, b: Database): void {
    if (a === b) return;
    const existsInEither = (key: string) => this.lookup(a, key) !== undefined || this.lookup(b, key) !== undefined;
    this.watches.touchAll(a.number, existsInEither);
    this.watches.touchAll(b.number, existsInEither);
    const contents = ({ slot, size, volatileSize, entries, created }: Database) => ({
      slot,
      size,
      volatileSize,
      entries,
      created,
    });
    const ofA = contents(a);
    Object.assign(a, contents(b));
    Object.assign(b, ofA);
    for (const database of [a, b]) {
      for (const entry of database.entries.values()) entry.database = database;
      database.changed = true;
      this.#log.database(database);
    }
    this.changes++;
  }

  #changed(database: Database, key: string): void {
    this.changes++;
    this.watches.touch(database.number, key);
  }

  // --- expiring: the only place where a key dies of its deadline

  /** Deletes the entry if its deadline has passed (Redis: strictly passed), and says whether it did. */
  #expire(entry: Entry): boolean {
    if (this.now <= entry.deadline) return false;
    this.expiredKeys++;
    this.delete(entry);
    return true;
  }

  /** Active expiry: finds keys whose deadline has passed and that nobody asks for, for at most CRON_BUDGET_MS. */
  expireCycle(): void {
    this.tick();
    const end = performance.now() + CRON_BUDGET_MS;
    do {
      const rows = this.#storage.expired(this.now, this.#expired, EXPIRE_BATCH_ROWS);
      for (const row of rows) this.#expireStored(row);
      const last = rows.at(-1);
      // What was deleted just now stays in the file until the commit: go on behind it, and begin again at the end.
      if (last === undefined || rows.length < EXPIRE_BATCH_ROWS) {
        this.#expired = FIRST_EXPIRED;
        return;
      }
      this.#expired = { deadline: last.deadline, id: last.id };
    } while (performance.now() < end);
  }

  #expireStored(stored: StoredKey): void {
    const database = this.databases.find(({ slot }) => slot === stored.slot);
    if (database === undefined) return;
    const known = database.entries.get(stored.key);
    if (known === undefined) this.#expire(this.#adopt(database, stored));
    else if (known.alive) this.#expire(known);
  }

  // --- listing

  /** All keys of a database that match, in no order. */
  keys(database: Database, matches: (key: string) => boolean): string[] {
    const keys: string[] = [];
    for (const stored of this.#walk(database)) {
      if (matches(stored.key) && this.#isListed(database, stored)) keys.push(stored.key);
    }
    for (const entry of database.created.values()) {
      if (matches(entry.key) && this.now <= entry.deadline) keys.push(entry.key);
    }
    return keys;
  }

  *#walk(database: Database): Generator<StoredKey, void> {
    let hash = 0;
    for (;;) {
      const rows = this.#storage.page(database.slot, hash, WALK_ROWS);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < WALK_ROWS) return;
      hash = last.hash + 1;
    }
  }

  /** Whether a row of the file is a key of this moment. Keys that are not in the file yet are in `created`. */
  #isListed(database: Database, stored: StoredKey): boolean {
    const known = database.entries.get(stored.key);
    if (known === undefined) return this.now <= stored.deadline;
    return known.alive && known.createdIn === CLEAN && this.now <= known.deadline;
  }

  /**
   * SCAN: about `count` keys in the order of their hash, from `cursor` (0 at first) on. A key that is there from the first
   * page to the last is in one of them, whatever happens to the others: its hash does not change. Only keys that match are
   * given, and the expired ones among them die (Redis does not look at the deadline of the others).
   */
  scan(database: Database, cursor: number, count: number, matches = (_key: string) => true): ScanPage {
    const rows = this.#storage.page(database.slot, cursor, count);
    const last = rows.at(-1);
    const end = last === undefined || rows.length < count ? HASH_MAX : last.hash;
    const page: { hash: number; key: string }[] = [];
    for (const stored of rows) {
      if (this.#isListed(database, stored)) page.push(stored);
      else if (matches(stored.key)) this.#expireStored(stored);
    }
    for (const entry of database.created.values()) {
      const hash = keyHash(entry.key);
      if (hash < cursor || hash > end || (matches(entry.key) && this.#expire(entry))) continue;
      page.push({ hash, key: entry.key });
    }
    page.sort((a, b) => a.hash - b.hash);
    let length = Math.min(count, page.length);
    // Keys of one hash are never torn apart: the cursor could not say where.
    while (length > 0 && length < page.length && page[length]?.hash === page[length - 1]?.hash) length++;
    const rest = length < page.length ? (page[length - 1] as { hash: number }).hash : end;
    return {
      cursor: rest >= HASH_MAX ? 0 : rest + 1,
      keys: page
        .slice(0, length)
        .map(({ key }) => key)
        .filter(matches),
    };
  }

  /** RANDOMKEY: a key, by a throw of the hash; undefined when there is none. Not every key is equally likely. */
  randomKey(database: Database): string | undefined {
    if (database.size === 0) return undefined;
    let cursor = Math.floor(this.#random() * HASH_MAX);
    for (let rounds = 0; rounds < 2; ) {
      const page = this.scan(database, cursor, 16);
      const key = page.keys[Math.floor(this.#random() * page.keys.length)];
      if (key !== undefined) return key;
      if (page.cursor === 0) rounds++;
      cursor = page.cursor;
    }
    return undefined;
  }

  // --- memory and the storage

  /** Keys in memory, tombstones not counted out: they leave with the next commit. */
  get residentKeys(): number {
    return this.databases.reduce((sum, { entries }) => sum + entries.size, 0);
  }

  /** Bytes that all bitmaps in memory take, as the allocator counts them. */
  get bitmapBytes(): number {
    return Bitmap.usedBytes();
  }

  /** Whether there is anything to commit. */
  get isDirty(): boolean {
    return !this.#log.isEmpty;
  }

  /** Takes what has changed since the last call, to be committed. Never called inside a command or a transaction. */
  takeBatch(): Batch {
    for (const database of this.databases) {
      if (!database.changed) continue;
      database.changed = false;
      this.#log.database(database);
    }
    const { batch, touched } = this.#log.take();
    this.#inFlight.set(batch.number, touched);
    return batch;
  }

  /** The storage has committed a batch: what it touched and was not changed since is clean, and tombstones can go. */
  committed(batch: Batch): void {
    const touched = this.#inFlight.get(batch.number) ?? [];
    this.#inFlight.delete(batch.number);
    for (const entry of touched) {
      const { database, key } = entry;
      if (entry.createdIn === batch.number) {
        entry.createdIn = CLEAN;
        if (database.created.get(key) === entry) database.created.delete(key);
      }
      if (entry.batch !== batch.number) continue;
      entry.batch = CLEAN;
      if (!entry.alive && database.entries.get(key) === entry) database.entries.delete(key);
    }
  }

  /** Lets clean keys go that nobody used for IDLE_MS. Goes over a part of the entries, for at most CRON_BUDGET_MS. */
  sweepIdle(): void {
    const end = performance.now() + CRON_BUDGET_MS;
    const oldest = this.#clock.now() - IDLE_MS;
    this.#sweep ??= this.#allEntries();
    do {
      for (let i = 0; i < IDLE_BATCH_ENTRIES; i++) {
        const { value: entry, done } = this.#sweep.next();
        if (done === true) {
          this.#sweep = undefined;
          return;
        }
        if (entry.alive && entry.batch === CLEAN && entry.lastUse < oldest) this.#forget(entry);
      }
    } while (performance.now() < end);
  }

  *#allEntries(): Generator<Entry, void> {
    for (const database of this.databases) yield* database.entries.values();
  }

  #forget(entry: Entry): void {
    entry.bitmap?.dispose();
    entry.bitmap = undefined;
    entry.database.entries.delete(entry.key);
  }
}
