#!/usr/bin/env node
/**
 * Records what a real redis-server says of its commands, for command-info.test.ts: `node record-redis-commands.mjs PORT`,
 * with a redis-server 7.0.15 on that port of 127.0.0.1. Writes redis-7.0.15-commands.json, what it answers to COMMAND, and
 * redis-7.0.15-arguments.json, the arguments of COMMAND DOCS, beside this file.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";

const [port = "6379"] = process.argv.slice(2);
const ask = (...args) =>
  execFileSync("redis-cli", ["-h", "127.0.0.1", "-p", port, "-3", ...args], {
    encoding: "utf8",
    maxBuffer: 1e8,
  });
const version = /redis_version:(\S+)/.exec(ask("INFO", "server"))[1];
const commands = JSON.parse(ask("--json", "COMMAND")).sort(([a], [b]) => (a < b ? -1 : 1));
write("commands", commands);

const docs = Object.entries(JSON.parse(ask("--json", "COMMAND", "DOCS")));
const all = docs.flatMap(([name, facts]) => [[name, facts], ...Object.entries(facts.subcommands ?? {})]);
const withArguments = all.filter(([, facts]) => facts.arguments !== undefined);
write(
  "arguments",
  withArguments.map(([name, facts]) => [name, facts.arguments]).sort(([a], [b]) => (a < b ? -1 : 1)),
);

/** A line for each of the rows. */
function write(what, rows) {
  const lines = rows.map((row) => `  ${JSON.stringify(row)}`);
  writeFileSync(new URL(`./redis-${version}-${what}.json`, import.meta.url), `[\n${lines.join(",\n")}\n]\n`);
}
