/**
 * A consistent copy of a database while writes go on. The copy appears under its name whole or not at all: it is made under
 * another name, synced, and renamed.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { Connection } from "./schema.js";

/** Copies what is committed into `target`, replacing it. The copy is compact: VACUUM writes it page by page. */
export function backup(connection: Connection, target: string): void {
  const temporary = `${target}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  try {
    connection.prepare("VACUUM INTO ?").run(temporary);
    sync(temporary);
    renameSync(temporary, target);
    sync(dirname(target));
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw cause;
  }
}

function sync(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
