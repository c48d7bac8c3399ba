/** The writer's loop, in this thread: batches in order, one that fails again and again until it is committed. */
import { EventEmitter } from "node:events";
import { afterEach, describe, expect, test, vi } from "vitest";
import { FLUSH_RETRY_MS } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { ChangeLog } from "../../../src/keyspace/change-log.js";
import { Database } from "../../../src/keyspace/database.js";
import { Entry } from "../../../src/keyspace/entry.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import type { WriterReport, WriterRequest } from "../../../src/storage/messages.js";
import { connect, createSchema } from "../../../src/storage/schema.js";
import { runWriter } from "../../../src/storage/writer-loop.js";
import { temporaryFolder } from "./files.js";

class Port extends EventEmitter {
  readonly reports: WriterReport[] = [];
  isClosed = false;

  postMessage(report: WriterReport): void {
    this.reports.push(report);
  }

  close(): void {
    this.isClosed = true;
  }

  ask(request: WriterRequest): void {
    this.emit("message", request);
  }
}

function setUp() {
  const path = temporaryFolder()("data.db");
  const connection = connect(path, 100);
  createSchema(connection);
  connection.pragma("journal_mode = WAL");
  const port = new Port();
  runWriter(port, { path, synchronous: "NORMAL" });
  const log = new ChangeLog();
  const creating = (id: number) => {
    log.create(new Entry(id, new Database(0, 0, 0, 0), `k${id}`, NO_DEADLINE, new Bitmap(), 0));
    return log.take().batch;
  };
  const ids = () => connection.prepare("SELECT id FROM keys ORDER BY id").pluck().all();
  /** From now on, or no more, every insert into the table of keys fails. */
  const failing = (isFailing: boolean) =>
    connection.exec(
      isFailing
        ? "CREATE TRIGGER full BEFORE INSERT ON keys BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        : "DROP TRIGGER full",
    );
  return { connection, port, creating, ids, failing };
}

afterEach(() => {
  vi.useRealTimers();
});

describe("the writer", () => {
  test("commits batches and says so in their order", () => {
    const { port, creating, ids } = setUp();
    for (const id of [1, 2, 3]) port.ask({ batch: creating(id) });
    expect(port.reports).toEqual([1, 2, 3].map((number) => ({ kind: "committed", number })));
    expect(ids()).toEqual([1, 2, 3]);
    port.ask({ close: true });
  });

  test("tries a batch that fails again until it is committed, and keeps the later ones behind it", () => {
    vi.useFakeTimers();
    const { port, creating, ids, failing } = setUp();
    failing(true);
    port.ask({ batch: creating(1) });
    port.ask({ batch: creating(2) });
    expect(port.reports).toEqual([{ kind: "failed", number: 1, reason: "disk full" }]);
    vi.advanceTimersByTime(FLUSH_RETRY_MS);
    vi.advanceTimersByTime(FLUSH_RETRY_MS);
    expect(port.reports.filter(({ kind }) => kind === "failed")).toHaveLength(3);
    expect(ids()).toEqual([]);
    failing(false);
    vi.advanceTimersByTime(FLUSH_RETRY_MS);
    expect(port.reports.slice(3)).toEqual([
      { kind: "committed", number: 1 },
      { kind: "committed", number: 2 },
    ]);
    expect(ids()).toEqual([1, 2]);
    vi.advanceTimersByTime(FLUSH_RETRY_MS * 5);
    expect(port.reports).toHaveLength(5);
    port.ask({ close: true });
  });

  test("closes after what was asked before, also when that has to be tried again", () => {
    vi.useFakeTimers();
    const { port, creating, ids, failing } = setUp();
    failing(true);
    port.ask({ batch: creating(1) });
    port.ask({ close: true });
    expect(port.isClosed).toBe(false);
    failing(false);
    vi.advanceTimersByTime(FLUSH_RETRY_MS);
    expect(port.reports.at(-1)).toEqual({ kind: "closed" });
    expect(port.isClosed).toBe(true);
    expect(ids()).toEqual([1]);
  });

  test("changes how it syncs between two batches", () => {
    const { port, creating } = setUp();
    port.ask({ batch: creating(1) });
    port.ask({ synchronous: "FULL" });
    port.ask({ batch: creating(2) });
    expect(port.reports.map(({ kind }) => kind)).toEqual(["committed", "committed"]);
    port.ask({ close: true });
  });
});
