/**
 * A real redis-server beside ours, with a wall clock the test sets: preloaded (redis-clock.c), it reads the time from a
 * file, to the millisecond. With a ManualClock on our side both clocks are in hand.
 *
 * Nothing here is needed to use or to build the server. Where a part is missing `redisMissing` says which, and the
 * tests say so and go on; with REQUIRE_REDIS=1 in the environment that is a failure instead.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { createServer } from "node:net";
import { endianness, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RawClient } from "./raw-client.js";

const CLOCK_SOURCE = fileURLToPath(new URL("./redis-clock.c", import.meta.url));
const MAJOR_WANTED = 7;
const START_TIMEOUT_MS = 10_000;
const PORT_TRIES = 5;

const REDIS_ARGUMENTS = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--enable-debug-command", "yes"];

/** Why there is no redis-server to compare with, or undefined when there is one. */
export const redisMissing: string | undefined = findMissing();

function findMissing(): string | undefined {
  const missing = whatIsMissing();
  if (missing !== undefined && process.env.REQUIRE_REDIS === "1") throw new Error(`REQUIRE_REDIS=1, but ${missing}`);
  return missing;
}

function whatIsMissing(): string | undefined {
  if (process.platform !== "linux") return "the clock put under redis-server needs Linux";
  const version = outputOf("redis-server", ["--version"]);
  if (version === undefined) return "redis-server is not in PATH";
  const major = /v=(\d+)\./.exec(version)?.[1];
  if (major !== String(MAJOR_WANTED)) return `redis-server in PATH is version ${major}, not ${MAJOR_WANTED}`;
  if (outputOf("cc", ["--version"]) === undefined)
    return "cc, to build the clock put under redis-server, is not in PATH";
  return undefined;
}

function outputOf(program: string, args: string[]): string | undefined {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return undefined; // not installed: for the caller a finding, not a failure
  }
}

/** Prints why a live part of the tests doesn't run. */
export function sayRedisMissing(what: string): void {
  if (redisMissing !== undefined) console.log(`SKIPPED: ${what}: ${redisMissing}`);
}

export class RedisServer {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #clockFile: number | undefined;

  private constructor(port: number, child: ChildProcess, folder: string, clockFile: number | undefined) {
    this.port = port;
    this.#process = child;
    this.#folder = folder;
    this.#clockFile = clockFile;
  }

  /** Starts one on a free port of 127.0.0.1 with its clock standing at `nowMs`. */
  static async start(nowMs: number, args: string[] = []): Promise<RedisServer> {
    const folder = mkdtempSync(join(tmpdir(), "redis-beside-"));
    return await RedisServer.#startIn(folder, args, nowMs);
  }

  /** Starts one with the machine's clock. */
  static async startInTime(args: string[] = []): Promise<RedisServer> {
    return await RedisServer.#startIn(mkdtempSync(join(tmpdir(), "redis-beside-")), args, undefined);
  }

  static async #startIn(folder: string, args: string[], nowMs: number | undefined): Promise<RedisServer> {
    const library = join(folder, "clock.so");
    const clock = join(folder, "clock");
    if (nowMs !== undefined) {
      execFileSync("cc", ["-O2", "-shared", "-fPIC", "-o", library, CLOCK_SOURCE]);
      writeFileSync(clock, microseconds(nowMs));
    }
    const clockEnv = { LD_PRELOAD: library, REDIS_CLOCK_FILE: clock };
    const env = { ...process.env, ...(nowMs === undefined ? {} : clockEnv) };
    for (let tries = 1; ; tries += 1) {
      const port = await freePort();
      const all = ["--port", String(port), "--dir", folder, ...REDIS_ARGUMENTS, ...args];
      const child = spawn("redis-server", all, { env, stdio: "ignore" });
      const clockFile = nowMs === undefined ? undefined : openSync(clock, "r+");
      if (await answers(child, port)) return new RedisServer(port, child, folder, clockFile);
      if (clockFile !== undefined) closeSync(clockFile);
      child.kill("SIGKILL");
      if (tries === PORT_TRIES) throw new Error(`redis-server didn't start, with ${all.join(" ")}`);
    }
  }

  setClock(nowMs: number): void {
    if (this.#clockFile === undefined) throw new Error("this server has the machine's clock");
    writeSync(this.#clockFile, microseconds(nowMs), 0, 8, 0);
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGKILL"); // it holds nothing worth a clean end
      await gone;
    }
    if (this.#clockFile !== undefined) closeSync(this.#clockFile);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function microseconds(ms: number): Buffer {
  const bytes = Buffer.alloc(8);
  const us = BigInt(ms) * 1000n;
  if (endianness() === "LE") bytes.writeBigInt64LE(us);
  else bytes.writeBigInt64BE(us);
  return bytes;
}

/** A port nobody listens on at this moment. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

/** Whether the process comes to serve its port; false when it ends first, as when somebody else took the port. */
async function answers(child: ChildProcess, port: number): Promise<boolean> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) return false;
    const client = await RawClient.connect(port).catch(() => undefined);
    if (client !== undefined) {
      client.close();
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}
