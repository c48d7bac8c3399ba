/** README's list of commands is made from the command table. `UPDATE_README=1 npx vitest run test/unit/docs` writes it anew. */
import { expect, test } from "vitest";
import { COMMAND_TABLE } from "../../../src/commands/table.js";
import { commandsByHeading, expectGenerated, HEADINGS } from "./generated.js";

function commandTable(): string {
  const lines = ["| | commands | different from Redis 7.0 |", "|---|---|---|"];
  for (const { heading, rows } of commandsByHeading()) {
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
  expectGenerated("README.md", "commands", commandTable());
});

test("every command of the table stands under a heading", () => {
  const groups = new Set(HEADINGS.map(([group]) => group));
  expect(COMMAND_TABLE.rows.filter((row) => !groups.has(row.group))).toEqual([]);
});
