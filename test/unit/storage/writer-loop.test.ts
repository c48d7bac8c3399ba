/**
 * The writer's loop, in this thread: batches in order, one that fails again and again until it is committed, and the work
 * between them when there is time for it.
 */
import { EventEmitter } from "node:events";
import { afterEach, describe, expect, test, vi } from "vitest";
import { FLUSH_RETRY_MS, FOLD_IDLE_MS, FOLD_SLICE_MS, MIB, REST_MS } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import type { Database } from "../../../src/keyspace/database.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { collectAll } from "../../../src/passing-buffer.js";
import type { WriterReport, WriterRequest } from "../../../src/storage/messages.js";
import { connect, createSchema } from "../../../src/storage/schema.js";
import { runWriter } from "../../../src/storage/writer-loop.js";
import { buffersDownTo } from "../../support/buffers.js";
import { hasGlibc, makeHoles } from "../../support/heap-holes.js";
import { temporaryFolder } from "../../support/temporary-folder.js";
import { keyBytes } from "../keyspace/bytes.js";
import { StorageInHand } from "../keyspace/sqlite.js";
import { rowCounts } from "./file-checks.js";

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
  // Makes the batches. What it has changed stays in its memory: it never reads them back.
  const keyspace = new Keyspace(new StorageInHand(), { now: () => 0 }, () => 0);
  const database = keyspace.databases[0] as Database;
  const creating = (key: string) => {
    keyspace.create(database, key, new Bitmap());
    return keyspace.takeBatch();
  };
  const setting = (key: string, offset: number) => {
    keyspace.setBit(database, keyBytes(key), offset, 1);
    return keyspace.takeBatch();
  };
  const emptying = () => {
    keyspace.flush(database);
    return keyspace.takeBatch();
  };
  const keys = () => connection.prepare("SELECT CAST(key AS TEXT) FROM keys ORDER BY id").pluck().all();
  const kinds = () =>
    port.reports.map((report) => ("number" in report ? `${report.kind} ${report.number}` : report.kind));
  /** From now on, or no more, these fail. */
  const failing = (isFailing: boolean, what = "INSERT ON keys") =>
    connection.exec(
      isFailing
        ? `CREATE TRIGGER full BEFORE ${what} BEGIN SELECT RAISE(ABORT, 'disk full'); END`
        : "DROP TRIGGER full",
    );
  return { path, connection, port, creating, setting, emptying, keys, kinds, failing };
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe("the writer", () => {
  test("commits batches and says so in their order, and that what is new is settled at once", () => {
    const { port, creating, keys, kinds } = setUp();
    for (const key of ["a", "b", "c"]) port.ask({ batch: creating(key) });
    expect(kinds()).toEqual(["committed 1", "settled 1", "committed 2", "settled 2", "committed 3", "settled 3"]);
    expect(keys()).toEqual(["a", "b", "c"]);
    port.ask({ close: true });
  });

  test("tries a batch that fails again until it is committed, and keeps the later ones behind it", () => {
    vi.useFakeTimers();
    const { port, creating, keys, kinds, failing } = setUp();
    failing(true);
    port.ask({ batch: creating("a") });
    port.ask({ batch: creating("b") });
    expect(port.reports).toEqual([{ kind: "failed", reason: "disk full" }]);
    vi.advanceTimersByTime(FLUSH_RETRY_MS);
    vi.advanceTimersByTime(FLUSH_RETRY_MS);
    expect(kinds()).toEqual(["failed", "failed", "failed"]);
    expect(keys()).toEqual([]);
    failing(false);
    vi.advanceTimersByTime(FLUSH_RETRY_MS);
    expect(kinds().slice(3)).toEqual(["committed 1", "settled 1", "committed 2", "settled 2", "recovered"]);
    expect(keys()).toEqual(["a", "b"]);
    vi.advanceTimersByTime(FLUSH_RETRY_MS * 5);
    expect(port.reports).toHaveLength(8);
    port.ask({ close: true });
  });

  test("closes after what was asked before, also when that has to be tried again", () => {
    vi.useFakeTimers();
    const { port, creating, keys, failing } = setUp();
    failing(true);
    port.ask({ batch: creating("a") });
    port.ask({ close: true });
    expect(port.isClosed).toBe(false);
    failing(false);
    vi.advanceTimersByTime(FLUSH_RETRY_MS);
    expect(port.reports.at(-1)).toEqual({ kind: "closed" });
    expect(port.isClosed).toBe(true);
    expect(keys()).toEqual(["a"]);
  });

  test("changes how it syncs between two batches", () => {
    const { port, creating, kinds } = setUp();
    port.ask({ batch: creating("a") });
    port.ask({ synchronous: "FULL" });
    port.ask({ batch: creating("b") });
    expect(kinds()).toEqual(["committed 1", "settled 1", "committed 2", "settled 2"]);
    port.ask({ close: true });
  });

  test("says that it has synced after what was asked before", () => {
    const { port, creating, kinds } = setUp();
    port.ask({ batch: creating("a") });
    port.ask({ sync: 7 });
    expect(kinds()).toEqual(["committed 1", "settled 1", "synced 7"]);
    port.ask({ close: true });
  });
});

describe("the work between batches", () => {
  test("begins when no bits have come for a while, and says then that they are settled", () => {
    vi.useFakeTimers();
    const { connection, port, creating, setting, kinds } = setUp();
    port.ask({ batch: creating("a") });
    port.ask({ batch: setting("a", 5) });
    vi.advanceTimersByTime(FOLD_IDLE_MS - 1);
    port.ask({ batch: setting("a", 6) });
    vi.advanceTimersByTime(FOLD_IDLE_MS - 1);
    expect(kinds()).toEqual(["committed 1", "settled 1", "committed 2", "committed 3"]);
    expect(rowCounts(connection).log).toBe(2);
    vi.advanceTimersByTime(10);
    expect(kinds().at(-1)).toBe("settled 3");
    expect(port.reports.at(-1)).toMatchObject({ figures: { logBytes: 0, logRows: 0, deltaBytes: 0 } });
    expect(rowCounts(connection).log).toBe(0);
    port.ask({ close: true });
  });

  test("begins at once when it is asked to", () => {
    vi.useFakeTimers();
    const { port, creating, setting, kinds } = setUp();
    port.ask({ batch: creating("a") });
    port.ask({ batch: setting("a", 5) });
    port.ask({ settle: true });
    vi.advanceTimersByTime(1);
    expect(kinds().at(-1)).toBe("settled 2");
    port.ask({ close: true });
  });

  test("is done before it closes: the file's tables alone are the whole truth", () => {
    const { connection, port, creating, setting } = setUp();
    port.ask({ batch: creating("a") });
    port.ask({ batch: setting("a", 5) });
    expect(rowCounts(connection).log).toBe(1);
    port.ask({ close: true });
    expect(rowCounts(connection)).toMatchObject({ log: 0, deltas: 0 });
    expect(connection.prepare("SELECT cardinality FROM keys").pluck().get()).toBe(1);
  });

  test("ends when it closes, also when there is more to do", () => {
    vi.useFakeTimers();
    // Each slice is so long that it has time for one piece of the work.
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => (now += FOLD_SLICE_MS));
    const { connection, port, creating, emptying, kinds } = setUp();
    port.ask({ batch: creating("a") });
    port.ask({ batch: emptying() });
    expect(vi.getTimerCount()).toBe(1);
    port.ask({ close: true });
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(FLUSH_RETRY_MS * 3);
    expect(kinds().at(-1)).toBe("closed");
    expect(rowCounts(connection).dropped_slots).toBe(1);
  });

  test("goes on with what a crash left in the log", () => {
    vi.useFakeTimers();
    const { connection, path, port, creating, setting } = setUp();
    port.ask({ batch: creating("a") });
    port.ask({ batch: setting("a", 5) });
    const next = new Port();
    runWriter(next, { path, synchronous: "NORMAL" });
    vi.advanceTimersByTime(1);
    expect(rowCounts(connection).log).toBe(0);
    expect(connection.prepare("SELECT cardinality FROM keys").pluck().get()).toBe(1);
    next.ask({ close: true });
  });

  test("that fails is said and tried again, and batches are committed all the same", () => {
    vi.useFakeTimers();
    const { connection, port, creating, setting, kinds, failing } = setUp();
    port.ask({ batch: creating("a") });
    port.ask({ batch: setting("a", 5) });
    failing(true, "DELETE ON log");
    vi.advanceTimersByTime(FOLD_IDLE_MS + 10);
    expect(port.reports.at(-1)).toEqual({ kind: "warning", message: expect.stringMatching(/order: disk full$/) });
    vi.advanceTimersByTime(FLUSH_RETRY_MS * 3);
    expect(kinds().slice(3)).toEqual(["warning"]);
    port.ask({ batch: setting("a", 6) });
    vi.advanceTimersByTime(FLUSH_RETRY_MS * 3);
    expect(
      kinds()
        .slice(3)
        .filter((kind) => kind !== "warning"),
    ).toEqual(["committed 3"]);
    failing(false);
    vi.advanceTimersByTime(FLUSH_RETRY_MS);
    expect(kinds().at(-1)).toBe("settled 3");
    expect(rowCounts(connection).log).toBe(0);
    vi.advanceTimersByTime(2 * REST_MS);
    expect(vi.getTimerCount()).toBe(0);
    port.ask({ close: true });
  });
});

test("what is out of use is given back when there was nothing to do for some time", () => {
  vi.useFakeTimers();
  const { port, creating } = setUp();
  port.ask({ batch: creating("a") });
  vi.advanceTimersByTime(REST_MS - 1);
  const old = [new Uint8Array(50 * MIB)];
  collectAll();
  const before = process.memoryUsage().arrayBuffers;
  old.pop();
  vi.advanceTimersByTime(1);
  expect(buffersDownTo(before - 40 * MIB)).toBeLessThanOrEqual(before - 40 * MIB);
  vi.advanceTimersByTime(REST_MS);
  expect(vi.getTimerCount()).toBe(0);
  port.ask({ close: true });
});

describe.skipIf(!hasGlibc)("holes in the heap (which glibc alone gives back)", () => {
  const holesBytes = 128 * MIB;
  /** It waits until what was collected just before is free. */
  const TRIM_MS = 100;

  /** How much less the process takes when something was done. */
  function less(act: () => void): number {
    const before = process.memoryUsage.rss();
    act();
    return before - process.memoryUsage.rss();
  }

  test("go back to the system when the writer is asked to, and when it rests", () => {
    vi.useFakeTimers();
    const { port } = setUp();
    const kept = makeHoles(holesBytes);
    const trim = () => {
      port.ask({ trim: true });
      vi.advanceTimersByTime(TRIM_MS);
    };
    expect(less(trim)).toBeGreaterThan(holesBytes / 2);
    kept.push(...makeHoles(holesBytes));
    expect(less(() => vi.advanceTimersByTime(REST_MS - TRIM_MS - 1))).toBeLessThan(holesBytes / 4);
    expect(less(() => vi.advanceTimersByTime(REST_MS))).toBeGreaterThan(holesBytes / 2);
    expect(kept.length).toBeGreaterThan(0);
    port.ask({ close: true });
  });
});
