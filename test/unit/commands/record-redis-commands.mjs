#!/usr/bin/env node
/**
 * Records what a real redis-server says of its commands, for command-info.test.ts: `node record-redis-commands.mjs PORT`,
 * with a redis-server 7.0.15 on that port of 127.0.0.1. Writes redis-7.0.15-commands.json beside this file.
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
const lines = commands.map((row) => `  ${JSON.stringify(row)}`);
writeFileSync(new URL(`./redis-${version}-commands.json`, import.meta.url), `[\n${lines.join(",\n")}\n]\n`);
