/**
 * A file of JSON lines as the source of a move: `{"database":0,"key":"...","byte_length":n,"expires_at":ms,"ids":[...]}`, of which only `key`
 * and `ids` must be there. A key may have several lines, anywhere in the file: it gets the ids of all of them.
 */
import { isUtf8 } from "node:buffer";
import { BULK_BYTES_MAX, MIB } from "../config.js";
import { type Collector, ID_MAX } from "./collector.js";
import { type Input, InputReader } from "./input.js";
import type { Item, Source } from "./item.js";
import { keyOfText } from "./key-text.js";

const LF = 0x0a;
/** A line may have so many bytes: it is in memory whole, and several times as large once it is read. */
const LINE_BYTES_MAX = 64 * MIB;

/** What a line says, as far as it matters here. */
interface Line {
  database: number;
  key: string;
  byteLength: number;
  deadline: number | undefined;
  ids: readonly number[];
}

export class NdjsonSource implements Source {
  readonly #input: InputReader;
  readonly #collector: Collector;
  #line = 0;

  constructor(input: Input, collector: Collector) {
    this.#input = new InputReader(input);
    this.#collector = collector;
  }

  async *items(): AsyncGenerator<Item, void> {
    let pieces: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of this.#input.chunks()) {
      let from = 0;
      for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, from)) {
        await this.#take(Buffer.concat([...pieces, chunk.subarray(from, end)]));
        pieces = [];
        bytes = 0;
        from = end + 1;
      }
      pieces.push(chunk.subarray(from));
      bytes += chunk.length - from;
      if (bytes > LINE_BYTES_MAX) {
        const advice = "a key may have several lines, each with a part of its ids";
        throw this.#input.badLine(this.#line + 1, `the line has more than ${LINE_BYTES_MAX} bytes: ${advice}`);
      }
    }
    await this.#take(Buffer.concat(pieces));
    yield* this.#collector.items();
  }

  async #take(bytes: Buffer): Promise<void> {
    this.#line++;
    try {
      if (!isUtf8(bytes)) throw new Error("the line is not UTF-8");
      const text = bytes.toString("utf8").trim();
      if (text === "") return;
      this.#add(lineOf(JSON.parse(text)));
    } catch (error) {
      throw this.#input.badLine(this.#line, (error as Error).message);
    }
    if (this.#collector.isFull) await this.#collector.makeRoom();
  }

  #add({ database, key, byteLength, deadline, ids }: Line): void {
    const number = this.#collector.number(database, key);
    this.#collector.lengthen(number, byteLength);
    if (deadline !== undefined) this.#collector.expire(number, deadline);
    this.#collector.addMany(number, ids);
  }

  get share(): number | undefined {
    return this.#input.share;
  }

  async close(): Promise<void> {}
}

function lineOf(value: unknown): Line {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error("the line is no JSON object");
  const { database, key, byte_length: byteLength, expires_at: expiresAt, ids } = value as Record<string, unknown>;
  if (typeof key !== "string") throw new Error('"key" is no string');
  if (/\p{Surrogate}/u.test(key)) throw new Error('"key" has half of a surrogate pair, which is no character');
  return {
    database: integer(database ?? 0, "database", Number.MAX_SAFE_INTEGER),
    key: keyOfText(Buffer.from(key, "utf8").toString("latin1")),
    byteLength: integer(byteLength ?? 0, "byte_length", BULK_BYTES_MAX),
    deadline:
      expiresAt === undefined || expiresAt === null
        ? undefined
        : integer(expiresAt, "expires_at", Number.MAX_SAFE_INTEGER),
    ids: idsOf(ids),
  };
}

function idsOf(value: unknown): readonly number[] {
  if (!Array.isArray(value)) throw new Error('"ids" is no list');
  const wrong = value.findIndex((id) => !isInteger(id, ID_MAX));
  if (wrong >= 0) integer(value[wrong], `ids[${wrong}]`, ID_MAX);
  return value;
}

function integer(value: unknown, name: string, max: number): number {
  if (isInteger(value, max)) return value;
  throw new Error(`${JSON.stringify(value)?.slice(0, 40)} is no ${name}: it must be an integer from 0 to ${max}`);
}

function isInteger(value: unknown, max: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max;
}
