/** A backup's thread: one copy, then it ends. A failure ends it with the error. */
import { workerData } from "node:worker_threads";
import { backup } from "./backup.js";
import type { BackupData } from "./messages.js";
import { connect } from "./schema.js";

const CACHE_KIB = 2048;

const { path, target } = workerData as BackupData;
const connection = connect(path, CACHE_KIB);
try {
  backup(connection, target);
} finally {
  connection.close();
}
