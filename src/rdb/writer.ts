/**
 * Writes an RDB file from front to back: gives its bytes in pieces that are small whatever the strings are. It must not know what the
 * strings are of, nor where the bytes go.
 */
import { Crc64 } from "./crc64.js";
import { MAGIC, OPCODE, TYPE_STRING, VERSION_DIGITS } from "./format.js";
import { encodeLength, encodeString, type LongString } from "./string.js";

/**
 * Nothing is written that needs a newer one, which has fields in its head: so every Redis from 3.2 on loads it, and Valkey and others do.
 * Only deadlines would be read backwards by a Redis on a machine that is big-endian, which version 9 mends, and Redis 4 does not read.
 */
export const RDB_VERSION_WRITTEN = 7;

/** What a file of this version begins with. */
export const RDB_HEAD = Buffer.from(MAGIC + String(RDB_VERSION_WRITTEN).padStart(VERSION_DIGITS, "0"));

export interface WrittenKey {
  database: number;
  /** As latin1. */
  key: string;
  /** Wall-clock milliseconds, Infinity for none. */
  deadline: number;
}

export class RdbWriter {
  readonly #crc = new Crc64();
  /** The database of the key before, none at first. */
  #database: number | undefined;

  /** The file's beginning, with fields that say where it comes from: those that Redis knows are named as there. */
  head(fields: Readonly<Record<string, string>>): Buffer {
    const parts: Buffer[] = [RDB_HEAD];
    for (const [name, value] of Object.entries(fields)) {
      parts.push(Buffer.of(OPCODE.AUX), encodeName(name), encodeName(value));
    }
    return this.#checked(Buffer.concat(parts));
  }

  /**
   * A key and its string, which must not change before the last piece. Keys may be of databases in any order. How many there are is not known
   * before, so that RESIZEDB, which is only a hint, is left out.
   */
  *key({ database, key, deadline }: WrittenKey, string: LongString): Generator<Buffer, void> {
    const { head, slices } = encodeString(string, "compressed");
    const parts: Buffer[] = [];
    if (database !== this.#database) parts.push(Buffer.of(OPCODE.SELECTDB), encodeLength(database));
    this.#database = database;
    if (deadline !== Number.POSITIVE_INFINITY) parts.push(encodeDeadline(deadline));
    parts.push(Buffer.of(TYPE_STRING), encodeName(key), head);
    yield this.#checked(Buffer.concat(parts));
    for (let next = slices.next(); next.done !== true; next = slices.next()) yield this.#checked(next.value);
  }

  /** The file's end, with its checksum. */
  end(): Buffer {
    const end = Buffer.of(OPCODE.EOF);
    return Buffer.concat([end, this.#crc.update(end).digest()]);
  }

  #checked(piece: Buffer): Buffer {
    this.#crc.update(piece);
    return piece;
  }
}

function encodeName(name: string): Buffer {
  return Buffer.concat([encodeLength(name.length), Buffer.from(name, "latin1")]);
}

function encodeDeadline(deadline: number): Buffer {
  const out = Buffer.of(OPCODE.EXPIRETIME_MS, 0, 0, 0, 0, 0, 0, 0, 0);
  out.writeBigInt64LE(BigInt(deadline), 1);
  return out;
}
