/**
 * `--appendfsync always` and those who are told of changes: as in Redis, where messages leave with the replies of a turn, after the sync,
 * nobody learns of a change that is not on the disk yet. The disk is in the test's hand, and does not end a sync until it is told to.
 */
import { describe, expect, onTestFinished, test } from "vitest";
import { ask } from "../support/ask.js";
import { buildDisk, DiskFault, diskEnvironment, diskMissing } from "../support/disk.js";

import { ServerProcess, sandbox, sleep } from "../support/server-process.js";

if (diskMissing !== undefined) console.log(`SKIPPED: tests of messages and a disk that waits: ${diskMissing}`);

/** Many times what a message takes that is not held. */
const HELD_MS = 300;

async function start(mode: string) {
  const place = sandbox();
  const fault = new DiskFault(place.path("fault"));
  const database = place.path("bitmapist.db");
  const argv = ["--addr", "127.0.0.1:0", "--db", database, "--appendfsync", mode, "--notify-keyspace-events", "E$"];
  const env = diskEnvironment(buildDisk(place.folder), database, { fault: fault.path });
  const server = new ServerProcess(argv, { cwd: place.folder, env });
  onTestFinished(async () => {
    await server.cleanup();
    fault.close();
  });
  await server.answers(0);
  const [writer, subscriber, publisher] = [await server.connect(), await server.connect(), await server.connect()];
  await ask(writer, "SET", "there", "before");
  subscriber.send("SUBSCRIBE news __keyevent@0__:set\r\n");
  await subscriber.replies(2);
  return { fault, writer, subscriber, publisher };
}

const message = (channel: string, text: string) =>
  `*3\r\n$7\r\nmessage\r\n$${channel.length}\r\n${channel}\r\n$${text.length}\r\n${text}\r\n`;

describe.skipIf(diskMissing !== undefined)("while the commit of a change is not on the disk", () => {
  test("under always neither who made it nor who subscribed to its event is told of it", async () => {
    const { fault, writer, subscriber } = await start("always");
    fault.set({ holdsSync: true });
    writer.send("SET k v\r\n");
    await sleep(HELD_MS);
    expect([writer.unread, subscriber.unread]).toEqual([0, 0]);
    fault.set({});
    expect(await writer.replies(1)).toEqual(["+OK\r\n"]);
    expect(await subscriber.replies(1)).toEqual([message("__keyevent@0__:set", "k")]);
  });

  test("under always a message that is published after it waits too, and comes after its event", async () => {
    const { fault, writer, subscriber, publisher } = await start("always");
    fault.set({ holdsSync: true });
    writer.send("SET k v\r\n");
    await sleep(HELD_MS);
    publisher.send("PUBLISH news later\r\n");
    await sleep(HELD_MS);
    expect([writer.unread, subscriber.unread, publisher.unread]).toEqual([0, 0, 0]);
    fault.set({});
    expect(await publisher.replies(1)).toEqual([":1\r\n"]);
    expect(await subscriber.replies(2)).toEqual([message("__keyevent@0__:set", "k"), message("news", "later")]);
  });

  test("under always a message that nothing was changed for does not wait", async () => {
    const { subscriber, publisher, fault } = await start("always");
    fault.set({ holdsSync: true });
    expect(await ask(publisher, "PUBLISH", "news", "now")).toBe(1);
    expect(await subscriber.replies(1)).toEqual([message("news", "now")]);
    fault.set({});
  });

  test("under everysec all are told at once", async () => {
    const { fault, writer, subscriber } = await start("everysec");
    fault.set({ holdsSync: true });
    expect(await ask(writer, "SET", "k", "v")).toBe("OK");
    expect(await subscriber.replies(1)).toEqual([message("__keyevent@0__:set", "k")]);
    fault.set({});
  });
});
