/**
 * Ids by key as a file gives them, in any order. They stay in memory while they are few; when they are many they go into a keyspace that
 * is only there for it (the scratch), in which a key may grow as often as it likes. Only when the file is read to its end are there items: so
 * a bad line is found before anything has moved.
 */
import { Bitmap } from "../keyspace/bitmap.js";
import type { Keyspace } from "../keyspace/keyspace.js";
import type { Saver } from "../keyspace/saver.js";
import { NO_DEADLINE } from "../keyspace/storage.js";
import { type Item, MigrateError } from "./item.js";
import { KeyspaceSource } from "./keyspace-source.js";

/** The last offset that a bitmap has: it lies in byte 2^29 - 1, the last of a string. */
export const ID_MAX = 2 ** 32 - 1;
/** So many ids are kept in memory: 12 bytes each while they are put in order. */
const IDS_MAX = 4_000_000;
/** And so many keys: some 150 bytes each, with what CSV's source knows of them. */
const KEYS_MAX = 1_000_000;
const IDS_MIN = 65_536;
/** Keys that are put into the scratch before others get their turn. */
const TURN_KEYS = 256;

/** Where ids go that are too many for memory: an empty keyspace that is thrown away afterwards. */
export interface Scratch {
  keyspace: Keyspace;
  saver: Saver;
}

/** What is known of a value beside its ids. */
interface KeyFacts {
  byteLength: number;
  deadline: number;
}

interface Key extends KeyFacts {
  database: number;
  key: string;
}

const NO_FACTS: KeyFacts = { byteLength: 0, deadline: NO_DEADLINE };

export class Collector {
  readonly #openScratch: () => Scratch;
  readonly #idsMax: number;
  #scratch: Scratch | undefined;
  /** Numbers of the keys in `#keys`, by database. */
  #numbers: Map<string, number>[] = [];
  #keys: string[] = [];
  #databases: number[] = [];
  /** Of those keys, by their numbers, of which there is anything to say: an object for each of a million keys would be most of the memory. */
  readonly #facts = new Map<number, KeyFacts>();
  #ids = new Uint32Array(IDS_MIN);
  /** Number of the key of each id. */
  #keyOf = new Uint32Array(IDS_MIN);
  #length = 0;

  /** `openScratch` is called when the ids become more than `idsMax`, and not before. */
  constructor(openScratch: () => Scratch, idsMax = IDS_MAX) {
    this.#openScratch = openScratch;
    this.#idsMax = idsMax;
  }

  /** What `add` calls the key until the next `makeRoom`. */
  number(database: number, key: string): number {
    this.#numbers[database] ??= new Map();
    const numbers = this.#numbers[database] as Map<string, number>;
    let number = numbers.get(key);
    if (number === undefined) {
      number = this.#keys.push(key) - 1;
      this.#databases.push(database);
      numbers.set(key, number);
    }
    return number;
  }

  /** Adds one id, 0..2^32-1, to a key. */
  add(number: number, id: number): void {
    if (this.#length === this.#ids.length) this.#grow(this.#length + 1);
    this.#ids[this.#length] = id;
    this.#keyOf[this.#length++] = number;
  }

  /** Adds many. */
  addMany(number: number, ids: readonly number[]): void {
    if (this.#length + ids.length > this.#ids.length) this.#grow(this.#length + ids.length);
    this.#ids.set(ids, this.#length);
    this.#keyOf.fill(number, this.#length, this.#length + ids.length);
    this.#length += ids.length;
  }

  /** A key has at least so many bytes. */
  lengthen(number: number, byteLength: number): void {
    const facts = this.#facts.get(number) ?? NO_FACTS;
    this.#facts.set(number, { ...facts, byteLength: Math.max(facts.byteLength, byteLength) });
  }

  expire(number: number, deadline: number): void {
    this.#facts.set(number, { ...(this.#facts.get(number) ?? NO_FACTS), deadline });
  }

  #grow(length: number): void {
    const capacity = Math.max(length, Math.min(this.#ids.length * 2, this.#ids.length + IDS_MAX));
    const [ids, keyOf] = [new Uint32Array(capacity), new Uint32Array(capacity)];
    ids.set(this.#ids.subarray(0, this.#length));
    keyOf.set(this.#keyOf.subarray(0, this.#length));
    this.#ids = ids;
    this.#keyOf = keyOf;
  }

  /** Whether `makeRoom` has to be called before more is added. */
  get isFull(): boolean {
    return this.#length >= this.#idsMax || this.#keys.length >= KEYS_MAX;
  }

  /** Puts all that is in memory into the scratch. */
  async makeRoom(): Promise<void> {
    this.#scratch ??= this.#openScratch();
    const { keyspace, saver } = this.#scratch;
    let turn = 0;
    for (const [key, ids] of this.#byKey()) {
      this.#spill(keyspace, key, ids);
      saver.noticeChanges();
      while (saver.isBehind) await saver.caughtUp();
      if (saver.failure !== undefined) throw new MigrateError(`can't write what is read so far: ${saver.failure}`);
      if (++turn % TURN_KEYS === 0) await new Promise(setImmediate);
    }
    this.#numbers = [];
    this.#keys = [];
    this.#databases = [];
    this.#facts.clear();
    this.#length = 0;
  }

  #spill(keyspace: Keyspace, { database: number, key, byteLength, deadline }: Key, ids: Uint32Array): void {
    const database = keyspace.databases[number];
    if (database === undefined) throw new MigrateError(`there is no database ${number}`);
    keyspace.tick();
    if (ids.length > 0) keyspace.addOffsets(database, key, ids);
    const entry =
      byteLength > 0 || ids.length === 0
        ? keyspace.lengthen(database, key, byteLength).entry
        : keyspace.lookup(database, key);
    if (entry !== undefined && deadline !== NO_DEADLINE) keyspace.setDeadline(entry, deadline);
  }

  /** Each key once, with all its ids, and whatever was said of it. Nothing may be added any more. */
  async *items(): AsyncGenerator<Item, void> {
    if (this.#scratch !== undefined) {
      await this.makeRoom();
      yield* new KeyspaceSource(this.#scratch.keyspace, () => true).items();
      return;
    }
    // Of a million keys this is much.
    this.#numbers = [];
    for (const [{ byteLength, ...rest }, ids] of this.#byKey()) {
      const bitmap = ids.length === 0 ? new Bitmap() : Bitmap.fromOffsets(ids);
      bitmap.byteLength = Math.max(bitmap.byteLength, byteLength);
      bitmap.optimize();
      yield { ...rest, bitmap };
    }
  }

  /** The keys with their ids, which are good until the next one. Sorts by counting. */
  *#byKey(): Generator<[Key, Uint32Array], void> {
    const ends = new Uint32Array(this.#keys.length);
    for (let i = 0; i < this.#length; i++) (ends[this.#keyOf[i] as number] as number)++;
    for (let i = 1; i < ends.length; i++) ends[i] = (ends[i] as number) + (ends[i - 1] as number);
    const starts = new Uint32Array(ends.length + 1);
    starts.set(ends, 1);
    const ordered = new Uint32Array(this.#length);
    const next = starts.slice();
    for (let i = 0; i < this.#length; i++) {
      const number = this.#keyOf[i] as number;
      const at = next[number] as number;
      ordered[at] = this.#ids[i] as number;
      next[number] = at + 1;
    }
    for (const [number, key] of this.#keys.entries()) {
      const facts = this.#facts.get(number) ?? NO_FACTS;
      const ids = ordered.subarray(starts[number], starts[number + 1]);
      yield [{ database: this.#databases[number] as number, key, ...facts }, ids];
    }
  }
}
