// A server under test: this project's or redis-server, a child process on one core with its files in a temporary
// folder. Whatever happens to this process, its servers end and their folders go.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Connection } from "./connection.mjs";
import { limitCommand } from "./limits.mjs";
import { canPin } from "./machine.mjs";
import { removeFolder, temporaryFolder } from "./temporary-folder.mjs";

/** @typedef {"ours" | "redis"} Side */
/** @typedef {"null" | "echo"} Limit a server that does nothing: what no server can be faster than, see limits.mjs */
/**
 * @typedef {object} StartOptions
 * @property {readonly string[]} [args] further ones for its command line
 * @property {readonly string[]} [firstRequest] what it must answer after PING before it counts as ready
 */

export const serverCore = 0;
export const clientCore = 1;

const startMsMax = 30_000;
const startPollMs = 2;
const stopMsMax = 60_000;
const ourProgram = fileURLToPath(new URL("../../bin/bitmapist-server", import.meta.url));

// BENCH_SELF=redis puts a redis-server in our place: what differs then is the bench's own error.
const selfIsRedis = process.env.BENCH_SELF === "redis";
const pin = canPin();

/** @type {Set<ServerProcess>} */
const running = new Set();

process.on("exit", () => {
  for (const server of running) server.signal("SIGKILL");
});
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => process.exit(1));

/**
 * The command line, bound to a core if the machine can do that.
 * @param {number} core
 * @param {readonly string[]} command
 * @returns {[string, string[]]} program and arguments
 */
export function pinned(core, command) {
  const [program = "", ...args] = pin ? ["taskset", "-c", String(core), ...command] : command;
  return [program, args];
}

export class ServerProcess {
  /** RSS when it answered for the first time and had seen no data. */
  emptyRssBytes = 0;
  /** From the start of the process to its first reply. */
  readyMs = 0;
  #child;
  #paused = false;

  /**
   * @param {Side | Limit} side
   * @param {string} folder
   * @param {number} port
   * @param {import("node:child_process").ChildProcess} child
   */
  constructor(side, folder, port, child) {
    this.side = side;
    this.folder = folder;
    this.port = port;
    this.pid = /** @type {number} */ (child.pid);
    this.#child = child;
    running.add(this);
    child.on("exit", () => running.delete(this));
  }

  /**
   * Starts a server on the files of the folder and waits until it answers.
   * @param {Side | Limit} side
   * @param {string} [folder] an own, temporary one if missing
   * @param {StartOptions} [options]
   */
  static async start(side, folder = temporaryFolder(), { args: more = [], firstRequest } = {}) {
    const port = await freePort();
    const [program, args] = pinned(serverCore, [...commandLine(side, folder, port), ...more]);
    const startedAt = performance.now();
    const log = openSync(path.join(folder, "server.log"), "a");
    const child = spawn(program, args, { cwd: folder, stdio: ["ignore", log, log] });
    closeSync(log);
    await once(child, "spawn");
    const server = new ServerProcess(side, folder, port, child);
    await server.#answers(firstRequest);
    server.readyMs = performance.now() - startedAt;
    await sleep(300);
    server.emptyRssBytes = server.rssBytes();
    return server;
  }

  /** Whether it is this project's program, and no other in its place. */
  get isThisProject() {
    return this.side === "ours" && !selfIsRedis;
  }

  /** @param {NodeJS.Signals} name */
  signal(name) {
    this.#child.kill(name);
  }

  /** Takes the processor away while the other server is measured, background work included. */
  pause() {
    if (this.#paused) return;
    this.signal("SIGSTOP");
    this.#paused = true;
  }

  resume() {
    if (!this.#paused) return;
    this.signal("SIGCONT");
    this.#paused = false;
  }

  /** Resident memory, 0 where the system does not tell (not Linux). */
  rssBytes() {
    try {
      const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))?.[1];
      return Number(kilobytes ?? 0) * 1024;
    } catch {
      return 0;
    }
  }

  /** Ends it as an operator does and waits; what does not end in time is killed and an error. */
  async stop() {
    this.resume();
    await this.#end("SIGTERM");
    if (this.#child.exitCode !== 0)
      throw new Error(`${this.side} ended with ${this.#child.exitCode ?? this.#child.signalCode}:\n${this.log()}`);
  }

  /** kill -9 */
  async kill() {
    await this.#end("SIGKILL");
  }

  /** Kills it and removes its files. */
  async discard() {
    await this.kill();
    removeFolder(this.folder);
  }

  /** The last lines of its output. */
  log() {
    return readFileSync(path.join(this.folder, "server.log"), "utf8").split("\n").slice(-20).join("\n");
  }

  /**
   * Bytes of its files whose path in the folder begins so.
   * @param {string} prefix
   */
  fileBytes(prefix) {
    let bytes = 0;
    for (const name of readdirSync(this.folder, { recursive: true, encoding: "utf8" })) {
      const status = statSync(path.join(this.folder, name));
      if (name.startsWith(prefix) && status.isFile()) bytes += status.size;
    }
    return bytes;
  }

  /** @param {NodeJS.Signals} name */
  async #end(name) {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.signal(name);
    const guard = setTimeout(() => this.signal("SIGKILL"), stopMsMax);
    await exited;
    clearTimeout(guard);
  }

  /** @param {readonly string[]} firstRequest */
  async #answers(firstRequest = ["PING"]) {
    const deadline = Date.now() + startMsMax;
    for (;;) {
      if (this.#child.exitCode !== null) throw new Error(`${this.side} does not start:\n${this.log()}`);
      try {
        const connection = await Connection.open(this.port);
        try {
          await connection.call("PING");
          await connection.call(...firstRequest);
          return;
        } finally {
          connection.close();
        }
      } catch (cause) {
        if (Date.now() > deadline) throw new Error(`${this.side} does not answer:\n${this.log()}`, { cause });
        await sleep(startPollMs);
      }
    }
  }
}

/**
 * @param {Side | Limit} side
 * @param {string} folder
 * @param {number} port
 * @returns {string[]}
 */
function commandLine(side, folder, port) {
  if (side === "null" || side === "echo") return limitCommand(side, port);
  if (side === "ours" && !selfIsRedis)
    return [process.execPath, ourProgram, "--addr", `127.0.0.1:${port}`, "--db", path.join(folder, "bitmapist.db")];
  return [
    "redis-server",
    ...["--bind", "127.0.0.1", "--port", String(port), "--dir", folder],
    ...["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""],
    // No rewrite of the log in the background: it would take Redis' only core from it in the middle of a round.
    ...["--auto-aof-rewrite-percentage", "0"],
  ];
}

/** @returns {Promise<number>} */
async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (probe.address());
  probe.close();
  await once(probe, "close");
  return port;
}
