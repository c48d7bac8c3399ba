/**
 * docs/commands.md is made from the command table, and from what a redis-server 7.0.15 says of its own commands: each of those is in
 * the table, or has a reason here why it is not. `UPDATE_README=1 npx vitest run test/unit/docs` writes the document anew.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Command } from "../../../src/commands/command.js";
import { COMMAND_TABLE } from "../../../src/commands/table.js";
import { commandsByHeading, expectGenerated } from "./generated.js";

const DOCUMENT = "docs/commands.md";

type RedisRow = [name: string, ...unknown[]];

const REDIS: readonly RedisRow[] = JSON.parse(
  readFileSync(new URL("../commands/redis-7.0.15-commands.json", import.meta.url), "utf8"),
);

const categoriesOf = (row: RedisRow) => row[6] as string[];
const subcommandsOf = (row: RedisRow) => row[9] as RedisRow[];

/** Why commands of Redis are not here: which they are, what they are called, and the reason. The first that fits counts. */
const ABSENT: readonly { what: string; why: string; fits: (row: RedisRow) => boolean }[] = [
  {
    what: "other types",
    why: "There is one type, the string. Redis' error for an unknown command.",
    fits: (row) =>
      categoriesOf(row).some((category) =>
        ["@list", "@set", "@sortedset", "@hash", "@stream", "@geo", "@hyperloglog"].includes(category),
      ) || ["xgroup", "xinfo"].includes(row[0]),
  },
  {
    what: "scripts and functions",
    why: "There is no interpreter. The error says so: `ERR unknown command 'eval': scripts and functions are not supported here`.",
    fits: (row) => categoriesOf(row).includes("@scripting") || ["function", "script"].includes(row[0]),
  },
  {
    what: "publish and subscribe",
    why: "Not here yet.",
    fits: (row) => categoriesOf(row).includes("@pubsub") || row[0] === "pubsub",
  },
  {
    what: "replication",
    why: "The server has no replicas. DUMP, RESTORE and a copy of the file take data elsewhere.",
    fits: ([name]) => ["failover", "psync", "replconf", "restore-asking", "sync"].includes(name),
  },
  {
    what: "users",
    why: "There is one user, default, with the password of `requirepass`.",
    fits: ([name]) => name === "acl",
  },
  {
    what: "what Redis needs for its own files",
    why: "There is nothing to rewrite: the one file is put in order all the time.",
    fits: ([name]) => name === "bgrewriteaof",
  },
  {
    what: "others",
    why: "Nobody has asked for them. Redis' error for an unknown command.",
    fits: ([name]) => ["lcs", "migrate", "monitor"].includes(name),
  },
];

/** The same of subcommands whose command is here, by their names. */
const ABSENT_SUBCOMMANDS: readonly { names: readonly string[]; why: string }[] = [
  {
    names: ["client|caching", "client|getredir", "client|tracking", "client|trackinginfo"],
    why: "Clients are not told of changes of what they have cached.",
  },
  {
    names: ["client|pause", "client|unblock", "client|unpause"],
    why: "Not here yet.",
  },
  { names: ["config|rewrite"], why: "There is no configuration file." },
];

function upper(name: string): string {
  return name.replace("|", " ").toUpperCase();
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function rowOf({ name, arity, since, complexity, summary }: Command): string {
  const words = arity < 0 ? `${-arity} or more` : String(arity);
  return `| ${upper(name)} | ${words} | ${since} | ${cell(complexity ?? "")} | ${cell(summary)} |`;
}

function commands(): string {
  const lines: string[] = [];
  for (const { heading, rows } of commandsByHeading()) {
    if (rows.length === 0) continue;
    lines.push(`### ${heading}`, "", "| command | words | since | complexity | |", "|---|---|---|---|---|");
    for (const row of rows) lines.push(...[row, ...(row.subcommands ?? [])].map(rowOf));
    lines.push("");
    const different = rows.filter(({ differs }) => differs !== undefined);
    if (different.length > 0) lines.push("Different from Redis 7.0:", "");
    for (const { name, differs } of different) lines.push(`- ${upper(name)}: ${differs}`);
    if (different.length > 0) lines.push("");
  }
  return `${lines.join("\n")}\n`;
}

/** Subcommands of Redis that are missing of commands that are here. */
function absentSubcommands(): string[] {
  const containers = REDIS.filter(([name]) => COMMAND_TABLE.named(name) !== undefined);
  return containers
    .flatMap(subcommandsOf)
    .map(([name]) => name)
    .filter((name) => COMMAND_TABLE.named(name) === undefined)
    .sort();
}

function absent(): string {
  const lines = ["| what | commands | why, and what they answer |", "|---|---|---|"];
  const missing = REDIS.filter(([name]) => COMMAND_TABLE.named(name) === undefined);
  for (const reason of ABSENT) {
    const rows = missing.filter((row) => ABSENT.find(({ fits }) => fits(row)) === reason);
    if (rows.length > 0)
      lines.push(`| ${reason.what} | ${rows.map(([name]) => upper(name)).join(", ")} | ${reason.why} |`);
  }
  lines.push(
    "",
    "Of commands that are here these subcommands are missing, and answer Redis' error for an unknown subcommand:",
    "",
  );
  const missingInner = absentSubcommands();
  for (const { names, why } of ABSENT_SUBCOMMANDS) {
    const listed = names.filter((name) => missingInner.includes(name));
    if (listed.length > 0) lines.push(`- ${listed.map(upper).join(", ")}: ${why}`);
  }
  return `${lines.join("\n")}\n`;
}

test("docs/commands.md lists every command and subcommand of the table, and where it differs from Redis", () => {
  expectGenerated(DOCUMENT, "commands", commands());
});

test("docs/commands.md lists every command of Redis that is not here", () => {
  expectGenerated(DOCUMENT, "absent", absent());
});

test("every command and subcommand of Redis is in the table, or is missing for a reason", () => {
  const unexplained = REDIS.filter(
    (row) => COMMAND_TABLE.named(row[0]) === undefined && !ABSENT.some(({ fits }) => fits(row)),
  );
  expect(unexplained.map(([name]) => name)).toEqual([]);
  const explained = ABSENT_SUBCOMMANDS.flatMap(({ names }) => names);
  expect(absentSubcommands().filter((name) => !explained.includes(name))).toEqual([]);
});
