/**
 * `npm run test:crash`: kills servers that are being written to, hundreds of times, and looks whether what is left keeps the
 * promises of README. Progress on stderr, the table on stdout; exit code 1 when a promise was broken.
 */
import { parseArgs } from "node:util";
import { APPENDFSYNC } from "../../src/config.js";
import { diskMissing } from "../support/disk.js";
import { type CrashReport, type Mode, runCrashes } from "./crash-run.js";

const USAGE = `Usage: npm run test:crash -- [options]
  --kills N      kills in each mode (default 200)
  --mode MODE    always, everysec, or both (default)
  --seed S       of everything random (default: by the clock)
  --power-loss   the disk loses a random part of what was not synced before each kill`;

const KILL_AFTER_MS = [50, 3000] as const;
const PROGRESS_KILLS = 10;
const PROMISING: readonly Mode[] = ["always", "everysec"];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kills: { type: "string", default: "200" },
      mode: { type: "string", default: "both" },
      seed: { type: "string", default: String(Date.now() % 2 ** 32) },
      "power-loss": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const powerLoss = values["power-loss"];
  if (powerLoss && diskMissing !== undefined) throw new Error(diskMissing);
  const kills = whole("kills", values.kills);
  const seed = whole("seed", values.seed);
  progress(`seed ${seed}`);

  const reports: CrashReport[] = [];
  for (const mode of modesOf(values.mode)) {
    const onKill = (report: CrashReport) => {
      if (report.kills % PROGRESS_KILLS === 0) progress(progressLine(report, kills));
    };
    reports.push(await runCrashes({ mode, kills, seed, powerLoss, killAfterMs: KILL_AFTER_MS, onKill }));
  }
  console.log(table(reports));
  for (const { leftOver } of reports) if (leftOver.length > 0) console.log(`left over: ${leftOver.join(" ")}`);
  const broken = reports.filter(({ violations }) => violations.length > 0);
  for (const { violations, folder } of broken) {
    console.log(`\n${violations.join("\n")}\nThe files are in ${folder}`);
    process.exitCode = 1;
  }
}

function modesOf(name: string): readonly Mode[] {
  const here = PROMISING.filter((mode) => (APPENDFSYNC as readonly string[]).includes(mode));
  if (name === "both") return here;
  const modes = here.filter((mode) => mode === name);
  if (modes.length === 0) throw new Error(`--mode is ${here.join(", ")} or both, not "${name}"`);
  return modes;
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new Error(`--${name} must be a whole number, not "${text}"`);
  return value;
}

function progressLine(report: CrashReport, kills: number): string {
  const { mode, acknowledged, lost, lossWindowsMs, violations } = report;
  return (
    `${mode}: ${report.kills}/${kills} kills, ${acknowledged} acknowledged, ${lost} lost, ` +
    `loss window at most ${milliseconds(Math.max(0, ...lossWindowsMs))}, ${violations.length} violations`
  );
}

function table(reports: readonly CrashReport[]): string {
  const header = [
    "mode",
    "kills",
    "in a backup",
    "in a start",
    "images",
    "unsynced",
    "acknowledged",
    "lost",
    "window max",
    "median",
    "violations",
  ];
  const rows = reports.map((report) => [
    report.powerLoss ? `${report.mode}, power loss` : report.mode,
    ...[report.kills, report.killsInBackup, report.killsInStart, report.images, report.imagesUnsynced].map(String),
    ...[report.acknowledged, report.lost].map((n) => n.toLocaleString("en-US")),
    milliseconds(Math.max(0, ...report.lossWindowsMs)),
    milliseconds(median(report.lossWindowsMs)),
    String(report.violations.length),
  ]);
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  ");
  return [header, ...rows].map(line).join("\n");
}

function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function milliseconds(ms: number): string {
  return `${Math.round(ms)} ms`;
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

try {
  await main();
} catch (error) {
  progress(`test:crash: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
