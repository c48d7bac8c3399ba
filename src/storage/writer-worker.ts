/** The writer's thread: waits for batches and hands them to the Applier. Kept tiny; the logic is in modules that tests load. */
import { parentPort, workerData } from "node:worker_threads";
import type { WriterData } from "./messages.js";
import { runWriter } from "./writer-loop.js";

if (parentPort === null) throw new Error("writer-worker runs as a worker thread only");
runWriter(parentPort, workerData as WriterData);
