/**
 * `npm run test:hostile`: what clients that mean harm can do to a server, and to a good client beside them. Progress on stderr, the table
 * on stdout; exit code 1 when a bound was broken.
 */
import { parseArgs } from "node:util";
import { type Finding, P99_MS_MAX, RSS_BYTES_MAX, runHostile } from "./hostile-run.js";

const MIB = 1024 * 1024;

const USAGE = `Usage: npm run test:hostile -- [options]
  --requests N       mutated requests (default 1000000)
  --slow N           half-open and byte-a-second clients (default 1000)
  --connections N    idle connections (default 10000)
  --garbage MIB      of inline garbage (default 1024)
  --nested N         arrays in arrays (default 10000000)
  --seconds N        of the attacks that are not of an amount (default 20)
  --seed S           of everything random (default: by the clock)`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      requests: { type: "string", default: "1000000" },
      slow: { type: "string", default: "1000" },
      connections: { type: "string", default: "10000" },
      garbage: { type: "string", default: "1024" },
      nested: { type: "string", default: "10000000" },
      seconds: { type: "string", default: "20" },
      seed: { type: "string", default: String(Date.now() % 2 ** 32) },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const seed = whole("seed", values.seed);
  progress(`seed ${seed}`);
  const { findings, broken } = await runHostile({
    seed,
    requests: whole("requests", values.requests),
    slowConnections: whole("slow", values.slow),
    connections: whole("connections", values.connections),
    garbageBytes: whole("garbage", values.garbage) * MIB,
    nestedArrays: whole("nested", values.nested),
    seconds: whole("seconds", values.seconds),
    onAttack: (finding) => progress(row(finding).join(" | ")),
  });
  const header = [
    "attack",
    "asked",
    "what came of it",
    "good client: calls",
    "median",
    "p99",
    "longest",
    "memory before",
    "at most",
    "holds",
  ];
  const lines = [header, header.map(() => "---"), ...findings.map(row)].map((cells) => `| ${cells.join(" | ")} |`);
  console.log(lines.join("\n"));
  console.log(`Bounds: p99 ${P99_MS_MAX} ms, memory ${RSS_BYTES_MAX / MIB} MiB`);
  const complaints = [...findings.flatMap((finding) => whatDidNotHold(finding)), ...broken];
  console.log(
    complaints.length === 0 ? "afterwards: the data is right, and check finds the file good" : complaints.join("\n"),
  );
  if (complaints.length > 0) process.exitCode = 1;
}

function whatDidNotHold({ what, p99Ms, broken }: Finding): string[] {
  const late = p99Ms > P99_MS_MAX ? [`the good client's p99 is ${milliseconds(p99Ms)}`] : [];
  return [...late, ...broken].map((each) => `${what}: ${each}`);
}

function row(finding: Finding): string[] {
  const { what, asked, done, calls, medianMs, p99Ms, maxMs, rssBeforeBytes, rssMaxBytes } = finding;
  const holds = whatDidNotHold(finding).length === 0 ? "yes" : "NO";
  const times = [medianMs, p99Ms, maxMs].map(milliseconds);
  const memory = [rssBeforeBytes, rssMaxBytes].map((bytes) => `${Math.round(bytes / MIB)} MiB`);
  return [what, asked, done, calls.toLocaleString("en-US"), ...times, ...memory, holds];
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new Error(`--${name} must be a whole number, not "${text}"`);
  return value;
}

function milliseconds(ms: number): string {
  return `${ms.toFixed(1)} ms`;
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

try {
  await main();
} catch (error) {
  progress(`test:hostile: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
