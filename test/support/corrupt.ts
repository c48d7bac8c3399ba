/** Damage to a database file that nobody has open: through SQLite, or to its bytes. */
import { readFileSync, writeFileSync } from "node:fs";
import Database from "better-sqlite3";
import { diceOf } from "./random.js";

export const PAGE_BYTES = 4096;

/** Changes the file through SQLite. All of it is in the file afterwards, and nothing beside it. */
export function edit(path: string, sql: string): void {
  const file = new Database(path);
  try {
    file.unsafeMode();
    file.exec(sql);
    file.pragma("wal_checkpoint(TRUNCATE)");
  } finally {
    file.close();
  }
}

export function ask<Row>(path: string, sql: string): Row[] {
  const file = new Database(path, { readonly: true });
  try {
    return file.prepare<[], Row>(sql).all();
  } finally {
    file.close();
  }
}

/** Numbers of the pages of a table or an index. */
export function pagesOf(path: string, tree: string, kind: "leaf" | "internal" | "overflow"): number[] {
  const rows = ask<{ page: number }>(
    path,
    `SELECT pageno AS page FROM dbstat WHERE name = '${tree}' AND pagetype = '${kind}' ORDER BY path`,
  );
  return rows.map(({ page }) => page);
}

/** Number of the page at which a table or an index begins. */
export function rootOf(path: string, tree: string): number {
  return ask<{ page: number }>(path, `SELECT rootpage AS page FROM sqlite_schema WHERE name = '${tree}'`)[0]!.page;
}

/** Overwrites a page, the first being number 1, with bytes that are none. */
export function spoilPage(path: string, page: number): void {
  const bytes = readFileSync(path);
  const random = diceOf(page);
  for (let at = (page - 1) * PAGE_BYTES; at < page * PAGE_BYTES; at++) bytes[at] = random.int(0, 255);
  writeFileSync(path, bytes);
}

/** Flips a bit in the middle of a blob where it lies in the file, so that SQLite notices nothing. */
export function flipBitOf(path: string, blob: Buffer): void {
  const bytes = readFileSync(path);
  const middle = Math.floor((blob.length * 3) / 4);
  const part = blob.subarray(middle, middle + 64);
  const at = bytes.indexOf(part);
  if (at < 0 || bytes.indexOf(part, at + 1) >= 0) throw new Error("the blob's middle is not in one place of the file");
  bytes[at + 10] = (bytes[at + 10] as number) ^ 0x20;
  writeFileSync(path, bytes);
}
