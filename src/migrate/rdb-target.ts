/**
 * An RDB file as the target of a move: keys leave one after the other, each in pieces that are small whatever its size. What is there
 * under a key is read back from the file. That it appears whole or not at all is its owner's business.
 */
import { readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { KIB, REDIS_VERSION, REPLY_SLICE_BYTES } from "../config.js";
import { reasonOf } from "../errors.js";
import { Bitmap } from "../keyspace/bitmap.js";
import type { ValueFacts } from "../keyspace/storage.js";
import { RdbReader, type StringBuilder } from "../rdb/reader.js";
import type { LongString } from "../rdb/string.js";
import { RDB_HEAD, RdbWriter } from "../rdb/writer.js";
import { type Item, MigrateError, type Target, type TargetFacts } from "./item.js";
import type { MadeFile } from "./made-file.js";

/** Bytes that are gathered before they are written, and read back at a time. */
const WRITE_BYTES = 256 * KIB;
const READ_BYTES = 64 * KIB;

/** Where a key's bytes are in the file. */
interface Place {
  start: number;
  end: number;
}

export class RdbTarget implements Target {
  readonly isFinal = true;
  readonly #made: MadeFile;
  readonly #file: FileHandle;
  readonly #writer = new RdbWriter();
  /** Where the keys are that nobody has asked for yet; undefined when nobody will. */
  readonly #places: Map<string, Place> | undefined;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  /** Bytes of the file, with those that are gathered. */
  #byteLength = 0;
  /** What was begun last: the next waits for it. */
  #last: Promise<unknown> = Promise.resolve();
  #isFinished = false;

  /** `verify`: whether `facts` will be asked for each key, once. Rejects with MigrateError when the file can't be made. */
  static async open(made: MadeFile, { verify }: { verify: boolean }): Promise<RdbTarget> {
    try {
      return new RdbTarget(made, await open(made.path, "w+"), verify);
    } catch (cause) {
      throw new MigrateError(`can't write ${made.name}: ${reasonOf(cause)}`, { cause });
    }
  }

  private constructor(made: MadeFile, file: FileHandle, verify: boolean) {
    this.#made = made;
    this.#file = file;
    this.#places = verify ? new Map() : undefined;
    const seconds = Math.floor(Date.now() / 1000);
    this.#gather(this.#writer.head({ "redis-ver": REDIS_VERSION, "redis-bits": "64", ctime: String(seconds) }));
  }

  async put(item: Item): Promise<void> {
    try {
      await this.#inTurn(() => this.#write(item));
    } finally {
      item.bitmap.dispose();
    }
  }

  async #write(item: Item): Promise<void> {
    const start = this.#byteLength;
    for (const piece of this.#writer.key(item, stringOf(item.bitmap))) {
      this.#gather(piece);
      if (this.#gatheredBytes >= WRITE_BYTES) await this.#flush();
    }
    this.#places?.set(nameOf(item.database, item.key), { start, end: this.#byteLength });
  }

  async facts(database: number, key: string): Promise<TargetFacts | undefined> {
    const name = nameOf(database, key);
    const place = this.#places?.get(name);
    if (place === undefined) return undefined;
    this.#places?.delete(name);
    if (place.end > this.#byteLength - this.#gatheredBytes) await this.#inTurn(() => this.#flush());
    return this.#read(place);
  }

  #read({ start, end }: Place): TargetFacts | undefined {
    const reader = new RdbReader(() => new FactsBuilder());
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, end - start));
    reader.feed(RDB_HEAD);
    let key = reader.next();
    for (let at = start; key === undefined && at < end; ) {
      // At once: it was written just now, and a thread would take ten times as long to ask for it.
      const bytesRead = readSync(this.#file.fd, buffer, 0, Math.min(buffer.length, end - at), at);
      if (bytesRead === 0) break;
      reader.feed(buffer.subarray(0, bytesRead));
      key = reader.next();
      at += bytesRead;
    }
    reader.dispose();
    if (key?.value === undefined) return undefined;
    return { ...key.value, deadline: key.deadline };
  }

  async finish(): Promise<void> {
    await this.#inTurn(async () => {
      this.#gather(this.#writer.end());
      await this.#flush();
      this.#made.publish();
      this.#isFinished = true;
    });
  }

  async close(): Promise<void> {
    await this.#last.catch(() => {});
    await this.#file.close();
    if (!this.#isFinished) this.#made.discard();
  }

  /** Runs `step` when what was begun before is done. After a failure nothing is: the file is of no use then. */
  #inTurn(step: () => Promise<void>): Promise<void> {
    const done = this.#last.then(step).catch((cause: unknown) => {
      if (cause instanceof MigrateError) throw cause;
      throw new MigrateError(`can't write ${this.#made.name}: ${reasonOf(cause)}`, { cause });
    });
    this.#last = done;
    return done;
  }

  #gather(piece: Buffer): void {
    this.#gathered.push(piece);
    this.#gatheredBytes += piece.length;
    this.#byteLength += piece.length;
  }

  async #flush(): Promise<void> {
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (gathered.length > 0) await this.#file.writeFile(Buffer.concat(gathered));
  }
}

/** Counts a string's bits, and keeps none of it. */
class FactsBuilder implements StringBuilder<ValueFacts> {
  #cardinality = 0;
  #byteLength = 0;

  append(piece: Uint8Array): void {
    const bitmap = Bitmap.fromBytes(piece);
    this.#cardinality += bitmap.cardinality;
    this.#byteLength += piece.length;
    bitmap.dispose();
  }

  finish(): ValueFacts {
    return { cardinality: this.#cardinality, byteLength: this.#byteLength };
  }

  dispose(): void {}
}

/** A bitmap that does not change, as a string: without the copy that its own slices are made of. */
function stringOf(bitmap: Bitmap): LongString {
  return {
    byteLength: bitmap.byteLength,
    bytes: (start, length) => bitmap.bytes(start, length),
    *slices(start, length) {
      const end = start + length;
      for (let at = start; at < end; at += REPLY_SLICE_BYTES) {
        yield bitmap.bytes(at, Math.min(REPLY_SLICE_BYTES, end - at));
      }
    },
  };
}

/** A key of a database, as a name for both. */
function nameOf(database: number, key: string): string {
  return `${database} ${key}`;
}
