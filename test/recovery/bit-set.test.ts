/** What commands on many ids change is in the file: of keys that were there and of new ones, as bits in the log and as whole values. */
import { describe, expect, test } from "vitest";
import { ask, askLong } from "../support/ask.js";
import type { RawClient } from "../support/raw-client.js";
import { type ServerProcess, sandbox } from "../support/server-process.js";

const every = (step: number, count: number, first = 0) => Array.from({ length: count }, (_, i) => first + i * step);

/** Bulk changes, and the ids and the length that the keys have afterwards. */
async function change(client: RawClient, kind: string): Promise<void> {
  await ask(client, "BITADD", `${kind}:few`, 5, 1, 70_000);
  await ask(client, "BITREM", `${kind}:few`, 70_000);
  await askLong(client, ["BITADD", `${kind}:many`, ...every(1000, 100_000).reverse()]);
  await askLong(client, ["BITADD", `${kind}:bits`, ...every(50, 100_000)]);
  await ask(client, "SAVE");
  await askLong(client, ["BITADD", `${kind}:bits`, ...every(50, 1000, 1)]);
  await askLong(client, ["BITREM", `${kind}:bits`, ...every(50, 1000)]);
  await ask(client, "BITADDRANGE", `${kind}:range`, 100, 5_000_000);
  await ask(client, "BITREMRANGE", `${kind}:range`, 200, 4_999_999);
  await askLong(client, ["BITADD", `${kind}:emptied`, ...every(3, 2000)]);
  await askLong(client, ["BITREM", `${kind}:emptied`, ...every(3, 2000)]);
  await ask(client, "BITOP", "AND", `${kind}:result`, `${kind}:many`, `${kind}:bits`);
  await ask(client, "BITADDRANGE", `${kind}:result`, 0, 9);
  await ask(client, "R.SETINTARRAY", `${kind}:replaced`, 9, 1);
  await ask(client, "BITOPTIMIZE", `${kind}:bits`);
}

function expected(): Record<string, { ids: number[]; byteLength: number }> {
  const many = every(1000, 100_000);
  const bits = every(50, 99_000, 50_000).concat(every(50, 1000, 1));
  const isThousandth = (id: number) => id % 1000 === 0;
  return {
    few: { ids: [1, 5], byteLength: 8751 },
    many: { ids: many, byteLength: 12_499_876 },
    bits: { ids: bits.sort((a, b) => a - b), byteLength: 624_994 },
    range: { ids: [...every(1, 100, 100), 5_000_000], byteLength: 625_001 },
    emptied: { ids: [], byteLength: 750 },
    result: { ids: [...every(1, 10), ...bits.filter(isThousandth)], byteLength: 12_499_876 },
    replaced: { ids: [1, 9], byteLength: 2 },
  };
}

const ENDINGS: Record<string, (server: ServerProcess, client: RawClient) => Promise<unknown>> = {
  "after SIGTERM": (server) => server.stop(),
  "after SAVE and kill -9": async (server, client) => {
    await ask(client, "SAVE");
    await server.kill();
  },
};

describe.each(Object.keys(ENDINGS))("%s", (name) => {
  test("all of it is there", async () => {
    const place = sandbox();
    const first = await place.start();
    const client = await first.connect();
    // Keys that are in the file before they change.
    for (const key of Object.keys(expected())) await ask(client, "SETBIT", `stored:${key}`, 0, 0);
    await ask(client, "SAVE");
    await change(client, "stored");
    await change(client, "fresh");
    await ENDINGS[name]!(first, client);
    const again = await (await place.start()).connect();
    for (const kind of ["stored", "fresh"]) {
      for (const [key, { ids, byteLength }] of Object.entries(expected())) {
        expect(await ask(again, "STRLEN", `${kind}:${key}`), `${kind}:${key}`).toBe(byteLength);
        expect(await ask(again, "BITRANGE", `${kind}:${key}`, 0, -1), `${kind}:${key}`).toEqual(ids);
      }
    }
  }, 120_000);
});
