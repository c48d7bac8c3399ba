/**
 * The state of a server as plain bytes, and the commands of the crash test upon it: slow, simple, and without a line of the
 * server's code. A value is kept in pages, since one bit may stand at offset 2^32 - 1.
 */

const PAGE_BYTES = 1024;
export const PAGE_BITS = PAGE_BYTES * 8;
const ZEROS = Buffer.alloc(PAGE_BYTES);

export class Bits {
  byteLength = 0;
  /** Pages that are missing hold zeros. */
  readonly #pages = new Map<number, Buffer>();

  static of(bytes: Buffer): Bits {
    const bits = new Bits();
    bits.put(0, bytes);
    bits.byteLength = bytes.length;
    return bits;
  }

  /** Bytes from a page's beginning on. The length is the caller's business. */
  put(page: number, bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      const part = bytes.subarray(at, at + PAGE_BYTES);
      if (part.equals(ZEROS.subarray(0, part.length))) continue;
      part.copy(this.#page(page + at / PAGE_BYTES));
    }
  }

  set(offset: number, bit: number): void {
    const byte = Math.floor(offset / 8);
    this.byteLength = Math.max(this.byteLength, byte + 1);
    const page = this.#page(Math.floor(byte / PAGE_BYTES));
    const mask = 0x80 >> (offset % 8);
    const held = page[byte % PAGE_BYTES] as number;
    page[byte % PAGE_BYTES] = bit === 1 ? held | mask : held & ~mask;
  }

  get(offset: number): number {
    const byte = Math.floor(offset / 8);
    const held = this.#pages.get(Math.floor(byte / PAGE_BYTES))?.[byte % PAGE_BYTES] ?? 0;
    return (held & (0x80 >> (offset % 8))) === 0 ? 0 : 1;
  }

  /** The offsets of the bits that are set, in order. */
  list(): number[] {
    const offsets: number[] = [];
    for (const number of [...this.#pages.keys()].sort((a, b) => a - b)) {
      for (const [i, byte] of (this.#pages.get(number) as Buffer).entries()) {
        if (byte === 0) continue;
        const base = (number * PAGE_BYTES + i) * 8;
        for (let bit = 0; bit < 8; bit++) if ((byte & (0x80 >> bit)) !== 0) offsets.push(base + bit);
      }
    }
    return offsets;
  }

  clone(): Bits {
    const copy = new Bits();
    copy.byteLength = this.byteLength;
    for (const [number, page] of this.#pages) copy.#pages.set(number, Buffer.from(page));
    return copy;
  }

  equals(other: Bits): boolean {
    if (this.byteLength !== other.byteLength) return false;
    for (const [number, page] of this.#pages) if (!page.equals(other.#pages.get(number) ?? ZEROS)) return false;
    for (const [number, page] of other.#pages) if (!this.#pages.has(number) && !page.equals(ZEROS)) return false;
    return true;
  }

  /** AND, OR or XOR. */
  static combine(operation: string, sources: readonly Bits[]): Bits {
    const result = new Bits();
    result.byteLength = Math.max(0, ...sources.map(({ byteLength }) => byteLength));
    const [first = new Bits(), ...others] = sources;
    for (const number of new Set(sources.flatMap((source) => [...source.#pages.keys()]))) {
      const page = Buffer.from(first.#pages.get(number) ?? ZEROS);
      for (const other of others) {
        const right = other.#pages.get(number) ?? ZEROS;
        for (let i = 0; i < PAGE_BYTES; i++) page[i] = combineBytes(operation, page[i] as number, right[i] as number);
      }
      result.#pages.set(number, page);
    }
    return result;
  }

  #page(number: number): Buffer {
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = Buffer.alloc(PAGE_BYTES);
      this.#pages.set(number, page);
    }
    return page;
  }
}

function combineBytes(operation: string, left: number, right: number): number {
  if (operation === "AND") return left & right;
  return operation === "OR" ? left | right : left ^ right;
}

export interface Key {
  bits: Bits;
  /** Milliseconds since the epoch; Infinity for never. */
  deadline: number;
}

export const DATABASES = 16;
const NEVER = Number.POSITIVE_INFINITY;

/** Key by name, database by number. */
export class State {
  readonly databases: Map<string, Key>[] = Array.from({ length: DATABASES }, () => new Map());

  in(number: number): Map<string, Key> {
    return this.databases[number] as Map<string, Key>;
  }

  clone(): State {
    const copy = new State();
    this.databases.forEach((keys, number) => {
      for (const [name, { bits, deadline }] of keys) copy.in(number).set(name, { bits: bits.clone(), deadline });
    });
    return copy;
  }

  /**
   * Runs commands, beginning in `database`, and calls `touch` for each key that may have changed. Deadlines never pass
   * here: one that is near is the last thing that is done to a key, and whoever compares looks at the clock.
   */
  run(
    database: number,
    requests: readonly (readonly string[])[],
    touch: (database: number, key: string) => void,
  ): void {
    let selected = database;
    for (const [command, ...args] of requests) {
      if (command === "SELECT") selected = Number(args[0]);
      else this.#run(selected, command as string, args, touch);
    }
  }

  #run(db: number, command: string, args: string[], touch: (database: number, key: string) => void): void {
    const keys = this.in(db);
    const [name = "", second = "", third = ""] = args;
    const key = keys.get(name);
    switch (command) {
      case "SETBIT": {
        const bits = key?.bits ?? new Bits();
        bits.set(Number(second), Number(third));
        keys.set(name, key ?? { bits, deadline: NEVER });
        return touch(db, name);
      }
      case "SET": {
        const [option, deadline] = args.slice(2);
        const kept = option === "KEEPTTL" ? (key?.deadline ?? NEVER) : NEVER;
        const bits = Bits.of(Buffer.from(second, "latin1"));
        keys.set(name, { bits, deadline: option === "PXAT" ? Number(deadline) : kept });
        return touch(db, name);
      }
      case "BITOP": {
        const sources = args.slice(2).map((source) => keys.get(source)?.bits ?? new Bits());
        const bits = Bits.combine(name, sources);
        if (bits.byteLength === 0) keys.delete(second);
        else keys.set(second, { bits, deadline: NEVER });
        return touch(db, second);
      }
      case "DEL":
        for (const each of args) {
          keys.delete(each);
          touch(db, each);
        }
        return;
      case "PEXPIREAT":
        if (key !== undefined) key.deadline = Number(second);
        return touch(db, name);
      case "PERSIST":
        if (key !== undefined) key.deadline = NEVER;
        return touch(db, name);
      case "RENAME":
        if (key === undefined) return;
        keys.delete(name);
        keys.set(second, key);
        touch(db, name);
        return touch(db, second);
      case "MOVE":
        if (key === undefined || this.in(Number(second)).has(name)) return;
        keys.delete(name);
        this.in(Number(second)).set(name, key);
        touch(db, name);
        return touch(Number(second), name);
      case "COPY": // COPY source target DB number REPLACE
        if (key === undefined) return;
        this.in(Number(args[3])).set(second, { bits: key.bits.clone(), deadline: key.deadline });
        return touch(Number(args[3]), second);
      case "FLUSHDB": {
        const names = [...keys.keys()];
        keys.clear();
        for (const each of names) touch(db, each);
        return;
      }
      case "SWAPDB": {
        const [left, right] = [Number(name), Number(second)];
        [this.databases[left], this.databases[right]] = [this.in(right), this.in(left)];
        for (const number of [left, right]) {
          for (const each of [...this.in(left).keys(), ...this.in(right).keys()]) touch(number, each);
        }
        return;
      }
      case "BITCOUNT":
        return;
      default:
        throw new Error(`the model does not know ${command}`);
    }
  }
}
