/** The tables of docs/configuration.md are made from the option table. `UPDATE_README=1 npx vitest run test/unit/docs` writes them anew. */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { keyOf, nameOf, PREFIXES_WITHOUT_EFFECT, ROWS, WITHOUT_EFFECT } from "../../../src/options/table.js";

const FILE = new URL("../../../docs/configuration.md", import.meta.url);

function optionTable(): string {
  const lines = ["| option | value | default | settable | |", "|---|---|---|---|---|"];
  for (const [key, row] of ROWS) {
    const value =
      key === "debug" ? "yes\\|no, or nothing" : row.placeholder.replace(/[<>]/g, "").replaceAll("|", "\\|");
    const shown = row.lines(row.default).filter((line) => line !== '""');
    const initial = shown.length === 0 ? "none" : shown.map((line) => `\`${line}\``).join(", ");
    const settable = row.isMutable === true ? "yes" : row.isStartOnly === true ? "not in CONFIG" : "no";
    lines.push(`| \`${nameOf(key)}\` | ${value} | ${initial} | ${settable} | ${row.summary} |`);
  }
  return `${lines.join("\n")}\n`;
}

function withoutEffect(): string {
  const families = PREFIXES_WITHOUT_EFFECT.map((prefix) => `${prefix}*`);
  const names = [...WITHOUT_EFFECT].filter((name) => keyOf(name) === undefined);
  return `${[...families, ...names]
    .sort()
    .map((name) => `\`${name}\``)
    .join(" ")}\n`;
}

test.each([
  ["options", optionTable],
  ["without effect", withoutEffect],
] as const)("docs/configuration.md has what the option table says: %s", (name, make) => {
  const [begin, end] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`];
  const doc = readFileSync(FILE, "utf8");
  expect(doc).toContain(begin);
  const from = doc.indexOf(begin) + begin.length;
  const to = doc.indexOf(end);
  if (process.env.UPDATE_README === "1") writeFileSync(FILE, doc.slice(0, from) + make() + doc.slice(to));
  else expect(doc.slice(from, to)).toBe(make());
});

test("every option says what it does, in one cell of a table", () => {
  for (const [, { summary, placeholder }] of ROWS) {
    expect(summary).toMatch(/^[^|\n]{10,}$/);
    expect(placeholder).toMatch(/^<.+>$/);
  }
});
