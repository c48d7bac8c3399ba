/** What the writer's thread does: commits batches in the order they come, and tries one again until it is committed. */
import { FLUSH_RETRY_MS, WRITER_CACHE_KIB } from "../config.js";
import { Applier } from "./applier.js";
import type { WriterData, WriterReport, WriterRequest } from "./messages.js";
import { connect } from "./schema.js";

/** What the loop needs of the thread's port. */
export interface WriterPort {
  on(event: "message", listener: (request: WriterRequest) => void): unknown;
  postMessage(report: WriterReport): void;
  close(): void;
}

export function runWriter(port: WriterPort, data: WriterData): void {
  const connection = connect(data.path, WRITER_CACHE_KIB);
  connection.pragma(`synchronous = ${data.synchronous}`);
  const applier = new Applier(connection);
  const queue: WriterRequest[] = [];
  let retrying = false;

  const report = (message: WriterReport) => port.postMessage(message);

  /** Answers whether the request is done with. */
  const perform = ({ batch, synchronous, close }: WriterRequest): boolean => {
    if (synchronous !== undefined) connection.pragma(`synchronous = ${synchronous}`);
    if (batch !== undefined) {
      try {
        applier.apply(batch);
      } catch (error) {
        report({
          kind: "failed",
          number: batch.number,
          reason: error instanceof Error ? error.message : String(error),
        });
        return false;
      }
      report({ kind: "committed", number: batch.number });
    }
    if (close === true) {
      connection.close();
      report({ kind: "closed" });
      port.close();
    }
    return true;
  };

  const work = () => {
    retrying = false;
    for (let request = queue[0]; request !== undefined; request = queue[0]) {
      if (!perform(request)) {
        retrying = true;
        setTimeout(work, FLUSH_RETRY_MS);
        return;
      }
      queue.shift();
    }
  };

  port.on("message", (request: WriterRequest) => {
    queue.push(request);
    if (!retrying) work();
  });
}
