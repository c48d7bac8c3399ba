/**
 * What the clients of the crash test write. Each has its own keys in database 0 and three databases of its own, so that
 * what it should find there follows from its own history; one key, `all`, belongs to everybody and orders the histories.
 *
 * A unit is what must be there whole or not at all: one command, or a transaction. Most transactions are marked: they
 * set the client's next bit in `all` and count the bits there, so that the reply says the unit's place in the history of all.
 */
import type { Dice } from "../support/random.js";

export const CLIENTS = 4;
/** Database 0 is everybody's, and each client has three of its own. */
const DATABASES_EACH = 3;
export const ALL = "all";
export const QUAD = 4;

export interface Unit {
  /** Where it begins; a transaction may SELECT another. */
  database: number;
  requests: readonly (readonly string[])[];
  isTransaction: boolean;
  /** The bit in ALL; the transaction's last two requests are the SETBIT of it and the BITCOUNT. */
  mark?: number;
}

const FAR_DEADLINE = 4_102_444_800_000; // the year 2100
const LARGE_BYTES = 125_000;
const FAR_OFFSETS = 48;
const OFFSET_MAX = 2 ** 32 - 1;

/** The key or database is this client's. */
export function isOwn(client: number, database: number, key: string): boolean {
  return database === 0 ? key.startsWith(`c${client}:`) : ownDatabases(client).includes(database);
}

/** The four keys that a transaction changes together. */
export function quadKeys(client: number): string[] {
  return Array.from({ length: QUAD }, (_, i) => `c${client}:quad${i}`);
}

function ownDatabases(client: number): number[] {
  return Array.from({ length: DATABASES_EACH }, (_, i) => 1 + client * DATABASES_EACH + i);
}

export class Workload {
  readonly #client: number;
  readonly #dice: Dice;
  readonly #databases: number[];
  readonly #farOffsets: number[];
  #marks = 0;
  #serial = 0;

  constructor(client: number, dice: Dice) {
    this.#client = client;
    this.#dice = dice;
    this.#databases = ownDatabases(client);
    this.#farOffsets = [OFFSET_MAX, ...Array.from({ length: FAR_OFFSETS }, () => dice.int(0, OFFSET_MAX))];
  }

  /** What a client does first: values with hundreds of thousands of members. */
  first(): Unit[] {
    return [0, 1].map((i) => bare(0, "SET", this.#key("large", i), this.#largeValue()));
  }

  /** What is sent in one write. */
  next(): Unit[] {
    const chance = this.#dice.next();
    if (chance < 0.3) return [this.#quad()];
    if (chance < 0.62) return this.#setBits();
    if (chance < 0.7) return this.#temporary();
    if (chance < 0.75) return this.#dying();
    if (chance < 0.83) return [this.#inOwnDatabase()];
    const request = this.#onText();
    return [this.#dice.next() < 0.3 ? this.#marked(0, [request]) : bare(0, ...request)];
  }

  #key(kind: string, number: number): string {
    return `c${this.#client}:${kind}${number}`;
  }

  /** SETBITs of one offset over four keys, as mark_event of bitmapist. */
  #quad(): Unit {
    const offset = String(this.#dice.int(0, 100_000));
    return this.#marked(
      0,
      quadKeys(this.#client).map((key) => ["SETBIT", key, offset, "1"]),
    );
  }

  #setBits(): Unit[] {
    return Array.from({ length: this.#dice.int(1, 8) }, () => {
      const bit = this.#dice.next() < 0.85 ? "1" : "0";
      return bare(0, "SETBIT", ...this.#place(), bit);
    });
  }

  #place(): [key: string, offset: string] {
    const { int, pick, next } = this.#dice;
    const chance = next();
    if (chance < 0.5) return [this.#key("small", int(0, 9)), String(int(0, 500))];
    if (chance < 0.7) return [this.#key("middle", int(0, 3)), String(int(0, 200_000))];
    if (chance < 0.9) return [this.#key("large", int(0, 1)), String(int(0, LARGE_BYTES * 8 - 1))];
    return [this.#key("far", 0), String(pick(this.#farOffsets))];
  }

  /** As bitmapist does: a BITOP into a temporary key, which gets a deadline, is used, and often deleted. */
  #temporary(): Unit[] {
    const { int, pick, next } = this.#dice;
    const key = this.#key("temporary", int(0, 15));
    const source = next() < 0.05 ? this.#key("large", int(0, 1)) : this.#key("middle", int(0, 3));
    const units = [
      bare(0, "BITOP", pick(["AND", "OR", "XOR"]), key, source, this.#key("small", int(0, 9))),
      bare(0, "PEXPIREAT", key, this.#farDeadline()),
    ];
    if (next() < 0.5) units.push(bare(0, "DEL", key));
    return units;
  }

  /** A key that is never touched again once it has a near deadline. */
  #dying(): Unit[] {
    const { int, next } = this.#dice;
    const key = `c${this.#client}:dying${this.#serial++}`;
    const deadline = String(Date.now() + int(20, 4000));
    if (next() < 0.3) return [bare(0, "SET", key, "x", "PXAT", deadline)];
    const create = next() < 0.5 ? ["SETBIT", key, String(int(0, 300)), "1"] : ["SET", key, "x"];
    if (next() < 0.5) return [this.#marked(0, [create, ["PEXPIREAT", key, deadline]])];
    return [bare(0, ...create), bare(0, "PEXPIREAT", key, deadline)];
  }

  #onText(): string[] {
    const { int, pick, next } = this.#dice;
    const text = () => this.#key("text", int(0, 5));
    const any = () => pick([text, () => this.#key("small", int(0, 9)), () => this.#key("temporary", int(0, 15))])();
    if (next() < 0.004) return ["SET", this.#key("large", int(0, 1)), this.#largeValue()];
    return pick([
      () => ["SET", text(), "x".repeat(int(0, 40))],
      () => ["SET", text(), String(next()), "PXAT", this.#farDeadline()],
      () => ["SET", text(), String(next()), "KEEPTTL"],
      () => ["DEL", any(), any()],
      () => ["PEXPIREAT", any(), this.#farDeadline()],
      () => ["PERSIST", any()],
      () => ["RENAME", any(), text()],
      () => ["COPY", any(), text(), "DB", "0", "REPLACE"],
    ])();
  }

  #inOwnDatabase(): Unit {
    const { int, pick, next } = this.#dice;
    const [database, other] = [pick(this.#databases), pick(this.#databases)];
    const key = () => `k${int(0, 11)}`;
    const chance = next();
    let request = pick([
      () => ["SETBIT", key(), String(int(0, 5000)), "1"],
      () => ["SET", key(), "x".repeat(int(0, 20))],
      () => ["DEL", key()],
      () => ["RENAME", key(), key()],
      () => ["PEXPIREAT", key(), this.#farDeadline()],
    ])();
    if (database !== other && chance < 0.1) request = ["MOVE", key(), String(other)];
    else if (database !== other && chance < 0.2) request = ["COPY", key(), key(), "DB", String(other), "REPLACE"];
    else if (database !== other && chance < 0.23) request = ["SWAPDB", String(database), String(other)];
    else if (chance < 0.28) request = ["FLUSHDB"];
    return next() < 0.3 ? this.#marked(database, [request, ["SELECT", "0"]]) : bare(database, ...request);
  }

  #marked(database: number, requests: readonly (readonly string[])[]): Unit {
    const mark = this.#marks++ * CLIENTS + this.#client;
    const marking = [
      ["SETBIT", ALL, String(mark), "1"],
      ["BITCOUNT", ALL],
    ];
    return { database, requests: [...requests, ...marking], isTransaction: true, mark };
  }

  #farDeadline(): string {
    return String(FAR_DEADLINE + this.#dice.int(0, 1_000_000));
  }

  /** A quarter of a million members, at random places. */
  #largeValue(): string {
    const bytes = Buffer.alloc(LARGE_BYTES);
    for (let i = 0; i < LARGE_BYTES; i++) bytes[i] = this.#dice.int(0, 255) & this.#dice.int(0, 255);
    return bytes.toString("latin1");
  }
}

function bare(database: number, ...request: string[]): Unit {
  return { database, requests: [request], isTransaction: false };
}
