/**
 * Asks the registry whether the packages that the server runs with have known weaknesses. Any is a failure. Where no registry answers, one
 * line says so and it is none: a build without network is not a worse one.
 */
import { spawnSync } from "node:child_process";

const TIMEOUT_MS = 120_000;

const { stdout, stderr } = spawnSync("npm", ["audit", "--omit=dev", "--json"], {
  encoding: "utf8",
  timeout: TIMEOUT_MS,
});
const report = parse(stdout);
const found = report?.metadata?.vulnerabilities?.total;
if (found === undefined) {
  const reason = report?.message ?? report?.error?.summary ?? stderr ?? "";
  console.log(
    `audit: not done, the registry does not answer: ${String(reason).trim().split("\n")[0] || "no reason given"}`,
  );
} else if (found === 0) {
  console.log("audit: no known weaknesses in the packages that the server runs with");
} else {
  for (const [name, { severity, range, via }] of Object.entries(report.vulnerabilities ?? {})) {
    const titles = via.map((each) => (typeof each === "string" ? `by ${each}` : `${each.title}, ${each.url}`));
    console.log(`audit: ${name} ${range}: ${severity}: ${titles.join("; ")}`);
  }
  process.exitCode = 1;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
