/** Files for analysts (CSV, JSON lines, an archive of Roaring bitmaps) and the Go server's own database, as the ends of a move. */
import { createWriteStream, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reasonOf, StartError } from "../errors.js";
import type { Collector } from "../migrate/collector.js";
import type { FileFormat } from "../migrate/file-target.js";
import type { Source, Target } from "../migrate/item.js";
import type { MadeFile } from "../migrate/made-file.js";
import { madeFile } from "./made-file.js";
import { beforeSignalsEnd } from "./signals.js";

export const FILE_FORMATS = ["csv", "ndjson", "roaring"] as const;
export type FileFormatName = (typeof FILE_FORMATS)[number];

/** What is written of each key: its ids, or only how many they are and the like. */
export type Content = "ids" | "statistics";

/** What stands for stdin or stdout. */
export const STANDARD_STREAM = "-";

/** The file that is made in the place of `path`, whole or not at all; or stdout. */
export async function openFileTarget(path: string, format: FileFormatName, content: Content): Promise<Target> {
  const { FileTarget } = await import("../migrate/file-target.js");
  const { Output } = await import("../migrate/output.js");
  const wanted = await formatOf(format, content);
  if (path === STANDARD_STREAM) return new FileTarget(new Output(process.stdout, "to stdout"), wanted);
  const made = await madeFile(path);
  return new FileTarget(new Output(createWriteStream(made.path, { fd: create(path, made) }), path), wanted, made);
}

/** At once, so that nobody waits for the source before a file turns out to be impossible, and none is there after it was given up. */
function create(path: string, made: MadeFile): number {
  try {
    return openSync(made.path, "w");
  } catch (cause) {
    made.discard();
    throw new StartError(`can't write ${path}: ${reasonOf(cause)}`, { cause });
  }
}

async function formatOf(format: FileFormatName, content: Content): Promise<FileFormat> {
  const { CSV_IDS, CSV_STATISTICS, NDJSON_IDS, NDJSON_STATISTICS } = await import("../migrate/text-formats.js");
  const { ROARING_ARCHIVE } = await import("../migrate/roaring-archive.js");
  const formats = {
    ids: { csv: CSV_IDS, ndjson: NDJSON_IDS, roaring: ROARING_ARCHIVE },
    statistics: { csv: CSV_STATISTICS, ndjson: NDJSON_STATISTICS, roaring: undefined },
  };
  const wanted = formats[content][format];
  if (wanted === undefined) throw new StartError(`--statistics is for the formats csv and ndjson, not for ${format}`);
  return wanted;
}

/** A file of ids, or stdin. */
export async function openFileSource(path: string, format: FileFormatName): Promise<Source> {
  const { openInput } = await import("../migrate/input.js");
  const input = path === STANDARD_STREAM ? { name: "stdin", chunks: process.stdin } : openInput(path);
  if (format === "roaring") {
    const { RoaringArchiveSource } = await import("../migrate/roaring-archive.js");
    return new RoaringArchiveSource(input);
  }
  const { CsvSource } = await import("../migrate/csv-source.js");
  const { NdjsonSource } = await import("../migrate/ndjson-source.js");
  const { collector, discard } = await collecting();
  const source = format === "csv" ? new CsvSource(input, collector) : new NdjsonSource(input, collector);
  const close = source.close.bind(source);
  source.close = async () => {
    await close();
    await discard();
  };
  return source;
}

/** A collector, whose scratch is a database in the system's folder for temporary files. `discard` removes it. */
async function collecting(): Promise<{ collector: Collector; discard(): Promise<void> }> {
  const { Collector } = await import("../migrate/collector.js");
  const { Store } = await import("../store.js");
  let discard = async () => {};
  const collector = new Collector(() => {
    const folder = makeFolder();
    const remove = () => rmSync(folder, { recursive: true, force: true });
    const takeBack = beforeSignalsEnd(remove);
    const store = Store.open(join(folder, "ids.db"), (message) => process.stderr.write(`${message}\n`));
    discard = async () => {
      // What it could not write is no matter any more: whoever put it there was told.
      await store.close().catch(() => {});
      remove();
      takeBack();
    };
    return store;
  });
  return { collector, discard: () => discard() };
}

function makeFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), "bitmapist-server-"));
  } catch (cause) {
    throw new StartError(`can't make a folder for temporary files: ${reasonOf(cause)}`, { cause });
  }
}

/** A bbolt file of the Go server. */
export async function openGoBoltSource(path: string): Promise<Source> {
  const { GoSource, openGoBolt } = await import("../migrate/go-source.js");
  return new GoSource(path, openGoBolt(path));
}

/** An SQLite file of the Go server. */
export async function openGoDatabaseSource(path: string): Promise<Source> {
  const { GoSource } = await import("../migrate/go-source.js");
  const { openGoDatabase } = await import("../storage/go-database.js");
  return new GoSource(path, openGoDatabase(path));
}
