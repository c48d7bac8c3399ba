/** Files for analysts in memory: what a target writes, and what a source makes of bytes. */
import { Writable } from "node:stream";
import { expect, onTestFinished } from "vitest";
import { MEMORY_DB } from "../../../src/config.js";
import { Bitmap } from "../../../src/keyspace/bitmap.js";
import { NO_DEADLINE } from "../../../src/keyspace/storage.js";
import { Collector } from "../../../src/migrate/collector.js";
import { CsvSource } from "../../../src/migrate/csv-source.js";
import { type FileFormat, FileTarget } from "../../../src/migrate/file-target.js";
import type { Input } from "../../../src/migrate/input.js";
import type { Source } from "../../../src/migrate/item.js";
import { NdjsonSource } from "../../../src/migrate/ndjson-source.js";
import { Output } from "../../../src/migrate/output.js";
import { RoaringArchiveSource } from "../../../src/migrate/roaring-archive.js";
import { Store } from "../../../src/store.js";
import type { Dice } from "../../support/random.js";

/** A key as tests compare it. */
export interface Plain {
  database: number;
  key: string;
  ids: number[];
  byteLength: number;
  deadline: number;
}

/** The bytes of a file that holds these. All are put at once, as a mover does. */
export async function written(format: FileFormat, all: readonly Plain[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    highWaterMark: 64,
    write(chunk: Buffer, _, done) {
      chunks.push(Buffer.from(chunk));
      setImmediate(done);
    },
  });
  const target = new FileTarget(new Output(stream, "out"), format);
  const puts = all.map(({ ids, byteLength, ...rest }) =>
    target.put({ ...rest, bitmap: Bitmap.fromMembers(Uint32Array.from(ids), byteLength) }),
  );
  await Promise.all(puts);
  await target.finish();
  await target.close();
  return Buffer.concat(chunks);
}

export type Kind = "csv" | "ndjson" | "roaring";

/** What a file says, in the order of databases and keys. `chunkBytes` is how it comes, `idsMax` what is kept in memory of it. */
export async function read(
  kind: Kind,
  bytes: Buffer | string,
  { chunkBytes = 65_536, idsMax = 1000 } = {},
): Promise<Plain[]> {
  const source = open(kind, { name: "in", chunks: chunksOf(Buffer.from(bytes), chunkBytes) }, idsMax);
  const all: Plain[] = [];
  try {
    for await (const { bitmap, ...rest } of source.items(() => expect.fail("nothing is skipped"))) {
      all.push({ ...rest, ids: [...bitmap.members], byteLength: bitmap.byteLength });
      bitmap.dispose();
    }
  } finally {
    await source.close();
  }
  return sorted(all);
}

function open(kind: Kind, input: Input, idsMax: number): Source {
  if (kind === "roaring") return new RoaringArchiveSource(input);
  const openScratch = () => {
    const store = Store.open(MEMORY_DB, (message) => expect.fail(message));
    onTestFinished(() => store.close());
    return store;
  };
  const collector = new Collector(openScratch, idsMax);
  return kind === "csv" ? new CsvSource(input, collector) : new NdjsonSource(input, collector);
}

async function* chunksOf(bytes: Buffer, chunkBytes: number): AsyncGenerator<Buffer, void> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield Buffer.from(bytes.subarray(at, at + chunkBytes));
}

export function sorted(all: readonly Plain[]): Plain[] {
  return [...all].sort((a, b) => a.database - b.database || (a.key < b.key ? -1 : 1));
}

/** Bytes of the shortest string with these bits. */
export function shortest(ids: readonly number[]): number {
  return ids.length === 0 ? 0 : Math.floor((ids.at(-1) as number) / 8) + 1;
}

const PIECES = [
  "a",
  "key",
  ",",
  '"',
  "\n",
  "\r",
  " ",
  "\0",
  "\xff",
  "\xc3\xa9",
  "\xe2\x80\xa8",
  "base64:",
  "/",
  "%41",
  "..",
  "{}",
  "\\",
];

/** Keys of all kinds with values of all kinds. */
export function randomPlain(dice: Dice, keys: number): Plain[] {
  const all = new Map<string, Plain>();
  for (let i = 0; i < keys; i++) {
    const key = Array.from({ length: dice.int(0, 4) }, () => dice.pick(PIECES)).join("");
    const database = dice.int(0, 3);
    const max = dice.pick([100, 100_000, 2 ** 32 - 1]);
    const ids = [...new Set(Array.from({ length: dice.pick([0, 1, 5, 300]) }, () => dice.int(0, max)))].sort(
      (a, b) => a - b,
    );
    const byteLength = Math.min(shortest(ids) + dice.pick([0, 0, 1, 1000]), 2 ** 29);
    const deadline = dice.pick([NO_DEADLINE, NO_DEADLINE, 4_102_444_800_123]);
    all.set(`${database}:${key}`, { database, key, ids, byteLength, deadline });
  }
  return [...all.values()];
}
