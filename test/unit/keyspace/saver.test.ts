/** Saving: who waits for which commit, and what happens while the storage can't write. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { ManualClock } from "../../../src/clock.js";
import { FLUSH_INTERVAL_MS } from "../../../src/config.js";
import type { Batch } from "../../../src/keyspace/change-log.js";
import type { Database } from "../../../src/keyspace/database.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { Saver } from "../../../src/keyspace/saver.js";
import { StorageInHand } from "./sqlite.js";

/** Commits when it is told to. */
class SlowStorage extends StorageInHand {
  readonly writes: { batch: Batch; commit: () => void; die: (error: Error) => void }[] = [];

  override write(batch: Batch): Promise<void> {
    return new Promise((resolve, reject) => {
      const commit = () => {
        this.apply(batch);
        resolve();
      };
      this.writes.push({ batch, commit, die: reject });
    });
  }
}

function setUp() {
  const storage = new SlowStorage();
  const keyspace = new Keyspace(storage, new ManualClock(0), () => 0);
  const saver = new Saver(keyspace, storage, new ManualClock(0));
  const database = keyspace.databases[0] as Database;
  const change = (key = "a") => void keyspace.setBit(database, key, keyspace.changes, 1);
  return { storage, keyspace, saver, database, change };
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

async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

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
    expect(saver.savedChanges).toBe(keyspace.changes);
  });

  test("waits for a batch of its own when the one in flight was taken before the newest change", async () => {
    const { storage, saver, change } = setUp();
    change("first");
    void saver.save();
    change("second");
    const saved = saver.save();
    storage.writes[0]?.commit();
    expect(await stateOf(saved)).toBe("waits");
    expect(storage.writes).toHaveLength(2);
    storage.writes[1]?.commit();
    expect(await stateOf(saved)).toBe("done");
  });

  test("has one batch in flight at a time, and several who wait share the next", async () => {
    const { storage, saver, change } = setUp();
    change();
    const first = saver.save();
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
    const { storage, saver, change } = setUp();
    change();
    const first = saver.save();
    change();
    const others = Array.from({ length: 5 }, () => saver.save());
    await turns();
    storage.writes[0]?.commit();
    await first;
    await turns();
    // The second batch holds everything that the others wait for, and new changes keep coming.
    change();
    storage.writes[1]?.commit();
    for (const other of others) expect(await stateOf(other)).toBe("done");
  });
});

describe("saveSoon()", () => {
  test("begins a commit when there is something, and none while one is under way", async () => {
    const { storage, saver, change } = setUp();
    saver.saveSoon();
    expect(storage.writes).toHaveLength(0);
    change();
    saver.saveSoon();
    change();
    saver.saveSoon();
    await turns();
    expect(storage.writes).toHaveLength(1);
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
    change();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS - 1);
    expect(storage.writes).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(storage.writes).toHaveLength(1);
    storage.writes[0]?.commit();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS * 3);
    expect(storage.writes).toHaveLength(1);
    change();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS);
    expect(storage.writes).toHaveLength(2);
    storage.writes[1]?.commit();
    await turns();
    saver.stop();
    change();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS * 3);
    expect(storage.writes).toHaveLength(2);
  });

  test("it goes on after a stop during a commit only when it is started again", async () => {
    vi.useFakeTimers();
    const { storage, saver, change } = setUp();
    saver.start();
    change();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS);
    saver.stop();
    storage.writes[0]?.commit();
    change();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS * 3);
    expect(storage.writes).toHaveLength(1);
    saver.start();
    await vi.advanceTimersByTimeAsync(FLUSH_INTERVAL_MS);
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
    change();
    const saved = saver.save();
    await turns();
    saver.failed("disk full");
    expect(await stateOf(saved)).toBe("disk full");
  });

  test("a storage that dies rejects what waits, and a flush that nobody waits for is no unhandled rejection", async () => {
    const { storage, saver, change } = setUp();
    change();
    saver.saveSoon();
    change();
    const saved = saver.save();
    await turns();
    storage.writes[0]?.die(new Error("the writer thread ended"));
    expect(await stateOf(saved)).toBe("the writer thread ended");
    expect(saver.isSaving).toBe(false);
  });
});
