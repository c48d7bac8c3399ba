/**
 * The formats for analysts that are text: CSV and JSON lines, each of ids or of statistics. CSV has LF at the end of a line, which everything
 * reads that reads CSV, and line tools too. Pieces are about as long as PIECE_IDS ids, whatever the size of a value.
 */
import type { Bitmap } from "../keyspace/bitmap.js";
import { NO_DEADLINE } from "../keyspace/storage.js";
import type { FileFormat } from "./file-target.js";
import type { Item } from "./item.js";
import { keyText } from "./key-text.js";

/** Ids that are read of a value at a time. */
const PIECE_IDS = 8192;
/** Ids of a JSON line: a reader holds a line whole. */
const LINE_IDS = 100_000;

const NOTHING = new Uint8Array();

/** `database,key,id`: a row for each id, those of a key together and ascending. Keys without ids have none; length and deadline neither. */
export const CSV_IDS: FileFormat = {
  begin: Buffer.from("database,key,id\n"),
  end: NOTHING,
  *pieces({ database, key, bitmap }) {
    const prefix = `${database},${csvField(keyText(key))},`;
    for (const ids of pages(bitmap, 0, bitmap.cardinality)) {
      let rows = "";
      for (const id of ids) rows += `${prefix}${id}\n`;
      yield Buffer.from(rows, "latin1");
    }
  },
};

/** A row for each key. */
export const CSV_STATISTICS: FileFormat = {
  begin: Buffer.from("database,key,cardinality,byte_length,roaring_bytes,first_id,last_id,expires_at\n"),
  end: NOTHING,
  *pieces(item) {
    const { database, key, bitmap } = item;
    const { first, last } = bounds(bitmap);
    const fields = [
      database,
      csvField(keyText(key)),
      bitmap.cardinality,
      bitmap.byteLength,
      bitmap.portableBytes,
      first ?? "",
      last ?? "",
      expiresAt(item) ?? "",
    ];
    yield Buffer.from(`${fields.join(",")}\n`, "latin1");
  },
};

/** A line for each key, or for each LINE_IDS of its ids; all say the same beside them. */
export const NDJSON_IDS: FileFormat = {
  begin: NOTHING,
  end: NOTHING,
  *pieces(item) {
    const { database, key, bitmap } = item;
    const about = `"database":${database},"key":${jsonText(key)},"byte_length":${bitmap.byteLength},"expires_at":${expiresAt(item) ?? null}`;
    const { cardinality } = bitmap;
    for (let rank = 0; rank === 0 || rank < cardinality; rank += LINE_IDS) {
      let text = `{${about},"ids":[`;
      let separator = "";
      for (const ids of pages(bitmap, rank, Math.min(rank + LINE_IDS, cardinality))) {
        for (const id of ids) {
          text += `${separator}${id}`;
          separator = ",";
        }
        yield Buffer.from(text);
        text = "";
      }
      yield Buffer.from(`${text}]}\n`);
    }
  },
};

/** A line for each key. */
export const NDJSON_STATISTICS: FileFormat = {
  begin: NOTHING,
  end: NOTHING,
  *pieces(item) {
    const { database, key, bitmap } = item;
    const { first = null, last = null } = bounds(bitmap);
    const facts = {
      cardinality: bitmap.cardinality,
      byte_length: bitmap.byteLength,
      roaring_bytes: bitmap.portableBytes,
      first_id: first,
      last_id: last,
      expires_at: expiresAt(item) ?? null,
    };
    yield Buffer.from(`{"database":${database},"key":${jsonText(key)},${JSON.stringify(facts).slice(1)}\n`);
  },
};

function* pages(bitmap: Bitmap, rank: number, end: number): Generator<Uint32Array, void> {
  for (let at = rank; at < end; at += PIECE_IDS) yield bitmap.page(at, Math.min(PIECE_IDS, end - at));
}

function bounds(bitmap: Bitmap): { first?: number; last?: number } {
  const { cardinality } = bitmap;
  return cardinality === 0 ? {} : { first: bitmap.select(0), last: bitmap.select(cardinality - 1) };
}

function expiresAt({ deadline }: Item): number | undefined {
  return deadline === NO_DEADLINE ? undefined : deadline;
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) || text === "" || text.trim() !== text ? `"${text.replaceAll('"', '""')}"` : text;
}

function jsonText(key: string): string {
  return JSON.stringify(Buffer.from(keyText(key), "latin1").toString("utf8"));
}
