/** A backup in a thread of its own: SQLite copies in one long call, and whoever asked goes on meanwhile. */
import { Worker } from "node:worker_threads";
import { limitYoungSpace } from "../v8-flags.js";
import type { BackupData } from "./messages.js";

/** Copies what is committed in `path` to `target`, whole or not at all. Rejects with the reason. */
export function backupInThread(path: string, target: string): Promise<void> {
  const workerData: BackupData = { path, target };
  const worker = new Worker(new URL("./backup-worker.js", import.meta.url), { workerData });
  worker.on("online", limitYoungSpace);
  return new Promise((resolve, reject) => {
    worker.on("error", reject);
    worker.on("exit", () => resolve());
  });
}
