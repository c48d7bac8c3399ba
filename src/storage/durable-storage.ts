/** What the server asks of a storage beyond the keyspace's contract, and what a storage tells the server. */
import type { AppendFsync } from "../config.js";
import type { Storage } from "../keyspace/storage.js";

/** What the server, beyond the keyspace, does with a storage. */
export interface DurableStorage extends Storage {
  setAppendfsync(appendfsync: AppendFsync): void;
  /** Copies what is committed to `target`, whole or not at all. */
  backup(target: string): Promise<void>;
  /** Asks that holes in the C library's heap, which all threads share, go back to the system. */
  trimHeap(): void;
  /** Resolves when all that was written is committed, or with `discard` given up, and nothing is open any more. */
  close(options?: { discard: boolean }): Promise<void>;
}

/** What a storage tells of itself. */
export interface StorageEvents {
  /** Reading finds everything that the batches up to this one have changed. */
  onSettled(batch: number): void;
  /** A commit failed. It is tried again until it succeeds. */
  onWriteFailed(reason: string): void;
  /** A commit succeeded, or what had failed. */
  onWritten(): void;
  /** Something the operator should know, one line. */
  onWarning(message: string): void;
  /** It can't write any more at all. */
  onDied(error: Error): void;
}
