/** The writer's thread: waits for batches and hands them to the Writer. Kept tiny; the logic is in modules that tests load. */
import { readlinkSync } from "node:fs";
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { WRITER_NICENESS } from "../config.js";
import type { WriterData } from "./messages.js";
import { runWriter } from "./writer-loop.js";

if (parentPort === null) throw new Error("writer-worker runs as a worker thread only");
yieldToServer();
runWriter(parentPort, workerData as WriterData);

/** Where both threads share a core, the one that answers clients goes first. Linux alone has priorities for single threads. */
function yieldToServer(): void {
  if (process.platform !== "linux") return;
  try {
    const thread = Number(readlinkSync("/proc/thread-self").split("/").at(-1));
    setPriority(thread, WRITER_NICENESS);
  } catch {
    // A container may have no /proc, or forbid it: then they share evenly.
  }
}
