/** Saving: who waits for which commit, what waits when commits are late, and what happens while the storage can't write. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import {
  COMMIT_AGE_MS_MAX,
  FLUSH_BYTES,
  FLUSH_ENTRIES,
  FLUSH_ENTRIES_FIRST,
  FLUSH_INTERVAL_MS,
  FLUSH_VALUE_BYTES,
  REST_MS,
  UNCOMMITTED_ENTRIES_MAX,
} from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import type { Batch } from "../../../src/keyspace/change-log.js";
import type { Database } from "../../../src/keyspace/database.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { Saver } from "../../../src/keyspace/saver.js";
import { keyBytes } from "./bytes.js";
import { StorageInHand } from "./sqlite.js";

/** Commits when it is told to, and syncs when it is told to. */
class SlowStorage extends StorageInHand {
  readonly writes: { batch: Batch; commit: () => void; die: (error: Error) => void }[] = [];
  readonly synced: (() => void)[] = [];
  override readonly syncsCommits: boolean;

  constructor({ syncsCommits }: { syncsCommits: boolean }) {
    super();
    this.syncsCommits = syncsCommits;
  }

  override write(batch: Batch): Promise<Uint32Array> {
    return new Promise((resolve, reject) => {
      const commit = () => {
        this.apply(batch);
        resolve(batch.words);
      };
      this.writes.push({ batch, commit, die: reject });
    });
  }

  override sync(): Promise<void> {
    if (this.syncsCommits) return Promise.resolve();
    return new Promise((resolve) => this.synced.push(resolve));
  }
}

function setUp(options: { bufferBytesMax?: number; syncsCommits?: boolean } = {}) {
  const storage = new SlowStorage({ syncsCommits: options.syncsCommits ?? true });
  const keyspace = new Keyspace(storage, new ManualClock(0), () => 0);
  const saver = new Saver(keyspace, storage, new ManualClock(0), options.bufferBytesMax);
  const database = keyspace.databases[0] as Database;
  const change = (key = "a") => void keyspace.setBit(database, keyBytes(key), keyspace.changes, 1);
  /** A value of about so many bytes. */
  const changeMuch = (bytes: number, key = "much") => {
    const noise = new Uint32Array(Math.ceil(bytes / 4));
    for (let i = 0; i < noise.length; i++) noise[i] = Math.imul(i, 2654435761);
    keyspace.setValue(database, key, Bitmap.fromBytes(new Uint8Array(noise.buffer)));
    saver.noticeChanges();
  };
  const commit = async (write: number) => {
    storage.writes[write]?.commit();
    await turns();
  };
  return { storage, keyspace, saver, database, change, changeMuch, commit };
}

/** What has become of a promise, after everything that was due has run. */
async function stateOf(promise: Promise<unknown>): Promise<string> {
  let state = "waits";
  promise.then(
    () => {
      state = "done";
    },
    (error: Error) => {
      state = error.message;
    },
  );
  await turns();
  return state;
}

const nextTurn = setImmediate;

/** A flush is done in a turn of its own. */
async function turns(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => nextTurn(resolve));
}

test("memory that changes have used is given back when there were none for some time", async () => {
  const { keyspace, saver, change, commit } = setUp();
  const rest = vi.spyOn(keyspace, "rest");
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const later = (ms: number) => {
    now += ms;
    saver.noticeChanges();
    return rest.mock.calls.length;
  };
  expect(later(REST_MS)).toBe(0);
  change();
  saver.saveSoon();
  await turns();
  expect(later(REST_MS)).toBe(0);
  await commit(0);
  expect(later(REST_MS - 1)).toBe(0);
  expect(later(1)).toBe(1);
  expect(later(REST_MS)).toBe(1);
});

describe("save()", () => {
  test("is done at once when nothing has changed", async () => {
    const { storage, saver } = setUp();
    expect(await stateOf(saver.save())).toBe("done");
    expect(storage.writes).toHaveLength(0);
  });

  test("waits for the commit", async () => {
    const { storage, keyspace, saver, change } = setUp();
    change();
    const saved = saver.save();
    expect(await stateOf(saved)).toBe("waits");
    expect(saver.isSaving).toBe(true);
    storage.writes[0]?.commit();
    expect(await stateOf(saved)).toBe("done");
    expect(saver.isSaving).toBe(false);
    expect([saver.savedChanges, saver.syncedChanges, saver.commits]).toEqual([keyspace.changes, keyspace.changes, 1]);
  });

  test("waits for a batch of its own when the one in flight was taken before the newest change", async () => {
    const { storage, saver, change } = setUp();
    change("first");
    void saver.save();
    await turns();
    change("second");
    const saved = saver.save();
    storage.writes[0]?.commit();
    expect(await stateOf(saved)).toBe("waits");
    expect(storage.writes).toHaveLength(2);
    storage.writes[1]?.commit();
    expect(await stateOf(saved)).toBe("done");
  });

  test("has one batch in flight at a time while they are small, and several who wait share the next", async () => {
    const { storage, saver, change } = setUp();
    change();
    const first = saver.save();
    await turns();
    change();
    const others = [saver.save(), saver.save(), saver.save()];
    await turns();
    expect(storage.writes).toHaveLength(1);
    storage.writes[0]?.commit();
    expect(await stateOf(first)).toBe("done");
    expect(storage.writes).toHaveLength(2);
    storage.writes[1]?.commit();
    for (const other of others) expect(await stateOf(other)).toBe("done");
    expect(storage.writes).toHaveLength(2);
  });

  test("does not wait for what changes after it was called", async () => {
    const { saver, change, commit } = setUp();
    change();
    const first = saver.save();
    await turns();
    change();
    const others = Array.from({ length: 5 }, () => saver.save());
    await turns();
    await commit(0);
    await first;
    // The second batch holds everything that the others wait for, and new changes keep coming.
    change();
    await commit(1);
    for (const other of others) expect(await stateOf(other)).toBe("done");
  });

  test("waits for the disk, too, where a commit does not", async () => {
    const { storage, keyspace, saver, change, commit } = setUp({ syncsCommits: false });
    change();
    const saved = saver.save();
    await turns();
    await commit(0);
    expect(await stateOf(saved)).toBe("waits");
    expect([saver.savedChanges, saver.syncedChanges]).toEqual([keyspace.changes, 0]);
    change();
    storage.synced[0]?.();
    expect(await stateOf(saved)).toBe("done");
    expect(saver.syncedChanges).toBe(keyspace.changes - 1);
  });

  test("of nothing new waits for the disk all the same, where a commit does not", async () => {
    const { storage, saver } = setUp({ syncsCommits: false });
    const saved = saver.save();
    expect(await stateOf(saved)).toBe("waits");
    storage.synced[0]?.();
    expect(await stateOf(saved)).toBe("done");
  });
});

describe("committed()", () => {
  test("of several clients that write in one turn is one commit", async () => {
    const { storage, saver, change, commit } = setUp();
    const waiting = ["a", "b", "c"].map((key) => {
      change(key);
      return saver.committed();
    });
    expect(storage.writes).toHaveLength(0);
    await turns();
    expect(storage.writes).toHaveLength(1);
    await commit(0);
    for (const each of waiting) expect(await stateOf(each)).toBe("done");
    expect(saver.commits).toBe(1);
  });

  test("of those who come during a commit is the next one, together", async () => {
    const { storage, saver, change, commit } = setUp();
    change();
    const first = saver.committed();
    await turns();
    const later: Promise<void>[] = [];
    for (const key of ["b", "c", "d"]) {
      change(key);
      later.push(saver.committed());
      await turns();
    }
    expect(storage.writes).toHaveLength(1);
    await commit(0);
    expect(await stateOf(first)).toBe("done");
    expect(await stateOf(later[0] as Promise<void>)).toBe("waits");
    await commit(1);
    for (const each of later) expect(await stateOf(each)).toBe("done");
    expect(storage.writes).toHaveLength(2);
  });

  test("does not wait for the disk where a commit does not", async () => {
    const { saver, change, commit } = setUp({ syncsCommits: false });
    change();
    const committed = saver.committed();
    await turns();
    await commit(0);
    expect(await stateOf(committed)).toBe("done");
  });

  test("waits on while the storage can't write; committedOrFailed() does not", async () => {
    const { saver, change, commit } = setUp();
    change();
    const committed = saver.committed();
    const either = saver.committedOrFailed();
    await turns();
    expect(await stateOf(either)).toBe("waits");
    saver.failed("disk full");
    expect(await stateOf(either)).toBe("done");
    expect(await stateOf(committed)).toBe("waits");
    expect(await stateOf(saver.committedOrFailed())).toBe("done");
    await commit(0);
    saver.succeeded();
    expect(await stateOf(committed)).toBe("done");
  });

  test("is what committedOrFailed() is while nothing fails", async () => {
    const { saver, change, commit } = setUp();
    expect(await stateOf(saver.committedOrFailed())).toBe("done");
    change();
    const either = saver.committedOrFailed();
    expect(await stateOf(either)).toBe("waits");
    await commit(0);
    expect(await stateOf(either)).toBe("done");
  });
});

describe("saveSoon()", () => {
  test("begins a commit when there is something, and none while one is under way", async () => {
    const { storage, saver, change } = setUp();
    saver.saveSoon();
    await turns();
    expect(storage.writes).toHaveLength(0);
    change();
    saver.saveSoon();
    await turns();
    change();
    saver.saveSoon();
    await turns();
    expect(storage.writes).toHaveLength(1);
  });

  test("puts what the rest of the turn changes into the same batch: a transaction is committed whole", async () => {
    const { storage, keyspace, saver, change, commit } = setUp();
    change("first");
    saver.saveSoon();
    change("second");
    await turns();
    await commit(0);
    expect(storage.writes).toHaveLength(1);
    expect(saver.savedChanges).toBe(keyspace.changes);
  });
});

describe("large batches", () => {
  test("are flushed by their size at once, several in flight, and each waits for its own", async () => {
    const { storage, keyspace, saver, changeMuch, commit } = setUp();
    const committed: Promise<void>[] = [];
    for (const key of ["a", "b", "c"]) {
      changeMuch(FLUSH_VALUE_BYTES, key);
      committed.push(saver.committed());
      await turns();
    }
    expect(storage.writes.map(({ batch }) => batch.number)).toEqual([1, 2, 3]);
    expect(saver.bufferBytes).toBeGreaterThan(3 * FLUSH_VALUE_BYTES);
    await commit(0);
    expect(await stateOf(committed[0] as Promise<void>)).toBe("done");
    expect(await stateOf(committed[1] as Promise<void>)).toBe("waits");
    expect(saver.isSaving).toBe(true);
    expect(saver.bufferBytes).toBeGreaterThan(2 * FLUSH_VALUE_BYTES);
    await commit(1);
    await commit(2);
    expect(await stateOf(committed[2] as Promise<void>)).toBe("done");
    expect([saver.isSaving, saver.bufferBytes, keyspace.isDirty]).toEqual([false, 0, false]);
    expect(storage.writes).toHaveLength(3);
    expect(saver.savedChanges).toBe(keyspace.changes);
  });

  test("are those of many bits, too", async () => {
    const { storage, saver, keyspace, database } = setUp();
    for (let i = 0; keyspace.logBytes < FLUSH_BYTES; i++) keyspace.setBit(database, keyBytes("a"), i, 1);
    saver.noticeChanges();
    await turns();
    expect(storage.writes).toHaveLength(1);
  });

  test("do not wait for turns that bring more, and so have the memory that batches share", async () => {
    const { storage, saver, keyspace, database, change } = setUp();
    for (let i = 0; keyspace.logBytes < FLUSH_BYTES; i++) keyspace.setBit(database, keyBytes("a"), i, 1);
    saver.noticeChanges();
    for (let turn = 0; turn < 3; turn++) {
      change();
      saver.noticeChanges();
      await new Promise((resolve) => nextTurn(resolve));
    }
    expect(storage.writes).toHaveLength(1);
    expect(storage.writes[0]?.batch.words.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  test("do not count a value twice that was replaced twice", async () => {
    const { storage, keyspace, changeMuch } = setUp();
    changeMuch(FLUSH_VALUE_BYTES / 2);
    changeMuch(FLUSH_VALUE_BYTES / 2);
    changeMuch(FLUSH_VALUE_BYTES / 2);
    await turns();
    expect(storage.writes).toHaveLength(0);
    expect(keyspace.logValueBytes).toBeLessThan(FLUSH_VALUE_BYTES);
    changeMuch(FLUSH_VALUE_BYTES / 2, "another");
    await turns();
    expect(storage.writes).toHaveLength(1);
  });

  test("are those of many values, too", async () => {
    const { storage, saver, keyspace, database, change } = setUp();
    change();
    saver.saveSoon();
    await turns();
    for (let i = 0; i < FLUSH_ENTRIES; i++) keyspace.setBit(database, keyBytes(`k${i}`), 1, 1);
    saver.noticeChanges();
    await turns();
    expect(storage.writes).toHaveLength(2);
  });

  test("have few values at first, and then each twice as many as the one before, up to a bound", async () => {
    const { storage, saver, keyspace, database } = setUp();
    let flushed = 0;
    const change = async (from: number, to: number) => {
      for (let i = from; i < to; i++) keyspace.setBit(database, keyBytes(`k${i}`), flushed, 1);
      saver.noticeChanges();
      await turns();
    };
    for (let values = FLUSH_ENTRIES_FIRST; flushed < 10; values = Math.min(2 * values, FLUSH_ENTRIES)) {
      await change(0, values - 1);
      expect(storage.writes).toHaveLength(flushed);
      await change(values - 1, values);
      expect(storage.writes).toHaveLength(++flushed);
    }
  });

  test("are not flushed before the turn ends", async () => {
    const { storage, keyspace, changeMuch, change } = setUp();
    changeMuch(FLUSH_VALUE_BYTES);
    change("of the same transaction");
    expect(storage.writes).toHaveLength(0);
    await turns();
    expect(storage.writes).toHaveLength(1);
    expect(keyspace.isDirty).toBe(false);
  });

  test("leave what is small behind them to the next commit", async () => {
    const { storage, saver, change, changeMuch, commit } = setUp();
    changeMuch(FLUSH_VALUE_BYTES);
    await turns();
    change();
    const committed = saver.committed();
    await turns();
    expect(storage.writes).toHaveLength(1);
    await commit(0);
    expect(storage.writes).toHaveLength(2);
    await commit(1);
    expect(await stateOf(committed)).toBe("done");
  });
});

describe("those who write wait", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test("while more is uncommitted than may be, and no longer", async () => {
    const { saver, change, changeMuch, commit } = setUp({ bufferBytesMax: 10_000 });
    change();
    expect(saver.isBehind).toBe(false);
    changeMuch(20_000);
    expect(saver.isBehind).toBe(true);
    saver.saveSoon();
    await turns();
    const caughtUp = saver.caughtUp();
    // In flight it is uncommitted too.
    expect(saver.isBehind).toBe(true);
    expect(await stateOf(caughtUp)).toBe("waits");
    await commit(0);
    expect(saver.isBehind).toBe(false);
    expect(await stateOf(caughtUp)).toBe("done");
  });

  test("while more values are uncommitted than the storage takes in most of a second, in flight or not", async () => {
    const { saver, change, commit } = setUp();
    for (let i = 0; i < FLUSH_ENTRIES; i++) change(`first:${i}`);
    saver.noticeChanges();
    await turns();
    for (let i = 0; i < UNCOMMITTED_ENTRIES_MAX - FLUSH_ENTRIES; i++) change(`second:${i}`);
    expect(saver.isBehind).toBe(false);
    change("one more");
    expect(saver.isBehind).toBe(true);
    const caughtUp = saver.caughtUp();
    expect(await stateOf(caughtUp)).toBe("waits");
    await commit(0);
    expect([saver.isBehind, await stateOf(caughtUp)]).toEqual([false, "done"]);
  });

  test("for smaller batches while the storage is behind in its own work", async () => {
    const { storage, saver, change, changeMuch, commit } = setUp();
    storage.pressure = 8;
    for (let i = 0; i < FLUSH_ENTRIES / 8; i++) change(`first:${i}`);
    saver.noticeChanges();
    await turns();
    expect(storage.writes).toHaveLength(1);
    for (let i = 0; i < FLUSH_ENTRIES / 8; i++) change(`second:${i}`);
    expect(saver.isBehind).toBe(false);
    change("one more");
    expect(saver.isBehind).toBe(true);
    await commit(0);
    expect(saver.isBehind).toBe(false);
    changeMuch(FLUSH_VALUE_BYTES / 4);
    expect(saver.isBehind).toBe(true);
    storage.pressure = 1;
    expect(saver.isBehind).toBe(false);
  });

  test("until it is below the bound, not only until the next commit", async () => {
    const { saver, changeMuch, commit } = setUp({ bufferBytesMax: FLUSH_VALUE_BYTES });
    for (const key of ["a", "b", "c"]) {
      changeMuch(FLUSH_VALUE_BYTES, key);
      await turns();
    }
    const caughtUp = saver.caughtUp();
    await commit(0);
    expect(await stateOf(caughtUp)).toBe("waits");
    await commit(1);
    expect([saver.isBehind, await stateOf(caughtUp)]).toEqual([true, "waits"]);
    await commit(2);
    expect([saver.isBehind, await stateOf(caughtUp)]).toEqual([false, "done"]);
  });

  test("while the oldest uncommitted change is too old, whether it is in flight or not", async () => {
    let now = 1000;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const { saver, change, commit } = setUp();
    change();
    saver.noticeChanges();
    now += COMMIT_AGE_MS_MAX;
    change();
    saver.noticeChanges();
    expect([saver.oldestChangeMs, saver.isBehind]).toEqual([COMMIT_AGE_MS_MAX, false]);
    now += 1;
    saver.noticeChanges();
    expect([saver.oldestChangeMs, saver.isBehind]).toEqual([COMMIT_AGE_MS_MAX + 1, true]);
    saver.saveSoon();
    await turns();
    const caughtUp = saver.caughtUp();
    now += 5;
    expect([saver.oldestChangeMs, saver.isBehind]).toEqual([COMMIT_AGE_MS_MAX + 6, true]);
    now += 5;
    change();
    saver.noticeChanges();
    await commit(0);
    expect([saver.oldestChangeMs, saver.isBehind]).toEqual([0, false]);
    expect(await stateOf(caughtUp)).toBe("done");
    expect([saver.lastSaveTookMs, saver.longestSaveMs]).toEqual([10, 10]);
  });

  test("not while the storage can't write: they are refused then", async () => {
    const { saver, changeMuch, commit } = setUp({ bufferBytesMax: 100 });
    changeMuch(1000);
    const caughtUp = saver.caughtUp();
    expect(await stateOf(caughtUp)).toBe("waits");
    saver.failed("disk full");
    expect([saver.isBehind, await stateOf(caughtUp)]).toEqual([false, "done"]);
    saver.succeeded();
    expect(saver.isBehind).toBe(true);
    saver.saveSoon();
    await turns();
    await commit(0);
    expect(saver.isBehind).toBe(false);
  });
});

describe("by itself", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test("it commits what has changed after the interval, until it is stopped", async () => {
    vi.useFakeTimers();
    const { storage, saver, change } = setUp();
    saver.start();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS * 3);
    change();
    saver.noticeChanges();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS - 1);
    change();
    saver.noticeChanges();
    expect(storage.writes).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(storage.writes).toHaveLength(1);
    storage.writes[0]?.commit();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS * 3);
    expect(storage.writes).toHaveLength(1);
    change();
    saver.noticeChanges();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS);
    expect(storage.writes).toHaveLength(2);
    storage.writes[1]?.commit();
    await vi.advanceTimersByTimeAsync(1);
    saver.stop();
    change();
    saver.noticeChanges();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS * 3);
    expect(storage.writes).toHaveLength(2);
  });

  test("it commits what was changed before it was started, or while it was stopped", async () => {
    vi.useFakeTimers();
    const { storage, saver, change } = setUp();
    change();
    saver.noticeChanges();
    saver.start();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS);
    expect(storage.writes).toHaveLength(1);
    storage.writes[0]?.commit();
    await vi.advanceTimersByTimeAsync(1);
    saver.stop();
    change();
    saver.noticeChanges();
    saver.start();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS);
    expect(storage.writes).toHaveLength(2);
    saver.stop();
  });

  test("it commits at once after a commit what its interval found in the way of it", async () => {
    vi.useFakeTimers();
    const { storage, saver, change } = setUp();
    saver.start();
    change();
    saver.noticeChanges();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS);
    change();
    saver.noticeChanges();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS);
    expect(storage.writes).toHaveLength(1);
    storage.writes[0]?.commit();
    await vi.advanceTimersByTimeAsync(1);
    expect(storage.writes).toHaveLength(2);
    saver.stop();
  });
});

describe("while the storage can't write", () => {
  test("those who wait are told why, and the batch is committed when it can be", async () => {
    const { storage, keyspace, saver, change } = setUp();
    change();
    const saved = saver.save();
    await turns();
    saver.failed("disk full");
    expect(await stateOf(saved)).toBe("disk full");
    expect(saver.failure).toBe("disk full");
    expect(saver.isSaving).toBe(true);
    storage.writes[0]?.commit();
    saver.succeeded();
    await turns();
    expect(saver.failure).toBeUndefined();
    expect(saver.isSaving).toBe(false);
    expect(keyspace.isDirty).toBe(false);
    expect(storage.writes).toHaveLength(1);
  });

  test("save() says so at once, also when nothing has changed", async () => {
    const { storage, saver } = setUp();
    saver.failed("disk full");
    expect(await stateOf(saver.save())).toBe("disk full");
    expect(storage.writes).toHaveLength(0);
    saver.succeeded();
    expect(await stateOf(saver.save())).toBe("done");
  });

  test("those who wait for the next batch are told too", async () => {
    const { saver, change } = setUp();
    change();
    saver.saveSoon();
    await turns();
    change();
    const saved = saver.save();
    await turns();
    saver.failed("disk full");
    expect(await stateOf(saved)).toBe("disk full");
  });

  test("a storage that dies leaves nothing unhandled: it is the server that ends then", async () => {
    const { storage, saver, change } = setUp();
    change();
    saver.saveSoon();
    await turns();
    change();
    const saved = saver.save();
    storage.writes[0]?.die(new Error("the writer thread ended"));
    expect(await stateOf(saved)).toBe("waits");
    expect(saver.savedChanges).toBe(0);
  });
});

describe("a change that leaves nothing to write", () => {
  /** As a SETRANGE that writes what is there, or a BITOP that gives what is there: WATCH is told. */
  const changeNothing = ({ keyspace, database }: ReturnType<typeof setUp>) =>
    keyspace.setRange(database, "a", 0, Uint8Array.of(0x80));

  test("is saved at once where nothing else waits, and whoever waits for it goes on", async () => {
    const all = setUp();
    all.change();
    all.saver.saveSoon();
    await turns();
    await all.commit(0);
    changeNothing(all);
    const before = all.saver.savedChanges;
    expect(all.keyspace.changes).toBeGreaterThan(before);
    expect(await stateOf(all.saver.save())).toBe("done");
    changeNothing(all);
    all.saver.noticeChanges();
    expect([all.saver.savedChanges, all.saver.syncedChanges]).toEqual([all.keyspace.changes, all.keyspace.changes]);
    expect(all.storage.writes.length).toBe(1);
  });

  test("is saved with what was changed before it", async () => {
    const all = setUp();
    all.change();
    all.saver.saveSoon();
    await turns();
    changeNothing(all);
    const saved = all.saver.committed();
    expect(await stateOf(saved)).toBe("waits");
    await all.commit(0);
    expect(await stateOf(saved)).toBe("done");
  });

  test("is not synced before what was changed before it", async () => {
    const all = setUp({ syncsCommits: false });
    all.change();
    all.saver.saveSoon();
    await turns();
    await all.commit(0);
    changeNothing(all);
    all.saver.noticeChanges();
    expect(all.saver.savedChanges).toBe(all.keyspace.changes);
    expect(all.saver.syncedChanges).toBe(0);
  });
});
