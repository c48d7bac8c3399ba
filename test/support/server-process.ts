/**
 * The built server as a process of its own, as an operator runs it: started, killed, asked to stop, started again on the
 * same file. A Sandbox is one test's folder and everything started in it; its cleanup leaves nothing behind.
 * Only processes that the sandbox started are ever signalled.
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { RawClient } from "./raw-client.js";

/** The executable of the package, which runs what `npm run build` made. */
export const SERVER_BIN = fileURLToPath(new URL("../../bin/bitmapist-server", import.meta.url));
const BUILT = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

const START_TIMEOUT_MS = 15_000;
const EXIT_TIMEOUT_MS = 15_000;
/** For a program that must end by itself. */
const RUN_TIMEOUT_MS = 30_000;
/** For a server that must refuse to start: if it still runs by then, it did start. */
const REFUSE_TIMEOUT_MS = 5_000;
const POLL_MS = 5;

const READY = /ready on .*, port (\d+);/;

/** How a process ended: by itself with a code, or by a signal. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Finished extends Exit {
  stdout: string;
  stderr: string;
}

export interface StartOptions {
  /** `--db`; a name without folders lies in the sandbox. */
  db?: string;
  /** Further arguments. */
  args?: readonly string[];
  /** The whole command line instead of `--addr`, `--db` and `args`; `port` must be what it says. */
  argv?: readonly string[];
  /** Default: the system chooses, and the log tells. */
  port?: number;
  /** Default: that of the test. */
  user?: { uid?: number; gid?: number };
}

/** Processes that are still running: none of them outlives the test run, even one that breaks off. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #clients = new Set<RawClient>();
  #log = "";
  #port = 0;
  /** Resolves when the process has ended and its log is read to the end. */
  readonly exited: Promise<Exit>;
  /** From the start of the process to its first reply. */
  startMs = 0;

  constructor(argv: readonly string[], options: SpawnOptions = {}) {
    this.#child = spawnServer(argv, options);
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#log += text;
    });
    this.exited = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code, signal) => resolve({ code, signal }));
    });
    this.exited.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get port(): number {
    return this.#port;
  }

  /** Everything the server has written to stderr. */
  get log(): string {
    return this.#log;
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Resolves when the server answers a PING. Port 0 means the one that the log names. */
  async answers(port: number): Promise<void> {
    const begun = performance.now();
    const endMs = begun + START_TIMEOUT_MS;
    while (performance.now() < endMs) {
      if (this.hasExited) throw new Error(`the server ended while it started; its log:\n${this.#log}`);
      this.#port = port !== 0 ? port : Number(READY.exec(this.#log)?.[1] ?? 0);
      if (this.#port !== 0 && (await pings(this.#port))) {
        this.startMs = performance.now() - begun;
        return;
      }
      await sleep(POLL_MS);
    }
    throw new Error(`the server did not answer within ${START_TIMEOUT_MS} ms; its log:\n${this.#log}`);
  }

  /** A new connection, closed at the end. `database` is selected on it. */
  async connect(database = 0): Promise<RawClient> {
    const client = await RawClient.connect(this.#port);
    this.#clients.add(client);
    if (database !== 0) await client.call("SELECT", String(database));
    return client;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** SIGTERM. */
  async stop(): Promise<Exit> {
    this.signal("SIGTERM");
    return await this.exit();
  }

  /** kill -9. */
  async kill(): Promise<Exit> {
    this.signal("SIGKILL");
    return await this.exit();
  }

  /** Waits until the process has ended by itself. */
  async exit(): Promise<Exit> {
    return await within(EXIT_TIMEOUT_MS, this.exited, () => `the server did not end; its log:\n${this.#log}`);
  }

  /** Waits for a line in the log. */
  async logged(pattern: RegExp, timeoutMs = 10_000): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (!pattern.test(this.#log)) {
      if (performance.now() > endMs) throw new Error(`${pattern} is not in the log:\n${this.#log}`);
      await sleep(POLL_MS);
    }
  }

  async cleanup(): Promise<void> {
    for (const client of this.#clients) client.close();
    if (!this.hasExited) this.#child.kill("SIGKILL");
    await this.exited.catch(() => {});
  }
}

export class Sandbox {
  readonly folder = mkdtempSync(join(tmpdir(), "bitmapist-test-"));
  readonly #servers: ServerProcess[] = [];

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Starts a server, by default on `bitmapist.db` in the sandbox, and waits until it answers. */
  async start({ db = "bitmapist.db", args = [], argv, port = 0, user }: StartOptions = {}): Promise<ServerProcess> {
    const usual = ["--addr", `127.0.0.1:${port}`, "--db", db, ...args];
    const server = new ServerProcess(argv ?? usual, { cwd: this.folder, ...user });
    this.#servers.push(server);
    await server.answers(port);
    return server;
  }

  /** Starts the command line and waits until it ends. One that goes on is killed, and its code is null. */
  async run(argv: readonly string[], options: SpawnOptions = {}): Promise<Finished> {
    const child = spawnServer(argv, { cwd: this.folder, ...options });
    return await finish(child, REFUSE_TIMEOUT_MS);
  }

  /** Ends what was started here and deletes the folder. */
  async cleanup(): Promise<void> {
    for (const server of this.#servers) await server.cleanup();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A sandbox for the running test. */
export function sandbox(): Sandbox {
  const made = new Sandbox();
  onTestFinished(() => made.cleanup());
  return made;
}

/** Runs any program to its end, with `input` on its stdin. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: SpawnOptions & { input?: string | Buffer; timeoutMs?: number } = {},
): Promise<Finished> {
  const { input, timeoutMs = RUN_TIMEOUT_MS, ...others } = options;
  const child = track(spawn(program, args, { ...others, stdio: ["pipe", "pipe", "pipe"] }));
  child.stdin?.on("error", () => {}); // it ended without reading everything
  child.stdin?.end(input ?? "");
  return await finish(child, timeoutMs);
}

function spawnServer(argv: readonly string[], options: SpawnOptions): ChildProcess {
  if (!existsSync(BUILT)) throw new Error("the server is not built: npm run build");
  const { npm_lifecycle_event: _npm, ...env } = process.env;
  return track(spawn(process.execPath, [SERVER_BIN, ...argv], { env, ...options, stdio: ["ignore", "pipe", "pipe"] }));
}

function track(child: ChildProcess): ChildProcess {
  running.add(child);
  child.once("close", () => running.delete(child));
  return child;
}

async function finish(child: ChildProcess, timeoutMs: number): Promise<Finished> {
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  try {
    return { ...(await exited), stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
}

/** A port of 127.0.0.1 that nobody listens on at this moment. */
export function freePort(): Promise<number> {
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

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until `holds`, asking again and again. */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(20);
  }
}

/** Any reply will do: without its password a server says NOAUTH, and that is an answer. */
async function pings(port: number): Promise<boolean> {
  const client = await RawClient.connect(port).catch(() => undefined);
  if (client === undefined) return false;
  try {
    return (await client.call("PING")) !== "";
  } catch {
    return false;
  } finally {
    client.close();
  }
}

async function within<T>(ms: number, promise: Promise<T>, message: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(message())), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
