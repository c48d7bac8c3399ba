// What the figures were measured on. Names the kind of machine, never the machine.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import os from "node:os";

/** @typedef {{ cpu: string, cores: number, memoryBytes: number, system: string, node: string, redis: string | undefined, ours: string }} Machine */

/** @returns {Machine} */
export function describeMachine() {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.cpus().length,
    memoryBytes: os.totalmem(),
    system: `${os.type()} ${os.arch()}`,
    node: process.version,
    redis: redisVersion(),
    ours: version,
  };
}

/** The version of the redis-server that PATH finds, or undefined without one. */
export function redisVersion() {
  const found = spawnSync("redis-server", ["--version"], { encoding: "utf8" });
  return found.status === 0 ? (/v=(\S+)/.exec(found.stdout)?.[1] ?? "unknown") : undefined;
}

/** Whether processes can be bound to a core here (Linux' taskset, and a core each for server and client). */
export function canPin() {
  return os.cpus().length >= 2 && spawnSync("taskset", ["--version"]).status === 0;
}

/** @param {Machine} machine */
export function machineLine(machine) {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GB`;
  const redis = machine.redis === undefined ? "no redis-server" : `redis-server ${machine.redis}`;
  return `${machine.cpu}, ${machine.cores} cores, ${memory}, ${machine.system}, Node ${machine.node}, ${redis}, bitmapist-server ${machine.ours}`;
}
