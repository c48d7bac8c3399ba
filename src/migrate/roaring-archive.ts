/**
 * A tar archive of Roaring bitmaps: a file for each key in Roaring's portable format, which every Roaring library reads, under the name
 * `DATABASE/KEY.roaring`. An archive, since a million keys are one file then, which comes and goes as a stream; and `tar -x` makes a folder of
 * it. In the name each byte of the key that is no letter, digit or `_.-:@=+,~` is `%XX`, as in a URL. What the bitmap itself does not say,
 * a longer string or a deadline, is in attributes of the member (pax).
 */
import { BULK_BYTES_MAX, MIB } from "../config.js";
import { Bitmap } from "../keyspace/bitmap.js";
import { portableProblem } from "../keyspace/portable-check.js";
import { NO_DEADLINE } from "../keyspace/storage.js";
import { ByteStream } from "./byte-stream.js";
import type { FileFormat } from "./file-target.js";
import { type Input, InputReader } from "./input.js";
import type { Item, MigrateError, Source } from "./item.js";
import { ExactKeys } from "./seen-keys.js";
import { ARCHIVE_END, BLOCK_BYTES, fileHeader, MEMBER, padding, readAttributes, readHeader } from "./tar.js";

/** Names of the attributes: bytes of the string where its last byte is 0, and wall-clock milliseconds. */
const BYTE_LENGTH = "BITMAPIST.byte_length";
const EXPIRES_AT = "BITMAPIST.expires_at";

const SUFFIX = ".roaring";
/** The largest set has 2^16 bitsets of 8 KiB, and 8 bytes beside each. */
const MEMBER_BYTES_MAX = 514 * MIB;
const PAX_BYTES_MAX = MIB;

export const ROARING_ARCHIVE: FileFormat = {
  begin: new Uint8Array(),
  end: ARCHIVE_END,
  *pieces({ database, key, bitmap, deadline }) {
    const attributes = {
      ...(bitmap.byteLength === bitmap.shortestByteLength ? {} : { [BYTE_LENGTH]: bitmap.byteLength }),
      ...(deadline === NO_DEADLINE ? {} : { [EXPIRES_AT]: deadline }),
    };
    const portable = bitmap.toPortable();
    yield fileHeader(`${database}/${escapeKey(key)}${SUFFIX}`, portable.length, attributes);
    yield portable;
    yield padding(portable.length);
  },
};

export class RoaringArchiveSource implements Source {
  readonly #input: InputReader;
  readonly #stream: ByteStream;
  readonly #names = new ExactKeys();

  constructor(input: Input) {
    this.#input = new InputReader(input);
    this.#stream = new ByteStream(this.#input);
  }

  async *items(): AsyncGenerator<Item, void> {
    let attributes = new Map<string, string>();
    let longName: string | undefined;
    for (;;) {
      const header = await this.#header();
      if (header === undefined) return;
      const { size, type } = header;
      const name = attributes.get("path") ?? longName ?? header.name;
      switch (type) {
        case MEMBER.PAX:
          attributes = this.#reading(readAttributes, await this.#content(header.name, size, PAX_BYTES_MAX));
          continue;
        case MEMBER.GNU_LONG_NAME:
          longName = (await this.#content(header.name, size, PAX_BYTES_MAX)).toString("latin1").replace(/\0.*$/s, "");
          continue;
        case MEMBER.FILE:
        case MEMBER.OLD_FILE:
          yield this.#item(name, await this.#content(name, size, MEMBER_BYTES_MAX), attributes);
          break;
        case MEMBER.FOLDER:
        case MEMBER.PAX_ALL:
          await this.#content(name, size, PAX_BYTES_MAX);
          break;
        default:
          throw this.#error(`${JSON.stringify(name)} is neither a file nor a folder`);
      }
      attributes = new Map();
      longName = undefined;
    }
  }

  async #header() {
    const bytes = await this.#stream.read(BLOCK_BYTES);
    if (bytes.length < BLOCK_BYTES) throw this.#error("the archive is cut off");
    return this.#reading(readHeader, bytes);
  }

  async #content(name: string, size: number, bytesMax: number): Promise<Buffer> {
    if (size > bytesMax) throw this.#error(`${JSON.stringify(name)} has ${size} bytes, more than ${bytesMax}`);
    const content = await this.#stream.read(size);
    const { length } = padding(size);
    if (content.length < size || (await this.#stream.skip(length)) < length)
      throw this.#error("the archive is cut off");
    return content;
  }

  #item(name: string, portable: Buffer, attributes: ReadonlyMap<string, string>): Item {
    const [, number, escaped] = /^(?:\.\/)?(\d{1,5})\/([^/]*)\.roaring$/.exec(name) ?? [];
    const key = escaped === undefined ? undefined : unescapeKey(escaped);
    if (key === undefined) throw this.#error(`${JSON.stringify(name)} is no name of a bitmap, like 0/key${SUFFIX}`);
    // Which of both is meant can't be known before the end of the archive.
    if (this.#names.add(`${Number(number)}/${key}`)) throw this.#error(`${name} is there twice`);
    const problem = portableProblem(portable);
    if (problem !== undefined) throw this.#error(`${name} is no Roaring bitmap in the portable format: ${problem}`);
    const bitmap = Bitmap.fromPortable(portable, 0);
    const byteLength = this.#attribute(name, attributes, BYTE_LENGTH) ?? 0;
    if (byteLength > BULK_BYTES_MAX) throw this.#error(`${name}: ${BYTE_LENGTH} is above ${BULK_BYTES_MAX}`);
    bitmap.byteLength = Math.max(byteLength, bitmap.shortestByteLength);
    bitmap.optimize();
    const deadline = this.#attribute(name, attributes, EXPIRES_AT) ?? NO_DEADLINE;
    return { database: Number(number), key, bitmap, deadline };
  }

  #attribute(name: string, attributes: ReadonlyMap<string, string>, attribute: string): number | undefined {
    const value = attributes.get(attribute);
    if (value === undefined || /^\d{1,15}$/.test(value)) return value === undefined ? undefined : Number(value);
    throw this.#error(`${name}: ${attribute} is ${JSON.stringify(value)}, and must be an integer`);
  }

  #reading<T>(read: (bytes: Buffer) => T, bytes: Buffer): T {
    try {
      return read(bytes);
    } catch (error) {
      throw this.#error((error as Error).message);
    }
  }

  /** Says where: tar has no lines, but bytes. */
  #error(what: string): MigrateError {
    return this.#input.bad(`${what} (before byte ${this.#stream.position})`);
  }

  get share(): number | undefined {
    return this.#input.share;
  }

  close(): Promise<void> {
    return this.#stream.close();
  }
}

function escapeKey(key: string): string {
  return key.replace(
    /[^A-Za-z0-9_.\-:@=+,~]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

function unescapeKey(text: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  return text.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
