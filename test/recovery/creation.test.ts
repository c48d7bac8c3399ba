/**
 * A database that is being made when the server is killed or the power goes: nothing is in it yet, so the next start makes it
 * anew, whatever is left of it.
 */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { readTrace, type Survival, TracedDisk, writeFiles } from "../crash/power-loss.js";
import { ask, askAll } from "../support/ask.js";
import { buildDisk, diskEnvironment, diskMissing } from "../support/disk.js";
import { dice } from "../support/random.js";
import { ServerProcess, sandbox } from "../support/server-process.js";

if (diskMissing !== undefined) console.log(`SKIPPED: tests of a database that is half made: ${diskMissing}`);

/** Of each call to the disk, as many are tried as the time allows. */
const CUTS_MAX = 13;
const TIMEOUT_MS = 120_000;

const SURVIVALS: Record<string, readonly Survival[]> = {
  "kill -9": [{ kept: "all" }],
  "a loss of power": [{ kept: "nothing" }, { kept: "some", sectorBytes: 4096 }, { kept: "some", sectorBytes: 512 }],
};

describe.skipIf(diskMissing !== undefined)("a database that is being made", () => {
  test.each(Object.keys(SURVIVALS))(
    "is made by the next start after %s",
    async (name) => {
      const place = sandbox();
      const random = dice(`a database that is half made, ${name}`);
      const [database, trace] = [place.path("bitmapist.db"), place.path("trace")];
      const first = new ServerProcess(["--addr", "127.0.0.1:0", "--db", database], {
        cwd: place.folder,
        env: diskEnvironment(buildDisk(place.folder), database, { trace }),
      });
      onTestFinished(() => first.cleanup());
      await first.answers(0);
      await first.kill();

      const records = readTrace(trace);
      expect(records.length).toBeGreaterThan(0);
      const refusals: string[] = [];
      const step = Math.ceil(records.length / CUTS_MAX);
      for (let calls = random.int(1, step); calls <= records.length; calls += step) {
        const survival = random.pick(SURVIVALS[name] as readonly Survival[]);
        const left = place.path(`after-${calls}/bitmapist.db`);
        mkdirSync(dirname(left));
        writeFiles(left, new TracedDisk(new Map(), records.slice(0, calls)).afterPowerLoss(random, survival), {
          keepShm: false,
        });
        const message = `after ${calls} of ${records.length} calls to the disk, ${JSON.stringify(survival)}, seed ${random.seed}`;
        const next = await place.start({ db: left }).catch((error: Error) => error);
        if (next instanceof Error) {
          refusals.push(`${message}: ${next.message}`);
          continue;
        }
        const client = await next.connect();
        expect(await askAll(client, ["DBSIZE", "SET k v", "SAVE"]), message).toEqual([0, "OK", "OK"]);
        await next.kill();
        const again = await place.start({ db: left });
        expect(await ask(await again.connect(), "GET", "k"), message).toBe("v");
        await again.kill();
        expect(existsSync(`${left}-journal`), message).toBe(false);
      }
      expect(refusals).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
