/**
 * `bitmapist-server check FILE [--repair OUT]`: says what in a database is damaged, one line each on stdout, and writes what can be
 * saved into a new one.
 */
import type { Command } from "commander";
import { StartError } from "../errors.js";
import type { CheckResult } from "../storage/check-database.js";
import { beforeSignalsEnd } from "./signals.js";

const EXIT_CODES = { fine: 0, damaged: 1, notChecked: 2 } as const;

const PROGRESS_MS = 200;
const CLEAR_LINE = "\r\x1b[K";

const EXPLANATION = `
The file is only read. A server may have it open: what it has committed is checked.
--repair OUT makes a new file with every key whose value is whole; the others are named.
Exit codes: 0 nothing is wrong, 1 damage was found, 2 it could not be checked.`;

/** Adds the subcommand to `program`. */
export function addCheckCommand(program: Command): void {
  program
    .command("check")
    .description("Read a whole database file and say which keys are damaged.")
    .argument("<file>", "the database file, or a copy of it")
    .option("--repair <out>", "write what can be saved into a new file")
    .configureHelp({ commandUsage: () => "bitmapist-server check FILE [--repair OUT]" })
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", EXPLANATION)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_CODES.notChecked))
    .action(async (file: string, { repair }: { repair?: string }) => {
      // Whoever read the lines, like head, wants no more of them.
      process.stdout.on("error", () => process.exit(EXIT_CODES.damaged));
      process.exitCode = await check(file, repair);
    });
}

async function check(file: string, out: string | undefined): Promise<number> {
  // Loaded only now: the native packages take their time, which serve, the usual subcommand, does not have.
  const { checkDatabase } = await import("../storage/check-database.js");
  const { removeTemporary } = await import("../storage/whole-file.js");
  const screen = new Screen();
  const startMs = performance.now();
  let takeBack = () => {};
  try {
    screen.progress("SQLite's own check");
    const result = await checkDatabase(file, out, {
      onServed: () => screen.line(`${file}: a server has it open; what it has committed is checked`),
      onDamage: (line) => screen.line(`${file}: ${line}`),
      onStructureChecked: () => {
        if (out !== undefined) takeBack = beforeSignalsEnd(() => removeTemporary(out));
      },
      onProgress: (keys, all) => screen.progress(`${keys} of ${Math.max(keys, all)} keys`),
    });
    for (const line of repairLines(result, out)) screen.line(line);
    screen.line(`${file}: ${summary(result)}, ${Math.round(performance.now() - startMs)} ms`);
    return isDamaged(result) ? EXIT_CODES.damaged : EXIT_CODES.fine;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    screen.error(`error: ${error.message}`);
    return EXIT_CODES.notChecked;
  } finally {
    takeBack();
  }
}

function isDamaged({ damagedKeys, otherDamage }: CheckResult): boolean {
  return damagedKeys + otherDamage > 0;
}

function summary(result: CheckResult): string {
  const { keys, bits, damagedKeys, otherDamage } = result;
  const size = `${keys} keys, ${bits} bits`;
  return isDamaged(result)
    ? `DAMAGED: ${damagedKeys} keys, ${otherDamage} other findings; read: ${size}`
    : `fine: ${size}`;
}

function repairLines({ repair }: CheckResult, out: string | undefined): string[] {
  if (out === undefined) return [];
  if (repair === undefined) return [`${out}: not written, since there is nothing to save`];
  const assigned = [...repair.assigned].map(
    ([slot, number]) => `${out}: the keys of slot ${slot}, whose database is not known, are in database ${number}`,
  );
  return [...assigned, `${out}: written with ${repair.keys} keys`];
}

/** Lines on stdout, and on a terminal a line of progress that they write over. */
class Screen {
  readonly #isTerminal = process.stderr.isTTY === true;
  #shownMs = Number.NEGATIVE_INFINITY;
  #isShown = false;

  line(text: string): void {
    this.#clear();
    process.stdout.write(`${text}\n`);
  }

  error(text: string): void {
    this.#clear();
    process.stderr.write(`${text}\n`);
  }

  progress(text: string): void {
    const nowMs = performance.now();
    if (!this.#isTerminal || nowMs - this.#shownMs < PROGRESS_MS) return;
    this.#shownMs = nowMs;
    this.#isShown = true;
    process.stderr.write(`${CLEAR_LINE}${text} ...`);
  }

  #clear(): void {
    if (this.#isShown) process.stderr.write(CLEAR_LINE);
    this.#isShown = false;
  }
}
