/**
 * A disk whose writes or syncs fail, by a library put under the server: reads go on, writes are refused with the reason, and
 * once the disk works again the server is well by itself and nothing acknowledged is missing.
 */
import { describe, expect, onTestFinished, test } from "vitest";
import { ask, askAll, ReplyError } from "../support/ask.js";
import { buildDisk, DiskFault, diskEnvironment, diskMissing } from "../support/disk.js";
import { dice } from "../support/random.js";
import { eventually, type Sandbox, ServerProcess, sandbox, sleep } from "../support/server-process.js";

if (diskMissing !== undefined) console.log(`SKIPPED: tests of a disk with errors: ${diskMissing}`);

const FAULTS = [
  { name: "EIO on write", fault: { write: "EIO" }, reason: /disk I\/O error/ },
  { name: "ENOSPC on write", fault: { write: "ENOSPC" }, reason: /database or disk is full/ },
  { name: "EIO on sync", fault: { sync: "EIO" }, reason: /disk I\/O error/ },
  { name: "ENOSPC on sync", fault: { sync: "ENOSPC" }, reason: /disk I\/O error|database or disk is full/ },
] as const;

/** Longer than the pause between two tries of a commit. */
const STAYS_MS = 1500;

const CAN_NOT_WRITE = /warning can't write to .*?bitmapist\.db: (.+); writes are refused until it works again\n/;

describe.skipIf(diskMissing !== undefined)("with a disk that fails", () => {
  const startOn = async (place: Sandbox, fault: DiskFault) => {
    const database = place.path("bitmapist.db");
    const server = new ServerProcess(["--addr", "127.0.0.1:0", "--db", database], {
      cwd: place.folder,
      env: diskEnvironment(buildDisk(place.folder), database, { fault: fault.path }),
    });
    onTestFinished(() => server.cleanup());
    await server.answers(0);
    return server;
  };

  /** A server with `saved` on disk, and the disk in hand. */
  const serverOnDisk = async () => {
    const place = sandbox();
    const fault = new DiskFault(place.path("fault"));
    onTestFinished(() => fault.close());
    const server = await startOn(place, fault);
    const client = await server.connect();
    await askAll(client, ["SET saved 1", "SETBIT bits 5 1", "SAVE"]);
    return { place, fault, server, client };
  };

  test.each(FAULTS)(
    "$name: reads go on, writes are refused naming it, and all is well once it is over",
    async ({ fault: error, reason }) => {
      const { place, fault, server, client } = await serverOnDisk();
      fault.set(error);
      // Acknowledged before anybody can know.
      await askAll(client, ["SET held 1", "SETBIT bits 70000 1", "SET saved 2"]);
      await server.logged(CAN_NOT_WRITE);
      expect(CAN_NOT_WRITE.exec(server.log)?.[1]).toMatch(reason);

      const refused = await client.pipeline([
        ["SET", "refused", "1"],
        ["SETBIT", "bits", "6", "1"],
        ["DEL", "saved"],
      ]);
      for (const reply of refused) {
        expect(reply).toMatch(/^-MISCONF Errors writing to the database file: /);
        expect(reply).toMatch(reason);
      }
      await expect(ask(client, "SAVE")).rejects.toThrow(ReplyError);
      expect(await askAll(client, ["MGET saved held refused", "BITCOUNT bits", "DBSIZE"])).toEqual([
        ["2", "1", null],
        2,
        3,
      ]);
      await sleep(STAYS_MS);
      expect(await askAll(client, ["GET held", "EXISTS refused"])).toEqual(["1", 0]);

      fault.set({});
      await server.logged(/bitmapist\.db can be written again\n/);
      await eventually("writes are taken", async () => (await client.call("SET", "after", "1")) === "+OK\r\n");
      await ask(client, "SAVE");
      await server.kill();

      const again = await (await place.start()).connect();
      expect(await askAll(again, ["MGET saved held after refused", "BITCOUNT bits", "DBSIZE"])).toEqual([
        ["2", "1", "1", null],
        2,
        4,
      ]);
    },
  );

  test("an error that comes and goes while clients write loses nothing that was acknowledged", async () => {
    const { place, fault, server, client } = await serverOnDisk();
    const random = dice("a disk that fails now and then");
    const acknowledged: number[] = [];
    let isOver = false;
    const writing = (async () => {
      for (let offset = 0; !isOver; offset++) {
        const reply = await client.call("SETBIT", "flaky", String(offset), "1");
        if (reply === ":0\r\n") acknowledged.push(offset);
        else expect(reply, `seed ${random.seed}`).toMatch(/^-MISCONF /);
        if (offset % 20 === 0) await sleep(1);
      }
    })();
    for (let times = 0; times < 5; times++) {
      fault.set(random.pick(FAULTS).fault);
      await sleep(random.int(10, 900));
      fault.set({});
      await sleep(random.int(10, 900));
    }
    isOver = true;
    await writing;
    await eventually("it is saved", async () => (await client.call("SAVE")) === "+OK\r\n");
    await server.kill();

    expect(acknowledged.length).toBeGreaterThan(100);
    const again = await (await place.start()).connect();
    const message = `seed ${random.seed}`;
    expect(await ask(again, "BITCOUNT", "flaky"), message).toBe(acknowledged.length);
    const bits = await askAll(
      again,
      acknowledged.map((offset) => ["GETBIT", "flaky", String(offset)]),
    );
    expect(bits.indexOf(0), message).toBe(-1);
  });

  test("a database that can't be made is one line and exit code 1, and can be made later", async () => {
    const place = sandbox();
    const fault = new DiskFault(place.path("fault"));
    onTestFinished(() => fault.close());
    fault.set({ write: "EIO", sync: "EIO" });
    const database = place.path("bitmapist.db");
    const env = diskEnvironment(buildDisk(place.folder), database, { fault: fault.path });
    const { code, stderr } = await place.run(["--addr", "127.0.0.1:0", "--db", database], { env });
    expect(stderr).toMatch(/^\S+ warning .*disk I\/O error.*\n$/);
    expect(code).toBe(1);

    const again = await (await place.start()).connect();
    expect(await askAll(again, ["DBSIZE", "SET k 1", "SAVE"])).toEqual([0, "OK", "OK"]);
  });

  test("a database that is there is served all the same, for reading", async () => {
    const { place, fault, server } = await serverOnDisk();
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    fault.set({ write: "EIO", sync: "EIO" });
    const again = await startOn(place, fault);
    const client = await again.connect();
    expect(await ask(client, "MGET", "saved", "bits")).toEqual(["1", "\x04"]);
    await client.call("SET", "held", "1");
    await again.logged(CAN_NOT_WRITE);
    expect(await client.call("SET", "refused", "1")).toMatch(/^-MISCONF /);
    expect(await ask(client, "MGET", "saved", "held")).toEqual(["1", "1"]);
    fault.set({});
    await eventually("it is saved", async () => (await client.call("SAVE")) === "+OK\r\n");
  });
});
