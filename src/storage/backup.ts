/**
 * A consistent copy of a database while writes go on. The copy appears under its name whole or not at all: it is made under
 * another name, synced, and renamed.
 */
import { renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { WRITER_CACHE_KIB } from "../config.js";
import { type Connection, connect } from "./schema.js";
import { sync } from "./sync.js";
import { Writer } from "./writer.js";

/**
 * Copies what is committed into `target`, replacing it. The copy is compact, VACUUM writes it page by page, and in order: its
 * log and deltas are brought home, so that a reader needs to know of chunks only.
 */
export function backup(connection: Connection, target: string): void {
  const temporary = `${target}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  try {
    connection.prepare("VACUUM INTO ?").run(temporary);
    tidy(temporary);
    sync(temporary);
    renameSync(temporary, target);
    sync(dirname(target));
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw cause;
  }
}

function tidy(path: string): void {
  const copy = connect(path, WRITER_CACHE_KIB);
  try {
    // Nobody else has this file yet, and it is synced before anyone may.
    copy.pragma("journal_mode = OFF");
    copy.pragma("synchronous = OFF");
    new Writer(copy, () => {}).tidy();
  } finally {
    copy.close();
  }
}
