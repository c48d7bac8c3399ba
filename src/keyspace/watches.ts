/** WATCH: who wants to know when a key changes. A watch is told once, by `touched`, and stays until it is dropped. */

export interface Watcher {
  /** A key that it watches was changed, or died. */
  touched(): void;
}

export class Watches {
  /** Watchers by key, by database number. Empty sets and maps are dropped, so that `touch` is cheap where nobody watches. */
  readonly #databases = new Map<number, Map<string, Set<Watcher>>>();

  /** Nobody watches anything. */
  get isEmpty(): boolean {
    return this.#databases.size === 0;
  }

  add(database: number, key: string, watcher: Watcher): void {
    const keys = this.#databases.get(database) ?? new Map<string, Set<Watcher>>();
    const watchers = keys.get(key) ?? new Set<Watcher>();
    watchers.add(watcher);
    keys.set(key, watchers);
    this.#databases.set(database, keys);
  }

  delete(database: number, key: string, watcher: Watcher): void {
    const keys = this.#databases.get(database);
    const watchers = keys?.get(key);
    if (keys === undefined || watchers === undefined) return;
    watchers.delete(watcher);
    if (watchers.size === 0) keys.delete(key);
    if (keys.size === 0) this.#databases.delete(database);
  }

  touch(database: number, key: string): void {
    const watchers = this.#databases.get(database)?.get(key);
    if (watchers === undefined) return;
    for (const watcher of watchers) watcher.touched();
  }

  /** Touches every watched key of a database for which `concerns` holds. */
  touchAll(database: number, concerns: (key: string) => boolean): void {
    for (const [key, watchers] of this.#databases.get(database) ?? []) {
      if (!concerns(key)) continue;
      for (const watcher of watchers) watcher.touched();
    }
  }
}
