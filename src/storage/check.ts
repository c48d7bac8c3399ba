/**
 * Reads all of a file and says what in it is not as it was written: SQLite's structure, every value against its checksums and its
 * key, the log, and what the tables say of each other. It changes nothing, and may run beside a server: it sees one commit.
 * A damaged page costs what is on it; all else is still checked.
 */
import type { Statement } from "better-sqlite3";
import { DATABASES } from "../config.js";
import { reasonOf } from "../errors.js";
import { ID_MAX } from "../keyspace/change-log.js";
import { keyHash } from "../keyspace/hash.js";
import { isLogRow, type LogRow } from "./log.js";
import { Pending } from "./pending.js";
import { type Gap, walkRows } from "./row-walk.js";
import { ALL_NAMES, type Connection } from "./schema.js";
import { showKey } from "./show-key.js";
import { checkExpression, checkValue, type ValueRows, type WholeValue } from "./value-check.js";
import { type ChunkRow, type DeltaRow, type RowId, rowId, VALUE_ROWS_MAX, Values } from "./values.js";

/** Values are read together up to so many bytes. */
const GROUP_BYTES_MAX = 8 * 2 ** 20;
/** SQLite's own check ends after so many lines. */
const STRUCTURE_LINES_MAX = 100;

/** What a check tells while it runs. */
export interface CheckEvents {
  /** Something is wrong, in one line. */
  onDamage(line: string): void;
  /** So many keys are checked; `all` is how many there should be. */
  onProgress(keys: number, all: number): void;
}

export interface CheckSummary {
  /** Keys that could be read, whatever is wrong with them. */
  keys: number;
  /** Bits of the values that are whole. */
  bits: number;
  /** Keys of which something is wrong, and keys that could not even be read. */
  damagedKeys: number;
  /** Lines about everything else. */
  otherDamage: number;
}

export interface KeyRow {
  id: number;
  slot: number;
  hash: number;
  key: Buffer;
  byteLength: number;
  cardinality: number;
  deadline: number | null;
  chunkBytes: number;
  deltaBytes: number;
}

/** Takes what can be saved. */
export interface Rescue {
  /** Which logical database each slot is, as far as that can be read. Comes before all keys. */
  databases(numbers: ReadonlyMap<number, number>): void;
  /** Returns whether the key was taken: one that was taken before is not taken again. */
  add(key: KeyRow, value: WholeValue): boolean;
}

interface StoredRow {
  id: number;
}

interface DatabaseRow {
  slot: number;
  number: number;
  keys: number;
  volatileKeys: number;
}

export class Check {
  readonly summary: CheckSummary = { keys: 0, bits: 0, damagedKeys: 0, otherDamage: 0 };
  readonly #connection: Connection;
  readonly #values: Values;
  readonly #events: CheckEvents;
  readonly #keys: Statement<[number, number], KeyRow>;
  readonly #chunks: Statement<[RowId, RowId], ChunkRow & StoredRow>;
  readonly #deltas: Statement<[RowId, RowId], DeltaRow & StoredRow>;
  readonly #name: Statement<[number, number, number]>;
  /** The log's bits, as far as it can be read. */
  readonly #late = new Pending();
  readonly #databases = new Map<number, DatabaseRow>();
  #droppedValues: ReadonlySet<number> = new Set();
  #droppedSlots: ReadonlySet<number> = new Set();
  /** Values that are expressions, of the keys that are not checked yet. */
  #expressions = new Set<number>();
  #rescue: Rescue | undefined;
  readonly #counts = new Map<number, { keys: number; volatileKeys: number }>();
  /** Rows of keys can't be read. */
  #hasGaps = false;
  /** Ids up to this one are checked. */
  #checkedId = 0;

  /** Throws SQLite's error when the tables are not there. */
  constructor(connection: Connection, events: CheckEvents) {
    this.#connection = connection;
    this.#values = new Values(connection);
    this.#events = events;
    this.#keys = connection.prepare(
      `SELECT id, slot, hash, key, byte_length AS byteLength, cardinality, deadline,
         chunk_bytes AS chunkBytes, delta_bytes AS deltaBytes
       FROM keys WHERE id >= ? ORDER BY id LIMIT ?`,
    );
    this.#name = connection.prepare(`SELECT 1 FROM (${ALL_NAMES}) WHERE slot = ? AND hash = ? AND id = ?`);
    this.#chunks = connection.prepare(
      `SELECT chunk >> 16 AS id, chunk & 65535 AS number, portable, checksum
       FROM chunks WHERE chunk BETWEEN ? AND ? ORDER BY chunk`,
    );
    this.#deltas = connection.prepare(
      `SELECT delta >> 16 AS id, delta & 65535 AS number, ones, zeros, checksum
       FROM deltas WHERE delta BETWEEN ? AND ? ORDER BY delta`,
    );
  }

  /** Lets SQLite check its structure: all pages, and the indexes against their tables. */
  structure(): void {
    try {
      const names = this.#treeNames();
      const rows = this.#connection.prepare<[], { integrity_check: string }>(
        `PRAGMA integrity_check(${STRUCTURE_LINES_MAX})`,
      );
      for (const { integrity_check: text } of rows.iterate()) {
        for (const line of text.split("\n").filter((each) => each !== "ok" && !each.startsWith("***"))) {
          this.#damage(`SQLite: ${line.replace(/^Tree (\d+)/, (tree, page) => names.get(Number(page)) ?? tree)}`);
        }
      }
    } catch (error) {
      this.#damage(`SQLite can't check its structure any further: ${reasonOf(error)}`);
    }
  }

  #treeNames(): Map<number, string> {
    const rows = this.#connection.prepare<[], { name: string; page: number }>(
      "SELECT name, rootpage AS page FROM sqlite_schema",
    );
    return new Map(rows.all().map(({ name, page }) => [page, name]));
  }

  /** Checks everything else, some values with each step. What can be saved goes to `rescue`. */
  *run(rescue?: Rescue): Generator<void> {
    this.#rescue = rescue;
    this.#readDatabases();
    this.#droppedValues = this.#listed("dropped_values", "id");
    this.#droppedSlots = this.#listed("dropped_slots", "slot");
    this.#expressions = this.#listed("expressions", "id");
    for (const slot of this.#droppedSlots) {
      if (this.#databases.has(slot)) this.#damage(`slot ${slot} is ${this.#place(slot)} and is to be removed`);
    }
    this.#attempt("the log", () => this.#readLog());
    const slots = [...this.#databases.values()].map(({ slot, number }) => [slot, number] as const);
    this.#rescue?.databases(new Map(slots));
    const all = slots.reduce((sum, [slot]) => sum + (this.#databases.get(slot)?.keys ?? 0), 0);
    const keys = walkRows(
      (from, limit) => this.#keys.all(from, limit),
      ({ id }) => id,
      { first: 1, last: ID_MAX },
    );
    for (const step of keys) {
      if ("gap" in step) this.#unreadableKeys(step.gap);
      else for (const group of groups(step.rows)) this.#group(group);
      this.#events.onProgress(this.summary.keys, all);
      yield;
    }
    this.#orphans(ID_MAX);
    this.#orphanExpressions();
    this.#compareCounts();
    this.#compareNames();
    this.#duplicates();
  }

  #damage(line: string): void {
    this.summary.otherDamage++;
    this.#events.onDamage(line);
  }

  #damagedKey(row: KeyRow, words: readonly string[]): void {
    this.summary.damagedKeys++;
    this.#events.onDamage(`${this.#nameOf(row)}: ${words.join("; ")}`);
  }

  #nameOf({ id, slot, key }: KeyRow): string {
    const shown = Buffer.isBuffer(key) ? showKey(key) : "without a name";
    return `${this.#place(slot)}, key ${shown} (id ${id})`;
  }

  #place(slot: number): string {
    const database = this.#databases.get(slot);
    return database === undefined ? `slot ${slot} of no database` : `database ${database.number}`;
  }

  /** Tells what can't be read, and goes on. */
  #attempt(what: string, read: () => void): void {
    try {
      read();
    } catch (error) {
      this.#damage(`${what} can't be read: ${reasonOf(error)}`);
    }
  }

  #readDatabases(): void {
    this.#attempt("the table of databases", () => {
      const rows = this.#connection.prepare<[], DatabaseRow>(
        "SELECT slot, number, keys, volatile_keys AS volatileKeys FROM databases",
      );
      for (const row of rows.all()) {
        const isNumber = Number.isInteger(row.number) && row.number >= 0 && row.number < DATABASES;
        const isTaken = [...this.#databases.values()].some(({ number }) => number === row.number);
        if (isNumber && !isTaken) this.#databases.set(row.slot, row);
        else this.#damage(`the table of databases has ${isTaken ? "a second" : "a"} database ${row.number}`);
      }
    });
    const numbers = new Set([...this.#databases.values()].map(({ number }) => number));
    const missing = Array.from({ length: DATABASES }, (_, number) => number).filter((number) => !numbers.has(number));
    if (missing.length > 0) this.#damage(`the table of databases is without ${missing.join(", ")}`);
  }

  #listed(table: string, column: string): Set<number> {
    const numbers = new Set<number>();
    this.#attempt(`the table ${table}`, () => {
      const rows = this.#connection.prepare<[], { number: number }>(`SELECT ${column} AS number FROM ${table}`);
      for (const { number } of rows.iterate()) numbers.add(number);
    });
    return numbers;
  }

  #readLog(): void {
    const query = this.#connection.prepare<[number, number], LogRow>(
      "SELECT batch, words, checksum FROM log WHERE batch >= ? ORDER BY batch LIMIT ?",
    );
    const rows = walkRows(
      (from, limit) => query.all(from, limit),
      ({ batch }) => batch,
      {
        first: 1,
        last: Number.MAX_SAFE_INTEGER,
      },
    );
    for (const step of rows) {
      if ("gap" in step) this.#damage(`the log's rows ${numbers(step.gap)} can't be read: ${step.gap.reason}`);
      else for (const row of step.rows) this.#logRow(row);
    }
  }

  #logRow(row: LogRow): void {
    const name = `log row ${row.batch}`;
    if (!isLogRow(row)) {
      return this.#damage(`${name} is not what was written: bits that are nowhere else are lost with it`);
    }
    this.#attempt(name, () => this.#late.append(row.words));
  }

  /** Keys whose rows are lost: the index still tells how many, and where they were. */
  #unreadableKeys(gap: Gap): void {
    const lost = this.#indexedIds(gap);
    if (lost === undefined || lost.length === 0) {
      this.#damage(`keys with ids ${numbers(gap)} can't be read: ${gap.reason}`);
    }
    for (const { id, slot } of lost ?? []) {
      this.summary.damagedKeys++;
      this.#events.onDamage(
        `${this.#place(slot)}, a key whose name is lost (id ${id}): its row can't be read: ${gap.reason}`,
      );
    }
    this.#hasGaps = true;
    // The values of these ids are no orphans.
    this.#checkedId = gap.last;
  }

  #indexedIds({ first, last }: Gap): { id: number; slot: number }[] | undefined {
    try {
      return this.#connection
        .prepare<[number, number], { id: number; slot: number }>(
          `SELECT id, slot FROM (${ALL_NAMES}) WHERE id BETWEEN ? AND ? ORDER BY id`,
        )
        .all(first, last);
    } catch {
      return undefined; // the index is damaged as well, which SQLite's own check has told
    }
  }

  /** Checks keys that follow each other, with their values. */
  #group(rows: readonly KeyRow[]): void {
    const last = (rows.at(-1) as KeyRow).id;
    const values = this.#readGroup(this.#checkedId + 1, last);
    for (const row of rows) {
      this.#key(row, values?.get(row.id) ?? this.#readValue(row.id));
      values?.delete(row.id);
    }
    for (const [id, { chunks, deltas }] of values ?? []) this.#orphan(id, chunks.length + deltas.length);
    if (values !== undefined) this.#checkedId = last;
    else {
      // Only what lies between the keys is asked for: it may be all that can be read.
      for (const { id } of rows) {
        this.#orphans(id - 1);
        this.#checkedId = id;
      }
    }
  }

  /** All values of a range of ids; undefined when something in it can't be read. */
  #readGroup(first: number, last: number): Map<number, { chunks: ChunkRow[]; deltas: DeltaRow[] }> | undefined {
    const values = new Map<number, { chunks: ChunkRow[]; deltas: DeltaRow[] }>();
    const value = (id: number) => {
      const made = values.get(id) ?? { chunks: [], deltas: [] };
      values.set(id, made);
      return made;
    };
    try {
      for (const row of this.#chunks.all(...rowRange(first, last))) value(row.id).chunks.push(row);
      for (const row of this.#deltas.all(...rowRange(first, last))) value(row.id).deltas.push(row);
      return values;
    } catch {
      return undefined; // each value is tried by itself
    }
  }

  /** One value's rows as far as they can be read. */
  #readValue(id: number): ValueRows {
    const rows: ValueRows & { chunks: ChunkRow[]; deltas: DeltaRow[] } = { chunks: [], deltas: [] };
    const read = <Row>(into: Row[], from: Statement<[RowId, RowId], Row>) => {
      try {
        for (const row of from.iterate(...rowRange(id, id))) into.push(row);
      } catch (error) {
        rows.unreadable = reasonOf(error);
      }
    };
    read(rows.chunks, this.#chunks);
    read(rows.deltas, this.#deltas);
    return rows;
  }

  #key(row: KeyRow, rows: ValueRows): void {
    const isExpression = this.#expressions.delete(row.id);
    // A database that was emptied: the rows wait for their removal.
    if (this.#droppedSlots.has(row.slot) && !this.#databases.has(row.slot)) return;
    this.summary.keys++;
    if (!isKeyRow(row)) return this.#damagedKey(row, ["its row is not what was written", ...this.#leftOut()]);
    const count = this.#counts.get(row.slot) ?? { keys: 0, volatileKeys: 0 };
    this.#counts.set(row.slot, count);
    count.keys++;
    if (row.deadline !== null) count.volatileKeys++;

    const problems: string[] = [];
    const hasName = this.#hasName(row, problems);
    // Which database a slot was may be what is lost.
    const hasPlace = this.#databases.has(row.slot) || this.#databases.size < DATABASES;
    if (!hasPlace) problems.push("no database has its slot");
    let kept: WholeValue | undefined;
    const keep = (value: WholeValue) => {
      kept = value;
    };
    const findings = isExpression
      ? checkExpression(this.#values, row.id, rows, (id) => this.#late.changes(id), this.#rescue && keep)
      : checkValue(row.id, row, rows, this.#late.row(row.id), this.#rescue && keep);
    problems.push(...findings.problems);
    if (findings.isWhole) this.summary.bits += findings.cardinality;
    else problems.push(`${findings.readable} can be read`);
    const isSaved = kept !== undefined && hasName && hasPlace && this.#rescue?.add(row, kept) === true;
    if (problems.length === 0 && (isSaved || this.#rescue === undefined)) return;
    this.#damagedKey(row, [...problems, ...(isSaved ? ["saved as its bits are"] : this.#leftOut())]);
  }

  #leftOut(): string[] {
    return this.#rescue === undefined ? [] : ["left out"];
  }

  /** Whether the key is what was written: its hash says so, or the index' copy of its hash does. */
  #hasName(row: KeyRow, problems: string[]): boolean {
    const hash = keyHash(row.key.toString("latin1"));
    if (hash === row.hash) {
      if (this.#isIndexed(row, hash) === false) problems.push("it is not in the index of names");
      return true;
    }
    problems.push(`its hash is ${row.hash}, that of its name is ${hash}`);
    return this.#isIndexed(row, hash) === true;
  }

  /** undefined where the index can't be read, which SQLite's own check has told. */
  #isIndexed({ slot, id }: KeyRow, hash: number): boolean | undefined {
    try {
      return this.#name.get(slot, hash, id) !== undefined;
    } catch {
      return undefined;
    }
  }

  /** Looks for values without a key, up to an id. Nothing lies between ids that follow each other. */
  #orphans(last: number): void {
    if (last <= this.#checkedId) return;
    const rows = new Map<number, number>();
    for (const [table, column] of [
      ["chunks", "chunk"],
      ["deltas", "delta"],
    ]) {
      try {
        const query = this.#connection.prepare<[RowId, RowId], { id: number; count: number }>(
          `SELECT ${column} >> 16 AS id, count(*) AS count FROM ${table} WHERE ${column} BETWEEN ? AND ? GROUP BY 1`,
        );
        for (const { id, count } of query.iterate(...rowRange(this.#checkedId + 1, last))) {
          rows.set(id, (rows.get(id) ?? 0) + count);
        }
      } catch {
        // It is damage to the tree, which SQLite's own check has told; no key is concerned.
      }
    }
    for (const [id, count] of rows) this.#orphan(id, count);
  }

  #orphan(id: number, rows: number): void {
    if (!this.#droppedValues.has(id)) this.#damage(`the value with id ${id}, of ${rows} rows, belongs to no key`);
  }

  /** Those of keys that can't be read are none. */
  #orphanExpressions(): void {
    if (this.#hasGaps) return;
    for (const id of this.#expressions) this.#damage(`the expression with id ${id} belongs to no key`);
  }

  #compareCounts(): void {
    for (const { slot, number, keys, volatileKeys } of this.#databases.values()) {
      const found = this.#counts.get(slot) ?? { keys: 0, volatileKeys: 0 };
      if (found.keys !== keys) this.#damage(`database ${number} counts ${keys} keys, there are ${found.keys}`);
      if (found.volatileKeys !== volatileKeys) {
        this.#damage(`database ${number} counts ${volatileKeys} keys with a deadline, there are ${found.volatileKeys}`);
      }
    }
  }

  /** Each key's name was looked up; here it is the names that no key has. Where keys can't be read that can't be said. */
  #compareNames(): void {
    if (this.#hasGaps) return;
    this.#attempt("the index of names", () => {
      const count = this.#connection.prepare<[], { slot: number; names: number }>(
        `SELECT slot, sum(names) AS names FROM (
           SELECT slot, count(*) AS names FROM names GROUP BY slot
           UNION ALL SELECT slot, count(*) FROM new_names GROUP BY slot
         ) GROUP BY slot`,
      );
      for (const { slot, names } of count.all()) {
        const keys = this.#counts.get(slot)?.keys ?? 0;
        const isDropped = this.#droppedSlots.has(slot) && !this.#databases.has(slot);
        if (!isDropped && names > keys) {
          this.#damage(`the index has ${names} names of ${this.#place(slot)}, there are ${keys} keys`);
        }
      }
    });
  }

  /** A name stands for one key. */
  #duplicates(): void {
    this.#attempt("the index of names", () => {
      const same = this.#connection
        .prepare<[], { slot: number; hash: number }>(
          `SELECT slot, hash FROM (${ALL_NAMES}) GROUP BY slot, hash HAVING count(*) > 1`,
        )
        .all();
      const keys = this.#connection.prepare<[number, number], { key: Buffer }>(
        `SELECT key FROM keys WHERE id IN (SELECT id FROM (${ALL_NAMES}) WHERE slot = ? AND hash = ?)`,
      );
      for (const { slot, hash } of same) {
        const names = keys.all(slot, hash).map(({ key }) => key.toString("latin1"));
        const twice = new Set(names.filter((name, i) => names.indexOf(name) < i));
        for (const name of twice)
          this.#damage(`${this.#place(slot)} has key ${showKey(Buffer.from(name, "latin1"))} more than once`);
      }
    });
  }
}

/** Cuts keys into groups whose values are read together. */
function* groups(rows: readonly KeyRow[]): Generator<KeyRow[]> {
  let group: KeyRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    group.push(row);
    bytes += Number(row.chunkBytes) + Number(row.deltaBytes);
    if (bytes < GROUP_BYTES_MAX) continue;
    yield group;
    group = [];
    bytes = 0;
  }
  if (group.length > 0) yield group;
}

function rowRange(firstId: number, lastId: number): [RowId, RowId] {
  return [rowId(firstId, 0), rowId(lastId, VALUE_ROWS_MAX - 1)];
}

/** SQLite gives what it finds in a row, whatever the column's type. */
function isKeyRow({ key, deadline, ...numbers }: KeyRow): boolean {
  const isDeadline = deadline === null || Number.isInteger(deadline);
  return Buffer.isBuffer(key) && isDeadline && Object.values(numbers).every(Number.isInteger);
}

function numbers({ first, last }: Gap): string {
  if (last >= ID_MAX) return `from ${first} on`;
  return first === last ? String(first) : `${first} to ${last}`;
}
