/**
 * A client that does what it should while others do not: sets and asks for bits and counts them, compares each reply with what it knows,
 * and measures how long it waited for it.
 */
import { GOOD_DATABASE } from "../support/broken-requests.js";
import type { Dice } from "../support/random.js";
import { RawClient } from "../support/raw-client.js";
import { sleep } from "../support/server-process.js";

/** Pause between the beginnings of two calls. */
const CALL_INTERVAL_MS = 2;
const KEY = "good";
const OFFSET_MAX = 100_000;
/** The longest it waits for a reply: then the server counts as dead. */
const PATIENCE_MS = 30_000;

export class GoodClient {
  readonly #client: RawClient;
  readonly #dice: Dice;
  readonly #ones = new Set<number>();
  /** How long each call took since `measure` was called last, in milliseconds. */
  #latenciesMs: number[] = [];
  /** Replies that were not what they should be. */
  readonly complaints: string[] = [];
  #isClosed = false;
  #working: Promise<void> | undefined;

  private constructor(client: RawClient, dice: Dice) {
    this.#client = client;
    this.#dice = dice;
  }

  static async connect(port: number, dice: Dice): Promise<GoodClient> {
    const client = await RawClient.connect(port, { timeoutMs: PATIENCE_MS });
    await client.call("SELECT", String(GOOD_DATABASE));
    return new GoodClient(client, dice);
  }

  /** Calls until `close`. */
  begin(): void {
    this.#working = this.#work().catch((error) => {
      this.complaints.push(`the good client was not served: ${error instanceof Error ? error.message : error}`);
    });
  }

  /** The latencies since this was asked last, the shortest first. */
  measured(): number[] {
    return this.#latenciesMs.splice(0).sort((a, b) => a - b);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#working;
    this.#client.close();
  }

  /** Compares all that it has written with what a server has on this port, which need not be the one that it wrote to. */
  async compare(port: number): Promise<void> {
    const client = await RawClient.connect(port);
    await client.call("SELECT", String(GOOD_DATABASE));
    const ids = [...this.#ones].sort((a, b) => a - b);
    const count = `:${ids.length}\r\n`;
    const bits = await client.pipeline(ids.map((id) => ["GETBIT", KEY, String(id)]));
    if (ids.length === 0) this.complaints.push("the good client has written nothing");
    if (bits.some((bit) => bit !== ":1\r\n")) this.complaints.push("bits of the good client are gone");
    if ((await client.call("BITCOUNT", KEY)) !== count) this.complaints.push("there are bits that nobody has set");
    client.close();
  }

  async #work(): Promise<void> {
    let dueMs = performance.now();
    while (!this.#isClosed) {
      dueMs = Math.max(dueMs + CALL_INTERVAL_MS, performance.now());
      await sleep(dueMs - performance.now());
      const sentMs = performance.now();
      await this.#call();
      this.#latenciesMs.push(performance.now() - sentMs);
    }
  }

  async #call(): Promise<void> {
    const id = this.#dice.int(0, OFFSET_MAX);
    const old = this.#ones.has(id) ? 1 : 0;
    switch (this.#dice.int(0, 2)) {
      case 0: {
        const bit = this.#dice.int(0, 1);
        if (bit === 1) this.#ones.add(id);
        else this.#ones.delete(id);
        return await this.#expect(old, "SETBIT", KEY, String(id), String(bit));
      }
      case 1:
        return await this.#expect(old, "GETBIT", KEY, String(id));
      default:
        return await this.#expect(this.#ones.size, "BITCOUNT", KEY);
    }
  }

  async #expect(value: number, ...argv: string[]): Promise<void> {
    const reply = await this.#client.call(...argv);
    if (reply !== `:${value}\r\n`)
      this.complaints.push(`${argv.join(" ")} gave ${JSON.stringify(reply)}, not ${value}`);
  }
}
