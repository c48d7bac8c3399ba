/** Reads what is committed: the Storage contract's questions as prepared statements. The storages add the writing. */
import type { Statement } from "better-sqlite3";
import { keyHash } from "../keyspace/hash.js";
import {
  type ExpiredCursor,
  NO_DEADLINE,
  type StoredDatabase,
  type StoredKey,
  type StoredValue,
} from "../keyspace/storage.js";
import type { Connection } from "./schema.js";

interface KeyRow {
  id: number;
  slot: number;
  hash: number;
  key: Buffer;
  deadline: number | null;
}

const COLUMNS = "id, slot, hash, key, deadline";

export class Reader {
  /** All logical databases, as of the opening. */
  readonly databases: readonly StoredDatabase[];
  /** An id above every id in the file, as of the opening. */
  readonly nextId: number;
  readonly #find: Statement<[number, number, Buffer], KeyRow>;
  readonly #load: Statement<[number], { byteLength: number; portable: Buffer }>;
  readonly #page: Statement<[number, number, number], KeyRow>;
  readonly #sameHash: Statement<[number, number], KeyRow>;
  readonly #expired: Statement<{ now: number; deadline: number; id: number; limit: number }, KeyRow>;

  constructor(connection: Connection) {
    this.databases = connection
      .prepare<[], StoredDatabase>("SELECT number, slot, keys, volatile_keys AS volatileKeys FROM databases")
      .all();
    this.nextId = (connection.prepare<[], { id: number | null }>("SELECT max(id) AS id FROM keys").get()?.id ?? 0) + 1;
    this.#find = connection.prepare(`SELECT ${COLUMNS} FROM keys WHERE slot = ? AND hash = ? AND key = ?`);
    this.#load = connection.prepare(
      "SELECT byte_length AS byteLength, portable FROM keys JOIN bitmaps USING (id) WHERE id = ?",
    );
    this.#page = connection.prepare(`SELECT ${COLUMNS} FROM keys WHERE slot = ? AND hash >= ? ORDER BY hash LIMIT ?`);
    this.#sameHash = connection.prepare(`SELECT ${COLUMNS} FROM keys WHERE slot = ? AND hash = ?`);
    this.#expired = connection.prepare(
      `SELECT ${COLUMNS} FROM keys
       WHERE deadline < :now AND (deadline, id) > (:deadline, :id)
       ORDER BY deadline, id LIMIT :limit`,
    );
  }

  find(slot: number, key: string): StoredKey | undefined {
    const row = this.#find.get(slot, keyHash(key), Buffer.from(key, "latin1"));
    return row === undefined ? undefined : storedKey(row);
  }

  load(id: number): StoredValue {
    const row = this.#load.get(id);
    if (row === undefined) throw new Error(`the database file has no value for the key with id ${id}`);
    return row;
  }

  page(slot: number, hash: number, limit: number): StoredKey[] {
    const rows = this.#page.all(slot, hash, limit);
    const last = rows.at(-1);
    if (last !== undefined && rows.length === limit) {
      const listed = new Set(rows.filter((row) => row.hash === last.hash).map((row) => row.id));
      rows.push(...this.#sameHash.all(slot, last.hash).filter((row) => !listed.has(row.id)));
    }
    return rows.map(storedKey);
  }

  expired(now: number, after: ExpiredCursor, limit: number): StoredKey[] {
    return this.#expired.all({ now, deadline: after.deadline, id: after.id, limit }).map(storedKey);
  }
}

function storedKey(row: KeyRow): StoredKey {
  const { id, slot, hash, key, deadline } = row;
  return { id, slot, hash, key: key.toString("latin1"), deadline: deadline ?? NO_DEADLINE };
}
