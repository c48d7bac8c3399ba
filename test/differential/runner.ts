/**
 * Takes a server through the steps of a run and writes down what it answered to each, in comparable form.
 */
import { encodeRequest, RawClient, readReply } from "../support/raw-client.js";
import { normalise } from "./normalise.js";
import { type Arg, DATABASES, formatBytes, formatStep, KEYS, resolveArg, START_MS, type Step } from "./steps.js";

const CONNECTIONS = 2;
/** How long a reply may take. Short, for a server that falls silent is asked often while the run is shrunk. */
const REPLY_TIMEOUT_MS = 3000;
const SCAN_CALLS_MAX = 1000;

/** A server whose clock the test holds. */
export interface Target {
  readonly port: number;
  setClock(nowMs: number): void;
  stop(): Promise<void>;
}

export class Session {
  readonly #target: Target;
  readonly #control: RawClient;
  /** Whatever may be the name of a key: arguments of the program so far. */
  readonly #names = new Set<string>();
  readonly #timeoutMs: number;
  #clients: RawClient[] = [];
  /** Per connection the commands MULTI has collected; undefined outside of one. */
  #queues: (string[][] | undefined)[] = [];
  #now = START_MS;

  private constructor(target: Target, control: RawClient, timeoutMs: number) {
    this.#target = target;
    this.#control = control;
    this.#timeoutMs = timeoutMs;
  }

  static async open(target: Target, replyTimeoutMs = REPLY_TIMEOUT_MS): Promise<Session> {
    return new Session(target, await RawClient.connect(target.port, { timeoutMs: replyTimeoutMs }), replyTimeoutMs);
  }

  close(): void {
    for (const client of this.#clients) client.close();
    this.#control.close();
  }

  /** Runs the steps on an empty server and fresh connections. The outcome of each, shorter when the server fell silent. */
  async run(steps: readonly Step[]): Promise<string[]> {
    await this.#begin();
    const outcomes: string[] = [];
    try {
      for (let i = 0; i < steps.length; ) {
        const batch = this.#batchAt(steps, i);
        outcomes.push(...(batch.length > 1 ? await this.#pipeline(batch) : [await this.#take(steps[i]!)]));
        i += Math.max(1, batch.length);
      }
    } catch (error) {
      outcomes.push(`<${error instanceof Error ? error.message : String(error)}>`);
    }
    return outcomes;
  }

  async #begin(): Promise<void> {
    this.#setClock(START_MS);
    this.#names.clear();
    const [flushed] = await this.#control.pipeline([["FLUSHALL"]]);
    if (flushed !== "+OK\r\n") throw new Error(`FLUSHALL answered ${flushed}`);
    for (const client of this.#clients) client.close();
    this.#clients = [];
    for (let i = 0; i < CONNECTIONS; i += 1) this.#clients.push(await this.#connect());
    this.#queues = [];
  }

  #connect(): Promise<RawClient> {
    return RawClient.connect(this.#target.port, { timeoutMs: this.#timeoutMs });
  }

  #setClock(nowMs: number): void {
    this.#now = nowMs;
    this.#target.setClock(nowMs);
  }

  /** Calls in a row on one connection that may go out in one write. */
  #batchAt(steps: readonly Step[], start: number): (Step & { kind: "call" })[] {
    const batch: (Step & { kind: "call" })[] = [];
    for (const step of steps.slice(start)) {
      if (step.kind !== "call" || standsAlone(step) || step.conn !== (batch[0]?.conn ?? step.conn)) break;
      batch.push(step);
    }
    return batch;
  }

  async #pipeline(batch: readonly (Step & { kind: "call" })[]): Promise<string[]> {
    const requests = batch.map((step) => this.#resolve(step.argv));
    const conn = batch[0]!.conn;
    const replies = await this.#client(conn).pipeline(requests);
    return replies.map((reply, i) => this.#note(conn, requests[i]!, reply));
  }

  async #take(step: Step): Promise<string> {
    switch (step.kind) {
      case "clock":
        this.#setClock(this.#now + step.ms);
        return "";
      case "call":
        return this.#call(step.conn, this.#resolve(step.argv));
      case "scan":
        return this.#scan(step.conn, step.options);
      case "silent":
        return this.#withoutReplies(step.conn, [
          ["CLIENT", "REPLY", "OFF"],
          ...step.commands.map((argv) => this.#resolve(argv)),
          ["CLIENT", "REPLY", "ON"],
        ]);
      case "skip":
        return this.#withoutReplies(step.conn, [["CLIENT", "REPLY", "SKIP"], this.#resolve(step.argv), ["PING"]]);
      case "quit":
        return this.#quit(step.conn);
    }
  }

  async #call(conn: number, argv: string[]): Promise<string> {
    const name = nameOf(argv);
    const queue = this.#queues[conn] ?? [];
    if (seesExpired(argv) || (name === "EXEC" && queue.some(seesExpired))) await this.#settle();
    const reply = await this.#client(conn).call(...argv);
    const outcome = this.#note(conn, argv, reply);
    const key = name === "RANDOMKEY" ? bulkIn(reply) : undefined;
    return key === undefined ? outcome : `${outcome} exists: ${await this.#client(conn).call("EXISTS", key)}`;
  }

  /** Makes every expired key die. */
  async #settle(): Promise<void> {
    const requests = DATABASES.flatMap((db) => [
      ["SELECT", String(db)],
      ["EXISTS", ...KEYS, ...this.#names],
    ]);
    await this.#control.pipeline(requests);
  }

  async #scan(conn: number, options: readonly string[]): Promise<string> {
    if (this.#queues[conn] !== undefined) return "not sent inside MULTI";
    const keys = new Set<string>();
    let cursor = "0";
    for (let calls = 0; calls < SCAN_CALLS_MAX; calls += 1) {
      const argv = ["SCAN", cursor, ...options];
      const reply = await this.#client(conn).call(...argv);
      const parsed = readReply(Buffer.from(reply, "latin1"));
      const [next, page] = "reply" in parsed ? (parsed.reply.items ?? []) : [];
      if (next === undefined || page?.items === undefined) return this.#note(conn, argv, reply);
      for (const key of page.items) keys.add(key.text);
      cursor = next.text;
      if (cursor === "0") return `keys: ${[...keys].sort().map(formatBytes).join(" ")}`;
    }
    return `no end after ${SCAN_CALLS_MAX} calls`;
  }

  async #withoutReplies(conn: number, requests: string[][]): Promise<string> {
    if (this.#queues[conn] !== undefined) return "not sent inside MULTI";
    const client = this.#client(conn);
    client.send(Buffer.concat(requests.map(encodeRequest)));
    const [reply = ""] = await client.replies(1);
    return reply;
  }

  async #quit(conn: number): Promise<string> {
    const client = this.#client(conn);
    const reply = await client.call("QUIT");
    const closed = await Promise.race([client.closed.then(() => true), new Promise((r) => setTimeout(r, 5000, false))]);
    this.#clients[conn] = await this.#connect();
    this.#queues[conn] = undefined;
    return `${reply} closed: ${closed}`;
  }

  /** Follows the connection into and out of MULTI, and gives the reply's comparable form. */
  #note(conn: number, argv: readonly string[], reply: string): string {
    const queue = this.#queues[conn];
    const outcome = normalise(argv, reply, queue);
    const name = nameOf(argv);
    if (reply === "+QUEUED\r\n") queue?.push([...argv]);
    else if (name === "MULTI" && reply === "+OK\r\n") this.#queues[conn] = [];
    else if (["EXEC", "DISCARD", "RESET"].includes(name) && !reply.startsWith("-ERR wrong"))
      this.#queues[conn] = undefined;
    return outcome;
  }

  #resolve(argv: readonly Arg[]): string[] {
    const resolved = argv.map((arg) => resolveArg(arg, this.#now));
    for (const arg of resolved) if (arg.length <= NAME_LENGTH_MAX) this.#names.add(arg);
    return resolved;
  }

  #client(conn: number): RawClient {
    const client = this.#clients[conn];
    if (client === undefined) throw new Error(`no connection ${conn}`);
    return client;
  }
}

function nameOf(argv: readonly string[]): string {
  return argv[0]?.toUpperCase() ?? "";
}

function standsAlone(step: Step & { kind: "call" }): boolean {
  const first = step.argv[0];
  return typeof first !== "string" || ["EXEC", "RANDOMKEY", ...SEE_EXPIRED].includes(first.toUpperCase());
}

/** Longer arguments are no names of keys. */
const NAME_LENGTH_MAX = 64;

/** Redis' commands that see expired keys which nobody has looked at yet: DBSIZE counts them, MEMORY USAGE tells of them. */
const SEE_EXPIRED = ["DBSIZE", "MEMORY"];

function seesExpired(argv: readonly string[]): boolean {
  return SEE_EXPIRED.includes(nameOf(argv));
}

function bulkIn(reply: string): string | undefined {
  const parsed = readReply(Buffer.from(reply, "latin1"));
  if (!("reply" in parsed) || parsed.reply.type !== "$" || parsed.reply.text === "-1") return undefined;
  return parsed.reply.text;
}

/** The first step whose outcomes differ, told with all that went before; undefined when there is none. */
export function difference(
  steps: readonly Step[],
  expected: readonly string[],
  actual: readonly string[],
): string | undefined {
  const at = steps.findIndex((_, i) => expected[i] !== actual[i]);
  if (at < 0) return undefined;
  return [
    ...steps.slice(0, at + 1).map(formatStep),
    `  Redis: ${formatBytes(expected[at] ?? "<nothing>")}`,
    `  we:    ${formatBytes(actual[at] ?? "<nothing>")}`,
  ].join("\n");
}
