/** What the server's thread and the storage's threads say to each other. Only plain data crosses. */

export interface WriterData {
  path: string;
  /** SQLite's `synchronous`: FULL syncs each commit, NORMAL only checkpoints. */
  synchronous: "FULL" | "NORMAL";
}

export interface WriterRequest {
  /** A batch's number and its words, whose buffer is handed over; or the request to change `synchronous`. */
  batch?: { number: number; words: Uint32Array };
  synchronous?: WriterData["synchronous"];
  close?: true;
}

export type WriterReport =
  | { kind: "committed"; number: number }
  /** The commit failed and is tried again. */
  | { kind: "failed"; number: number; reason: string }
  | { kind: "closed" };

export interface BackupData {
  path: string;
  target: string;
}
