/**
 * BITADD and its like against plain Sets of numbers, in random programs: values of all kinds, results of BITOP that share what they are made
 * from, commits and evictions in between. At the end the file must hold what the Sets hold.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { VALUE } from "../../../src/keyspace/entry-table.js";
import { Keyspace } from "../../../src/keyspace/keyspace.js";
import { replyValue } from "../../support/ask.js";
import { type TestClient, TestServer } from "./harness.js";

const KEYS = ["a", "b", "c", "d"];
/** Ids of the programs: three containers. */
const IDS = 180_000;

interface Model {
  ids: Set<number>;
  byteLength: number;
}

const key = fc.constantFrom(...KEYS);
const id = fc.oneof(fc.nat(60), fc.nat(IDS - 1), fc.constantFrom(65_535, 65_536, IDS - 1));
const few = fc.array(id, { minLength: 1, maxLength: 6 });
/** Many ids, in no order: every `step`-th, as far as they go. */
const many = fc
  .record({ first: fc.nat(1000), step: fc.constantFrom(1, 3, 29, 101), count: fc.constantFrom(600, 1500, 6000) })
  .map(({ first, step, count }) => {
    const ids: number[] = [];
    for (let i = 0; i < count && first + i * step < IDS; i++) ids.push(first + i * step);
    return [...ids.slice(ids.length / 2), ...ids.slice(0, ids.length / 2)];
  });
const ids = fc.oneof(few, many);
const sources = fc.array(key, { minLength: 2, maxLength: 3 });

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("add" as const), key, ids }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("remove" as const), key, ids }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("addRange" as const), key, first: id, last: id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("removeRange" as const), key, first: id, last: id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("bits" as const), key, first: fc.nat(IDS - 400) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("bitop" as const), key, op: fc.constantFrom("AND", "OR", "DIFF"), sources }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("copy" as const), key, to: key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("optimize" as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("commit" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("evict" as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What is asked of a key after each step; as much as one program can bear. */
interface Question {
  key: string;
  id: number;
  rank: number;
  count: number;
}
const question: fc.Arbitrary<Question> = fc.record({
  key,
  id,
  rank: fc.integer({ min: -20, max: 6000 }),
  count: fc.integer({ min: 1, max: 50 }),
});

const lengthFor = (id: number) => Math.floor(id / 8) + 1;

class Program {
  readonly server = new TestServer();
  readonly client: TestClient = this.server.connect();
  readonly model = new Map<string, Model>();
  /** Kinds of values that were met. */
  readonly kinds: Set<number>;

  constructor(kinds: Set<number>) {
    this.kinds = kinds;
  }

  ask(...request: (string | number)[]) {
    return replyValue(this.client.runAll(request.map(String)));
  }

  perform(each: Step): void {
    switch (each.do) {
      case "add":
        return this.#add(each.key, each.ids, this.ask("BITADD", each.key, ...each.ids));
      case "remove":
        return this.#remove(each.key, each.ids, this.ask("BITREM", each.key, ...each.ids));
      case "addRange":
        return this.#add(each.key, idsOf(each), this.ask("BITADDRANGE", each.key, each.first, each.last));
      case "removeRange":
        return this.#remove(each.key, idsOf(each), this.ask("BITREMRANGE", each.key, each.first, each.last));
      case "bits": {
        // So many single bits turn native values into containers.
        for (let i = 0; i < 400; i++) this.ask("SETBIT", each.key, each.first + i, i & 1);
        const { ids, byteLength } = this.#of(each.key);
        for (let i = 0; i < 400; i++) {
          if ((i & 1) === 1) ids.add(each.first + i);
          else ids.delete(each.first + i);
        }
        this.model.set(each.key, { ids, byteLength: Math.max(byteLength, lengthFor(each.first + 399)) });
        return;
      }
      case "bitop": {
        const [first, ...rest] = each.sources.map((name) => this.#of(name));
        const { ids } = first as Model;
        const inAny = (id: number) => rest.some((source) => source.ids.has(id));
        const combined = {
          AND: () => new Set([...ids].filter((id) => rest.every((source) => source.ids.has(id)))),
          OR: () => new Set([...ids, ...rest.flatMap((source) => [...source.ids])]),
          DIFF: () => new Set([...ids].filter((id) => !inAny(id))),
        }[each.op as "AND" | "OR" | "DIFF"]();
        const byteLength = Math.max(...[first as Model, ...rest].map((source) => source.byteLength));
        expect(this.ask("BITOPCARD", each.op, ...each.sources)).toBe(combined.size);
        expect(this.ask("BITOPCARD", each.op, ...each.sources, "LIMIT", 500)).toBe(Math.min(combined.size, 500));
        expect(this.ask("BITOP", each.op, each.key, ...each.sources)).toBe(byteLength);
        if (byteLength === 0) this.model.delete(each.key);
        else this.model.set(each.key, { ids: combined, byteLength });
        return;
      }
      case "copy": {
        const value = this.model.get(each.key);
        if (value === undefined || each.key === each.to) return;
        expect(this.ask("COPY", each.key, each.to, "REPLACE")).toBe(1);
        this.model.set(each.to, { ids: new Set(value.ids), byteLength: value.byteLength });
        return;
      }
      case "optimize":
        expect(this.ask("BITOPTIMIZE", each.key)).toBeGreaterThanOrEqual(0);
        return;
      case "commit":
        return this.server.storage.commit(this.server.keyspace);
      case "evict": {
        const { keyspace, storage } = this.server;
        storage.commit(keyspace);
        keyspace.residency.maxBytes = 1;
        for (let i = 0; i < 10; i++) keyspace.residency.cycle(keyspace.now);
        keyspace.residency.maxBytes = 0;
      }
    }
  }

  #of(name: string): Model {
    return this.model.get(name) ?? { ids: new Set(), byteLength: 0 };
  }

  #add(name: string, added: readonly number[], reply: unknown): void {
    const { ids, byteLength } = this.#of(name);
    const before = ids.size;
    let longest = byteLength;
    for (const id of added) {
      ids.add(id);
      longest = Math.max(longest, lengthFor(id));
    }
    expect(reply).toBe(ids.size - before);
    if (added.length > 0) this.model.set(name, { ids, byteLength: longest });
  }

  #remove(name: string, removed: readonly number[], reply: unknown): void {
    const { ids } = this.#of(name);
    const before = ids.size;
    for (const id of removed) ids.delete(id);
    expect(reply).toBe(before - ids.size);
  }

  answer({ key: name, id, rank, count }: Question): void {
    const value = this.model.get(name);
    const ids = [...(value?.ids ?? [])].sort((a, b) => a - b);
    const at = rank < 0 ? ids.length + rank : rank;
    const below = ids.findIndex((other) => other >= id);
    const from = below === -1 ? ids.length : below;
    const page = ids.slice(from, from + count);
    const isLast = from + count >= ids.length;
    expect([
      this.ask("STRLEN", name),
      this.ask("BITCOUNT", name),
      this.ask("BITMIN", name),
      this.ask("BITMAX", name),
      this.ask("BITSELECT", name, rank),
      this.ask("BITRANK", name, id),
      this.ask("BITSCAN", name, id, "COUNT", count),
      this.ask("BITRANGE", name, id, id + 500, "BYID"),
      this.ask("BITCONTAINS", name, "ALL", id, ids[0] ?? 0),
      this.ask("BITCONTAINS", name, "ANY", id, id + 1),
    ]).toEqual([
      value?.byteLength ?? 0,
      ids.length,
      ids[0] ?? -1,
      ids.at(-1) ?? -1,
      at < 0 ? -1 : (ids[at] ?? -1),
      ids[from] === id ? from : -1,
      [String(isLast ? 0 : (page.at(-1) as number) + 1), page],
      ids.filter((other) => other >= id && other <= id + 500),
      ids[from] === id ? 1 : 0,
      ids[from] === id || value?.ids.has(id + 1) === true ? 1 : 0,
    ]);
    expect(this.ask("BITRANGE", name, rank, rank + count)).toEqual(slice(ids, rank, rank + count));
  }

  /** BITSTAT counts every id once, and leaves the value as it is kept. */
  statistics(name: string): void {
    const cardinality = this.model.get(name)?.ids.size ?? 0;
    const stat = this.ask("BITSTAT", name);
    if (!Array.isArray(stat)) return expect(this.model.has(name)).toBe(false);
    const of = (field: string) => stat[stat.indexOf(field) + 1] as number;
    expect(of("array-ids") + of("bitset-ids") + of("run-ids")).toBe(cardinality);
    const entry = this.server.keyspace.lookup(this.server.keyspace.databases[0]!, name);
    this.kinds.add(entry!.database.contents.entries.valueKind(entry!.number));
  }

  /** All keys, whole: those that a step did not name too. */
  checkAll(): void {
    for (const name of KEYS) {
      const value = this.model.get(name);
      expect(this.ask("STRLEN", name)).toBe(value?.byteLength ?? 0);
      expect(this.ask("BITCOUNT", name)).toBe(value?.ids.size ?? 0);
      const ids = this.ask("BITRANGE", name, 0, -1) as number[];
      expect(ids.find((id) => value?.ids.has(id) !== true)).toBeUndefined();
      expect(ids.length).toBe(value?.ids.size ?? 0);
    }
  }

  checkFile(): void {
    this.server.storage.commit(this.server.keyspace);
    const again = new Keyspace(this.server.storage.reopened(), this.server.clock, () => 0);
    for (const name of KEYS) {
      const value = this.model.get(name);
      const entry = again.lookup(again.databases[0]!, name);
      expect(entry !== undefined).toBe(value !== undefined);
      if (entry === undefined || value === undefined) continue;
      const stored = again.value(entry);
      expect([stored.byteLength, stored.cardinality]).toEqual([value.byteLength, value.ids.size]);
      expect(stored.page(0, IDS).find((id) => !value.ids.has(id))).toBeUndefined();
    }
  }
}

function idsOf({ first, last }: { first: number; last: number }): number[] {
  return Array.from({ length: Math.max(last - first + 1, 0) }, (_, i) => first + i);
}

/** By rank, both included, as LRANGE. */
function slice(ids: readonly number[], start: number, stop: number): number[] {
  const first = Math.max(start < 0 ? ids.length + start : start, 0);
  const last = Math.max(stop < 0 ? ids.length + stop : stop, 0);
  return ids.slice(first, last + 1);
}

test("the commands answer as Sets of numbers do, and the file holds what these hold", () => {
  const kinds = new Set<number>();
  fc.assert(
    fc.property(fc.array(fc.tuple(step, question), { minLength: 5, maxLength: 40, size: "max" }), (program) => {
      const run = new Program(kinds);
      for (const [each, asked] of program) {
        run.perform(each);
        for (const name of KEYS) run.statistics(name);
        run.answer(asked);
        run.checkAll();
      }
      run.checkFile();
    }),
    { numRuns: 25 },
  );
  expect([...kinds].sort()).toEqual([VALUE.SMALL, VALUE.NATIVE, VALUE.CONTAINERS]);
}, 120_000);
