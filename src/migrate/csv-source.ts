/**
 * A CSV file of ids as the source of a move: a row for each id, with the columns `key`, `id` and, where there is more than one,
 * `database`, in any order and beside any others. The rows of a key may be anywhere.
 */
import { ByteIndex } from "./byte-index.js";
import { type Collector, ID_MAX } from "./collector.js";
import { CsvError, CsvReader } from "./csv-reader.js";
import { type Input, InputReader } from "./input.js";
import type { Item, Source } from "./item.js";
import { keyOfText } from "./key-text.js";

const ZERO = 0x30;
const ID_DIGITS_MAX = 10;

/** Where the columns are, -1 for one that is not there. */
interface Columns {
  database: number;
  key: number;
  id: number;
}

export class CsvSource implements Source {
  readonly #input: InputReader;
  readonly #collector: Collector;
  readonly #reader = new CsvReader();
  #columns: Columns | undefined;
  /** What the collector calls the keys, by database and by the bytes of their fields. */
  #numbers: ByteIndex[] = [];

  constructor(input: Input, collector: Collector) {
    this.#input = new InputReader(input);
    this.#collector = collector;
  }

  async *items(): AsyncGenerator<Item, void> {
    const reader = this.#reader;
    for await (const chunk of this.#input.chunks()) {
      reader.push(chunk);
      this.#rows();
      if (!this.#collector.isFull) continue;
      await this.#collector.makeRoom();
      this.#numbers = [];
    }
    reader.end();
    this.#rows();
    if (this.#columns === undefined) throw this.#input.badLine(1, "there is no header line");
    this.#numbers = [];
    yield* this.#collector.items();
  }

  #rows(): void {
    const reader = this.#reader;
    try {
      while (reader.next()) {
        if (this.#columns === undefined) this.#columns = this.#header();
        else this.#row(this.#columns);
      }
    } catch (error) {
      if (!(error instanceof CsvError)) throw error;
      throw this.#input.badLine(reader.line, error.message);
    }
  }

  #header(): Columns {
    const names = Array.from({ length: this.#reader.fields }, (_, i) => this.#reader.text(i));
    const [database, key, id] = ["database", "key", "id"].map((name) => names.indexOf(name)) as [
      number,
      number,
      number,
    ];
    for (const [name, at] of Object.entries({ key, id })) {
      if (at < 0) throw new CsvError(`there is no column ${name} in the header line`);
    }
    return { database, key, id };
  }

  #row({ database: databaseAt, key, id: idAt }: Columns): void {
    const reader = this.#reader;
    if (Math.max(databaseAt, key, idAt) >= reader.fields)
      throw new CsvError(`fewer fields than the header line has: ${reader.fields}`);
    const database = databaseAt < 0 ? 0 : this.#integer(databaseAt, "database");
    const id = this.#integer(idAt, "id");
    if (id > ID_MAX) throw new CsvError(`id ${id} is above ${ID_MAX}`);
    this.#collector.add(this.#number(database, key), id);
  }

  /** What the collector calls the key in this field. */
  #number(database: number, field: number): number {
    const { bytes, starts, ends } = this.#reader;
    const start = starts[field] as number;
    const end = ends[field] as number;
    this.#numbers[database] ??= new ByteIndex();
    const numbers = this.#numbers[database] as ByteIndex;
    const known = numbers.find(bytes, start, end);
    if (known !== undefined) return known;
    const number = this.#collector.number(database, keyIn(this.#reader.text(field)));
    numbers.add(bytes, start, end, number);
    return number;
  }

  #integer(field: number, name: string): number {
    const { bytes, starts, ends } = this.#reader;
    const start = starts[field] as number;
    const end = ends[field] as number;
    let value = 0;
    for (let at = start; at < end; at++) {
      const digit = (bytes[at] as number) - ZERO;
      if (digit < 0 || digit > 9) value = Number.NaN;
      value = value * 10 + digit;
    }
    if (end === start || end - start > ID_DIGITS_MAX || Number.isNaN(value)) {
      throw new CsvError(
        `${JSON.stringify(this.#reader.text(field).slice(0, 40))} is no ${name}: it must be an integer from 0 on`,
      );
    }
    return value;
  }

  get share(): number | undefined {
    return this.#input.share;
  }

  async close(): Promise<void> {}
}

function keyIn(text: string): string {
  try {
    return keyOfText(text);
  } catch (error) {
    throw new CsvError((error as Error).message);
  }
}
