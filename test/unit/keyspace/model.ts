/**
 * The keyspace as a plain map, and random programs that are run on both. Batches are taken, written and committed at
 * random moments, the writer brings bits home a few pieces at a time, keys are evicted in between, and at any moment the
 * file must hold what the keyspace held when the last batch that was written was taken: that is what a crash leaves.
 */
import fc from "fast-check";
import { expect } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { IDLE_MS } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import type { Batch } from "../../../src/keyspace/change-log.js";
import type { Database } from "../../../src/keyspace/database.js";
import type { Entry } from "../../../src/keyspace/entry.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import { bitOf, keyBytes, randomOf } from "./bytes.js";
import { StorageInHand } from "./sqlite.js";

const START_MS = 1_700_000_000_000;
const DATABASES_USED = 3;
/** The time of a key's last use is known to this. */
const IDLE_UNIT_MS = 200;
export const KEYS = ["", "a", "b", "ab", "\0", "\xff\xfe", "a rather long key that no short string can hold", "z"];

interface ModelKey {
  bytes: Buffer;
  deadline: number;
}

/** By database, by key. A key whose deadline has passed stays until somebody meets it; that is nobody's business here. */
type Model = Map<string, ModelKey>[];

export type Step =
  | { do: "setBit"; db: number; key: string; offset: number; bit: 0 | 1 }
  | { do: "setValue"; db: number; key: string; bytes: Buffer }
  | { do: "setRange"; db: number; key: string; start: number; bytes: Buffer }
  | { do: "setField"; db: number; key: string; offset: number; width: number; byteLength: number; bits: Buffer }
  | { do: "members"; db: number; key: string; offsets: number[]; bit: 0 | 1 }
  | { do: "range"; db: number; key: string; first: number; count: number; bit: 0 | 1 }
  | { do: "delete"; db: number; key: string }
  | { do: "rename"; db: number; key: string; toDb: number; toKey: string }
  | { do: "copy"; db: number; key: string; toDb: number; toKey: string }
  | { do: "expire"; db: number; key: string; ms: number }
  | { do: "persist"; db: number; key: string }
  | { do: "read"; db: number; key: string }
  | { do: "flush"; db: number }
  | { do: "swap"; db: number; toDb: number }
  | { do: "advance"; ms: number }
  | { do: "take" }
  | { do: "write" }
  | { do: "committed" }
  | { do: "work"; pieces: number }
  | { do: "settleSoon" }
  | { do: "settled" }
  | { do: "evict" }
  | { do: "expireCycle" }
  | { do: "list"; count: number }
  | { do: "reopen" }
  | { do: "crash" };

const db = fc.nat(DATABASES_USED - 1);
const key = fc.constantFrom(...KEYS);
const offset = fc.oneof(fc.nat(40), fc.constantFrom(65_535, 65_536));
const start = fc.oneof(fc.nat(12), fc.constantFrom(8190, 8192));
const width = fc.integer({ min: 1, max: 64 });
const byteLength = fc.nat(20);
const bits = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((all) => Buffer.from(all));
const bit = fc.constantFrom(0, 1);
const offsets = fc.oneof(
  fc.array(offset, { minLength: 1, maxLength: 8 }),
  // More than are written one by one, in no order.
  fc.nat(99).map((first) => Array.from({ length: 700 }, (_, i) => first + ((i * 7919) % 70_000))),
);
const count = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(1500));
const bytes = fc.oneof(
  fc.constant(Buffer.alloc(0)),
  fc.uint8Array({ maxLength: 6 }).map((all) => Buffer.from(all)),
  fc.constant(Buffer.alloc(9000, 0xff)),
  // Longer than what is written bit by bit.
  fc.constant(Buffer.from("a".repeat(70))),
  // Too large for its bits to be brought home without a delta.
  fc.constant(noise(6000)),
);

function noise(length: number): Buffer {
  const random = randomOf(length);
  return Buffer.from(Array.from({ length }, () => random() * 256));
}

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("setBit"), db, key, offset, bit }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("setValue"), db, key, bytes }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("setRange"), db, key, start, bytes }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("setField"), db, key, offset, width, byteLength, bits }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("members"), db, key, offsets, bit }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("range"), db, key, first: offset, count, bit }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("delete"), db, key }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("rename"), db, key, toDb: db, toKey: key }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("copy"), db, key, toDb: db, toKey: key }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("expire"), db, key, ms: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("persist"), db, key }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("read"), db, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("flush"), db }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("swap"), db, toDb: db }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("advance"), ms: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("take") }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("write") }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("committed") }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("work"), pieces: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("settleSoon") }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("settled") }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("evict") }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("expireCycle") }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("list"), count: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash") }) },
) as fc.Arbitrary<Step>;

export class Duel {
  readonly #clock = new ManualClock(START_MS);
  #storage = new StorageInHand();
  readonly #random: () => number;
  #keyspace: Keyspace;
  #model: Model = Array.from({ length: DATABASES_USED }, () => new Map());
  /** Batches that were taken, with the model at that moment. */
  #taken: { batch: Batch; model: Model }[] = [];
  #written: Batch[] = [];
  #committedBatch = 0;
  /** What the file must hold. */
  #inFile: Model = Array.from({ length: DATABASES_USED }, () => new Map());

  constructor(seed: number) {
    this.#random = randomOf(seed);
    this.#keyspace = new Keyspace(this.#storage, this.#clock, this.#random);
  }

  run(program: readonly Step[]): void {
    for (const each of program) {
      this.#keyspace.tick();
      this.#perform(each);
    }
    this.#keyspace.tick();
    this.#list(this.#keyspace, this.#model, 3);
    this.#look(this.#keyspace, this.#model);
    this.#perform({ do: "take" });
    while (this.#taken.length > 0) this.#perform({ do: "write" });
    while (this.#written.length > 0) this.#perform({ do: "committed" });
    expect(this.#keyspace.isDirty).toBe(false);
    this.#list(this.#keyspace, this.#model, 3);
    this.#reopen();
    this.#storage.settle();
    this.#perform({ do: "settled" });
    this.#perform({ do: "evict" });
    expect(this.#keyspace.residency.keys).toBe(0);
    this.#list(this.#keyspace, this.#model, 2);
    this.#look(this.#keyspace, this.#model);
    this.#storage.close();
  }

  #perform(each: Step): void {
    const keyspace = this.#keyspace;
    switch (each.do) {
      case "setBit": {
        const { db: number, key: name, offset: at, bit } = each;
        const old = this.#live(number, name) ?? this.#put(number, name, Buffer.alloc(0));
        expect(keyspace.setBit(this.#database(number), keyBytes(name), at, bit)).toBe(bitOf(old.bytes, at));
        old.bytes = withBits(old.bytes, at, 1, Buffer.of(bit << 7));
        break;
      }
      case "setValue": {
        const entry = keyspace.setValue(this.#database(each.db), each.key, Bitmap.fromBytes(each.bytes));
        const old = this.#live(each.db, each.key);
        expect(entry.deadline).toBe(old?.deadline ?? NO_DEADLINE);
        if (old === undefined) this.#put(each.db, each.key, each.bytes);
        else old.bytes = each.bytes;
        break;
      }
      case "setRange": {
        const old = this.#live(each.db, each.key) ?? this.#put(each.db, each.key, Buffer.alloc(0));
        keyspace.setRange(this.#database(each.db), each.key, each.start, each.bytes);
        // Nothing is written by no bytes, wherever they would go.
        if (each.bytes.length > 0) old.bytes = withBytes(old.bytes, each.start, each.bytes);
        break;
      }
      case "setField": {
        const old = this.#live(each.db, each.key) ?? this.#put(each.db, each.key, Buffer.alloc(0));
        const { entry, isLonger } = keyspace.lengthen(this.#database(each.db), each.key, each.byteLength);
        expect(isLonger).toBe(old.bytes.length < each.byteLength);
        old.bytes = withBytes(old.bytes, each.byteLength, Buffer.alloc(0));
        const before = keyspace.getBits(entry, each.offset, each.width);
        keyspace.setBits(entry, each.offset, each.width, each.bits);
        for (let i = 0; i < each.width; i++) {
          if (bitOf(before, i) !== bitOf(old.bytes, each.offset + i)) expect.fail(`bit ${i} of a field`);
        }
        old.bytes = withBits(old.bytes, each.offset, each.width, each.bits);
        break;
      }
      case "members":
        this.#writeMembers(each, each.offsets);
        break;
      case "range":
        this.#writeMembers(
          each,
          Array.from({ length: each.count }, (_, i) => each.first + i),
        );
        break;
      case "delete": {
        const entry = keyspace.lookup(this.#database(each.db), each.key);
        expect(entry !== undefined).toBe(this.#live(each.db, each.key) !== undefined);
        if (entry !== undefined) keyspace.delete(entry);
        this.#model[each.db]?.delete(each.key);
        break;
      }
      case "rename":
      case "copy":
        this.#renameOrCopy(each);
        break;
      case "expire": {
        const entry = keyspace.lookup(this.#database(each.db), each.key);
        const known = this.#live(each.db, each.key);
        expect(entry !== undefined).toBe(known !== undefined);
        if (entry === undefined || known === undefined) break;
        known.deadline = this.#clock.now() + each.ms;
        keyspace.setDeadline(entry, known.deadline);
        break;
      }
      case "persist": {
        const entry = keyspace.lookup(this.#database(each.db), each.key);
        const known = this.#live(each.db, each.key);
        if (entry !== undefined) keyspace.persist(entry);
        if (known !== undefined) known.deadline = NO_DEADLINE;
        break;
      }
      case "read":
        this.#compare(keyspace, this.#model, each.db, each.key);
        break;
      case "flush":
        keyspace.flush(this.#database(each.db));
        this.#model[each.db] = new Map();
        break;
      case "swap": {
        keyspace.swap(this.#database(each.db), this.#database(each.toDb));
        const a = this.#model[each.db] as Map<string, ModelKey>;
        this.#model[each.db] = this.#model[each.toDb] as Map<string, ModelKey>;
        this.#model[each.toDb] = a;
        break;
      }
      case "advance":
        this.#clock.advance(each.ms);
        break;
      case "take":
        if (keyspace.isDirty) this.#taken.push({ batch: keyspace.takeBatch(), model: copyOf(this.#model) });
        break;
      case "write": {
        const next = this.#taken.shift();
        if (next === undefined) break;
        this.#storage.apply(next.batch);
        this.#inFile = next.model;
        this.#written.push(next.batch);
        break;
      }
      case "committed": {
        const batch = this.#written.shift();
        if (batch === undefined) break;
        keyspace.committed(batch);
        this.#committedBatch = batch.number;
        break;
      }
      case "work":
        this.#storage.step(each.pieces);
        break;
      case "settleSoon":
        this.#storage.settleSoon();
        break;
      case "settled":
        // The storage says so only of what it has said to be committed.
        if (this.#storage.settledBatch <= this.#committedBatch) this.#storage.reportSettled(keyspace);
        break;
      case "evict":
        this.#clock.advance(IDLE_MS + IDLE_UNIT_MS);
        for (let i = 0; i < 5; i++) keyspace.residency.cycle(this.#clock.now());
        break;
      case "expireCycle":
        keyspace.expireCycle();
        break;
      case "list":
        this.#list(keyspace, this.#model, each.count);
        break;
      case "reopen":
        this.#reopen();
        break;
      case "crash":
        this.#crash();
        break;
    }
  }

  #writeMembers(each: Extract<Step, { do: "members" | "range" }>, written: readonly number[]): void {
    const keyspace = this.#keyspace;
    const database = this.#database(each.db);
    const last = Math.max(...written);
    const old = this.#live(each.db, each.key) ?? (each.bit === 1 && this.#put(each.db, each.key, Buffer.alloc(0)));
    const entry = keyspace.lookup(database, each.key);
    if (!old) {
      expect(entry).toBeUndefined();
      return;
    }
    const expected = new Set(written.filter((at) => bitOf(old.bytes, at) !== each.bit)).size;
    const changes =
      each.bit === 1
        ? each.do === "members"
          ? keyspace.addOffsets(database, each.key, Uint32Array.from(written))
          : keyspace.addRange(database, each.key, each.first, last)
        : each.do === "members"
          ? keyspace.removeOffsets(entry as Entry, Uint32Array.from(written))
          : keyspace.removeRange(entry as Entry, each.first, last);
    expect(changes).toBe(expected);
    // Adding makes the string long enough, removing leaves its length.
    const byteLength = each.bit === 1 ? Math.floor(last / 8) + 1 : 0;
    const bytes = withBytes(old.bytes, byteLength, Buffer.alloc(0));
    for (const at of written) {
      const mask = 0x80 >> (at & 7);
      const byte = bytes[at >>> 3];
      if (byte !== undefined) bytes[at >>> 3] = each.bit === 1 ? byte | mask : byte & ~mask;
    }
    old.bytes = bytes;
  }

  #renameOrCopy({ do: what, db: fromDb, key: fromKey, toDb, toKey }: Extract<Step, { toKey: string }>): void {
    const keyspace = this.#keyspace;
    const from = keyspace.lookup(this.#database(fromDb), fromKey);
    const known = this.#live(fromDb, fromKey);
    expect(from !== undefined).toBe(known !== undefined);
    if (from === undefined || known === undefined || (fromDb === toDb && fromKey === toKey)) return;
    const target = keyspace.lookup(this.#database(toDb), toKey);
    if (target !== undefined) keyspace.delete(target);
    if (what === "rename") keyspace.rename(from, this.#database(toDb), toKey);
    else keyspace.copy(from, this.#database(toDb), toKey);
    if (what === "rename") this.#model[fromDb]?.delete(fromKey);
    this.#model[toDb]?.set(toKey, { ...known });
  }

  /** Another keyspace over the file sees what was there when the last written batch was taken: no more and no less. */
  #reopen(): void {
    const keyspace = new Keyspace(this.#storage.reopened(), this.#clock, this.#random);
    this.#list(keyspace, this.#inFile, 4);
    this.#look(keyspace, this.#inFile);
  }

  /** All that is not written is lost, and nothing else. The next server goes on with the file. */
  #crash(): void {
    this.#storage = this.#storage.reopened();
    this.#keyspace = new Keyspace(this.#storage, this.#clock, this.#random);
    this.#model = copyOf(this.#inFile);
    this.#taken = [];
    this.#written = [];
    this.#committedBatch = 0;
  }

  /** Every way of listing keys, without meeting any of them. */
  #list(keyspace: Keyspace, model: Model, count: number): void {
    model.forEach((keys, number) => {
      const database = keyspace.databases[number] as Database;
      const live = [...keys].filter(([, { deadline }]) => keyspace.now <= deadline).map(([name]) => name);
      expect(keyspace.keys(database, () => true).sort()).toEqual(live.sort());
      expect(keyspace.keys(database, (name) => name === "a")).toEqual(live.filter((name) => name === "a"));
      expect(scanned(keyspace, database, count).sort()).toEqual(live);
      const random = keyspace.randomKey(database);
      if (live.length === 0) expect(random).toBeUndefined();
      else expect(live).toContain(random);
      // Keys whose deadline has passed count until somebody meets them.
      expect(database.size).toBeGreaterThanOrEqual(live.length);
      expect(database.size).toBeLessThanOrEqual(keys.size);
    });
  }

  /** Every key there may be is looked up; after that, the counts are exact. */
  #look(keyspace: Keyspace, model: Model): void {
    model.forEach((keys, number) => {
      for (const name of KEYS) this.#compare(keyspace, model, number, name);
      const live = [...keys.values()].filter(({ deadline }) => keyspace.now <= deadline);
      const database = keyspace.databases[number] as Database;
      expect(database.size).toBe(live.length);
      expect(database.volatileSize).toBe(live.filter(({ deadline }) => deadline !== NO_DEADLINE).length);
    });
  }

  #compare(keyspace: Keyspace, model: Model, number: number, name: string): void {
    const known = model[number]?.get(name);
    const expected = known !== undefined && keyspace.now <= known.deadline ? known : undefined;
    const entry = keyspace.lookup(keyspace.databases[number] as Database, name);
    // As text, since comparing buffers element by element takes most of the time there is.
    const found = entry && `${entry.deadline} ${stringOf(keyspace.bitmap(entry)).toString("latin1")}`;
    expect(found).toBe(expected && `${expected.deadline} ${expected.bytes.toString("latin1")}`);
  }

  /** A key of the model that has not expired. One that has is gone with this look. */
  #live(number: number, name: string): ModelKey | undefined {
    const known = this.#model[number]?.get(name);
    if (known === undefined || this.#clock.now() <= known.deadline) return known;
    this.#model[number]?.delete(name);
    return undefined;
  }

  #put(number: number, name: string, value: Buffer): ModelKey {
    const made = { bytes: value, deadline: NO_DEADLINE };
    this.#model[number]?.set(name, made);
    return made;
  }

  #database(number: number): Database {
    return this.#keyspace.databases[number] as Database;
  }
}

function copyOf(model: Model): Model {
  return model.map((keys) => new Map([...keys].map(([name, known]) => [name, { ...known }])));
}

function stringOf(bitmap: Bitmap): Buffer {
  return bitmap.bytes(0, bitmap.byteLength);
}

/** As long as needed to reach byte `start`, whatever is written there. */
function withBytes(old: Buffer, start: number, written: Buffer): Buffer {
  const changed = Buffer.alloc(Math.max(old.length, start + written.length));
  old.copy(changed);
  written.copy(changed, start);
  return changed;
}

function withBits(old: Buffer, first: number, count: number, bits: Buffer): Buffer {
  const changed = withBytes(old, Math.floor((first + count - 1) / 8) + 1, Buffer.alloc(0));
  for (let i = 0; i < count; i++) {
    const at = first + i;
    const mask = 0x80 >> (at & 7);
    const byte = changed[at >>> 3] as number;
    changed[at >>> 3] = bitOf(bits, i) === 1 ? byte | mask : byte & ~mask;
  }
  return changed;
}

/** All keys of a full iteration, each as often as it came. */
export function scanned(keyspace: Keyspace, database: Database, count: number): string[] {
  const keys: string[] = [];
  let cursor = 0;
  do {
    const page = keyspace.scan(database, cursor, count);
    keys.push(...page.keys);
    cursor = page.cursor;
  } while (cursor !== 0);
  return keys;
}
