/**
 * Keys that were looked for in the storage and are not there: asking it again takes ten times as long. Only the keyspace makes keys, and
 * takes each out of here that it makes. As many are kept as are a small part of a server's memory.
 */
import { ABSENT_KEY_LENGTH_MAX, ABSENT_KEYS_MAX } from "../config.js";

export class AbsentKeys {
  readonly #keys = new Set<string>();

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  add(key: string): void {
    if (key.length > ABSENT_KEY_LENGTH_MAX) return;
    if (this.#keys.size >= ABSENT_KEYS_MAX) this.#keys.clear();
    this.#keys.add(key);
  }

  delete(key: string): void {
    this.#keys.delete(key);
  }
}
