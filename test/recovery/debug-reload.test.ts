/** DEBUG RELOAD on a file: everything is read from it again, and is what it was. */
import { expect, test } from "vitest";
import { ask, askAll } from "../support/ask.js";
import { sandbox } from "../support/server-process.js";

const residentKeys = (info: unknown) => Number(/resident_keys:(\d+)/.exec(String(info))?.[1]);

test("after DEBUG RELOAD nothing is in memory, and every key has its value, also those that change meanwhile", async () => {
  const server = await sandbox().start({ args: ["--enable-debug-command", "local"] });
  const client = await server.connect();
  const other = await server.connect();
  const requests: string[] = [];
  for (let k = 0; k < 300; k++) for (let i = 0; i < 20; i++) requests.push(`SETBIT key:${k} ${k * i * 7} 1`);
  await askAll(client, [...requests, "SET text foobar EX 1000", "SETBIT large 30000000 1"]);
  for (let round = 0; round < 3; round++) {
    await askAll(client, [`SETBIT key:1 ${1_000_000 + round} 1`, "SETBIT key:2 5 0"]);
    const [reloaded] = await Promise.all([
      ask(client, "DEBUG", "RELOAD"),
      askAll(other, ["SETBIT meanwhile 1 1", `SETBIT meanwhile ${round + 2} 1`]),
    ]);
    expect(reloaded).toBe("OK");
    expect(residentKeys(await ask(client, "INFO", "memory"))).toBeLessThanOrEqual(1);
    expect(await ask(client, "BITCOUNT", "meanwhile")).toBe(round + 2);
    expect(await ask(client, "BITCOUNT", "key:1")).toBe(20 + round + 1);
    expect(await ask(client, "BITCOUNT", "key:299")).toBe(20);
    expect(await ask(client, "GET", "text")).toBe("foobar");
    expect(await ask(client, "TTL", "text")).toBeGreaterThan(900);
    expect(await ask(client, "DBSIZE")).toBe(303);
  }
  const dumped = await ask(client, "DUMP", "large");
  expect(String(dumped).length).toBeLessThan(100_000);
});
