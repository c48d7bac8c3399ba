/** The options of what is timed, given at the start, in a process of its own. */
import { expect, test } from "vitest";
import { ask } from "../support/ask.js";
import { sandbox } from "../support/server-process.js";

test("SLOWLOG and LATENCY are set by options", async () => {
  const options = {
    "slowlog-log-slower-than": "0",
    "slowlog-max-len": "3",
    "latency-monitor-threshold": "5",
    "latency-tracking": "no",
  };
  const args = [
    "--enable-debug-command",
    "yes",
    ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
  ];
  const server = await sandbox().start({ args });
  const client = await server.connect();
  for (const [name, value] of Object.entries(options))
    expect(await ask(client, "CONFIG", "GET", name)).toEqual([name, value]);
  await ask(client, "DEBUG", "SLEEP", "0.02");
  expect(await ask(client, "SLOWLOG", "LEN")).toBe(3);
  // On a busy machine another event may have taken long too.
  const events = (await ask(client, "LATENCY", "LATEST")) as [string, number, number, number][];
  const [, , , longestMs] = events.find(([event]) => event === "command") ?? [];
  expect(longestMs).toBeGreaterThanOrEqual(20);
  expect(await ask(client, "LATENCY", "HISTOGRAM")).toEqual([]);
  client.close();
});

test("what background work there is counts: rates, memory, commands", async () => {
  const server = await sandbox().start();
  const client = await server.connect();
  const info = async (section: string) => String(await ask(client, "INFO", section));
  const until = async (section: string, pattern: RegExp) => {
    while (!pattern.test(await info(section))) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  await until("stats", /instantaneous_ops_per_sec:[1-9]/);
  await until("stats", /instantaneous_input_kbps:(?!0\.00)/);
  await until("stats", /expire_cycle_cpu_milliseconds:[1-9]/);
  await until("memory", /used_memory_peak:[1-9]\d{6}/);
  await until("memory", /used_memory_startup:[1-9]\d{6}/);
  client.close();
});
