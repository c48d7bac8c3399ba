/** What a move has done, in lines that can be compared with what was asked for. */
import type { MoveReport, Totals } from "../migrate/move-report.js";
import { fromBytes } from "../options/kinds.js";
import { bytes, count, duration, factor } from "./amounts.js";

interface Moved {
  from: string;
  to: string;
  verify: boolean;
  dryRun: boolean;
}

/** The largest keys that a dry run names. */
const LARGEST_SHOWN = 10;

/** The lines of the summary. What failed stands last, where it is seen. */
export function summaryLines(report: MoveReport, { from, to, verify, dryRun }: Moved): string[] {
  const seconds = (performance.now() - report.startedMs) / 1000;
  const lines = [
    dryRun
      ? `${from}: ${count(report.keys)} keys would be moved to ${to}, nothing was written`
      : `${to}: ${count(report.keys)} keys moved from ${from}`,
  ];
  const databases = [...report.databases].sort(([a], [b]) => a - b);
  if (dryRun || databases.length > 1) {
    for (const [number, totals] of databases)
      lines.push(`  database ${number}: ${count(totals.keys)} keys, ${sizes(totals)}`);
  }
  if (dryRun) {
    for (const { database, key, ...size } of report.largest.slice(0, LARGEST_SHOWN)) {
      lines.push(`  large: ${shown(key)} of database ${database}, ${sizes(size)}`);
    }
  }
  for (const [reason, keys] of report.skipped) lines.push(`  skipped: ${count(keys)} keys, ${reason}`);
  for (const { database, key, reason } of report.listedSkipped) {
    lines.push(`  skipped: ${shown(key)} of database ${database}, ${reason}`);
  }
  lines.push(`  ${sizes(report)}`);
  lines.push(
    `  ${duration(seconds)}, ${count(report.keys / seconds)} keys/s, ${bytes(report.stringBytes / seconds)}/s`,
  );
  if (!dryRun) lines.push(...verification(report, verify));
  return lines;
}

function verification(report: MoveReport, verify: boolean): string[] {
  if (!verify) return ["  not verified, as --no-verify says"];
  const { verified, expired, mismatches, listedMismatches } = report;
  const gone = expired === 0 ? "" : `, ${count(expired)} expired meanwhile`;
  const lines = [`  verified: ${count(verified)} keys have the source's length, number of bits and deadline${gone}`];
  for (const { database, key, difference } of listedMismatches) {
    lines.push(`  DIFFERENT: ${shown(key)} of database ${database}: ${difference}`);
  }
  if (mismatches > 0) lines.push(`  DIFFERENT: ${count(mismatches)} keys in all`);
  return lines;
}

function sizes({ stringBytes, bitmapBytes }: Pick<Totals, "stringBytes" | "bitmapBytes">): string {
  const change =
    bitmapBytes > stringBytes
      ? `${factor(bitmapBytes, stringBytes)} times larger`
      : `${factor(stringBytes, bitmapBytes)} times smaller`;
  return `${bytes(stringBytes)} as strings, ${bytes(bitmapBytes)} as bitmaps: ${change}`;
}

/** A key as people can read it, whatever bytes it has. */
function shown(key: string): string {
  return JSON.stringify(fromBytes(key));
}
