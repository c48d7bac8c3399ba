/** RDB files made by hand, of versions and types that no redis-server at hand writes. It shares no code with the reader. */
import { RdbReader, type StringBuilder } from "../../src/rdb/reader.js";

/** A length of 6, 14 or 32 bits. */
export function length(value: number): Buffer {
  if (value < 0x40) return Buffer.of(value);
  if (value < 0x4000) return Buffer.of(0x40 | (value >> 8), value & 0xff);
  const out = Buffer.alloc(5, 0x80);
  out.writeUInt32BE(value, 1);
  return out;
}

/** A string as it is, after its length. */
export function string(bytes: string | Buffer): Buffer {
  const raw = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
  return Buffer.concat([length(raw.length), raw]);
}

/** What is given in a row: numbers are bytes, text is strings with their length. */
export function row(...parts: readonly (number | string | Buffer)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => (typeof part === "number" ? Buffer.of(part) : typeof part === "string" ? string(part) : part)),
  );
}

/** A little-endian number of 8 bytes. */
export function long(value: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigInt64LE(BigInt(value));
  return out;
}

export interface FileOptions {
  version?: number;
  /** "off" as with `rdbchecksum no`; versions below 5 have none. */
  checksum?: "right" | "off";
}

/** A whole file around what stands between its head and its end. */
export function rdbFile(body: Buffer, { version = 10, checksum = "right" }: FileOptions = {}): Buffer {
  const head = Buffer.from(`REDIS${String(version).padStart(4, "0")}`);
  const bytes = Buffer.concat([head, body, Buffer.of(0xff)]);
  if (version < 5) return bytes;
  return Buffer.concat([bytes, checksum === "right" ? crc64(bytes) : Buffer.alloc(8)]);
}

const POLYNOMIAL = 0x95ac9329ac4bc9b5n;

/** Bit by bit, as the definition has it. */
function crc64(bytes: Buffer): Buffer {
  let crc = 0n;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ POLYNOMIAL : crc >> 1n;
  }
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(crc);
  return out;
}

/** Keeps the string as it is. */
export class BytesBuilder implements StringBuilder<Buffer> {
  readonly #pieces: Buffer[] = [];

  append(piece: Uint8Array): void {
    this.#pieces.push(Buffer.from(piece));
  }

  finish(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  dispose(): void {}
}

/** A key as a reader gives it; of strings the bytes as latin1. */
export interface ReadKey {
  database: number;
  key: string;
  deadline: number;
  type: string;
  value: string | undefined;
}

/** Reads a file that comes in chunks of so many bytes. Throws what the reader throws. */
export function readAll(file: Buffer, chunkBytes = file.length): { keys: ReadKey[]; reader: RdbReader<Buffer> } {
  const reader = new RdbReader(() => new BytesBuilder());
  const keys: ReadKey[] = [];
  for (let start = 0; start < file.length && !reader.isDone; start += chunkBytes) {
    // Scribbled on afterwards, as a buffer would be that sockets share.
    const chunk = Buffer.from(file.subarray(start, start + chunkBytes));
    reader.feed(chunk);
    for (let key = reader.next(); key !== undefined; key = reader.next()) {
      keys.push({ ...key, value: key.value?.toString("latin1") });
    }
    chunk.fill(0xee);
  }
  reader.end();
  return { keys, reader };
}
