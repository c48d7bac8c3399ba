/** README's list of commands is made from the command table. `UPDATE_README=1 npx vitest run test/unit/docs` writes it anew. */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Group } from "../../../src/commands/command.js";
import { COMMAND_TABLE } from "../../../src/commands/table.js";

const README = new URL("../../../README.md", import.meta.url);
const BEGIN = "<!-- commands -->\n";
const END = "<!-- /commands -->";

const HEADINGS: readonly (readonly [Group, string])[] = [
  ["bitmap", "bits"],
  ["string", "strings"],
  ["generic", "keys"],
  ["transactions", "transactions"],
  ["connection", "connection"],
  ["server", "server"],
];

function commandTable(): string {
  const lines = ["| | commands | different from Redis 7.0 |", "|---|---|---|"];
  for (const [group, heading] of HEADINGS) {
    const rows = COMMAND_TABLE.rows.filter((row) => row.group === group);
    const names = rows.map(({ name, subcommands }) => {
      const inner = (subcommands ?? []).map((row) => (row.name.split("|")[1] as string).toUpperCase());
      return inner.length === 0 ? name.toUpperCase() : `${name.toUpperCase()} (${inner.join(" ")})`;
    });
    // Commands that differ in the same way are named together.
    const differing = new Map<string, string[]>();
    for (const { name, differs } of rows) {
      if (differs !== undefined) differing.set(differs, [...(differing.get(differs) ?? []), name.toUpperCase()]);
    }
    const differences = [...differing].map(([differs, commands]) => `${commands.join(", ")}: ${differs}`);
    lines.push(`| ${heading} | ${names.join(", ")} | ${differences.join("; ")} |`);
  }
  return `${lines.join("\n")}\n`;
}

test("README lists every command of the table, and where it differs from Redis", () => {
  const readme = readFileSync(README, "utf8");
  const begin = readme.indexOf(BEGIN) + BEGIN.length;
  const end = readme.indexOf(END);
  const expected = commandTable();
  if (process.env.UPDATE_README === "1") writeFileSync(README, readme.slice(0, begin) + expected + readme.slice(end));
  else expect(readme.slice(begin, end)).toBe(expected);
});

test("every command of the table stands under a heading", () => {
  const groups = new Set(HEADINGS.map(([group]) => group));
  expect(COMMAND_TABLE.rows.filter((row) => !groups.has(row.group))).toEqual([]);
});
