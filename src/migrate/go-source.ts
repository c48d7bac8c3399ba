/**
 * The Go bitmapist-server's own database as the source of a move. Its first versions keep it in a bbolt file, in the buckets `bitmapist` (key to
 * Roaring's portable format) and `expires` (key to a varint); later ones in SQLite, whose rows the storage reads. Either has one database, and
 * deadlines in nanoseconds. It knows no length of a string: a value is as long as its last bit needs, as the Go server's own GET has it.
 */
import { Bitmap } from "../keyspace/bitmap.js";
import { portableProblem } from "../keyspace/portable-check.js";
import { NO_DEADLINE } from "../keyspace/storage.js";
import { BoltFile, type Entry } from "./bbolt.js";
import { type Item, MigrateError, type Source } from "./item.js";

const BITMAPS = "bitmapist";
const EXPIRES = "expires";

const NANOSECONDS_PER_MS = 1_000_000n;
/** Rows that are read before others get their turn. */
const TURN_ROWS = 64;

/** A key of the Go server. */
export interface GoRow {
  key: Buffer;
  portable: Buffer;
  /** Wall-clock nanoseconds, 0 for never. */
  expireAt: bigint;
}

export interface GoRows {
  rows(): Iterable<GoRow>;
  close(): void;
}

export class GoSource implements Source {
  readonly #path: string;
  readonly #rows: GoRows;

  /** `path` is for error messages. */
  constructor(path: string, rows: GoRows) {
    this.#path = path;
    this.#rows = rows;
  }

  async *items(): AsyncGenerator<Item, void> {
    let rows = 0;
    for (const { key, portable, expireAt } of this.#rows.rows()) {
      const problem = portableProblem(portable);
      if (problem !== undefined) {
        const shown = JSON.stringify(key.toString("latin1"));
        throw new MigrateError(`${this.#path}: the value of ${shown} is no Roaring bitmap: ${problem}`);
      }
      const bitmap = Bitmap.fromPortable(portable, 0);
      bitmap.byteLength = bitmap.shortestByteLength;
      bitmap.optimize();
      const deadline = expireAt === 0n ? NO_DEADLINE : Number(expireAt / NANOSECONDS_PER_MS);
      yield { database: 0, key: key.toString("latin1"), bitmap, deadline };
      if (++rows % TURN_ROWS === 0) await new Promise(setImmediate);
    }
  }

  async close(): Promise<void> {
    this.#rows.close();
  }
}

/** The rows of a bbolt file of the Go server. Throws MigrateError where it is none. */
export function openGoBolt(path: string): GoRows {
  const file = BoltFile.open(path);
  return { rows: () => boltRows(path, file), close: () => file.close() };
}

/** Both buckets are in the order of their keys, so that neither needs to be in memory. */
function* boltRows(path: string, file: BoltFile): Generator<GoRow, void> {
  const bitmaps = file.bucket(BITMAPS);
  if (bitmaps === undefined)
    throw new MigrateError(
      `${path} has no bucket ${BITMAPS}: it is no database of the Go server, or nothing was saved yet`,
    );
  const expires = file.bucket(EXPIRES);
  const deadlines = expires === undefined ? [].values() : file.entries(expires);
  let next: Entry | undefined = deadlines.next().value ?? undefined;
  for (const { key, value, isBucket } of file.entries(bitmaps)) {
    if (isBucket)
      throw new MigrateError(`${path}: ${JSON.stringify(key.toString("latin1"))} is a bucket and no bitmap`);
    while (next !== undefined && next.key.compare(key) < 0) next = deadlines.next().value ?? undefined;
    const expireAt = next?.key.equals(key) ? varint(path, next) : 0n;
    yield { key, portable: value(), expireAt };
  }
  file.checkUnchanged();
}

/** A signed integer as Go writes it: 7 bits a byte from the lowest on, the sign in the lowest bit. */
function varint(path: string, { key, value }: Entry): bigint {
  const bytes = value();
  let raw = 0n;
  for (const [i, byte] of bytes.entries()) {
    raw |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80 && i < 10) return (raw >> 1n) ^ -(raw & 1n);
  }
  throw new MigrateError(`${path}: the deadline of ${JSON.stringify(key.toString("latin1"))} can't be read`);
}
