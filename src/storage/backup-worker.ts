/** A backup's thread: one copy, then it ends. A failure ends it with the error. */
import { workerData } from "node:worker_threads";
import { backup } from "./backup.js";
import { ReadOnlyFile } from "./look.js";
import type { BackupData } from "./messages.js";

const CACHE_KIB = 2048;

const { path, target } = workerData as BackupData;
const file = new ReadOnlyFile(path, { cacheKib: CACHE_KIB });
try {
  backup(file.connection, target);
} finally {
  file.close();
}
