/** What the server's thread and the storage's threads say to each other. Only plain data crosses, and the memory of batches. */
import type { WriterFigures } from "./writer.js";

export interface WriterData {
  path: string;
  /** SQLite's `synchronous`: FULL syncs each commit, NORMAL only checkpoints. */
  synchronous: "FULL" | "NORMAL";
}

export interface WriterRequest {
  /** A batch's number and its words, which are the writer's until it has committed. */
  batch?: { number: number; words: Uint32Array };
  /** The request to change `synchronous`. */
  synchronous?: WriterData["synchronous"];
  /** Force what is committed to the disk; the number comes back. */
  sync?: number;
  /** Bring the log home soon. */
  settle?: true;
  /** Give back what the C library's heap has no use for. */
  trim?: true;
  close?: true;
}

export type WriterReport =
  /** `words` is the batch's memory, given back. */
  | { kind: "committed"; number: number; words: Uint32Array; figures: WriterFigures }
  /** The file's tables hold everything up to this batch. */
  | { kind: "settled"; number: number; figures: WriterFigures }
  /** A commit, or a slice of the writer's own work, failed and is tried again. */
  | { kind: "failed"; reason: string }
  /** Nothing fails any more. */
  | { kind: "recovered" }
  | { kind: "synced"; number: number }
  | { kind: "warning"; message: string }
  | { kind: "closed" };

export interface BackupData {
  path: string;
  target: string;
}

/** What is to be handed over with words: memory that is not shared, which is nobody else's then. */
export function transferOf({ buffer }: Uint32Array): ArrayBuffer[] {
  return buffer instanceof ArrayBuffer ? [buffer] : [];
}
