/** A consistent copy of a database while writes go on. It appears under its name whole or not at all. */
import { WRITER_CACHE_KIB } from "../config.js";
import { migrate } from "./migrate.js";
import { type Connection, connect } from "./schema.js";
import { checkTarget, publish, removeLeftovers, removeTemporary, temporaryName } from "./whole-file.js";
import { Writer } from "./writer.js";

/** A copy is made compact once more when one part in so many of its pages is not used. */
const SPARE_PAGES_RATIO = 10;

/**
 * Copies what is committed into `target`, replacing it. The copy is compact, VACUUM writes it page by page, and in order: its
 * log and deltas are brought home and its expressions made, so that a reader needs to know of chunks only.
 */
export function backup(connection: Connection, target: string): void {
  const temporary = temporaryName(target);
  checkTarget(target);
  removeLeftovers(target);
  removeTemporary(target);
  try {
    connection.prepare("VACUUM INTO ?").run(temporary);
    tidy(temporary);
    publish(target);
  } catch (cause) {
    removeTemporary(target);
    throw cause;
  }
}

function pages(connection: Connection, name: "freelist_count" | "page_count"): number {
  return Number(connection.pragma(name, { simple: true }));
}

function tidy(path: string): void {
  const copy = connect(path, WRITER_CACHE_KIB);
  try {
    // Nobody else has this file yet, and it is synced before anyone may.
    copy.pragma("journal_mode = OFF");
    copy.pragma("synchronous = OFF");
    migrate(copy);
    new Writer(copy, () => {}).tidy();
    // What was brought home leaves its pages behind.
    if (pages(copy, "freelist_count") * SPARE_PAGES_RATIO > pages(copy, "page_count")) copy.exec("VACUUM");
  } finally {
    copy.close();
  }
}
