/**
 * The writer against a map of byte strings: random programs on a few keys, small and large, in which flushes, slices of the
 * writer's own work, transactions that fail and crashes follow each other in any order. After every step a reader that opens
 * the file then must find what was committed, and what is said to be settled must be so without the log.
 */
import fc from "fast-check";
import { expect } from "vitest";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { type BitOp, bitop } from "../../../src/keyspace/bitmap-op.js";
import type { Batch } from "../../../src/keyspace/change-log.js";
import type { Database } from "../../../src/keyspace/database.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { Reader } from "../../../src/storage/reader.js";
import { Values } from "../../../src/storage/values.js";
import { keyBytes, randomOf } from "../keyspace/bytes.js";
import { StorageInHand } from "../keyspace/sqlite.js";
import { expectSizesRight, expectTidy } from "./file-checks.js";

const KEYS = ["a", "b", "c", "d"];

/** Where a transaction is made to fail, as if the disk were full. */
const FAILURES = [
  "INSERT ON keys",
  "UPDATE ON keys",
  "DELETE ON keys",
  "INSERT ON chunks",
  "DELETE ON chunks",
  "INSERT ON deltas",
  "DELETE ON deltas",
  "INSERT ON expressions",
  "DELETE ON expressions",
  "INSERT ON log",
  "DELETE ON log",
  "INSERT ON databases",
  "INSERT ON dropped_values",
  "DELETE ON dropped_values",
  "INSERT ON dropped_slots",
  "DELETE ON dropped_slots",
] as const;

const OPERATIONS = ["AND", "OR", "XOR", "NOT", "DIFF"] as const satisfies BitOp[];

const TOUCHES_FILE: ReadonlySet<string> = new Set<Step["do"]>(["flush", "work", "tidy", "crash"]);

type Failure = (typeof FAILURES)[number];

export type Step =
  | { do: "setBits"; keys: string[]; spread: number; bits: { at: number; bit: 0 | 1 }[] }
  | { do: "manyBits"; key: string; count: number; spread: number; seed: number }
  | { do: "setValue"; key: string; length: number; seed: number }
  | { do: "setRange"; key: string; start: number; length: number; seed: number }
  | { do: "bitop"; op: BitOp; key: string; of: string[] }
  | { do: "forget" }
  | { do: "delete"; key: string }
  | { do: "rename"; key: string; toKey: string }
  | { do: "emptyDatabase" }
  | { do: "beginReplacement" }
  | { do: "endReplacement"; isWhole: boolean }
  | { do: "flush"; failure: Failure | null }
  | { do: "work"; pieces: number; isUrgent: boolean; failure: Failure | null }
  | { do: "tidy" }
  | { do: "crash" };

const key = fc.constantFrom(...KEYS);
const seed = fc.nat();
/** Bits side by side, in one container, and in as many as two chunks of dense ones have. */
const spread = fc.constantFrom(1, 1, 1000, 50_000);
const bits = fc.array(fc.record({ at: fc.nat(30), bit: fc.constantFrom<(0 | 1)[]>(0, 1, 1) }), {
  minLength: 1,
  maxLength: 6,
});
/** Random bytes: up to one chunk that is small, one chunk, and several. */
const length = fc.constantFrom(0, 5, 5, 5, 3000, 6000, 9000, 150_000);
/** Few bytes are written bit by bit. */
const rangeLength = fc.constantFrom(1, 20, 500);
const pieces = fc.constantFrom(1, 1, 1, 2, 3, 5);
const failure = fc.option(fc.constantFrom(...FAILURES), { freq: 8 });

export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constant("setBits"), keys: fc.subarray(KEYS, { minLength: 1 }), spread, bits }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("manyBits"), key, count: fc.nat(3000), spread, seed }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("setValue"), key, length, seed }) },
  {
    weight: 7,
    arbitrary: fc.record({ do: fc.constant("bitop"), op: fc.constantFrom(...OPERATIONS), key, of: fc.tuple(key, key) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("forget") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete"), key }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("setRange"), key, start: fc.nat(4000), length: rangeLength, seed }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("rename"), key, toKey: key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("emptyDatabase") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("beginReplacement") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("endReplacement"), isWhole: fc.boolean() }) },
  { weight: 9, arbitrary: fc.record({ do: fc.constant("flush"), failure }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant("work"), pieces, isUrgent: fc.boolean(), failure }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("tidy") }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("crash") }) },
) as fc.Arbitrary<Step>;

interface ModelKey {
  bytes: Buffer;
  /** Number of the batch that has its last change. */
  batch: number;
}

type Model = Map<string, ModelKey>;

export class WriterDuel {
  #storage = new StorageInHand();
  #keyspace = this.#open();
  #model: Model = new Map();
  /** What the database was before the data that comes in its place, while that comes. */
  #replaced: Model | undefined;
  /** What the file must hold. */
  #inFile: Model = new Map();
  /** A batch that could not be committed, with the model as of then. */
  #failed: { batch: Batch; model: Model } | undefined;
  /** Number of the batch that is being filled. */
  #batch = 1;

  run(program: readonly Step[]): void {
    for (const each of program) {
      this.#perform(each);
      if (TOUCHES_FILE.has(each.do)) this.#check();
    }
    this.#perform({ do: "endReplacement", isWhole: true });
    this.#flushAll();
    this.#storage.writer.tidy();
    this.#check();
    this.#checkTidy();
    this.#storage.close();
  }

  #perform(each: Step): void {
    switch (each.do) {
      case "setBits":
        for (const name of each.keys) for (const { at, bit } of each.bits) this.#setBit(name, at * each.spread, bit);
        break;
      case "manyBits": {
        const random = randomOf(each.seed);
        for (let i = 0; i < each.count; i++) {
          this.#setBit(each.key, Math.floor(random() * each.spread * 31), random() < 0.8 ? 1 : 0);
        }
        break;
      }
      case "setValue": {
        const bytes = noise(each.length, each.seed);
        this.#keyspace.setValue(this.#database, each.key, Bitmap.fromBytes(bytes));
        this.#model.set(each.key, { bytes, batch: this.#batch });
        break;
      }
      case "setRange":
        this.#setRange(each.key, each.start, sparseNoise(each.length, each.seed));
        break;
      case "bitop":
        this.#bitop(each.op, each.key, each.op === "NOT" ? each.of.slice(0, 1) : each.of);
        break;
      case "forget":
        this.#storage.reportSettled(this.#keyspace);
        this.#keyspace.residency.forgetClean();
        break;
      case "delete":
        this.#delete(each.key);
        break;
      case "rename":
        this.#rename(each.key, each.toKey);
        break;
      case "emptyDatabase":
        if (this.#replaced !== undefined) break;
        this.#keyspace.flush(this.#database);
        this.#model.clear();
        break;
      case "beginReplacement":
        if (this.#replaced !== undefined) break;
        this.#flushAll();
        this.#storage.settle();
        this.#storage.reportSettled(this.#keyspace);
        this.#keyspace.beginReplacement();
        this.#replaced = this.#model;
        this.#model = new Map();
        break;
      case "endReplacement":
        if (this.#replaced === undefined) break;
        if (each.isWhole) {
          this.#keyspace.completeReplacement();
        } else {
          this.#keyspace.undoReplacement();
          this.#model = this.#replaced;
        }
        this.#replaced = undefined;
        break;
      case "flush":
        this.#flush(each.failure);
        break;
      case "work":
        if (each.isUrgent) this.#storage.settleSoon();
        this.#work(each.pieces, each.failure);
        break;
      case "tidy":
        this.#storage.writer.tidy();
        break;
      case "crash":
        this.#storage = this.#storage.reopened();
        this.#keyspace = this.#open();
        this.#model = new Map([...this.#inFile].map(([name, known]) => [name, { ...known, batch: 0 }]));
        this.#inFile = copyOf(this.#model);
        this.#failed = undefined;
        this.#replaced = undefined;
        this.#batch = 1;
        break;
    }
  }

  #open(): Keyspace {
    return new Keyspace(this.#storage, { now: () => 0 }, () => 0);
  }

  get #database(): Database {
    return this.#keyspace.databases[0] as Database;
  }

  #setBit(name: string, offset: number, bit: 0 | 1): void {
    this.#keyspace.setBit(this.#database, keyBytes(name), offset, bit);
    const known = this.#model.get(name);
    // Other buffers of the same value are in copies of the model.
    const isOurs = known !== undefined && known.batch === this.#batch && known.bytes.length > offset >>> 3;
    const bytes = isOurs ? known.bytes : Buffer.alloc(Math.max(known?.bytes.length ?? 0, (offset >>> 3) + 1));
    if (!isOurs) known?.bytes.copy(bytes);
    const mask = 0x80 >> (offset & 7);
    const byte = bytes[offset >>> 3] as number;
    bytes[offset >>> 3] = bit === 1 ? byte | mask : byte & ~mask;
    this.#model.set(name, { bytes, batch: this.#batch });
  }

  #setRange(name: string, start: number, bytes: Buffer): void {
    this.#keyspace.setRange(this.#database, name, start, bytes);
    const before = this.#model.get(name)?.bytes ?? Buffer.alloc(0);
    const after = Buffer.alloc(Math.max(before.length, start + bytes.length));
    before.copy(after);
    bytes.copy(after, start);
    this.#model.set(name, { bytes: after, batch: this.#batch });
  }

  /** As the command does it. */
  #bitop(op: BitOp, name: string, of: readonly string[]): void {
    const missing = new Bitmap();
    const sources = of.map((source) => {
      const entry = this.#keyspace.lookup(this.#database, source);
      return entry === undefined ? missing : this.#keyspace.bitmap(entry);
    });
    const result = bitop(op, sources);
    missing.dispose();
    if (result.byteLength === 0) {
      result.dispose();
      this.#delete(name);
      return;
    }
    const bytes = bytesOf(
      op,
      of.map((source) => this.#model.get(source)?.bytes ?? Buffer.alloc(0)),
    );
    this.#keyspace.setValue(this.#database, name, result);
    this.#model.set(name, { bytes, batch: this.#batch });
  }

  #delete(name: string): void {
    const entry = this.#keyspace.lookup(this.#database, name);
    if (entry !== undefined) this.#keyspace.delete(entry);
    this.#model.delete(name);
  }

  #rename(from: string, to: string): void {
    const known = this.#model.get(from);
    if (known === undefined || from === to) return;
    this.#delete(to);
    const entry = this.#keyspace.lookup(this.#database, from);
    if (entry === undefined) throw new Error(`no key ${from}`);
    this.#keyspace.rename(entry, this.#database, to);
    this.#model.delete(from);
    this.#model.set(to, known);
  }

  /** Commits what has failed, and what came after. */
  #flushAll(): void {
    this.#flush(null);
    this.#flush(null);
  }

  #flush(where: Failure | null): void {
    if (this.#failed === undefined) {
      this.#failed = { batch: this.#keyspace.takeBatch(), model: copyOf(this.#replaced ?? this.#model) };
      this.#batch++;
    }
    const { batch, model } = this.#failed;
    if (!this.#attempt(where, () => this.#storage.apply(batch))) return;
    this.#keyspace.committed(batch);
    this.#inFile = model;
    this.#failed = undefined;
  }

  #work(pieces: number, where: Failure | null): void {
    this.#attempt(where, () => this.#storage.step(pieces));
  }

  /** Whether it did not fail. */
  #attempt(where: Failure | null, what: () => void): boolean {
    const { connection } = this.#storage;
    if (where === null) {
      what();
      return true;
    }
    // Now before the first row of a statement, now after some of them were written.
    connection.exec(`CREATE TRIGGER failing AFTER ${where} BEGIN SELECT RAISE(ABORT, 'disk full'); END`);
    try {
      what();
      return true;
    } catch (error) {
      expect((error as Error).message).toBe("disk full");
      return false;
    } finally {
      expect(connection.inTransaction).toBe(false);
      connection.exec("DROP TRIGGER failing");
    }
  }

  #check(): void {
    const { connection, writer } = this.#storage;
    const reader = new Reader(connection);
    const values = new Values(connection);
    const { slot } = reader.databases.find(({ number }) => number === 0) as { slot: number };
    const rows = reader.page(slot, 0, 100);
    expect(rows.map(({ key: name }) => name).sort()).toEqual([...this.#inFile.keys()].sort());
    for (const { id, key: name } of rows) {
      const { bytes, batch } = this.#inFile.get(name) as ModelKey;
      expectValue(reader.load(id), bytes);
      // What a crash left in the log (batch 0) is read with it until something is settled.
      if (batch <= writer.settledBatch && writer.settledBatch > 0) expectValue(values.load(id), bytes);
    }
    expectSizesRight(connection);
    const { logBytes, logRows, deltaBytes } = writer.figures;
    const sum = (of: string) =>
      connection.prepare(`SELECT coalesce(sum(${of}), 0) FROM ${of.includes("words") ? "log" : "keys"}`);
    expect([logBytes, deltaBytes]).toEqual([sum("length(words)").pluck().get(), sum("delta_bytes").pluck().get()]);
    if (logBytes === 0) expect(logRows).toBe(0);
  }

  #checkTidy(): void {
    const { connection, writer } = this.#storage;
    expectTidy(connection);
    expect(writer.figures).toEqual({ logBytes: 0, logRows: 0, deltaBytes: 0 });
    expect(writer.pressure).toBe(1);
    expect(writer.dueInMs).toBeUndefined();
    const measured = connection
      .prepare<[], { key: string; length: number; cardinality: number }>(
        "SELECT CAST(key AS TEXT) AS key, byte_length AS length, cardinality FROM keys ORDER BY key",
      )
      .all();
    const expected = [...this.#inFile].sort(([a], [b]) => (a < b ? -1 : 1));
    expect(measured).toEqual(
      expected.map(([name, { bytes }]) => {
        const bitmap = Bitmap.fromBytes(bytes);
        const { cardinality } = bitmap;
        bitmap.dispose();
        return { key: name, length: bytes.length, cardinality };
      }),
    );
  }
}

/** What BITOP makes of strings, byte by byte. */
function bytesOf(op: BitOp, sources: readonly Buffer[]): Buffer {
  const length = Math.max(...sources.map((source) => source.length));
  return Buffer.from(
    Array.from({ length }, (_, i) => {
      const [a, b] = sources.map((source) => source[i] ?? 0) as [number, number];
      if (op === "AND") return a & b;
      if (op === "OR") return a | b;
      if (op === "XOR") return a ^ b;
      return op === "NOT" ? ~a : a & ~b;
    }),
  );
}

function expectValue(found: Bitmap | undefined, bytes: Buffer): void {
  const expected = Bitmap.fromBytes(bytes);
  expect(found?.byteLength).toBe(bytes.length);
  expect(found?.set.isEqual(expected.set)).toBe(true);
  found?.dispose();
  expected.dispose();
}

function copyOf(model: Model): Model {
  return new Map([...model].map(([name, known]) => [name, { ...known }]));
}

/** Zeros but for the first byte: the length of a value is often all that changes. */
function sparseNoise(bytes: number, of: number): Buffer {
  const sparse = Buffer.alloc(bytes);
  sparse[0] = of;
  return sparse;
}

function noise(bytes: number, of: number): Buffer {
  const random = randomOf(of);
  const words = new Uint32Array(Math.ceil(bytes / 4));
  for (let i = 0; i < words.length; i++) words[i] = random() * 2 ** 32;
  return Buffer.from(words.buffer).subarray(0, bytes);
}
