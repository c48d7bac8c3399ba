/**
 * The keyspace: what keys there are and what they hold. Memory is a cache over the storage: a key that is not in memory is
 * looked up there, a changed key stays in memory until its change is settled, and a clean one leaves when it is idle or memory
 * is short. Every change goes through a method here, which is what puts it into the change log and tells WATCH.
 * It must not know the wire, the commands or SQLite.
 */
import { type Clock, nanoseconds, type Random } from "../clock.js";
import {
  BACKLOG_BUDGET_MS,
  BIT_USES_MIN,
  BITS_ONE_BY_ONE_MAX,
  CONTAINERS_BYTES_MAX,
  CONTAINERS_GROWTH_MAX,
  EXPIRE_BATCH_ROWS,
  LOGGED_BITS_MAX,
  MEMBERS_PER_BIT_USE,
  SMALL_AGAIN_DIVISOR,
  SMALL_MEMBERS_MAX,
} from "../config.js";
import { collectPassed, passingBuffer } from "../passing-buffer.js";
import { Bitmap, portableBytesMax } from "./bitmap.js";
import { type Batch, type BatchDraft, ChangeLog, LOGGED_BIT_BYTES } from "./change-log.js";
import { countContainers } from "./container-counts.js";
import { ContainersValue } from "./containers-value.js";
import { Contents, FLAG } from "./contents.js";
import { Database } from "./database.js";
import { Entry } from "./entry.js";
import { type KeysAndOffsets, NO_ENTRY, VALUE, type ValueKind } from "./entry-table.js";
import type { Expressions } from "./expressions.js";
import { HASH_MAX } from "./hash.js";
import { type KeyBytes, keyString } from "./key-bytes.js";
import { Residency } from "./residency.js";
import { SmallValue, smallMembersMax } from "./small-value.js";
import {
  type ExpiredCursor,
  NO_DEADLINE,
  type Storage,
  type StoredDatabase,
  type StoredKey,
  type ValueFacts,
} from "./storage.js";
import { StoredSet } from "./stored-set.js";
import type { Bit, Value } from "./value.js";
import { Watches } from "./watches.js";

/** Rows a walk over a whole database reads at a time. */
const WALK_ROWS = 128;

const FIRST_EXPIRED: ExpiredCursor = { deadline: Number.NEGATIVE_INFINITY, id: 0 };

/** Keys that `averageTtlMs` looks at. */
const TTL_SAMPLE_KEYS = 64;

/** Seeds of the entry tables' hashes are 32 bits. */
const SEEDS = 2 ** 32;

const ZERO_BIT = Uint8Array.of(0);

/** Who is told of keys that come and go. */
export interface KeyspaceListener {
  /** There was no such key, or it has been deleted. */
  keyCreated(database: number, key: string): void;
  /** A key has died of its deadline. */
  keyExpired(database: number, key: string): void;
}

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
  /** Values that had to be read from the storage. */
  storageLoads = 0;
  /**
   * When the running command began with work that takes longer than a quick command, in nanoseconds; 0 while it did not. Who times
   * commands sets it back.
   */
  workSince = 0;
  /** Who leaves memory, and when. */
  readonly residency: Residency;
  /** Whether expired keys that nobody asks for are deleted (DEBUG SET-ACTIVE-EXPIRE). */
  expiresActively = true;
  /** Nothing is deleted for its deadline; but who asks for what has expired finds nothing (CLIENT PAUSE). */
  isPaused = false;
  /**
   * When keys die is the master's business: nothing is deleted for its deadline before the master says so. Who asks for what has expired
   * finds nothing, but for the master's commands (`seesExpired`).
   */
  isReplica = false;
  /** Deadlines do not count: of the commands of a master, who deletes what has expired before, and of RESTORE REPLACE. */
  seesExpired = false;
  listener: KeyspaceListener | undefined;

  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log = new ChangeLog();
  #nextId: number;
  #nextSlot: number;
  /** What the databases are in the file while other data comes in their place, in the order of their numbers. */
  #replaced: { stored: StoredDatabase; expressions: Expressions }[] | undefined;
  #expired = FIRST_EXPIRED;

  constructor(storage: Storage, clock: Clock, random: Random) {
    this.#storage = storage;
    this.#clock = clock;
    this.#random = random;
    this.now = clock.now();
    this.#nextId = storage.nextId;
    this.databases = [...storage.databases]
      .sort((a, b) => a.number - b.number)
      .map((stored) => new Database(stored.number, new Contents(stored, this.#seed())));
    for (const { id, slot, facts, ...expression } of storage.expressions) {
      const database = this.databases.find(({ contents }) => contents.slot === slot);
      const bytes = facts.reduce((sum, each) => sum + portableBytesMax(each), 0);
      database?.contents.expressions.restore(id, expression, bytes);
    }
    this.#nextSlot = storage.nextSlot;
    this.residency = new Residency(this.databases, this.now, random, () => !this.isSettled);
  }

  #seed(): number {
    return Math.floor(this.#random() * SEEDS);
  }

  /**
   * Lets the time that commands see catch up with the clock, and memory with its bound. Called before each command or transaction,
   * but for those that are quick.
   */
  tick(): void {
    this.now = this.#clock.now();
    this.residency.tick(this.now);
  }

  /** Lets memory catch up with its bound: what a command needs that is so quick that reading the clock would be 7 % of it. */
  step(): void {
    this.residency.tick(this.now);
  }

  // --- looking up

  /** The entry of a key; undefined when there is none, or none any more (lazy expiry). */
  lookup(database: Database, key: string): Entry | undefined {
    const number = this.#lookup(database, key);
    return number === NO_ENTRY ? undefined : new Entry(database, number);
  }

  /** The same without being a use of the key, which stays in memory no longer for it. */
  peek(database: Database, key: string): Entry | undefined {
    const { entries } = database.contents;
    const known = entries.findKey(key);
    const lastUse = known === NO_ENTRY ? this.residency.useWhenGone : entries.lastUse(known);
    const entry = this.lookup(database, key);
    if (entry !== undefined) entries.setLastUse(entry.number, lastUse);
    return entry;
  }

  /** How long a key was not used, in milliseconds; for one that was not in memory, at least so long. */
  idleMs({ database, number }: Entry): number {
    return this.residency.idleMs(database.contents, number);
  }

  /** Lets a key be as if it had not been used for so many milliseconds. */
  setIdleMs({ database, number }: Entry, idleMs: number): void {
    database.contents.entries.setLastUse(number, this.residency.useBefore(idleMs));
  }

  /** Bytes of memory that a key takes with its value, as far as that is in memory. */
  bytesOf({ database, number }: Entry): number {
    return this.residency.bytesOf(database.contents, number);
  }

  #lookup(database: Database, key: string): number {
    const number = database.contents.entries.findKey(key);
    return number === NO_ENTRY ? this.#lookupStored(database, key) : this.#hit(database, number);
  }

  #lookupBytes(database: Database, key: KeyBytes): number {
    const number = database.contents.entries.find(key.bytes, key.start, key.end);
    return number === NO_ENTRY ? this.#lookupStored(database, keyString(key)) : this.#hit(database, number);
  }

  /** An entry that a look-up found in memory: NO_ENTRY where the key is gone. */
  #hit(database: Database, number: number): number {
    const { entries } = database.contents;
    this.memoryHits++;
    if ((entries.flags(number) & FLAG.DEAD) !== 0 || this.#expire(database, number)) return NO_ENTRY;
    entries.setLastUse(number, this.residency.now);
    return number;
  }

  #lookupStored(database: Database, key: string): number {
    const { slot, absent } = database.contents;
    if (absent.has(key)) return NO_ENTRY;
    this.#works();
    this.storageLookups++;
    const stored = this.#storage.find(slot, key);
    if (stored === undefined) {
      absent.add(key);
      return NO_ENTRY;
    }
    const number = this.#adopt(database, stored);
    return this.#expire(database, number) ? NO_ENTRY : number;
  }

  /** What comes now is not quick. */
  #works(): void {
    if (this.workSince === 0) this.workSince = nanoseconds();
  }

  #adopt({ contents: { entries, expressions } }: Database, { key, id, deadline }: StoredKey): number {
    const number = entries.add(key);
    if (expressions.has(id)) entries.setFlags(number, FLAG.LINKED);
    entries.setId(number, id);
    entries.setDeadline(number, deadline);
    entries.setLastUse(number, this.residency.now);
    this.residency.grew();
    return number;
  }

  /** GETBIT: one bit of a key; undefined where there is no such key. */
  getBit(database: Database, key: KeyBytes, offset: number): Bit | undefined {
    const number = this.#lookupBytes(database, key);
    return number === NO_ENTRY ? undefined : this.#bit(database, number, offset);
  }

  /** BITCOUNT: how many bits of a key are 1; undefined where there is no such key. */
  cardinality(database: Database, key: KeyBytes): number | undefined {
    const number = this.#lookupBytes(database, key);
    if (number === NO_ENTRY) return undefined;
    const { entries } = database.contents;
    if (entries.valueKind(number) === VALUE.NONE) this.#load(database, number);
    return entries.cardinality(number);
  }

  /** A bit of a key that was looked up. */
  bitOf({ database, number }: Entry, offset: number): Bit {
    return this.#bit(database, number, offset);
  }

  #bit(database: Database, number: number, offset: number): Bit {
    const { entries } = database.contents;
    switch (this.#kindForBit(database, number)) {
      case VALUE.SMALL:
        return entries.smallHas(number, offset) ? 1 : 0;
      case VALUE.CONTAINERS:
        return entries.containersHas(number, offset) ? 1 : 0;
      default:
        return (entries.native(number) as Bitmap).getBit(offset);
    }
  }

  /**
   * Looks up many keys at once, and returns how many of them, from the first on, are in memory, have not expired, and have a value of which a bit is read or changed without other work:
   * `getBitAt` and `setBitAt` may be called for their entries, which are in `found`, until any other method is.
   */
  findMany({ contents: { entries } }: Database, bytes: Buffer, keys: KeysAndOffsets, found: Int32Array): number {
    entries.findMany(bytes, keys, found);
    for (let i = 0; i < keys.length; i++) {
      const number = found[i] as number;
      if (number === NO_ENTRY || !entries.isReady(number, FLAG.DEAD, this.now)) return i;
      const bitmap = entries.native(number);
      if (bitmap !== undefined && (bitmap.isShared || bitmap.unmade !== undefined)) return i;
    }
    return keys.length;
  }

  /** GETBIT of an entry that `findMany` has found. */
  getBitAt(database: Database, number: number, offset: number): Bit {
    this.memoryHits++;
    database.contents.entries.setLastUse(number, this.residency.now);
    return this.#bit(database, number, offset);
  }

  /** SETBIT of an entry that `findMany` has found. */
  setBitAt(database: Database, number: number, offset: number, bit: Bit): Bit {
    this.memoryHits++;
    database.contents.entries.setLastUse(number, this.residency.now);
    return this.#setBit(database, number, offset, bit);
  }

  /** BITFIELD: `count` bits of a value from bit `first` on, most significant first in a byte; 0 where the value has ended. For few. */
  getBits(entry: Entry, first: number, count: number): Buffer {
    const { database, number } = entry;
    const bits = Buffer.alloc(Math.ceil(count / 8));
    const { byteLength } = this.value(entry);
    for (let i = 0; i < count && first + i < byteLength * 8; i++) {
      if (this.#bit(database, number, first + i) === 1) bits[i >> 3] = (bits[i >> 3] as number) | (0x80 >> (i & 7));
    }
    return bits;
  }

  /** The entry's value, read from the storage if it is not in memory. Good until the next change. */
  value({ database, number }: Entry): Value {
    const { entries } = database.contents;
    if (entries.valueKind(number) === VALUE.NONE) this.#load(database, number);
    const bitmap = entries.native(number);
    if (bitmap !== undefined) return bitmap;
    if (entries.valueKind(number) === VALUE.SMALL) return smallValue(database.contents, number);
    return new ContainersValue(
      entries.count(number),
      entries.byteLength(number),
      () => this.#promote(database, number),
      () => countContainers(entries.containerMembers(number)),
    );
  }

  /** What the entry's value measures. One that is not in memory does not come into it. */
  facts({ database, number }: Entry): ValueFacts {
    const { entries } = database.contents;
    if (entries.valueKind(number) === VALUE.NONE) return this.#storage.measure(entries.id(number));
    return { cardinality: entries.cardinality(number), byteLength: entries.byteLength(number) };
  }

  /** The entry's value as a Bitmap, which must not be changed. Good until the next change. */
  bitmap({ database, number }: Entry): Bitmap {
    const { entries } = database.contents;
    if (entries.valueKind(number) === VALUE.NONE) this.#load(database, number);
    return entries.native(number) ?? this.#promote(database, number);
  }

  /**
   * A key's value, which is the caller's, and its deadline; undefined where there is no such key. What is not in memory does not come into it:
   * for who reads every key once.
   */
  read(database: Database, key: string): { bitmap: Bitmap; deadline: number } | undefined {
    const { slot, entries } = database.contents;
    const known = entries.findKey(key);
    const stored = known === NO_ENTRY ? this.#storage.find(slot, key) : undefined;
    const deadline = known === NO_ENTRY ? stored?.deadline : entries.deadline(known);
    if (deadline === undefined || this.now > deadline) return undefined;
    if (stored !== undefined) return { bitmap: this.#storage.load(stored.id), deadline };
    if ((entries.flags(known) & FLAG.DEAD) !== 0) return undefined;
    const isLoaded = entries.valueKind(known) !== VALUE.NONE;
    const value = isLoaded ? this.value(new Entry(database, known)).clone() : this.#storage.load(entries.id(known));
    return { bitmap: value, deadline };
  }

  #load(database: Database, number: number): void {
    this.#works();
    this.storageLoads++;
    this.#put(database, number, this.#storage.load(database.contents.entries.id(number)));
  }

  /** Makes `bitmap`, which is the entry's from now on, what is in memory of its value. */
  #put({ contents: { entries } }: Database, number: number, bitmap: Bitmap): void {
    entries.native(number)?.dispose();
    entries.setByteLength(number, bitmap.byteLength);
    if (bitmap.unmade !== undefined || bitmap.cardinality > SMALL_MEMBERS_MAX) {
      entries.setNative(number, bitmap);
    } else {
      entries.setSmall(number, bitmap.members);
      bitmap.dispose();
    }
    this.residency.grew();
  }

  /** Turns a value of another kind into a native one, which whole sets are made of. */
  #promote({ contents }: Database, number: number): Bitmap {
    this.#works();
    const { entries } = contents;
    const bitmap = entries.native(number) ?? nativeOf(contents, number);
    if (entries.valueKind(number) !== VALUE.NATIVE) {
      entries.setNative(number, bitmap);
      this.residency.grew();
    }
    return bitmap;
  }

  /**
   * The kind of a value of which a single bit is asked, loaded if it was not in memory. A native one becomes containers when bits
   * were asked of it so often that the work is made up for; what BITOP and the like ask for is a native one again.
   */
  #kindForBit(database: Database, number: number): ValueKind {
    const { entries } = database.contents;
    const kind = entries.valueKind(number);
    if (kind === VALUE.SMALL || kind === VALUE.CONTAINERS) return kind;
    if (kind === VALUE.NONE) this.#load(database, number);
    const bitmap = entries.native(number);
    if (bitmap !== undefined && ++bitmap.bitUses > BIT_USES_MIN + entries.cardinality(number) / MEMBERS_PER_BIT_USE) {
      bitmap.bitUses = 0;
      this.#split(database.contents, number, bitmap);
    }
    return entries.valueKind(number);
  }

  /** Turns a native value into an array or into containers, if it is not too large for that and has no long runs. */
  #split({ entries }: Contents, number: number, bitmap: Bitmap): void {
    this.#works();
    const { portableBytes, cardinality, byteLength } = bitmap;
    const isSplit =
      cardinality > smallMembersMax(byteLength) &&
      portableBytes <= CONTAINERS_BYTES_MAX &&
      entries.setContainers(number, bitmap.toPortable(), cardinality, portableBytes * CONTAINERS_GROWTH_MAX);
    if (!isSplit && cardinality > SMALL_MEMBERS_MAX) return;
    if (!isSplit) entries.setSmall(number, bitmap.members);
    bitmap.dispose();
    this.residency.grew();
  }

  // --- changing

  /** Adds a key that does not exist, with `bitmap`, which is the keyspace's from now on. */
  create(database: Database, key: string, bitmap: Bitmap): Entry {
    const number = this.#create(database, key);
    this.#put(database, number, bitmap);
    if (bitmap.byteLength > 0) this.#log.value(database.contents, number);
    this.#changed(database, number);
    return new Entry(database, number);
  }

  /** Adds a key that does not exist, with an empty value. */
  #create(database: Database, key: string): number {
    const number = this.#place(database, key, this.#nextId++);
    database.contents.entries.setSmall(number, []);
    this.#log.create(database.contents, number);
    database.contents.count(1, 0);
    return number;
  }

  /** The entry of a key, with an empty value if there was none. */
  #lookupOrCreate(database: Database, key: string): number {
    const number = this.#lookup(database, key);
    return number === NO_ENTRY ? this.#create(database, key) : number;
  }

  /** Makes an entry for a key where there is no row yet. */
  #place(database: Database, key: string, id: number): number {
    const { absent, entries, created } = database.contents;
    absent.delete(key);
    const old = entries.findKey(key);
    if (old !== NO_ENTRY) {
      // One that has expired and was not to die yet must not live on in the file beside the new one.
      if ((entries.flags(old) & FLAG.DEAD) === 0) this.#die(database, old);
      // Whoever names the old row in the log does so by its number in the file: the entry can go.
      entries.remove(old);
    }
    const number = entries.add(key);
    entries.setId(number, id);
    entries.setLastUse(number, this.residency.now);
    entries.setCreatedIn(number, this.#log.number);
    created.add(number);
    this.residency.grew();
    this.listener?.keyCreated(database.number, key);
    return number;
  }

  /** Makes `bitmap`, which is the keyspace's from now on, the value of a key that may exist; its deadline stays. */
  setValue(database: Database, key: string, bitmap: Bitmap): Entry {
    if (bitmap.unmade instanceof StoredSet) return this.#setStored(database, key, bitmap, bitmap.unmade);
    const number = this.#lookup(database, key);
    if (number === NO_ENTRY) return this.create(database, key, bitmap);
    this.#put(database, number, bitmap);
    this.#log.value(database.contents, number);
    this.#changed(database, number);
    return new Entry(database, number);
  }

  /**
   * Begins a value that is too large for memory. What it is appended is in the next batches; when these are committed, and not before,
   * `setValue` may make a bitmap of it the value of a key.
   */
  storedSet(): StoredSet {
    return new StoredSet(this.#nextId++, {
      append: (id, facts, piece) => {
        this.#log.piece(id, facts, piece);
        this.changes++;
      },
      load: (id) => this.#storage.load(id),
      drop: (id) => {
        this.#log.dropPieces(id);
        this.changes++;
      },
    });
  }

  /** The key gets the row that has the value, in place of its own. */
  #setStored(database: Database, key: string, bitmap: Bitmap, stored: StoredSet): Entry {
    const { contents } = database;
    const old = this.#lookup(database, key);
    const deadline = old === NO_ENTRY ? NO_DEADLINE : contents.entries.deadline(old);
    if (old !== NO_ENTRY) this.#delete(database, old);
    const number = this.#place(database, key, stored.give());
    bitmap.dispose();
    contents.count(1, 0);
    this.#log.rekey(contents, number);
    if (deadline !== NO_DEADLINE) this.#setDeadline(database, number, deadline);
    this.#changed(database, number);
    return new Entry(database, number);
  }

  /** SETBIT: sets or clears one bit of a key that may exist, and returns the bit's old value. */
  setBit(database: Database, key: KeyBytes, offset: number, bit: Bit): Bit {
    let number = this.#lookupBytes(database, key);
    if (number === NO_ENTRY) number = this.#create(database, keyString(key));
    return this.#setBit(database, number, offset, bit);
  }

  #setBit(database: Database, number: number, offset: number, bit: Bit): Bit {
    const { contents } = database;
    const before = this.#writeBit(database, number, offset, bit);
    const isLonger = lengthen(contents, number, offset);
    if (before !== bit || isLonger) {
      this.#log.bit(contents, number, offset, bit);
      this.#changed(database, number);
    }
    return before;
  }

  /**
   * SETRANGE and APPEND: writes `bytes` over the value of a key that may exist, from byte `start` on, up to byte 2^29. Tells WATCH even
   * when nothing is different afterwards, as Redis does.
   */
  setRange(database: Database, key: string, start: number, bytes: Uint8Array): void {
    const number = this.#lookupOrCreate(database, key);
    if (bytes.length <= BITS_ONE_BY_ONE_MAX / 8) this.#writeBits(database, number, start * 8, bytes.length * 8, bytes);
    else this.#change(database, number, (bitmap) => bitmap.overwrite(start, bytes));
    this.#changed(database, number);
  }

  /** BITFIELD: writes the first `count` of `bits`, most significant first in a byte, over those of a value from bit `first` on. For few. */
  setBits({ database, number }: Entry, first: number, count: number, bits: Uint8Array): void {
    this.#writeBits(database, number, first, count, bits);
    this.#changed(database, number);
  }

  /**
   * BITFIELD: makes the value of a key that may exist at least `byteLength` bytes long, and says whether it was shorter. WATCH is not told:
   * in Redis a BITFIELD that only lengthens has changed nothing. It is a change all the same, which may have to be waited for.
   */
  lengthen(database: Database, key: string, byteLength: number): { entry: Entry; isLonger: boolean } {
    const number = this.#lookupOrCreate(database, key);
    const entry = new Entry(database, number);
    const isLonger = this.value(entry).byteLength < byteLength;
    if (isLonger) this.#writeBits(database, number, byteLength * 8 - 1, 1, ZERO_BIT);
    if (isLonger) this.changes++;
    return { entry, isLonger };
  }

  /** BITADD: sets bits of a key that may exist, at least one and in any order, and returns how many of them were 0. */
  addOffsets(database: Database, key: string, offsets: Uint32Array): number {
    return this.#writeOffsets(database, this.#lookupOrCreate(database, key), offsets, 1);
  }

  /** BITREM: clears bits of a value, and returns how many of them were 1. The value stays as long as it is, even without any. */
  removeOffsets({ database, number }: Entry, offsets: Uint32Array): number {
    return this.#writeOffsets(database, number, offsets, 0);
  }

  /** BITADDRANGE: the same as `addOffsets` with all from `first` to `last`, both included. */
  addRange(database: Database, key: string, first: number, last: number): number {
    return this.#writeMembers(database, this.#lookupOrCreate(database, key), Bitmap.fromRange(first, last), 1);
  }

  /** BITREMRANGE: the same as `removeOffsets` with all from `first` to `last`, both included. */
  removeRange({ database, number }: Entry, first: number, last: number): number {
    return this.#writeMembers(database, number, Bitmap.fromRange(first, last), 0);
  }

  /** Sets or clears bits, one by one where they are few, which leaves small values what they are. Returns how many are different. */
  #writeOffsets(database: Database, number: number, offsets: Uint32Array, bit: Bit): number {
    if (offsets.length > BITS_ONE_BY_ONE_MAX) {
      return this.#writeMembers(database, number, Bitmap.fromOffsets(offsets), bit);
    }
    const { contents } = database;
    let changes = 0;
    for (const offset of offsets) {
      // Clearing a bit behind the end would lengthen the value.
      if (this.#bit(database, number, offset) === bit) continue;
      this.#writeBit(database, number, offset, bit);
      lengthen(contents, number, offset);
      this.#log.bit(contents, number, offset, bit);
      changes++;
    }
    if (changes > 0) this.#changed(database, number);
    return changes;
  }

  /** The same with all bits of `members`, which is let go of. */
  #writeMembers(database: Database, number: number, members: Bitmap, bit: Bit): number {
    const changes = this.#change(database, number, (bitmap) =>
      bit === 1 ? bitmap.add(members) : bitmap.remove(members),
    );
    members.dispose();
    if (changes > 0) this.#changed(database, number);
    return changes;
  }

  /** Writes bits one by one, those that are different into the log too. The last one first, so that it alone lengthens the value. */
  #writeBits(database: Database, number: number, first: number, count: number, bits: Uint8Array): void {
    const { contents } = database;
    for (let i = count - 1; i >= 0; i--) {
      const bit = (((bits[i >> 3] as number) >> (7 - (i & 7))) & 1) as Bit;
      const before = this.#writeBit(database, number, first + i, bit);
      if (lengthen(contents, number, first + i) || before !== bit) this.#log.bit(contents, number, first + i, bit);
    }
  }

  /**
   * Lets `change` change a value as a native one; it returns the bits that are different then. They go into the log bit by bit; as the
   * whole value where that is less, or where they are many. Returns how many they are.
   */
  #change(database: Database, number: number, change: (bitmap: Bitmap) => Bitmap): number {
    const { contents } = database;
    const { entries } = contents;
    this.bitmap(new Entry(database, number));
    const bitmap = this.#ownNative(contents, number);
    const before = bitmap.cardinality;
    const changed = change(bitmap);
    entries.countMembers(number, bitmap.cardinality - before);
    const last = bitmap.byteLength * 8 - 1;
    const isLonger = lengthen(contents, number, last);
    const { cardinality } = changed;
    if (cardinality > LOGGED_BITS_MAX || cardinality * LOGGED_BIT_BYTES > bitmap.portableBytes) {
      this.#log.value(contents, number);
    } else {
      for (const offset of changed.members) this.#log.bit(contents, number, offset, bitmap.getBit(offset));
      // Of a length the log tells by the value's last bit, which is among those if it is 1.
      if (isLonger && bitmap.getBit(last) === 0) this.#log.bit(contents, number, last, 0);
    }
    changed.dispose();
    if (bitmap.cardinality <= SMALL_MEMBERS_MAX / SMALL_AGAIN_DIVISOR) this.#split(contents, number, bitmap);
    this.residency.grew();
    return cardinality;
  }

  /**
   * BITOPTIMIZE: makes what is in memory of a value as small as it gets, and returns how many bytes that saves. The value is the same: nobody
   * is told.
   */
  optimize(entry: Entry): number {
    const { database, number } = entry;
    if (this.value(entry) instanceof SmallValue) return 0;
    const before = this.bytesOf(entry);
    const bitmap = this.#promote(database, number);
    bitmap.optimize();
    this.#split(database.contents, number, bitmap);
    return Math.max(before - this.bytesOf(entry), 0);
  }

  /** Sets or clears a bit of what is in memory of a value, and returns its old value. */
  #writeBit(database: Database, number: number, offset: number, bit: Bit): Bit {
    const { contents } = database;
    const { entries } = contents;
    const kind = this.#kindForBit(database, number);
    if (kind === VALUE.NATIVE) {
      const before = this.#ownNative(contents, number).setBit(offset, bit);
      if (before !== bit) entries.countMembers(number, bit === 1 ? 1 : -1);
      return before;
    }
    if (kind === VALUE.SMALL) {
      if (bit === 0 || entries.count(number) < smallMembersMax(entries.byteLength(number)))
        return setSmallBit(contents, number, offset, bit);
      entries.splitSmall(number);
    }
    if (bit === 1) return entries.containersAdd(number, offset) ? 0 : 1;
    const before = entries.containersDelete(number, offset) ? 1 : 0;
    if (entries.count(number) <= smallMembersMax(entries.byteLength(number)) / SMALL_AGAIN_DIVISOR)
      entries.setSmall(number, entries.containersMembers(number));
    return before;
  }

  /** The native value of an entry, to be changed: a copy takes its place where somebody else relies on it. */
  #ownNative({ entries }: Contents, number: number): Bitmap {
    const bitmap = entries.native(number) as Bitmap;
    if (bitmap.isShared || bitmap.unmade !== undefined) this.#works();
    if (!bitmap.isShared) return bitmap;
    const own = bitmap.clone();
    entries.setNative(number, own);
    bitmap.dispose();
    this.residency.grew();
    return own;
  }

  delete({ database, number }: Entry): void {
    this.#delete(database, number);
  }

  #delete(database: Database, number: number): void {
    const { contents } = database;
    const { entries } = contents;
    contents.created.delete(number);
    contents.count(-1, entries.deadline(number) === NO_DEADLINE ? 0 : -1);
    entries.native(number)?.dispose();
    bury(contents, number);
    this.#log.delete(contents, number);
    this.#changed(database, number);
  }

  /** Gives a key a deadline in wall-clock milliseconds, or takes it (NO_DEADLINE). */
  setDeadline({ database, number }: Entry, deadline: number): void {
    this.#setDeadline(database, number, deadline);
    this.#changed(database, number);
  }

  #setDeadline({ contents }: Database, number: number, deadline: number): void {
    const { entries } = contents;
    const before = entries.deadline(number) === NO_DEADLINE ? 0 : 1;
    entries.setDeadline(number, deadline);
    contents.count(0, (deadline === NO_DEADLINE ? 0 : 1) - before);
    this.#log.deadline(contents, number);
  }

  /** Takes a key's deadline away. */
  persist(entry: Entry): void {
    this.setDeadline(entry, NO_DEADLINE);
  }

  /** RENAME and MOVE: gives an entry another name, in a database where that name must not exist. */
  rename({ database: from, number: old }: Entry, to: Database, key: string): void {
    const source = from.contents;
    const deadline = source.entries.deadline(old);
    const volatileKeys = deadline === NO_DEADLINE ? 0 : 1;
    source.created.delete(old);
    source.count(-1, -volatileKeys);
    const number = this.#place(to, key, source.entries.id(old));
    const target = to.contents;
    target.entries.setDeadline(number, deadline);
    target.count(1, volatileKeys);
    this.#moveValue(source, old, target, number);
    this.#log.vacate(source, old);
    this.#log.rekey(target, number);
    this.#touch(from, old);
    this.#changed(to, number);
  }

  #moveValue(source: Contents, old: number, target: Contents, number: number): void {
    const { entries } = source;
    if (entries.valueKind(old) === VALUE.SMALL) {
      target.entries.setSmall(number, smallValue(source, old).members);
    } else if (entries.valueKind(old) !== VALUE.NONE) {
      target.entries.setNative(number, entries.native(old) ?? nativeOf(source, old));
    }
    target.entries.setByteLength(number, entries.byteLength(old));
    this.#log.moveValue(source, old, target, number);
    bury(source, old);
  }

  /** COPY: adds a key with the value and the deadline of `entry`, where none exists. */
  copy(entry: Entry, database: Database, key: string): void {
    const { deadline } = entry;
    const copy = this.create(database, key, this.value(entry).clone());
    if (deadline !== NO_DEADLINE) this.#setDeadline(database, copy.number, deadline);
  }

  /** FLUSHDB. The rows in the file are the writer's work; here the database only gets empty contents. */
  flush(database: Database): void {
    this.watches.touchAll(database.number, (key) => this.lookup(database, key) !== undefined);
    const old = database.contents;
    if (old.size === 0) return;
    this.changes += old.size;
    this.#log.dropSlot(old.slot);
    this.#empty(database);
  }

  #empty(database: Database): void {
    this.residency.drop(database.contents);
    database.contents = new Contents({ slot: this.#nextSlot++, keys: 0, volatileKeys: 0 }, this.#seed());
    database.contents.changed = true;
  }

  /**
   * Empties all databases for other data that comes in the place of theirs. In the file they stay what they are until that is whole: it
   * comes under slots that are no database's yet. Throws unless all changes are settled (`Saver.settle`). Until one of the next two is
   * called there must be no FLUSHDB and no SWAPDB.
   */
  beginReplacement(): void {
    if (!this.isSettled) throw new Error("changes are not settled");
    // This reads the file, which may fail: nothing has begun then.
    for (const database of this.databases) {
      this.watches.touchAll(database.number, (key) => this.lookup(database, key) !== undefined);
    }
    this.#replaced = this.databases.map((database) => ({
      stored: storedDatabase(database),
      expressions: database.contents.expressions,
    }));
    for (const database of this.databases) {
      this.#empty(database);
      this.#log.reserveSlot(database.contents.slot);
    }
    this.changes++;
  }

  /** The other data is whole: one commit makes it what the databases are. */
  completeReplacement(): void {
    for (const { stored } of this.#replaced ?? []) this.#log.dropSlot(stored.slot);
    this.#replaced = undefined;
    this.changes++;
  }

  /** Gives the databases back what they were before the replacement that is under way, if there is one. */
  undoReplacement(): void {
    const replaced = this.#replaced;
    if (replaced === undefined) return;
    this.databases.forEach((database, i) => {
      this.#log.dropSlot(database.contents.slot);
      this.residency.drop(database.contents);
      const { stored, expressions } = replaced[i] as (typeof replaced)[number];
      database.contents = new Contents(stored, this.#seed(), expressions);
    });
    this.#replaced = undefined;
    this.changes++;
  }

  /** SWAPDB: what is in one database is in the other. */
  swap(a: Database, b: Database): void {
    if (a === b) return;
    const existsInEither = (key: string) => this.lookup(a, key) !== undefined || this.lookup(b, key) !== undefined;
    this.watches.touchAll(a.number, existsInEither);
    this.watches.touchAll(b.number, existsInEither);
    const { contents } = a;
    a.contents = b.contents;
    b.contents = contents;
    for (const database of [a, b]) {
      database.contents.changed = true;
      this.#log.database(storedDatabase(database));
    }
    this.changes++;
  }

  #changed(database: Database, number: number): void {
    this.changes++;
    this.#touch(database, number);
  }

  /** Tells who watches the entry's key; an entry that is a tombstone by now has it still. */
  #touch(database: Database, number: number): void {
    if (!this.watches.isEmpty) this.watches.touch(database.number, database.contents.entries.key(number));
  }

  // --- expiring: the only place where a key dies of its deadline

  /** Deletes the entry if its deadline has passed (Redis: strictly passed), and says whether it has. */
  #expire(database: Database, number: number): boolean {
    if (this.now <= database.contents.entries.deadline(number) || this.seesExpired) return false;
    if (!this.isPaused && !this.isReplica) this.#die(database, number);
    return true;
  }

  /** Whether a key that is given this deadline is to be deleted at once. On a replica the master says that too. */
  isPast(deadline: number): boolean {
    return deadline <= this.now && !this.isReplica;
  }

  /** Deletes an entry whose deadline has passed. */
  #die(database: Database, number: number): void {
    this.expiredKeys++;
    this.#delete(database, number);
    this.listener?.keyExpired(database.number, database.contents.entries.key(number));
  }

  /**
   * Active expiry: finds keys whose deadline has passed and that nobody asks for, for at most BACKLOG_BUDGET_MS. Says whether it has
   * been at all of them.
   */
  expireCycle(): boolean {
    this.tick();
    if (!this.expiresActively || this.isPaused || this.isReplica) return true;
    const end = performance.now() + BACKLOG_BUDGET_MS;
    do {
      const rows = this.#storage.expired(this.now, this.#expired, EXPIRE_BATCH_ROWS);
      for (const row of rows) this.#expireStored(row);
      const last = rows.at(-1);
      // What was deleted just now stays in the file until the commit: go on behind it, and begin again at the end.
      if (last === undefined || rows.length < EXPIRE_BATCH_ROWS) {
        this.#expired = FIRST_EXPIRED;
        return true;
      }
      this.#expired = { deadline: last.deadline, id: last.id };
    } while (performance.now() < end);
    return false;
  }

  #expireStored(stored: StoredKey): void {
    const database = this.databases.find(({ contents }) => contents.slot === stored.slot);
    if (database === undefined) return;
    const { entries } = database.contents;
    const known = entries.findKey(stored.key);
    if (known === NO_ENTRY) this.#expire(database, this.#adopt(database, stored));
    else if ((entries.flags(known) & FLAG.DEAD) === 0) this.#expire(database, known);
  }

  // --- listing

  /** All keys of a database that match, in no order. */
  keys(database: Database, matches: (key: string) => boolean): string[] {
    const keys: string[] = [];
    for (const page of this.keyPages(database, matches)) for (const key of page) keys.push(key);
    return keys;
  }

  /**
   * The same a page at a time. Between two pages commands may run: keys that they add or delete may be in a later page or not,
   * all others are in one.
   */
  *keyPages(database: Database, matches: (key: string) => boolean): Generator<string[], void> {
    for (let cursor = 0; ; ) {
      const page = this.#page(database, cursor, WALK_ROWS);
      const keys: string[] = [];
      for (const { key, isLive } of page.keys) if (isLive && matches(key)) keys.push(key);
      yield keys;
      if (page.cursor === 0) return;
      cursor = page.cursor;
    }
  }

  /**
   * SCAN: about `count` keys in the order of their hash, from `cursor` (0 at first) on. A key that is there from the first
   * page to the last is in one of them, whatever happens to the others: its hash does not change. Only keys that match are
   * given, and the expired ones among them die (Redis does not look at the deadline of the others).
   */
  scan(database: Database, cursor: number, count: number, matches = (_key: string) => true): ScanPage {
    const page = this.#page(database, cursor, count);
    const keys: string[] = [];
    for (const { key, isLive, stored, entry } of page.keys) {
      if (!matches(key)) continue;
      if (isLive) keys.push(key);
      else if (stored !== undefined) this.#expireStored(stored);
      // It may have died just now, as a row of the file.
      else if (entry !== undefined && (database.contents.entries.flags(entry) & FLAG.DEAD) === 0) {
        this.#expire(database, entry);
      }
    }
    return { cursor: page.cursor, keys };
  }

  /** How long keys with a deadline have on average, in milliseconds, by a sample of the keys; 0 where there are none in it. */
  averageTtlMs(database: Database): number {
    if (database.volatileSize === 0) return 0;
    let sum = 0;
    let count = 0;
    let cursor = Math.floor(this.#random() * HASH_MAX);
    for (let looked = 0, rounds = 0; looked < TTL_SAMPLE_KEYS && rounds < 2; ) {
      const page = this.#page(database, cursor, TTL_SAMPLE_KEYS - looked);
      for (const { isLive, deadline } of page.keys) {
        if (!isLive || deadline === NO_DEADLINE) continue;
        sum += deadline - this.now;
        count++;
      }
      looked += page.keys.length;
      cursor = page.cursor;
      if (cursor === 0) rounds++;
    }
    return count === 0 ? 0 : Math.round(sum / count);
  }

  /** About `count` keys from the hash `cursor` on, those of the file and those that are not in it yet, with what is known of them. */
  #page(database: Database, cursor: number, count: number): { cursor: number; keys: ListedKey[] } {
    const { contents } = database;
    const rows = this.#storage.page(contents.slot, cursor, count);
    const lastRow = rows.length < count ? HASH_MAX : (rows.at(-1)?.hash ?? HASH_MAX);
    const created = contents.created.page(cursor, lastRow, count);
    const keys: ListedKey[] = [];
    for (const stored of rows) {
      if (stored.hash > created.last) break;
      const known = contents.entries.findKey(stored.key);
      const deadline = known === NO_ENTRY ? stored.deadline : contents.entries.deadline(known);
      keys.push({
        hash: stored.hash,
        key: stored.key,
        isLive: this.#isListed(contents, known, deadline),
        deadline,
        stored,
      });
    }
    for (const { entry, hash, key } of created.keys) {
      const deadline = contents.entries.deadline(entry);
      keys.push({ hash, key, isLive: this.now <= deadline, deadline, entry });
    }
    if (created.keys.length > 0) keys.sort((a, b) => a.hash - b.hash);
    let length = Math.min(count, keys.length);
    // Keys of one hash are never torn apart: the cursor could not say where.
    while (length > 0 && length < keys.length && keys[length]?.hash === keys[length - 1]?.hash) length++;
    const end = length < keys.length ? (keys[length - 1] as ListedKey).hash : created.last;
    return { cursor: end >= HASH_MAX ? 0 : end + 1, keys: keys.slice(0, length) };
  }

  /** Whether a row of the file is a key of this moment. Keys that are not in the file yet are in `created`. */
  #isListed({ entries }: Contents, known: number, deadline: number): boolean {
    if (known === NO_ENTRY) return this.now <= deadline;
    if ((entries.flags(known) & FLAG.DEAD) !== 0 || entries.createdIn(known) > this.residency.committedBatch)
      return false;
    return this.now <= deadline;
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

  // --- the storage

  /** Whether there is anything to commit. */
  get isDirty(): boolean {
    return !this.#log.isEmpty;
  }

  /** Whether all that has changed can be read from the storage. What was taken and is not committed can't. */
  get isSettled(): boolean {
    return !this.isDirty && this.#log.number - 1 <= this.residency.settledBatch;
  }

  /** Bytes that the next batch will have, and how many values it names. */
  get logBytes(): number {
    return this.#log.byteLength;
  }

  /** The part of it that is values which were replaced. */
  get logValueBytes(): number {
    return this.#log.valueBytes;
  }

  get logEntries(): number {
    return this.#log.valuedEntries;
  }

  /** Batches up to this one are in the file. */
  get committedBatch(): number {
    return this.residency.committedBatch;
  }

  /** Takes what has changed since the last call, whole. */
  takeBatch(): Batch {
    return this.takeDraft().write(Number.POSITIVE_INFINITY) as Batch;
  }

  /**
   * Takes what has changed since the last call, to be committed. The large values in it are written later, as they are now. Never called
   * inside a command or a transaction.
   */
  takeDraft(): BatchDraft {
    if (this.#replaced === undefined) this.#logDatabases();
    return this.#log.take();
  }

  #logDatabases(): void {
    for (const database of this.databases) {
      if (!database.contents.changed) continue;
      database.contents.changed = false;
      this.#log.database(storedDatabase(database));
    }
  }

  /** The storage has committed a batch, and may give its memory back. */
  committed(batch: Batch, memory?: Uint32Array): void {
    this.residency.committed(batch.number);
    if (memory !== undefined) this.#log.reuse(memory);
    for (const { contents } of this.databases) contents.created.committed(batch.number);
  }

  /** Gives back what changes have left. To be called when all are committed, and when there were none for some time. */
  rest(): void {
    collectPassed();
  }

  /** Reading the storage gives all that the batches up to this one changed: what they touched need not be in memory any more. */
  settled(batch: number): void {
    this.residency.settled(batch);
  }
}

function storedDatabase({ number, contents: { slot, size, volatileSize } }: Database): StoredDatabase {
  return { number, slot, keys: size, volatileKeys: volatileSize };
}

/** A key as a listing finds it: in the file (`stored`), or in memory only (`entry`). */
interface ListedKey {
  hash: number;
  key: string;
  /** Exists, and its deadline has not passed. */
  isLive: boolean;
  deadline: number;
  stored?: StoredKey;
  entry?: number;
}

/** A small value that is in memory, as it is until the next change. */
function smallValue({ entries }: Contents, number: number): SmallValue {
  const byteLength = entries.byteLength(number);
  return new SmallValue(entries.smallWords(number), entries.smallStart(number), entries.count(number), byteLength);
}

/** Leaves of an entry that it was there. A native value is let go of. */
function bury({ entries }: Contents, number: number): void {
  entries.dropValue(number);
  entries.setByteLength(number, 0);
  entries.setFlags(number, entries.flags(number) | FLAG.DEAD);
}

/** What is in memory of a value that is not native, as one that is, and that nobody owns yet. */
function nativeOf(contents: Contents, number: number): Bitmap {
  const { entries } = contents;
  if (entries.valueKind(number) === VALUE.SMALL) return smallValue(contents, number).clone();
  const bytes = entries.portableBytes(number);
  const portable = passingBuffer(bytes).subarray(0, bytes);
  entries.writePortable(number, portable);
  return Bitmap.fromPortable(portable, entries.byteLength(number));
}

function setSmallBit({ entries }: Contents, number: number, offset: number, bit: Bit): Bit {
  if (bit === 1) return entries.smallAdd(number, offset) ? 0 : 1;
  return entries.smallDelete(number, offset) ? 1 : 0;
}

/** Makes a value long enough to hold `offset`, and says whether it was shorter. */
function lengthen({ entries }: Contents, number: number, offset: number): boolean {
  const byteLength = Math.floor(offset / 8) + 1;
  if (byteLength <= entries.byteLength(number)) return false;
  entries.setByteLength(number, byteLength);
  return true;
}
