/** Reads what is committed: the Storage contract's questions as prepared statements. The storages add the writing. */
import type { Statement } from "better-sqlite3";
import type { Bitmap } from "../keyspace/bitmap.js";
import { keyHash } from "../keyspace/hash.js";
import { type ExpiredCursor, NO_DEADLINE, type StoredDatabase, type StoredKey } from "../keyspace/storage.js";
import { Leftover } from "./pending.js";
import type { Connection } from "./schema.js";
import { VALUE_ROWS_MAX, Values } from "./values.js";

interface KeyRow {
  id: number;
  slot: number;
  hash: number;
  key: Buffer;
  deadline: number | null;
}

const COLUMNS = "keys.id, keys.slot, keys.hash, keys.key, keys.deadline";

/** The index is in two parts (schema.ts), and each question goes to both; SQLite merges what is in order. */
const inBoth = (select: (names: string) => string) => `${select("names")} UNION ALL ${select("new_names")}`;

// CROSS JOIN keeps SQLite to this order: first the name, then the key's row.
const ofHash = (names: string) => `
  SELECT ${COLUMNS} FROM ${names} AS name CROSS JOIN keys ON keys.id = name.id
  WHERE name.slot = :slot AND name.hash = :hash`;

const SAME_HASH = inBoth(ofHash);

/** The Reader's questions, for a test that SQLite answers them from its indexes. */
export const FIND = inBoth((names) => `${ofHash(names)} AND keys.key = :key`);

export const PAGE = `
  SELECT ${COLUMNS}
  FROM (
    ${inBoth((names) => `SELECT hash, id FROM ${names} WHERE slot = :slot AND hash >= :hash`)}
    ORDER BY hash LIMIT :limit
  ) AS name CROSS JOIN keys ON keys.id = name.id
  ORDER BY name.hash`;

export const EXPIRED = `
  SELECT ${COLUMNS} FROM keys
  WHERE deadline < :now AND (deadline, id) > (:deadline, :id)
  ORDER BY deadline, id LIMIT :limit`;

export class Reader {
  /** All logical databases, as of the opening. */
  readonly databases: readonly StoredDatabase[];
  /** An id above every id in the file, as of the opening. */
  readonly nextId: number;
  readonly #values: Values;
  readonly #find: Statement<{ slot: number; hash: number; key: Buffer }, KeyRow>;
  readonly #page: Statement<{ slot: number; hash: number; limit: number }, KeyRow>;
  readonly #sameHash: Statement<{ slot: number; hash: number }, KeyRow>;
  readonly #expired: Statement<{ now: number; deadline: number; id: number; limit: number }, KeyRow>;
  /** What a crash left in the log, until the writer has brought it home. Later bits are in memory, with their keys. */
  #leftover: Leftover | undefined;

  constructor(connection: Connection) {
    this.databases = connection
      .prepare<[], StoredDatabase>("SELECT number, slot, keys, volatile_keys AS volatileKeys FROM databases")
      .all();
    this.#values = new Values(connection);
    this.#find = connection.prepare(FIND);
    this.#page = connection.prepare(PAGE);
    this.#sameHash = connection.prepare(SAME_HASH);
    this.#expired = connection.prepare(EXPIRED);
    this.#leftover = new Leftover(connection);
    this.nextId = Math.max(lastId(connection), this.#leftover.lastId) + 1;
  }

  find(slot: number, key: string): StoredKey | undefined {
    const row = this.#find.get({ slot, hash: keyHash(key), key: Buffer.from(key, "latin1") });
    return row === undefined ? undefined : storedKey(row);
  }

  load(id: number): Bitmap {
    const bitmap = this.#values.load(id);
    if (bitmap === undefined) throw new Error(`the database file has no value for the key with id ${id}`);
    for (const { offset, bit } of this.#leftover?.bits(id) ?? []) bitmap.setBit(offset, bit);
    return bitmap;
  }

  page(slot: number, hash: number, limit: number): StoredKey[] {
    const rows = this.#page.all({ slot, hash, limit });
    const last = rows.at(-1);
    if (last !== undefined && rows.length === limit) {
      const listed = new Set(rows.filter((row) => row.hash === last.hash).map((row) => row.id));
      rows.push(...this.#sameHash.all({ slot, hash: last.hash }).filter((row) => !listed.has(row.id)));
    }
    return rows.map(storedKey);
  }

  expired(now: number, after: ExpiredCursor, limit: number): StoredKey[] {
    return this.#expired.all({ now, deadline: after.deadline, id: after.id, limit }).map(storedKey);
  }

  /** What a crash left in the log, for INFO until the writer tells of itself. */
  protected get leftoverFigures(): { logBytes: number; logRows: number } {
    return this.#leftover?.figures ?? { logBytes: 0, logRows: 0 };
  }

  /** The writer has brought home what the log held when the file was opened. */
  protected leftoverSettled(): void {
    this.#leftover = undefined;
  }
}

/** The largest id that the file names, in rows that wait for their removal too. */
function lastId(connection: Connection): number {
  const numbers = connection
    .prepare<[], { last: number | null }>(
      `SELECT max(id) AS last FROM keys
       UNION ALL SELECT max(id) FROM dropped_values
       UNION ALL SELECT max(chunk) / ${VALUE_ROWS_MAX} FROM chunks
       UNION ALL SELECT max(delta) / ${VALUE_ROWS_MAX} FROM deltas`,
    )
    .all();
  return Math.max(0, ...numbers.map(({ last }) => last ?? 0));
}

function storedKey(row: KeyRow): StoredKey {
  const { id, slot, hash, key, deadline } = row;
  return { id, slot, hash, key: key.toString("latin1"), deadline: deadline ?? NO_DEADLINE };
}
