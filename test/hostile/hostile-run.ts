/**
 * Hostile input: one attack after the other on a server of its own, which a good client uses meanwhile. What must hold: the server lives
 * and is as it was afterwards, its memory stays bounded, and the good client gets its replies, in time.
 */
import { readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { diceOf } from "../support/random.js";
import { runProgram, Sandbox, type ServerProcess, sleep } from "../support/server-process.js";
import type { ATTACKS, AttackOptions } from "./attacks.js";
import { GoodClient } from "./good-client.js";

export interface HostileOptions {
  seed: number;
  /** Mutated requests. */
  requests: number;
  /** Idle connections, and slow ones. */
  connections: number;
  slowConnections: number;
  garbageBytes: number;
  nestedArrays: number;
  /** How long the attacks last that are not of an amount. */
  seconds: number;
  /** Told of each attack when it is over. */
  onAttack?: (finding: Finding) => void;
}

/** What was seen during one attack. */
export interface Finding {
  what: string;
  /** How much of it was asked for, and what became of it. */
  asked: string;
  done: string;
  calls: number;
  /** Of the good client. */
  medianMs: number;
  p99Ms: number;
  maxMs: number;
  rssBeforeBytes: number;
  rssMaxBytes: number;
  /** What did not hold, but for the latencies, which are looked at by who runs this on a quiet machine. */
  broken: string[];
}

export interface HostileReport {
  findings: Finding[];
  /** What did not hold afterwards. */
  broken: string[];
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** What no attack may make of the server's memory, whatever it had before. */
export const RSS_BYTES_MAX = 512 * MIB;
/** The good client's p99 during each attack, in milliseconds. */
export const P99_MS_MAX = 10;

const SAMPLE_MS = 50;
const QUIET_MS = 3000;
/** Between two attacks: what they have left in the server is gone. */
const PAUSE_MS = 1000;
const ATTACK_MS_MAX = 30 * 60_000;
/** Descriptors of a process that are not connections. */
const DESCRIPTORS_BESIDE = 100;
/** Log lines of a server that found a bug in itself. */
export const BUG = /(?:\b\w*Error: |\buncaught\b|\bunhandled\b).*/i;

const LOADER = fileURLToPath(new URL("../support/typescript-loader.mjs", import.meta.url));
const ATTACKER = fileURLToPath(new URL("attacker.ts", import.meta.url));

interface Planned {
  what: string;
  asked: string;
  name: keyof typeof ATTACKS;
  amount: number;
}

export async function runHostile(options: HostileOptions): Promise<HostileReport> {
  const sandbox = new Sandbox();
  // A run that is broken off leaves nothing behind either.
  const removeFolder = () => rmSync(sandbox.folder, { recursive: true, force: true });
  process.on("exit", removeFolder);
  try {
    return await attackAll(sandbox, options);
  } finally {
    await sandbox.cleanup();
    process.off("exit", removeFolder);
  }
}

function plan(options: HostileOptions): Planned[] {
  const { requests, connections, slowConnections, garbageBytes, nestedArrays } = options;
  const count = (n: number) => n.toLocaleString("en-US");
  const planned = (name: keyof typeof ATTACKS, what: string, amount: number, asked = count(amount)) => ({
    name,
    what,
    amount,
    asked,
  });
  return [
    planned("mutated", "mutated requests", requests),
    planned("slow", "half-open and byte-a-second clients", slowConnections),
    planned("idle", "idle connections", connections),
    planned("unread", "clients that never read", 3),
    planned("garbage", "inline garbage", garbageBytes, `${count(garbageBytes / MIB)} MiB`),
    planned("nested", "arrays in arrays", nestedArrays),
  ];
}

async function attackAll(sandbox: Sandbox, options: HostileOptions): Promise<HostileReport> {
  const maxclients = Math.max(options.connections, options.slowConnections) + DESCRIPTORS_BESIDE;
  const server = await sandbox.start({ args: ["--maxclients", String(maxclients)] });
  checkDescriptors(server, maxclients + DESCRIPTORS_BESIDE);
  const report: HostileReport = { findings: [], broken: [] };
  const good = await GoodClient.connect(server.port, diceOf(options.seed));
  good.begin();
  const watched = async (what: string, asked: string, work: () => Promise<string>) => {
    const finding = { what, asked, ...(await watch(server, good, work)) };
    report.findings.push(finding);
    options.onAttack?.(finding);
  };
  await watched("none", "", async () => {
    await sleep(QUIET_MS);
    return "";
  });
  for (const { what, asked, name, amount } of plan(options)) {
    if (server.hasExited) break;
    const { port } = server;
    await watched(what, asked, () => attack(name, { port, amount, seed: options.seed, seconds: options.seconds }));
    await sleep(PAUSE_MS);
  }
  await good.close();
  report.broken = await whatIsBroken(sandbox, server, good);
  return report;
}

/** Runs `work` and looks at the server and the good client meanwhile. */
async function watch(
  server: ServerProcess,
  good: GoodClient,
  work: () => Promise<string>,
): Promise<Omit<Finding, "what" | "asked">> {
  good.measured();
  const rssBeforeBytes = rssBytes(server);
  let rssMaxBytes = rssBeforeBytes;
  const sampling = setInterval(() => {
    rssMaxBytes = Math.max(rssMaxBytes, rssBytes(server));
  }, SAMPLE_MS);
  const broken: string[] = [];
  let done = "";
  try {
    done = await work();
  } catch (error) {
    broken.push(error instanceof Error ? error.message : String(error));
  } finally {
    clearInterval(sampling);
  }
  const latenciesMs = good.measured();
  const at = (share: number) =>
    latenciesMs[Math.min(latenciesMs.length - 1, Math.floor(latenciesMs.length * share))] ?? 0;
  broken.push(...good.complaints.splice(0));
  if (latenciesMs.length === 0) broken.push("the good client was not served");
  if (server.hasExited) broken.push(`the server ended; its log:\n${server.log}`);
  if (rssMaxBytes > RSS_BYTES_MAX) broken.push(`more than ${RSS_BYTES_MAX / MIB} MiB of memory`);
  const [medianMs, p99Ms, maxMs] = [at(0.5), at(0.99), at(1)];
  return { done, calls: latenciesMs.length, medianMs, p99Ms, maxMs, rssBeforeBytes, rssMaxBytes, broken };
}

/** The attack in a process of its own; what it did. */
async function attack(name: string, options: AttackOptions): Promise<string> {
  const argv = ["--import", LOADER, ATTACKER, name, JSON.stringify(options)];
  const { code, stdout, stderr } = await runProgram(process.execPath, argv, { timeoutMs: ATTACK_MS_MAX });
  if (code !== 0) throw new Error(stderr || `the attacker ended with ${code}`);
  return stdout;
}

/** Whether the server answers, has what the good client wrote, also after a start anew, and has left a good file. */
async function whatIsBroken(sandbox: Sandbox, server: ServerProcess, good: GoodClient): Promise<string[]> {
  if (server.hasExited) return ["the server has ended"];
  const broken: string[] = [];
  await good.compare(server.port);
  const bug = BUG.exec(server.log);
  if (bug !== null) broken.push(`the log tells of a bug: ${bug[0]}`);
  const { code } = await server.stop();
  if (code !== 0) broken.push(`the server ended with ${code}`);
  const check = await sandbox.run(["check", "bitmapist.db"]);
  if (check.code !== 0) broken.push(`check ended with ${check.code}: ${check.stdout}${check.stderr}`);
  const next = await sandbox.start();
  await good.compare(next.port);
  await next.stop();
  return [...broken, ...good.complaints];
}

/** Resident memory, 0 where the system does not tell (not Linux) or the process has ended. */
function rssBytes({ pid }: ServerProcess): number {
  return Number(fromProc(pid, "status", /^VmRSS:\s+(\d+) kB$/m) ?? 0) * KIB;
}

/** A process may open so many files: node takes as many as the system allows it, so only the hard limit counts. */
function checkDescriptors({ pid }: ServerProcess, needed: number): void {
  const allowed = Number(fromProc(pid, "limits", /^Max open files\s+\d+\s+(\d+)/m) ?? Number.POSITIVE_INFINITY);
  if (allowed < needed) {
    throw new Error(
      `${needed} open files are needed, and ${allowed} allowed: raise "ulimit -Hn", or ask for fewer connections`,
    );
  }
}

function fromProc(pid: number, file: string, pattern: RegExp): string | undefined {
  try {
    return pattern.exec(readFileSync(`/proc/${pid}/${file}`, "utf8"))?.[1];
  } catch {
    return undefined;
  }
}
