/**
 * Writes what a check can read into a new database: keys whose value is whole, with figures and checksums made anew, folded, and
 * without a log. A value of which a part is lost is not the value, so its key is left out: an answer that is wrong without
 * a word would be worse than a key that is missing and was named.
 */
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Statement } from "better-sqlite3";
import { DATABASES, WRITER_CACHE_KIB } from "../config.js";
import { StartError } from "../errors.js";
import { keyHash } from "../keyspace/hash.js";
import type { KeyRow, Rescue } from "./check.js";
import { type Connection, connect, createSchema } from "./schema.js";
import type { WholeValue } from "./value-check.js";
import { Values } from "./values.js";
import { checkTarget, publish, removeLeftovers, removeTemporary, temporaryName } from "./whole-file.js";

export class Repair implements Rescue {
  readonly #target: string;
  readonly #connection: Connection;
  readonly #values: Values;
  readonly #find: Statement<[number, number, Buffer]>;
  readonly #insert: Statement<[number, number, number, Buffer, number, number, number | null, number]>;
  /** Each slot's database. */
  readonly #numbers = new Map<number, number>();
  readonly #counts = new Map<number, { keys: number; volatileKeys: number }>();
  /** Slots whose database was not known, and the one that they became. */
  readonly assigned = new Map<number, number>();
  keys = 0;

  /** Throws StartError when `target` is there already, or its folder is not. */
  static refuse(target: string): void {
    if (existsSync(target)) throw new StartError(`${target} is there already: the repaired file must be a new one`);
    const folder = dirname(resolve(target));
    if (!existsSync(folder)) throw new StartError(`there is no folder ${folder}`);
    checkTarget(target);
  }

  constructor(target: string) {
    this.#target = target;
    removeLeftovers(target);
    removeTemporary(target);
    this.#connection = connect(temporaryName(target), WRITER_CACHE_KIB);
    // Nobody else has this file yet, and it is synced before anyone may.
    this.#connection.pragma("journal_mode = OFF");
    this.#connection.pragma("synchronous = OFF");
    createSchema(this.#connection);
    this.#connection.exec("BEGIN");
    this.#values = new Values(this.#connection);
    this.#find = this.#connection.prepare("SELECT 1 FROM keys WHERE slot = ? AND hash = ? AND key = ?");
    this.#insert = this.#connection.prepare(
      `INSERT INTO keys (id, slot, hash, key, byte_length, cardinality, deadline, chunk_bytes, delta_bytes)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)`,
    );
  }

  databases(numbers: ReadonlyMap<number, number>): void {
    for (const [slot, number] of numbers) this.#numbers.set(slot, number);
  }

  add({ id, slot, key, deadline }: KeyRow, { portable, byteLength, cardinality }: WholeValue): boolean {
    const hash = keyHash(key.toString("latin1"));
    if (this.#find.get(slot, hash, key) !== undefined || !this.#hasNumber(slot)) return false;
    this.#insert.run(id, slot, hash, key, byteLength, cardinality, deadline, this.#values.insert(id, portable));
    const count = this.#counts.get(slot) ?? { keys: 0, volatileKeys: 0 };
    this.#counts.set(slot, count);
    count.keys++;
    if (deadline !== null) count.volatileKeys++;
    this.keys++;
    return true;
  }

  /** A slot of no known database becomes the one of its own number, which it was at first, or else one that is free. */
  #hasNumber(slot: number): boolean {
    if (this.#numbers.has(slot)) return true;
    const taken = new Set(this.#numbers.values());
    const free = Array.from({ length: DATABASES }, (_, number) => number).filter((number) => !taken.has(number));
    const number = free.includes(slot) ? slot : free[0];
    if (number === undefined) return false;
    this.#numbers.set(slot, number);
    this.assigned.set(slot, number);
    return true;
  }

  /** Gives the file its name. */
  finish(): void {
    this.#writeDatabases();
    this.#connection.exec("COMMIT");
    this.#connection.close();
    Repair.refuse(this.#target);
    publish(this.#target);
  }

  /** Every database needs a slot: one that is new where no key of it was found. */
  #writeDatabases(): void {
    const slots = new Map([...this.#numbers].map(([slot, number]) => [number, slot]));
    let newSlot = Math.max(DATABASES - 1, ...this.#numbers.keys()) + 1;
    this.#connection.exec("DELETE FROM databases");
    const insert = this.#connection.prepare(
      "INSERT INTO databases (slot, number, keys, volatile_keys) VALUES (?, ?, ?, ?)",
    );
    for (let number = 0; number < DATABASES; number++) {
      const slot = slots.get(number) ?? newSlot++;
      const { keys, volatileKeys } = this.#counts.get(slot) ?? { keys: 0, volatileKeys: 0 };
      insert.run(slot, number, keys, volatileKeys);
    }
  }

  /** Leaves nothing behind. Does nothing after `finish`. */
  discard(): void {
    this.#connection.close();
    removeTemporary(this.#target);
  }
}
