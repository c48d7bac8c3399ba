/** A client that writes until its connection ends, and remembers what it sent and when each part was acknowledged. */

import type { Dice } from "../support/random.js";
import { ConnectionClosed, encodeRequest, RawClient, type Reply, readReply } from "../support/raw-client.js";
import { sleep } from "../support/server-process.js";
import type { Unit, Workload } from "./workload.js";

export interface Entry {
  unit: Unit;
  /** By performance.now(); undefined for one that was sent and never answered. */
  acknowledgedMs?: number;
  /** How many bits ALL had with this unit's mark: its place among the marked units of all clients. */
  place?: number;
}

/** What a client may be told: nobody looks before a RENAME or a COPY. */
const HARMLESS = /^ERR (no such key|source and destination objects are the same)$/;
const PAUSES_MS = [0, 0, 1, 4];
/** After so many it rests until the kill, so that a long round costs no more than a busy one. */
const UNITS_MAX = 6000;

export class WritingClient {
  /** Since the last `start`, in the order of sending. */
  history: Entry[] = [];
  /** Replies that no server should give. */
  readonly complaints: string[] = [];
  readonly #workload: Workload;
  readonly #dice: Dice;
  #isNew = true;

  constructor(workload: Workload, dice: Dice) {
    this.#workload = workload;
    this.#dice = dice;
  }

  /** Writes until the connection ends. */
  async run(port: number): Promise<void> {
    this.history = [];
    const client = await RawClient.connect(port).catch(() => undefined);
    if (client === undefined) return; // killed before it began
    const pauseMs = this.#dice.pick(PAUSES_MS);
    let database = 0;
    try {
      if (this.#isNew) database = await this.#send(client, database, this.#workload.first());
      this.#isNew = false;
      while (this.history.length < UNITS_MAX) {
        database = await this.#send(client, database, this.#workload.next());
        if (pauseMs > 0) await sleep(this.#dice.int(1, pauseMs));
      }
      await client.closed;
    } catch (error) {
      if (!(error instanceof ConnectionClosed)) this.complaints.push(String(error));
    } finally {
      client.close();
    }
  }

  /** Answers which database is selected afterwards. */
  async #send(client: RawClient, selected: number, units: readonly Unit[]): Promise<number> {
    const frames: Buffer[] = [];
    const awaited: { entry: Entry; replies: number }[] = [];
    let database = selected;
    for (const unit of units) {
      const requests = unit.isTransaction ? [["MULTI"], ...unit.requests, ["EXEC"]] : [...unit.requests];
      if (unit.database !== database) requests.unshift(["SELECT", String(unit.database)]);
      database = Number(unit.requests.findLast(([command]) => command === "SELECT")?.[1] ?? unit.database);
      frames.push(...requests.map(encodeRequest));
      const entry: Entry = { unit };
      this.history.push(entry);
      awaited.push({ entry, replies: requests.length });
    }
    client.send(Buffer.concat(frames));
    for (const { entry, replies } of awaited) {
      const last = (await client.replies(replies)).map((raw) => this.#read(raw)).at(-1);
      entry.acknowledgedMs = performance.now();
      if (entry.unit.mark !== undefined) entry.place = Number(last?.items?.at(-1)?.text);
    }
    return database;
  }

  #read(raw: string): Reply {
    const read = readReply(Buffer.from(raw, "latin1"));
    if ("need" in read) throw new Error(`half a reply: ${JSON.stringify(raw)}`);
    for (const { type, text } of [read.reply, ...(read.reply.items ?? [])]) {
      if (type === "-" && !HARMLESS.test(text)) this.complaints.push(text);
    }
    return read.reply;
  }
}
