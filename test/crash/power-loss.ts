/**
 * What a loss of power leaves of a database's files, from the trace of what was done to them: everything up to each file's
 * last sync, and of what came later whatever the dice say, since the system writes pages back when it likes and in any order.
 * Unlinks and renames are taken as durable at once.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { endianness } from "node:os";
import { basename, dirname, join } from "node:path";
import type { Dice } from "../support/random.js";

/** The files of a database: what follows the database's name, and the bytes. */
export type Files = Map<string, Buffer>;

/** disk.c's records. */
const HEADER_BYTES = 32;
const KIND = { name: 1, write: 2, truncate: 3, sync: 4, unlink: 5, rename: 6 } as const;

/** Such files are not on the disk, or hold nothing. */
const isVolatile = (suffix: string) => suffix === "-shm" || suffix.startsWith("-lock");

export function readFiles(database: string): Files {
  const name = basename(database);
  const files: Files = new Map();
  for (const entry of readdirSync(dirname(database))) {
    const suffix = entry.slice(name.length);
    if (!entry.startsWith(name) || isVolatile(suffix)) continue;
    files.set(suffix, readFileSync(join(dirname(database), entry)));
  }
  return files;
}

/** Puts the files in the place of those that are there. The -shm may survive, as any file: `keepShm`. */
export function writeFiles(database: string, files: Files, { keepShm }: { keepShm: boolean }): void {
  for (const suffix of readFiles(database).keys()) rmSync(database + suffix);
  if (!keepShm && existsSync(`${database}-shm`)) rmSync(`${database}-shm`);
  for (const [suffix, bytes] of files) writeFileSync(database + suffix, bytes);
}

type Change = { kind: "write"; offset: number; data: Buffer } | { kind: "truncate"; length: number };

interface TracedFile {
  durable: Contents;
  /** What was done since the last sync. */
  pending: Change[];
}

/** A file's bytes, which grow and shrink in place: a trace has thousands of changes. */
class Contents {
  length: number;
  #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = Buffer.from(bytes);
    this.length = bytes.length;
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.length);
  }

  apply(changes: readonly Change[]): this {
    for (const change of changes) {
      if (change.kind === "truncate") this.resize(change.length);
      else {
        this.resize(Math.max(this.length, change.offset + change.data.length));
        change.data.copy(this.#bytes, change.offset);
      }
    }
    return this;
  }

  /** What is added is zeros. */
  resize(length: number): void {
    if (length > this.#bytes.length) {
      const grown = Buffer.alloc(length * 2);
      this.bytes.copy(grown);
      this.#bytes = grown;
    }
    if (length < this.length) this.#bytes.fill(0, length, this.length);
    this.length = length;
  }
}

/** How much of what was not synced is there, and of which size are the parts that are there or not. A mere kill keeps all. */
export type Survival = { kept: "nothing" } | { kept: "all" } | { kept: "some"; sectorBytes: number };

/** One call to the disk. */
export interface TraceRecord {
  kind: number;
  file: number;
  offset: number;
  data: Buffer;
  /** On the clock of performance.now(). */
  atMs: number;
}

export function readTrace(path: string): TraceRecord[] {
  const trace = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  const isLittle = endianness() === "LE";
  const word = (at: number) => (isLittle ? trace.readUInt32LE(at) : trace.readUInt32BE(at));
  const long = (at: number) => Number(isLittle ? trace.readBigUInt64LE(at) : trace.readBigUInt64BE(at));
  const originMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  const records: TraceRecord[] = [];
  for (let at = 0; at + HEADER_BYTES <= trace.length; ) {
    const [kind, file, offset, length] = [word(at), word(at + 4), long(at + 8), long(at + 16)];
    const atMs = long(at + 24) / 1e6 - originMs;
    at += HEADER_BYTES;
    // A truncate's and a sync's length is 0; one that is longer than the rest was cut by the kill, and so not done.
    if (at + length > trace.length) break;
    records.push({ kind, file, offset, data: trace.subarray(at, at + length), atMs });
    at += length;
  }
  return records;
}

export class TracedDisk {
  readonly #files = new Map<string, TracedFile>();

  /** `start` is what was there, durable, before the first record. */
  constructor(start: Files, records: readonly TraceRecord[]) {
    for (const [suffix, bytes] of start) this.#files.set(suffix, { durable: new Contents(bytes), pending: [] });
    const names: string[] = [];
    for (const { kind, file, offset, data } of records) {
      if (kind === KIND.name) names[file] = data.toString("latin1");
      const suffix = names[file] as string;
      if (kind === KIND.write) this.#file(suffix).pending.push({ kind: "write", offset, data });
      if (kind === KIND.truncate) this.#file(suffix).pending.push({ kind: "truncate", length: offset });
      if (kind === KIND.sync) sync(this.#file(suffix));
      if (kind === KIND.unlink) this.#files.delete(suffix);
      if (kind === KIND.rename) {
        this.#files.set(names[offset] as string, this.#file(suffix));
        this.#files.delete(suffix);
      }
    }
  }

  /** Whether no change waits for a sync. */
  get isSynced(): boolean {
    return [...this.#files.values()].every(({ pending }) => pending.length === 0);
  }

  /** The files after a loss of power. */
  afterPowerLoss(dice: Dice, survival: Survival): Files {
    const files: Files = new Map();
    for (const [suffix, { durable, pending }] of this.#files) {
      const { bytes } = durable;
      if (survival.kept === "nothing") files.set(suffix, bytes);
      else if (survival.kept === "all") files.set(suffix, new Contents(bytes).apply(pending).bytes);
      else files.set(suffix, survivors(bytes, pending, dice, survival.sectorBytes));
    }
    return files;
  }

  /** Where the files as the killed process left them differ from the trace, which then is no witness. */
  difference(actual: Files): string | undefined {
    for (const suffix of new Set([...actual.keys(), ...this.#files.keys()])) {
      const traced = this.#files.get(suffix);
      const start = traced?.durable.bytes ?? Buffer.alloc(0);
      const pending = traced?.pending ?? [];
      const bytes = actual.get(suffix) ?? Buffer.alloc(0);
      const whole = new Contents(start).apply(pending).bytes;
      if (bytes.equals(whole)) continue;
      // The last write is recorded before it is done, and the kill may have come in between or in its midst.
      const last = pending.at(-1);
      const before = new Contents(start).apply(pending.slice(0, -1)).bytes;
      if (last?.kind === "write" && isPartOf(bytes, before, whole)) continue;
      if (last?.kind === "truncate" && bytes.equals(before)) continue;
      return `the file ${suffix || "itself"} is not what its trace says (${bytes.length} bytes, not ${whole.length})`;
    }
    return undefined;
  }

  #file(suffix: string): TracedFile {
    let file = this.#files.get(suffix);
    if (file === undefined) {
      file = { durable: new Contents(Buffer.alloc(0)), pending: [] };
      this.#files.set(suffix, file);
    }
    return file;
  }
}

function sync(file: TracedFile): void {
  file.durable.apply(file.pending);
  file.pending = [];
}

function lengthAfter(length: number, change: Change): number {
  return change.kind === "truncate" ? change.length : Math.max(length, change.offset + change.data.length);
}

function resized(bytes: Buffer, length: number): Buffer {
  const copy = Buffer.alloc(length);
  bytes.copy(copy);
  return copy;
}

/**
 * Each sector holds what it held after some of the changes that touched it, the first ones of them; and the length of
 * the file is one of those it had.
 */
function survivors(durable: Buffer, pending: readonly Change[], dice: Dice, sectorBytes: number): Buffer {
  const lengths = [durable.length];
  for (const change of pending) lengths.push(lengthAfter(lengths.at(-1) as number, change));
  const longest = Math.max(...lengths);
  const image = resized(durable, longest);
  const touches: Change[][] = [];
  for (const change of pending) {
    const start = change.kind === "write" ? change.offset : change.length;
    const end = change.kind === "write" ? change.offset + change.data.length : longest;
    for (let sector = Math.floor(start / sectorBytes); sector * sectorBytes < end; sector++) {
      let list = touches[sector];
      if (list === undefined) touches[sector] = list = [];
      list.push(change);
    }
  }
  // Mostly kept, mostly dropped, or half: a single torn sector is found in other places than a desert.
  const keeping = dice.pick([0.05, 0.5, 0.95]);
  touches.forEach((changes, sector) => {
    const kept = dice.next() < keeping ? changes.length : dice.int(0, changes.length - 1);
    const from = sector * sectorBytes;
    const to = Math.min(from + sectorBytes, longest);
    for (const change of changes.slice(0, kept)) {
      if (change.kind === "truncate") image.fill(0, Math.max(from, change.length), to);
      else putPart(image, change, from, to);
    }
  });
  const length = dice.next() < 0.7 ? (lengths.at(-1) as number) : dice.pick(lengths);
  return image.subarray(0, length);
}

/** The part of a write that lies between two offsets. */
function putPart(image: Buffer, { offset, data }: { offset: number; data: Buffer }, from: number, to: number): void {
  const start = Math.max(from, offset);
  const end = Math.min(to, offset + data.length);
  if (start < end) data.copy(image, start, start - offset, end - offset);
}

/** Whether the bytes are those before a write, with the beginning of it done. */
function isPartOf(bytes: Buffer, before: Buffer, after: Buffer): boolean {
  if (bytes.length < before.length || bytes.length > after.length) return false;
  const [old, done] = [resized(before, bytes.length), after.subarray(0, bytes.length)];
  let at = 0;
  while (at < bytes.length && bytes[at] === done[at]) at++;
  return bytes.subarray(at).equals(old.subarray(at));
}
