/**
 * Who stays in memory. A key that nobody used for IDLE_MS leaves; when memory is above its bound the coldest of a sample leave;
 * and never one with a change that the storage does not give back yet. Nothing is lost by leaving: the next look-up reads it.
 * A tombstone leaves as soon as the storage knows of the deletion.
 */
import type { Random } from "../clock.js";
import {
  BACKLOG_BUDGET_MS,
  COMPACT_PAUSE_MS,
  CRON_BUDGET_MS,
  EVICT_BATCH,
  EVICT_SAMPLE,
  IDLE_BATCH_ENTRIES,
  IDLE_MS,
  MEMORY_BESIDE_BYTES,
  MEMORY_CHECK_ENTRIES,
  NATIVE_HEAP_FACTOR,
  NATIVE_OBJECT_BYTES,
} from "../config.js";
import { Bitmap } from "./bitmap.js";
import { type Contents, demote, FLAG } from "./contents.js";
import type { Database } from "./database.js";
import { NO_ENTRY, VALUE } from "./entry-table.js";

/** However much the process takes, keys and values may have one part in so many of `maxmemory`. */
const BOUND_DIVISOR_MAX = 4;
/** Unit of `lastUse`: with 32 bits it lasts for 13 years, of which half a year lies before the start. */
const USE_MS = 100;
/** A last use may lie so long before the start, in that unit: RESTORE brings some along. It is as far as Redis' clock goes. */
const BEFORE_START = (194 * 86_400_000) / USE_MS;
/** A native value of few members that was not used for this long becomes a small one again. */
const DEMOTE_MS = 10_000;
/** Pages of a database that was emptied that are given back at a time, between two looks at the clock. */
const DROPPED_PAGES = 64;
/** Entries looked at for a clean one before memory is taken to be full of changes that are not settled. */
const EVICT_TRIES = 1024;

export class Residency {
  #maxBytes = 0;
  /** Time in the unit of an entry's `lastUse`. */
  now = BEFORE_START;
  /** Keys that left because memory was short. */
  evicted = 0;
  /** Memory is above its bound, and no entry may leave: changes must be settled first. */
  isStuck = false;

  readonly #databases: readonly Database[];
  readonly #startMs: number;
  /** The time that `now` was made of. */
  #tickedMs = Number.NaN;
  /** What keys and values may use at present: `maxBytes`, or less while the process has taken too much beside. */
  #bound = 0;
  readonly #random: Random;
  readonly #mayBeUnsettled: () => boolean;
  /** Batches up to this one are committed: the storage knows no more of the keys that they deleted. */
  committedBatch = 0;
  /** Batches up to this one are settled: the entries that they changed may leave. */
  settledBatch = 0;
  /** Entries and values that came since memory was last looked at. */
  #grown = 0;
  /** Where the sweep goes on. */
  #sweepDatabase = 0;
  #sweepEntry = 0;
  /** Where the compaction goes on, and when the next one begins, on the clock of `performance.now()`. */
  #compactDatabase = 0;
  #compactEntry = NO_ENTRY;
  #compactNotBeforeMs = 0;
  /** Contents of databases that were emptied, whose memory is still to be given back. */
  readonly #dropped: Contents[] = [];
  #droppedEntry = 0;

  /** `mayBeUnsettled` says whether there are changes that a settled batch does not hold. */
  constructor(databases: readonly Database[], startMs: number, random: Random, mayBeUnsettled: () => boolean) {
    this.#mayBeUnsettled = mayBeUnsettled;
    this.#databases = databases;
    this.#startMs = startMs;
    this.#random = random;
  }

  /** `maxmemory`: bytes that entries and values may take; 0 for as many as there are. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  set maxBytes(bytes: number) {
    this.#maxBytes = bytes;
    this.#bound = bytes;
  }

  // --- figures

  /** Keys in memory, tombstones not counted out: they leave soon after their deletion is committed. */
  get keys(): number {
    return this.#sum(({ entries }) => entries.size);
  }

  /** What the values in memory are as plain strings, in bytes: what Redis would need for them. */
  get stringBytes(): number {
    return this.#sum(({ entries }) => entries.stringBytes);
  }

  /** Native values in memory. */
  get nativeValues(): number {
    return this.#sum(({ entries }) => entries.natives);
  }

  /**
   * Bytes of memory that entries and values use, as their allocators count them. What they have taken and do not use is not
   * counted: it does not go away by evicting, and is used before they take more.
   */
  get bytes(): number {
    return this.#sum(({ arena, entries }) => arena.usedBytes + entries.usedBytes) + this.nativeBytes;
  }

  /** Bytes that native values take, with the holes that they leave in the heap as they come and go. */
  get nativeBytes(): number {
    return Bitmap.usedBytes() * NATIVE_HEAP_FACTOR + this.nativeValues * NATIVE_OBJECT_BYTES;
  }

  /** Bytes of memory that one entry takes with its value, as far as that is in memory. Takes a copy of a native value. */
  bytesOf({ entries }: Contents, number: number): number {
    const bitmap = entries.native(number);
    const native = bitmap === undefined ? 0 : bitmap.nativeBytes * NATIVE_HEAP_FACTOR + NATIVE_OBJECT_BYTES;
    return Math.round(entries.bytesOf(number) + native);
  }

  #sum(of: (contents: Contents) => number): number {
    return this.#databases.reduce((sum, { contents }) => sum + of(contents), 0);
  }

  // --- what the keyspace says

  /** Called before each command or transaction: nobody holds a value then. */
  tick(nowMs: number): void {
    if (nowMs !== this.#tickedMs) {
      this.#tickedMs = nowMs;
      this.now = BEFORE_START + Math.max(Math.floor((nowMs - this.#startMs) / USE_MS), 0);
    }
    if (this.#grown >= MEMORY_CHECK_ENTRIES && this.maxBytes > 0) this.#makeRoom();
  }

  /** An entry or a value has come into memory. */
  grew(): void {
    this.#grown++;
  }

  /** How long an entry was not used, in milliseconds. */
  idleMs({ entries }: Contents, number: number): number {
    return (this.now - entries.lastUse(number)) * USE_MS;
  }

  /** The last use that an entry has which was not used for so long, as far back as can be said. */
  useBefore(idleMs: number): number {
    return Math.max(this.now - Math.floor(idleMs / USE_MS), 0);
  }

  /** The last use of a key that is not in memory, as far as is known: it has left when it was idle, or was never used. */
  get useWhenGone(): number {
    return Math.max(this.useBefore(IDLE_MS), BEFORE_START);
  }

  committed(batch: number): void {
    this.committedBatch = batch;
    this.isStuck = false;
  }

  settled(batch: number): void {
    this.settledBatch = batch;
    this.isStuck = false;
  }

  /** What a database held means nothing any more. */
  drop(contents: Contents): void {
    contents.dropped = true;
    this.#dropped.push(contents);
  }

  // --- background work

  /** Takes all out of memory that may leave (DEBUG RELOAD). Nobody may hold an entry. */
  forgetClean(): void {
    for (const { contents } of this.#databases) {
      const { entries } = contents;
      for (let number = 0; number < entries.capacity; number++) {
        if (entries.isUsed(number) && this.#isClean(contents, number)) forget(contents, number);
      }
    }
  }

  /** Called ten times a second; takes at most about BACKLOG_BUDGET_MS. */
  cycle(nowMs: number): void {
    if (this.maxBytes > 0) {
      this.#bound = Math.min(
        Math.max(this.maxBytes - this.#excess(), this.maxBytes / BOUND_DIVISOR_MAX),
        this.maxBytes,
      );
      this.#makeRoom();
    }
    this.tick(nowMs);
    const begun = performance.now();
    while (this.#dropped.length > 0 && performance.now() < begun + BACKLOG_BUDGET_MS) this.#freeDropped();
    while (!this.#sweep() && performance.now() < begun + CRON_BUDGET_MS);
    this.#compact(performance.now());
  }

  /**
   * Values that have grown, and keys that have left, leave pages of the arena nearly empty: what is still in them moves together, so that
   * they can be given back. It takes as long as it takes, CRON_BUDGET_MS at a time.
   */
  #compact(begunMs: number): void {
    if (begunMs < this.#compactNotBeforeMs) return;
    for (; this.#compactDatabase < this.#databases.length; this.#compactDatabase++) {
      const { arena, entries } = (this.#databases[this.#compactDatabase] as Database).contents;
      if (this.#compactEntry === NO_ENTRY && arena.thin() === 0) continue;
      for (let number = this.#compactEntry + 1; number < entries.capacity; number++) {
        if (entries.isUsed(number)) entries.moveBlocks(number);
        this.#compactEntry = number;
        if (performance.now() >= begunMs + CRON_BUDGET_MS) return;
      }
      this.#compactEntry = NO_ENTRY;
    }
    this.#compactDatabase = 0;
    this.#compactNotBeforeMs = begunMs + COMPACT_PAUSE_MS;
  }

  #freeDropped(): void {
    const [contents] = this.#dropped;
    if (contents === undefined) return;
    const { entries } = contents;
    const end = Math.min(this.#droppedEntry + IDLE_BATCH_ENTRIES, entries.capacity);
    for (; this.#droppedEntry < end; this.#droppedEntry++) {
      if (entries.isUsed(this.#droppedEntry)) entries.native(this.#droppedEntry)?.dispose();
    }
    if (this.#droppedEntry < entries.capacity || !contents.arena.dispose(DROPPED_PAGES)) return;
    entries.dispose();
    this.#dropped.shift();
    this.#droppedEntry = 0;
  }

  /** Looks at some entries; says whether it has been at all of them. */
  #sweep(): boolean {
    const database = this.#databases[this.#sweepDatabase];
    if (database === undefined) {
      this.#sweepDatabase = 0;
      return true;
    }
    const { contents } = database;
    const end = Math.min(this.#sweepEntry + IDLE_BATCH_ENTRIES, contents.entries.capacity);
    for (; this.#sweepEntry < end; this.#sweepEntry++) this.#look(contents, this.#sweepEntry);
    if (this.#sweepEntry >= contents.entries.capacity) {
      this.#sweepDatabase++;
      this.#sweepEntry = 0;
    }
    return false;
  }

  /** What becomes of an entry by itself: gone when idle or a tombstone that has served, smaller when it has shrunk. */
  #look(contents: Contents, number: number): void {
    const { entries } = contents;
    if (!entries.isUsed(number)) return;
    const idleMs = this.idleMs(contents, number);
    if (this.#isClean(contents, number) && (idleMs > IDLE_MS || isDead(contents, number))) {
      forget(contents, number);
    } else if (idleMs > DEMOTE_MS && entries.valueKind(number) === VALUE.NATIVE) {
      demote(contents, number);
    }
  }

  /** Whether the storage gives all that an entry says. A deletion is written where it belongs at once, bits are not. */
  #isClean(contents: Contents, number: number): boolean {
    return contents.entries.batch(number) <= (isDead(contents, number) ? this.committedBatch : this.settledBatch);
  }

  // --- the bound

  /**
   * Bytes by which the process' memory is above maxmemory and what a server takes beside. The C library may not be able to use
   * again what was freed: then less is kept, so that there is something to use.
   */
  #excess(): number {
    return process.memoryUsage.rss() - this.maxBytes - MEMORY_BESIDE_BYTES;
  }

  /** Lets the coldest go until memory is below its bound, a bounded number at a time. */
  #makeRoom(): void {
    this.#grown = 0;
    if (this.isStuck) return;
    for (let i = 0; i < EVICT_BATCH && this.bytes > this.#bound; i++) {
      if (this.#evictOne()) continue;
      this.isStuck = this.#mayBeUnsettled();
      return;
    }
  }

  /** Takes the coldest clean one of a few entries out of memory; says whether there was any. */
  #evictOne(): boolean {
    let coldest: Contents | undefined;
    let coldestEntry = NO_ENTRY;
    let coldestUse = Number.POSITIVE_INFINITY;
    let found = 0;
    const contents = this.#somewhere();
    const { capacity } = contents.entries;
    let number = Math.floor(this.#random() * capacity);
    for (let tries = Math.min(EVICT_TRIES, capacity); tries > 0 && found < EVICT_SAMPLE; tries--) {
      number = number + 1 < capacity ? number + 1 : 0;
      if (!contents.entries.isUsed(number) || !this.#isClean(contents, number)) continue;
      found++;
      const use = contents.entries.lastUse(number);
      if (use >= coldestUse) continue;
      coldest = contents;
      coldestEntry = number;
      coldestUse = use;
    }
    if (coldest === undefined) return false;
    if (!isDead(coldest, coldestEntry)) this.evicted++;
    forget(coldest, coldestEntry);
    return true;
  }

  /** Contents of a database, the likelier the more entries it has. */
  #somewhere(): Contents {
    let left = this.#random() * this.#sum(({ entries }) => entries.capacity);
    for (const { contents } of this.#databases) {
      left -= contents.entries.capacity;
      if (left < 0) return contents;
    }
    return (this.#databases[0] as Database).contents;
  }
}

function isDead({ entries }: Contents, number: number): boolean {
  return (entries.flags(number) & FLAG.DEAD) !== 0;
}

function forget({ entries }: Contents, number: number): void {
  entries.native(number)?.dispose();
  entries.remove(number);
}
