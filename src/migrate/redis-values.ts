/**
 * Reads values of a running server: small ones a page at a time, large ones in slices of which those without a bit are not sent at all, and
 * whole ones where the server knows nothing else. It must not know where keys come from and items go.
 */
import { KIB, MIB } from "../config.js";
import { Bitmap } from "../keyspace/bitmap.js";
import { BitmapBuilder, type OpenPieceTaker } from "../keyspace/bitmap-builder.js";
import type { Item } from "./item.js";
import type { RedisDialect } from "./redis-dialect.js";
import { type Argument, keyArgument, LinkError, type LinkReply, type RedisLink } from "./redis-link.js";
import { askAll, deadlineOf, integer, refuse, throwing } from "./redis-replies.js";

/** Values up to this length are read whole. */
export const SMALL_BYTES_MAX = 64 * KIB;
/** A large value: bytes of a slice, slices that are asked for at a time, and those whose bits are counted at a time. */
const SLICE_BYTES = MIB;
const SLICES_AT_ONCE = 4;
const COUNTS_AT_ONCE = 16;
/** Bytes whose bits one BITCOUNT counts where a value is only counted: some milliseconds in which the server serves nobody else. */
const COUNT_BYTES = 32 * MIB;
/** Values of a server that does not tell their lengths that are asked for at a time. */
const WHOLE_AT_ONCE = 8;

/** What came of reading a key. */
export type Read = Item | "gone" | "large" | "other type";

/** What is known of a small key, or of a whole one. */
interface ItemReplies {
  database: number;
  key: string;
  bytes: LinkReply | undefined;
  length: LinkReply | undefined;
  count: LinkReply | undefined;
  /** Undefined where there is no such key. */
  deadline: number | undefined;
}

export class RedisValues {
  readonly #server: string;
  readonly #dialect: RedisDialect;
  readonly #into: number | undefined;
  readonly #takePieces: OpenPieceTaker | undefined;

  /**
   * `server` is its name for messages, `into` the number of the database that all items get; undefined for their own. `takePieces` is as the
   * target's.
   */
  constructor(server: string, dialect: RedisDialect, into: number | undefined, takePieces: OpenPieceTaker | undefined) {
    this.#takePieces = takePieces;
    this.#server = server;
    this.#dialect = dialect;
    this.#into = into;
  }

  /** Reads keys of the link's database. Of a large one it only says that it is. */
  read(link: RedisLink, database: number, keys: string[]): Promise<Read[]> {
    return this.#dialect.hasSlices ? this.#readSmall(link, database, keys) : this.#readWhole(link, database, keys);
  }

  /** Reads one key, however large it is. */
  async readOne(link: RedisLink, database: number, key: string): Promise<Read> {
    const [read] = await this.read(link, database, [key]);
    return read === "large" ? await this.#readLarge(link, database, key) : (read as Read);
  }

  async #readSmall(link: RedisLink, database: number, keys: string[]): Promise<Read[]> {
    const last = SMALL_BYTES_MAX - 1;
    const replies = await askAll(
      link,
      keys.flatMap((name) => {
        const key = keyArgument(name);
        return [
          ["GETRANGE", key, 0, last],
          ["STRLEN", key],
          ["BITCOUNT", key, 0, last],
          [this.#dialect.expiry, key],
        ];
      }),
    );
    return keys.map((key, i): Read => {
      const [bytes, length, count, ttl] = replies.slice(i * 4, i * 4 + 4);
      if (!(length instanceof LinkError) && integer(length) > SMALL_BYTES_MAX) return "large";
      return this.#item({ database, key, bytes, length, count, deadline: this.#deadline(ttl) });
    });
  }

  /**
   * All that the Go bitmapist-server can do. It sends as many bytes as there are up to the last bit, which may take seconds: deadlines are
   * asked for before, since what PTTL says gets old meanwhile.
   */
  async #readWhole(link: RedisLink, database: number, keys: string[]): Promise<Read[]> {
    const reads: Read[] = [];
    for (let at = 0; at < keys.length; at += WHOLE_AT_ONCE) {
      const some = keys.slice(at, at + WHOLE_AT_ONCE);
      const ttls = await askAll(
        link,
        some.map((key) => [this.#dialect.expiry, keyArgument(key)]),
      );
      const deadlines = ttls.map((ttl) => this.#deadline(ttl));
      reads.push(...(await Promise.all(some.map((key, i) => this.#readOneWhole(link, database, key, deadlines[i])))));
    }
    return reads;
  }

  /** Each is asked for by itself, so that its bytes, up to 512 MB, are a bitmap before those of the next one come. */
  async #readOneWhole(link: RedisLink, database: number, key: string, deadline: number | undefined): Promise<Read> {
    const [bytes, count] = await link.askAll([
      ["GET", keyArgument(key)],
      ["BITCOUNT", keyArgument(key)],
    ]);
    const length = Buffer.isBuffer(bytes) ? bytes.length : 0;
    return this.#item({ database, key, bytes, length, count, deadline });
  }

  #deadline(ttl: LinkReply | undefined): number | undefined {
    return deadlineOf(this.#server, this.#dialect.expiry, ttl);
  }

  /** What the replies of a key say. */
  #item(replies: ItemReplies): Read {
    const { database, key, bytes, length, count, deadline } = replies;
    for (const reply of [bytes, length, count]) {
      if (!(reply instanceof LinkError)) continue;
      refuse(this.#server, reply);
      return "other type";
    }
    if (deadline === undefined || !Buffer.isBuffer(bytes)) return "gone";
    const bitmap = Bitmap.fromBytes(bytes);
    const facts = { cardinality: integer(count), byteLength: integer(length) };
    return { database: this.#into ?? database, key, bitmap, deadline, facts };
  }

  /** Counts the bits of some slices, then asks for those that have any, a few at a time. */
  async #readLarge(link: RedisLink, database: number, name: string): Promise<Read> {
    const key = keyArgument(name);
    const builder = new BitmapBuilder(this.#takePieces);
    try {
      const length = await link.ask("STRLEN", key);
      let cardinality = 0;
      for (let start = 0; start < integer(length); start += COUNTS_AT_ONCE * SLICE_BYTES) {
        const slices = slicesOf(start, Math.min(start + COUNTS_AT_ONCE * SLICE_BYTES, integer(length)));
        const counts = await askAll(
          link,
          slices.map(({ first, last }) => ["BITCOUNT", key, first, last]),
        );
        for (const count of counts) cardinality += integer(throwing(count));
        await appendSlices(
          link,
          key,
          builder,
          slices.filter((_slice, i) => counts[i] !== 0),
        );
        builder.appendZeros(Math.min(start + COUNTS_AT_ONCE * SLICE_BYTES, integer(length)) - builder.byteLength);
      }
      const [lengthNow, ttl] = await askAll(link, [
        ["STRLEN", key],
        [this.#dialect.expiry, key],
      ]);
      const deadline = this.#deadline(ttl);
      if (deadline === undefined) return "gone";
      const facts = { cardinality, byteLength: integer(lengthNow) };
      return { database: this.#into ?? database, key: name, bitmap: builder.finish(), deadline, facts };
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      refuse(this.#server, error);
      return "other type";
    } finally {
      builder.dispose();
    }
  }
}

/** The bits of a large value. */
export async function countBits(link: RedisLink, name: string, byteLength: number): Promise<number> {
  let bits = 0;
  for (let start = 0; start < byteLength; start += COUNT_BYTES) {
    bits += integer(await link.ask("BITCOUNT", keyArgument(name), start, start + COUNT_BYTES - 1));
  }
  return bits;
}

interface Slice {
  first: number;
  last: number;
}

function slicesOf(start: number, end: number): Slice[] {
  return Array.from({ length: Math.ceil((end - start) / SLICE_BYTES) }, (_, i) => {
    const first = start + i * SLICE_BYTES;
    return { first, last: Math.min(first + SLICE_BYTES, end) - 1 };
  });
}

/** Reads the slices, and zeros between them, into the builder. */
async function appendSlices(link: RedisLink, key: Argument, builder: BitmapBuilder, slices: Slice[]): Promise<void> {
  for (let at = 0; at < slices.length; at += SLICES_AT_ONCE) {
    const some = slices.slice(at, at + SLICES_AT_ONCE);
    const replies = await askAll(
      link,
      some.map(({ first, last }) => ["GETRANGE", key, first, last]),
    );
    for (const [i, { first }] of some.entries()) {
      const bytes = throwing(replies[i]);
      builder.appendZeros(first - builder.byteLength);
      // Shorter than it was asked for where the value was cut meanwhile: it will be read again.
      if (Buffer.isBuffer(bytes)) builder.append(bytes);
    }
    await builder.makeRoom();
  }
}
