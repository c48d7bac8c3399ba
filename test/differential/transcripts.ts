/**
 * Transcripts: runs with what a real redis-server answered to each step, as lines of JSON, so that the comparison can be
 * made where there is none. Replies are kept in comparable form (normalise.ts); long ones as a digest.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Step } from "./steps.js";

const FOLDER = fileURLToPath(new URL("./transcripts", import.meta.url));
const KEPT_BYTES_MAX = 400;

export interface Transcript {
  readonly name: string;
  readonly steps: readonly Step[];
  /** What Redis answered to each step, as `digest` keeps it. */
  readonly outcomes: readonly string[];
}

/** An outcome as a transcript keeps it. */
export function digest(outcome: string): string {
  if (outcome.length <= KEPT_BYTES_MAX) return outcome;
  const sum = createHash("sha256").update(outcome, "latin1").digest("hex");
  return `${outcome.slice(0, 40)}... ${outcome.length} bytes, sha256 ${sum}`;
}

export function readTranscripts(file: string): Transcript[] {
  const lines = readFileSync(join(FOLDER, file), "utf8").trimEnd().split("\n");
  const found: { name: string; steps: Step[]; outcomes: string[] }[] = [];
  for (const line of lines) {
    const parsed: { run: string } | [Step, string] = JSON.parse(line);
    const last = found.at(-1);
    if (!Array.isArray(parsed)) found.push({ name: parsed.run, steps: [], outcomes: [] });
    else if (last === undefined) throw new Error(`${file} begins without a run`);
    else {
      last.steps.push(parsed[0]);
      last.outcomes.push(parsed[1]);
    }
  }
  return found;
}

export function transcriptFiles(): string[] {
  return readdirSync(FOLDER).filter((file) => file.endsWith(".jsonl"));
}

export function writeTranscripts(file: string, transcripts: readonly Transcript[]): void {
  const lines = transcripts.flatMap(({ name, steps, outcomes }) => [
    JSON.stringify({ run: name }),
    ...steps.map((step, i) => JSON.stringify([step, outcomes[i]])),
  ]);
  writeFileSync(join(FOLDER, file), `${lines.join("\n")}\n`);
}

export function removeTranscripts(): void {
  for (const file of transcriptFiles()) rmSync(join(FOLDER, file));
}
