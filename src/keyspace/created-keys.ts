/**
 * The keys of one database whose rows are not in the file yet, so that listings can add them to what the file has. They are kept
 * by batch, since a commit brings a whole batch into the file, and within it by hash, since SCAN goes by it.
 */
import type { EntryTable } from "./entry-table.js";
import { HASH_MAX, keyHash } from "./hash.js";

const BUCKETS = 4096;
const BUCKET_HASHES = (HASH_MAX + 1) / BUCKETS;

/** Numbers of entries. */
type Buckets = (Set<number> | undefined)[];

export interface CreatedKey {
  entry: number;
  hash: number;
  key: string;
}

export class CreatedKeys {
  readonly #entries: EntryTable;
  readonly #batches = new Map<number, Buckets>();

  constructor(entries: EntryTable) {
    this.#entries = entries;
  }

  /** The entry's `createdIn` says in which batch. */
  add(entry: number): void {
    const batch = this.#entries.createdIn(entry);
    let buckets = this.#batches.get(batch);
    if (buckets === undefined) {
      buckets = new Array<undefined>(BUCKETS);
      this.#batches.set(batch, buckets);
    }
    const bucket = this.#bucketOf(entry);
    const set = buckets[bucket];
    if (set === undefined) buckets[bucket] = new Set([entry]);
    else set.add(entry);
  }

  delete(entry: number): void {
    if (this.#batches.size === 0) return;
    const buckets = this.#batches.get(this.#entries.createdIn(entry));
    buckets?.[this.#bucketOf(entry)]?.delete(entry);
  }

  /** The rows of a batch, and of all before it, are in the file. */
  committed(batch: number): void {
    for (const number of this.#batches.keys()) if (number <= batch) this.#batches.delete(number);
  }

  *[Symbol.iterator](): Generator<number, void> {
    for (const buckets of this.#batches.values()) for (const bucket of buckets) if (bucket !== undefined) yield* bucket;
  }

  /**
   * All keys with a hash in `first`..`last`, both included, where `last` is the given one or, when there are more than about
   * `limit`, as much less as leaves so many.
   */
  page(first: number, last: number, limit: number): { keys: CreatedKey[]; last: number } {
    const keys: CreatedKey[] = [];
    if (this.#batches.size === 0) return { keys, last };
    const end = bucketOfHash(last);
    for (let bucket = bucketOfHash(first); bucket <= end; bucket++) {
      for (const buckets of this.#batches.values()) {
        for (const entry of buckets[bucket] ?? []) {
          const key = this.#entries.key(entry);
          const hash = keyHash(key);
          if (hash >= first && hash <= last) keys.push({ entry, hash, key });
        }
      }
      if (keys.length >= limit && bucket < end) return { keys, last: (bucket + 1) * BUCKET_HASHES - 1 };
    }
    return { keys, last };
  }

  #bucketOf(entry: number): number {
    return bucketOfHash(keyHash(this.#entries.key(entry)));
  }
}

function bucketOfHash(hash: number): number {
  return Math.floor(hash / BUCKET_HASHES);
}
