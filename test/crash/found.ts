/** Reads all that a client can see of a server, by the protocol, and asks the server whether it agrees with itself. */
import { ask, askAll, scanAll } from "../support/ask.js";
import type { RawClient } from "../support/raw-client.js";
import type { ServerProcess } from "../support/server-process.js";
import { sleep } from "../support/server-process.js";
import { Bits, DATABASES, PAGE_BITS, State } from "./model.js";

export interface Found {
  state: State;
  /** By the wall clock: a deadline between the two may have passed for some of the reads. */
  fromMs: number;
  toMs: number;
  /** What the server says that can't be. */
  complaints: string[];
}

/** Longer values are looked through for the few bits they have. */
const WHOLE_BYTES_MAX = 1_000_000;
/** The time in which keys whose deadline has passed are deleted, and counted no more. */
const EXPIRE_MS_MAX = 5000;
const POLL_MS = 50;

export async function readServer(server: ServerProcess): Promise<Found> {
  const state = new State();
  const complaints: string[] = [];
  const fromMs = Date.now();
  for (let number = 0; number < DATABASES; number++) {
    const client = await server.connect(number);
    await readDatabase(client, state.in(number));
    const difference = await compareCounts(client);
    if (difference !== undefined) complaints.push(`database ${number}: ${difference}`);
    client.close();
  }
  const toMs = Date.now();
  const client = await server.connect();
  const info = String(await ask(client, "INFO", "persistence"));
  if (!info.includes("rdb_last_bgsave_status:ok")) complaints.push(`INFO persistence says:\n${info}`);
  client.close();
  const warnings = server.log.split("\n").filter((line) => /warning|\n\s+at /.test(line));
  complaints.push(...warnings.map((line) => `the log says: ${line}`));
  return { state, fromMs, toMs, complaints };
}

async function readDatabase(client: RawClient, keys: State["databases"][number]): Promise<void> {
  const names = await scanAll(client, "COUNT", "1000");
  const measures = await askAll(
    client,
    names.flatMap((name) => [
      ["STRLEN", name],
      ["PEXPIRETIME", name],
    ]),
  );
  for (const [i, name] of names.entries()) {
    const byteLength = Number(measures[i * 2]);
    const deadline = Number(measures[i * 2 + 1]);
    if (deadline === -2) continue; // died since it was listed
    const bits = byteLength > WHOLE_BYTES_MAX ? await readSparse(client, name) : await readWhole(client, name);
    if (bits !== undefined) keys.set(name, { bits, deadline: deadline === -1 ? Number.POSITIVE_INFINITY : deadline });
  }
}

async function readWhole(client: RawClient, name: string): Promise<Bits | undefined> {
  const value = await ask(client, "GET", name);
  return value === null ? undefined : Bits.of(Buffer.from(String(value), "latin1"));
}

async function readSparse(client: RawClient, name: string): Promise<Bits> {
  const bits = new Bits();
  bits.byteLength = Number(await ask(client, "STRLEN", name));
  for (let page = 0; ; page++) {
    const position = Number(await ask(client, "BITPOS", name, 1, (page * PAGE_BITS) / 8));
    if (position === -1) return bits;
    page = Math.floor(position / PAGE_BITS);
    const start = (page * PAGE_BITS) / 8;
    const bytes = await ask(client, "GETRANGE", name, start, start + PAGE_BITS / 8 - 1);
    bits.put(page, Buffer.from(String(bytes), "latin1"));
  }
}

/** DBSIZE counts keys past their deadline until they are deleted, as Redis' does: it gets the time for that. */
async function compareCounts(client: RawClient): Promise<string | undefined> {
  const endMs = performance.now() + EXPIRE_MS_MAX;
  for (;;) {
    const before = await ask(client, "DBSIZE");
    const names = await scanAll(client, "COUNT", "1000");
    const after = await ask(client, "DBSIZE");
    if (before === names.length || after === names.length) return undefined;
    if (performance.now() > endMs) return `DBSIZE says ${after}, SCAN lists ${names.length} keys`;
    await sleep(POLL_MS);
  }
}
