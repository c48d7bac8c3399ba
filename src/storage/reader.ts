/** Reads what is committed: the Storage contract's questions as prepared statements. The storages add the writing. */
import type { Statement } from "better-sqlite3";
import type { Bitmap } from "../keyspace/bitmap.js";
import { keyHash } from "../keyspace/hash.js";
import {
  type ExpiredCursor,
  NO_DEADLINE,
  type StoredDatabase,
  type StoredExpression,
  type StoredKey,
  type ValueFacts,
} from "../keyspace/storage.js";
import { type ExpressionText, readExpression } from "./expression.js";
import { type Pending, readLog } from "./pending.js";
import type { Connection } from "./schema.js";
import { VALUE_ROWS_MAX, Values } from "./values.js";
import type { WriterFigures } from "./writer.js";

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
// The Reader's questions are exported for a test that SQLite answers them from its indexes.

/** All keys of a hash. Slot and hash come twice: names instead of places would cost a tenth of the look-up. */
export const FIND = inBoth(
  (names) => `
  SELECT ${COLUMNS} FROM ${names} AS name CROSS JOIN keys ON keys.id = name.id
  WHERE name.slot = ? AND name.hash = ?`,
);

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
  /** An id above every id in the file, and a slot above every slot, as of the opening. */
  readonly nextId: number;
  readonly nextSlot: number;
  /** All rows that are expressions, as of the opening. */
  readonly expressions: readonly StoredExpression[];
  readonly #values: Values;
  readonly #find: Statement<[number, number, number, number], KeyRow>;
  readonly #page: Statement<{ slot: number; hash: number; limit: number }, KeyRow>;
  readonly #expired: Statement<{ now: number; deadline: number; id: number; limit: number }, KeyRow>;
  /** What a crash left in the log, until the writer has brought it home. Later bits are in memory, with their keys. */
  #leftover: Pending | undefined;

  constructor(connection: Connection) {
    this.databases = connection
      .prepare<[], StoredDatabase>("SELECT number, slot, keys, volatile_keys AS volatileKeys FROM databases")
      .all();
    this.#values = new Values(connection);
    this.#find = connection.prepare(FIND);
    this.#page = connection.prepare(PAGE);
    this.#expired = connection.prepare(EXPIRED);
    this.#leftover = readLog(connection);
    this.nextId = Math.max(lastId(connection), this.#leftover.lastId) + 1;
    this.nextSlot = lastSlot(connection) + 1;
    this.expressions = storedExpressions(connection);
  }

  find(slot: number, key: string): StoredKey | undefined {
    const hash = keyHash(key);
    const first = this.#find.get(slot, hash, slot, hash);
    if (first === undefined) return undefined;
    const stored = storedKey(first);
    if (stored.key === key) return stored;
    return this.#ofHash(slot, hash).find((other) => other.key === key);
  }

  /** All keys of one hash. */
  #ofHash(slot: number, hash: number): StoredKey[] {
    return this.#find.all(slot, hash, slot, hash).map(storedKey);
  }

  load(id: number): Bitmap {
    const bitmap = this.#values.load(id, (row) => this.#leftover?.changes(row) ?? []);
    if (bitmap === undefined) throw new Error(`the database file has no value for the key with id ${id}`);
    return bitmap;
  }

  measure(id: number): ValueFacts {
    // Of few keys, and not for long.
    const facts = this.#leftover?.has(id) === true ? undefined : this.#values.measure(id);
    if (facts !== undefined) return facts;
    const bitmap = this.load(id);
    const { cardinality, byteLength } = bitmap;
    bitmap.dispose();
    return { cardinality, byteLength };
  }

  page(slot: number, hash: number, limit: number): StoredKey[] {
    const keys = this.#page.all({ slot, hash, limit }).map(storedKey);
    const last = keys.at(-1);
    if (last !== undefined && keys.length === limit) {
      const listed = new Set(keys.filter((key) => key.hash === last.hash).map((key) => key.id));
      keys.push(...this.#ofHash(slot, last.hash).filter((key) => !listed.has(key.id)));
    }
    return keys;
  }

  expired(now: number, after: ExpiredCursor, limit: number): StoredKey[] {
    return this.#expired.all({ now, deadline: after.deadline, id: after.id, limit }).map(storedKey);
  }

  /** What a crash left in the log, for INFO until the writer tells of itself. */
  protected get leftoverFigures(): WriterFigures {
    return { logBytes: this.#leftover?.logBytes ?? 0, logRows: this.#leftover?.rows ?? 0, deltaBytes: 0 };
  }

  /** The writer has brought home what the log held when the file was opened. */
  protected leftoverSettled(): void {
    this.#leftover?.dispose();
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

/** What can't be read as an expression is found out by who asks for the value. */
function storedExpressions(connection: Connection): StoredExpression[] {
  const rows = connection
    .prepare<[], ExpressionText & { slot: number }>(
      "SELECT id, expression AS text, checksum, slot FROM expressions JOIN keys USING (id)",
    )
    .all();
  const factsOf = connection.prepare<[number], ValueFacts>(
    "SELECT byte_length AS byteLength, cardinality FROM keys WHERE id = ?",
  );
  return rows.flatMap(({ slot, ...text }) => {
    const expression = readExpression(text);
    if (expression === undefined) return [];
    const { id } = text;
    const facts = [id, ...expression.sources].flatMap((row) => factsOf.get(row) ?? []);
    return [{ id, slot, ...expression, facts }];
  });
}

/** The largest slot that the file names, and those that wait for their removal. */
function lastSlot(connection: Connection): number {
  const slots = "SELECT slot FROM databases UNION ALL SELECT slot FROM dropped_slots";
  return connection.prepare<[], { last: number }>(`SELECT max(slot) AS last FROM (${slots})`).get()?.last ?? 0;
}

function storedKey(row: KeyRow): StoredKey {
  const { id, slot, hash, key, deadline } = row;
  return { id, slot, hash, key: key.toString("latin1"), deadline: deadline ?? NO_DEADLINE };
}
