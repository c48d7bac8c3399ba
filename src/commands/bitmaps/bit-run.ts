/**
 * Runs of GETBIT and SETBIT, which pipelines mostly are. Everything that `execute` does for each request is done for the run: nothing
 * between two of them can change the answer. It takes only what needs no more than that; the first request that does, as one for a key
 * that is not in memory, ends the run and goes the way of all others.
 */
import { nanoseconds } from "../../clock.js";
import { RUN_REQUESTS_MAX } from "../../config.js";
import type { Bit } from "../../keyspace/value.js";
import { BitRequests, READ_BIT } from "../../resp/bit-requests.js";
import type { Reply } from "../../resp/reply.js";
import type { RequestParser } from "../../resp/request-parser.js";
import { replyFailure } from "../call.js";
import type { Client } from "../client.js";

const requests = new BitRequests();
const found = new Int32Array(RUN_REQUESTS_MAX);

/** Runs the GETBIT and SETBIT requests that come next, or a transaction of them, and says whether there were any. */
export function runBits(client: Client, parser: RequestParser, reply: Reply): boolean {
  if (!isPlain(client)) return false;
  parser.readBits(requests, client.bitRun);
  const { length, isTransaction } = requests;
  if (length === 0) return false;
  const { keyspace, stats, timing } = client.server;
  const begun = timing.timesRun(length) ? nanoseconds() : 0;
  keyspace.step();
  const ready = keyspace.findMany(client.database, parser.buffer, requests, found);
  // Where requests are read in vain, as those for new keys are, fewer are read the next time.
  client.bitRun = ready === length ? RUN_REQUESTS_MAX : Math.max(ready >> 1, 1);
  if (ready === 0 || (isTransaction && ready < length)) return false;
  client.lastActiveMs = keyspace.now;
  if (isTransaction) beginTransaction(reply, length);
  const reads = run(client, ready, reply);
  parser.skip(requests.ends[ready - 1] as number);
  const ns = begun === 0 ? 0 : (nanoseconds() - begun) / ready;
  stats.commands += ready;
  stats.keyspaceHits += reads;
  timing.countRun(stats.of("getbit"), reads, ns);
  timing.countRun(stats.of("setbit"), ready - reads, ns);
  client.lastCommand = requests.bits[ready - 1] === READ_BIT ? "getbit" : "setbit";
  if (isTransaction) endTransaction(client, ns);
  return true;
}

/** What MULTI, the commands that it queues, and EXEC reply before the commands are run. */
function beginTransaction(reply: Reply, length: number): void {
  reply.ok();
  for (let i = 0; i < length; i++) reply.queued();
  reply.array(length);
}

/** Counts MULTI and EXEC. */
function endTransaction(client: Client, ns: number): void {
  const { stats, timing } = client.server;
  stats.commands += 2;
  timing.countRun(stats.of("multi"), 1, ns);
  timing.countRun(stats.of("exec"), 1, ns * requests.length);
  client.lastCommand = "exec";
}

/** Runs the first `length` requests and returns how many of them are GETBIT. */
function run(client: Client, length: number, reply: Reply): number {
  let reads = 0;
  for (let i = 0; i < length; i++) {
    const isRead = requests.bits[i] === READ_BIT;
    if (isRead) reads++;
    try {
      reply.digit(runOne(client, i));
    } catch (error) {
      // No memory, or a fault of ours: the others are none the worse for it.
      const name = isRead ? "getbit" : "setbit";
      client.server.stats.of(name).failed++;
      replyFailure(client, reply, name, error);
    }
  }
  return reads;
}

function runOne({ database, server: { keyspace } }: Client, i: number): Bit {
  const number = found[i] as number;
  const offset = requests.offsets[i] as number;
  const bit = requests.bits[i] as number;
  if (bit === READ_BIT) return keyspace.getBitAt(database, number, offset);
  return keyspace.setBitAt(database, number, offset, bit as Bit);
}

/** Whether nothing that `execute` looks at concerns the client: its commands are run, answered and not looked at. */
function isPlain(client: Client): boolean {
  const { server } = client;
  return (
    client.isUnrestricted &&
    client.transaction === undefined &&
    client.watchedKeys === 0 &&
    client.replyMode === "on" &&
    client.subscriptions === undefined &&
    !client.isMonitor &&
    !client.noTouch &&
    server.saver.failure === undefined &&
    server.pause.kind === undefined &&
    server.replication.master === undefined &&
    !server.monitors.isOn &&
    !server.notifications.isOn &&
    !server.timing.isExact &&
    !server.commands.areBitsRenamed &&
    !server.debug
  );
}
