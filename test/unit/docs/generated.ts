/** Parts of documents that are made from the command table: they are compared, or with `UPDATE_README=1` written anew. */
import { readFileSync, writeFileSync } from "node:fs";
import { expect } from "vitest";
import type { Command, Group } from "../../../src/commands/command.js";
import { COMMAND_TABLE } from "../../../src/commands/table.js";

/** The groups in the order of the documents. */
export const HEADINGS: readonly (readonly [Group, string])[] = [
  ["bitmap", "bits"],
  ["string", "strings"],
  ["generic", "keys"],
  ["transactions", "transactions"],
  ["pubsub", "channels"],
  ["connection", "connection"],
  ["server", "server"],
  ["cluster", "cluster"],
];

/** The commands under each heading. */
export function commandsByHeading(): { heading: string; rows: Command[] }[] {
  return HEADINGS.map(([group, heading]) => ({
    heading,
    rows: COMMAND_TABLE.rows.filter((row) => row.group === group),
  }));
}

/** What stands in `file`, a path from the root, between `<!-- name -->` and `<!-- /name -->` must be `text`. */
export function expectGenerated(file: string, name: string, text: string): void {
  const url = new URL(`../../../${file}`, import.meta.url);
  const document = readFileSync(url, "utf8");
  const begin = document.indexOf(`<!-- ${name} -->\n`) + `<!-- ${name} -->\n`.length;
  const end = document.indexOf(`<!-- /${name} -->`);
  expect(end).toBeGreaterThan(begin - 1);
  if (process.env.UPDATE_README === "1") writeFileSync(url, document.slice(0, begin) + text + document.slice(end));
  else expect(document.slice(begin, end)).toBe(text);
}
