import { appendFileSync, writeFileSync } from "node:fs";
// @ts-nocheck
import fc from "fast-check";
import { test } from "vitest";
import { families, LIVE_SIZES, run } from "./generators.js";
import { startOurs } from "./ours.js";
import { startRedis } from "./redis.js";
import { difference, Session } from "./runner.js";
import type { Step } from "./steps.js";

test("survey", { timeout: 3_600_000 }, async () => {
  const targets = [await startOurs(), await startRedis()];
  const sessions = await Promise.all(targets.map((t) => Session.open(t, 500)));
  const all = families(LIVE_SIZES);
  const N = Number(process.env.N ?? 500);
  const seed = Number(process.env.SEED ?? 1);
  const skip = process.env.SKIP ? new RegExp(process.env.SKIP) : undefined;
  const found = new Map<string, Step[]>();
  const counts = new Map<string, number>();
  const look = async (steps: Step[]): Promise<{ sig: string; at: number } | undefined> => {
    const [a = [], e = []] = await Promise.all(sessions.map((s) => s.run(steps)));
    const at = steps.findIndex((_, i) => a[i] !== e[i]);
    if (at < 0) return undefined;
    const step = steps[at]!;
    const argv = "argv" in step ? step.argv : [];
    const name = `${step.kind} ${String(argv[0]).toUpperCase()} ${/client|command|config/i.test(String(argv[0])) ? String(argv[1]).toUpperCase() : ""}`;
    const short = (x: string | undefined) => (x ?? "none").replace(/\d+/g, "N").slice(0, 40);
    return { sig: `${name} R:${short(e[at])} W:${short(a[at])}`, at };
  };
  const mixes: fc.Arbitrary<Step[]>[] = [];
  for (const hello of ["2", "3"]) {
    const greeting: Step[] = [0, 1].map((conn) => ({ kind: "call", conn, argv: ["HELLO", hello] }));
    mixes.push(
      run({
        commands: fc.oneof(...(Object.values(all) as fc.Arbitrary<readonly string[]>[])),
        sizes: LIVE_SIZES,
        steps: 80,
      }).map((l) => [...greeting, ...l]),
    );
    for (const f of Object.values(all))
      mixes.push(
        run({ commands: f as fc.Arbitrary<readonly string[]>, sizes: LIVE_SIZES, steps: 60 }).map((l) => [
          ...greeting,
          ...l,
        ]),
      );
    mixes.push(
      run({
        commands: fc.oneof(all.transactions, all.transactions, all.expiry, all.keys, all.bits, all.strings),
        sizes: LIVE_SIZES,
        steps: 80,
      }).map((l) => [...greeting, ...l]),
    );
  }
  let steps = 0;
  for (const mix of mixes) {
    for (const list of fc.sample(mix, { numRuns: N, seed })) {
      const runs = skip ? list.filter((s) => !skip.test(JSON.stringify(s))) : list;
      steps += runs.length;
      const hit = await look(runs);
      if (!hit) continue;
      counts.set(hit.sig, (counts.get(hit.sig) ?? 0) + 1);
      const cut = runs.slice(0, hit.at + 1);
      const old = found.get(hit.sig);
      if (!old || old.length > cut.length) found.set(hit.sig, cut);
    }
  }
  writeFileSync("/tmp/survey.txt", `${steps} steps\n`);
  for (const [sig, example] of found) {
    let best = example;
    for (let again = true; again; ) {
      again = false;
      for (let i = best.length - 1; i >= 0; i -= 1) {
        const tryIt = best.filter((_, j) => j !== i);
        if ((await look(tryIt))?.sig === sig) {
          best = tryIt;
          again = true;
        }
      }
    }
    const [a = [], e = []] = await Promise.all(sessions.map((s) => s.run(best)));
    appendFileSync(
      "/tmp/survey.txt",
      `\n## ${counts.get(sig)}x ${sig}\n${difference(best, e, a) ?? "(not reproduced)"}\n`,
    );
  }
  for (const s of sessions) s.close();
  for (const t of targets) await t.stop();
});
