/**
 * Reads a bbolt file, in which the Go server kept its database: a B+ tree of pages for each bucket. Only reads, and relies on nothing
 * in the file that it has not looked at: a damaged file gives an error with the number of the page. It must not know what is in the buckets.
 * (https://github.com/etcd-io/bbolt: pages begin with number, kind, count and how many pages follow; integers are little-endian.)
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { MIB } from "../config.js";
import { reasonOf } from "../errors.js";
import { MigrateError } from "./item.js";

/** Stands at byte 16 of a file. */
export const BOLT_MAGIC = 0xed0cdaed;
const VERSION = 2;
const PAGE_HEADER_BYTES = 16;
const ELEMENT_BYTES = 16;
const BUCKET_HEADER_BYTES = 16;
/** A meta page's content behind the header, and the checksum at the end of it. */
const META_BYTES = 64;
const META_CHECKED_BYTES = 56;
const PAGE_BYTES_MIN = 1024;
const PAGE_BYTES_MAX = 65_536;

const KIND = { BRANCH: 0x01, LEAF: 0x02, META: 0x04 } as const;
/** Flag of a leaf's element: it is a bucket. */
const IS_BUCKET = 0x01;

/** A tree of 16 levels with two branches each has more pages than any file. */
const DEPTH_MAX = 64;
/** So much of a page and those that belong to it is read at once; what lies behind is read when it is asked for. */
const READ_BYTES = MIB;

/** Where a bucket's tree begins: at a page, or in the bytes of an element where it is small. */
export interface Bucket {
  root: number;
  inline?: Node;
}

export interface Entry {
  key: Buffer;
  /** Reads it: it may be large. */
  value(): Buffer;
  isBucket: boolean;
}

interface Meta {
  pageBytes: number;
  root: number;
  /** All pages have lower numbers. */
  pages: number;
  transaction: bigint;
}

/** A page, or what stands for it: bytes from `at` on, of which the first are in memory. */
interface Node {
  page: number;
  head: Buffer;
  bytes: number;
}

export class BoltFile {
  readonly #path: string;
  readonly #file: number;
  readonly #meta: Meta;

  /** Throws MigrateError where the file can't be read or is none. */
  static open(path: string): BoltFile {
    let file: number;
    try {
      file = openSync(path, "r");
    } catch (cause) {
      throw new MigrateError(`can't read ${path}: ${reasonOf(cause)}`, { cause });
    }
    try {
      return new BoltFile(path, file);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  private constructor(path: string, file: number) {
    this.#path = path;
    this.#file = file;
    this.#meta = this.#readMeta();
  }

  /** The two metas are written in turn: the one of the last transaction that is whole counts. */
  #readMeta(): Meta {
    const first = this.#metaAt(0);
    const sizes: number[] = [];
    for (let bytes = PAGE_BYTES_MIN; bytes <= PAGE_BYTES_MAX; bytes *= 2) sizes.push(bytes);
    const second = (first === undefined ? sizes : [first.pageBytes])
      .map((bytes) => this.#metaAt(bytes))
      .find((meta) => meta !== undefined);
    const meta =
      first !== undefined && second !== undefined && second.transaction > first.transaction
        ? second
        : (first ?? second);
    if (meta === undefined)
      throw new MigrateError(`${this.#path} is no bbolt file, or both of its meta pages are damaged`);
    return meta;
  }

  #metaAt(at: number): Meta | undefined {
    const bytes = this.#read(at + PAGE_HEADER_BYTES, META_BYTES);
    if (bytes.length < META_BYTES || bytes.readUInt32LE(0) !== BOLT_MAGIC || bytes.readUInt32LE(4) !== VERSION)
      return undefined;
    if (bytes.readBigUInt64LE(META_CHECKED_BYTES) !== fnv1a(bytes.subarray(0, META_CHECKED_BYTES))) return undefined;
    const pageBytes = bytes.readUInt32LE(8);
    if (pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX || (pageBytes & (pageBytes - 1)) !== 0)
      return undefined;
    return { pageBytes, root: uint64(bytes, 16), pages: uint64(bytes, 40), transaction: bytes.readBigUInt64LE(48) };
  }

  /** Throws MigrateError where the file has been written since it was opened: what was read may be of two times. */
  checkUnchanged(): void {
    if (this.#readMeta().transaction === this.#meta.transaction) return;
    throw new MigrateError(`${this.#path} was written while it was read: stop its server first, or import its backup`);
  }

  /** A bucket of the file by its name; undefined where there is none. */
  bucket(name: string): Bucket | undefined {
    for (const { key, isBucket, value } of this.entries({ root: this.#meta.root })) {
      if (isBucket && key.toString("latin1") === name) return this.#bucket(value());
    }
    return undefined;
  }

  #bucket(bytes: Buffer): Bucket {
    if (bytes.length < BUCKET_HEADER_BYTES) throw this.#damage(this.#meta.root, "a bucket is cut off");
    const root = uint64(bytes, 0);
    if (root !== 0) return { root };
    const head = bytes.subarray(BUCKET_HEADER_BYTES);
    return { root, inline: { page: 0, head, bytes: head.length } };
  }

  /** All of a bucket in the order of the keys' bytes. Throws MigrateError where it is damaged. */
  *entries({ root, inline }: Bucket): Generator<Entry, void> {
    // Of a tree each page is read once: more are a circle.
    const walk = { pages: 0, last: undefined as Buffer | undefined };
    yield* this.#walk(inline ?? this.#page(root), 0, walk);
  }

  *#walk(node: Node, depth: number, walk: { pages: number; last: Buffer | undefined }): Generator<Entry, void> {
    const { page } = node;
    if (depth > DEPTH_MAX || ++walk.pages > this.#meta.pages) throw this.#damage(page, "the tree goes in a circle");
    const kind = node.head.length < PAGE_HEADER_BYTES ? 0 : node.head.readUInt16LE(8);
    if (kind !== KIND.LEAF && kind !== KIND.BRANCH) throw this.#damage(page, "it is neither a branch nor a leaf");
    const count = node.head.readUInt16LE(10);
    const elements = this.#slice(node, PAGE_HEADER_BYTES, count * ELEMENT_BYTES);
    for (let i = 0; i < count; i++) {
      const element = elements.subarray(i * ELEMENT_BYTES, (i + 1) * ELEMENT_BYTES);
      const at = PAGE_HEADER_BYTES + i * ELEMENT_BYTES;
      if (kind === KIND.BRANCH) {
        yield* this.#walk(this.#page(uint64(element, 8)), depth + 1, walk);
        continue;
      }
      const keyAt = at + element.readUInt32LE(4);
      const keyBytes = element.readUInt32LE(8);
      const valueBytes = element.readUInt32LE(12);
      const key = Buffer.from(this.#slice(node, keyAt, keyBytes));
      if (walk.last !== undefined && walk.last.compare(key) >= 0) throw this.#damage(page, "its keys are out of order");
      walk.last = key;
      const isBucket = (element.readUInt32LE(0) & IS_BUCKET) !== 0;
      yield { key, isBucket, value: () => this.#slice(node, keyAt + keyBytes, valueBytes) };
    }
  }

  #page(page: number): Node {
    const { pageBytes, pages } = this.#meta;
    if (!(page > 1 && page < pages)) throw this.#damage(page, "there is no such page");
    const header = this.#read(page * pageBytes, PAGE_HEADER_BYTES);
    if (header.length < PAGE_HEADER_BYTES) throw this.#damage(page, "the file is cut off");
    if (uint64(header, 0) !== page) throw this.#damage(page, "it has another number");
    const following = header.readUInt32LE(12);
    if (page + following >= pages) throw this.#damage(page, "it is longer than the file");
    const bytes = (1 + following) * pageBytes;
    return { page, bytes, head: this.#read(page * pageBytes, Math.min(bytes, READ_BYTES)) };
  }

  /** Bytes of a page, which must lie inside it. */
  #slice({ page, head, bytes }: Node, at: number, length: number): Buffer {
    if (at + length > bytes) throw this.#damage(page, "something in it reaches behind its end");
    if (at + length <= head.length) return head.subarray(at, at + length);
    const read = this.#read(page * this.#meta.pageBytes + at, length);
    if (read.length < length) throw this.#damage(page, "the file is cut off");
    return read;
  }

  /** Fewer bytes where the file ends. */
  #read(at: number, length: number): Buffer {
    const available = Math.max(Math.min(length, fstatSync(this.#file).size - at), 0);
    const bytes = Buffer.allocUnsafe(available);
    let filled = 0;
    try {
      while (filled < available) {
        const read = readSync(this.#file, bytes, filled, available - filled, at + filled);
        if (read === 0) break;
        filled += read;
      }
    } catch (cause) {
      throw new MigrateError(`can't read ${this.#path}: ${reasonOf(cause)}`, { cause });
    }
    return bytes.subarray(0, filled);
  }

  #damage(page: number, what: string): MigrateError {
    return new MigrateError(`${this.#path} is damaged: page ${page}: ${what}`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Too large for a number it is too large for anything here. */
function uint64(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}

function fnv1a(bytes: Buffer): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash;
}
