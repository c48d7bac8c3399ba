/** Memory that keys have taken goes back to the system when they have gone, though others lie between them. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KIB, TRIM_PAUSE_MS } from "../../src/config.js";
import { hasGlibc } from "../support/heap-holes.js";
import { eventually, type ServerProcess, sandbox } from "../support/server-process.js";

const KEYS = 6000;
const KEY_BYTES = 15 * KIB;
const PIPELINE = 100;
/** One key in so many stays. */
const KEPT = 64;

const keyOf = (k: number) => `${"k".repeat(KEY_BYTES)}${k}`;
const isKept = (k: number) => k % KEPT === 0;

async function each(server: ServerProcess, request: (k: number) => string[]): Promise<Set<string>> {
  const client = await server.connect();
  const replies = new Set<string>();
  for (let first = 0; first < KEYS; first += PIPELINE) {
    const requests = Array.from({ length: PIPELINE }, (_, i) => request(first + i));
    for (const reply of await client.pipeline(requests)) replies.add(reply);
  }
  return replies;
}

function rssBytes({ pid }: ServerProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * KIB;
}

test.skipIf(!hasGlibc)(
  "after many keys are deleted the process takes little more than before them (glibc only)",
  async () => {
    const server = await sandbox().start();
    const empty = rssBytes(server);
    expect(await each(server, (k) => ["SET", keyOf(k), "1"])).toEqual(new Set(["+OK\r\n"]));
    const loaded = rssBytes(server);
    const taken = KEYS * KEY_BYTES;
    expect(loaded - empty).toBeGreaterThan(taken);
    expect(await each(server, (k) => (isKept(k) ? ["EXISTS", keyOf(k)] : ["DEL", keyOf(k)]))).toEqual(
      new Set([":1\r\n"]),
    );
    await eventually("most of it is given back", () => loaded - rssBytes(server) > 0.75 * taken, 4 * TRIM_PAUSE_MS);
    const client = await server.connect();
    expect(await client.call("DBSIZE")).toBe(`:${Math.ceil(KEYS / KEPT)}\r\n`);
    expect(await client.call("GET", keyOf(KEPT))).toBe("$1\r\n1\r\n");
    expect(await server.stop()).toEqual({ code: 0, signal: null });
  },
);
