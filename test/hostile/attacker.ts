/** The process of one attack: `attacker.ts NAME OPTIONS-AS-JSON`. On stdout what it did; exit code 1 and the reason on stderr if it failed. */
import { getPriority, setPriority } from "node:os";
import { ATTACKS, type AttackOptions } from "./attacks.js";

/** Attackers come from other machines: here they are not to take the processor from whom they attack. */
const NICER = 5;

setPriority(getPriority() + NICER);
const [name, options] = process.argv.slice(2);
try {
  const attack = ATTACKS[name as keyof typeof ATTACKS];
  process.stdout.write(await attack(JSON.parse(options ?? "") as AttackOptions));
} catch (error) {
  process.stderr.write(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
