/**
 * An RDB file as the source of a move. It is read twice: once to see that it is whole and has the checksum that it says, and only then for
 * its keys, so that nothing of a damaged file is ever moved.
 */
import { type FileHandle, open } from "node:fs/promises";
import { KIB } from "../config.js";
import { reasonOf } from "../errors.js";
import { BitmapBuilder, type OpenPieceTaker } from "../keyspace/bitmap-builder.js";
import { type RdbKey, RdbReader } from "../rdb/reader.js";
import { RdbError } from "../rdb/string.js";
import { type Item, MigrateError, type Skipped, type Source } from "./item.js";

/** Bytes that are read at a time. */
const CHUNK_BYTES = 256 * KIB;

export interface RdbSourceOptions {
  /** Is told what the operator should know of the file. */
  onTrouble(message: string): void;
  /** As the target's. */
  takePieces: OpenPieceTaker;
}

export class RdbSource implements Source {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #byteLength: number;
  readonly #options: RdbSourceOptions;
  #isChecked = false;
  #readBytes = 0;

  /** Rejects with MigrateError when it can't be read. */
  static async open(path: string, options: RdbSourceOptions): Promise<RdbSource> {
    try {
      const file = await open(path, "r");
      return new RdbSource(path, file, (await file.stat()).size, options);
    } catch (cause) {
      throw new MigrateError(`can't read ${path}: ${reasonOf(cause)}`, { cause });
    }
  }

  private constructor(path: string, file: FileHandle, byteLength: number, options: RdbSourceOptions) {
    this.#path = path;
    this.#file = file;
    this.#byteLength = byteLength;
    this.#options = options;
  }

  /** Of the second reading: the first takes no more than an eighth of the time. */
  get share(): number | undefined {
    return this.#isChecked ? this.#readBytes / this.#byteLength : undefined;
  }

  async *items(skip: (skipped: Skipped) => void): AsyncGenerator<Item, void> {
    await this.#check();
    this.#isChecked = true;
    let keys = 0;
    const taken = () => (keys === 0 ? "nothing was taken from it" : `${keys} keys came before`);
    const reader = new RdbReader(() => new BitmapBuilder(this.#options.takePieces));
    try {
      for await (const { value, type, ...key } of this.#keys(reader, taken)) {
        if (value === undefined) skip({ database: key.database, key: key.key, reason: type });
        else yield { ...key, bitmap: value };
        keys++;
      }
    } finally {
      reader.dispose();
    }
  }

  /** Reads the file to its end, without the strings. Rejects with MigrateError where it is not whole. */
  async #check(): Promise<void> {
    const reader = new RdbReader<never>();
    for await (const _ of this.#keys(reader, () => "nothing was taken from it"));
    const { hasChecksum, functions } = reader;
    const { onTrouble } = this.#options;
    if (!hasChecksum) onTrouble(`${this.#path} has no checksum: it is not known whether it is as it was written`);
    if (functions > 0) onTrouble(`${this.#path}: functions are left out, ${functions} libraries`);
  }

  async *#keys<T>(reader: RdbReader<T>, taken: () => string): AsyncGenerator<RdbKey<T>, void> {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    this.#readBytes = 0;
    try {
      while (!reader.isDone) {
        const chunk = await this.#next(buffer);
        if (chunk.length === 0) break;
        reader.feed(chunk);
        for (let key = reader.next(); key !== undefined; key = reader.next()) yield key;
        await reader.makeRoom();
      }
      reader.end();
    } catch (cause) {
      if (!(cause instanceof RdbError)) throw cause;
      throw new MigrateError(`${this.#path} is damaged, ${cause.message}; ${taken()}`, { cause });
    }
    // Redis 4 to 6 put commands there: without them the keys are old.
    const left = this.#byteLength - reader.offset;
    if (left === 0) return;
    throw new MigrateError(
      `${this.#path} goes on after its end at byte ${reader.offset}: is it an append-only file? ${taken()}`,
    );
  }

  async #next(buffer: Buffer): Promise<Buffer> {
    try {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#readBytes);
      this.#readBytes += bytesRead;
      return buffer.subarray(0, bytesRead);
    } catch (cause) {
      throw new MigrateError(`can't read ${this.#path}: ${reasonOf(cause)}`, { cause });
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
