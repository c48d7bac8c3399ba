/**
 * The disk under a server, in a test's hand: disk.c, preloaded, records what is done to the database's files, or lets it
 * fail. Where it can't be built `diskMissing` says why, and its tests are skipped.
 */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, realpathSync, writeFileSync, writeSync } from "node:fs";
import { constants, endianness } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("./disk.c", import.meta.url));
const FAULT_BYTES = 12;

/** Why the library can't be had, or undefined when it can. */
export const diskMissing: string | undefined = findMissing();

function findMissing(): string | undefined {
  if (process.platform !== "linux") return "the disk put under the server needs Linux";
  try {
    execFileSync("cc", ["--version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "cc, to build the disk put under the server, is not in PATH";
  }
}

/** Builds the library into `folder` and returns its path. */
export function buildDisk(folder: string): string {
  const library = join(folder, "disk.so");
  execFileSync("cc", ["-O2", "-shared", "-fPIC", "-pthread", "-o", library, SOURCE]);
  return library;
}

/** The environment of a server whose database is `database`. SQLite opens files by their real path. */
export function diskEnvironment(
  library: string,
  database: string,
  { trace, fault }: { trace?: string; fault?: string },
): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, LD_PRELOAD: library };
  delete env.npm_lifecycle_event; // npm's own signals are not part of these tests
  env.DISK_PREFIX = join(realpathSync(dirname(database)), basename(database));
  if (trace !== undefined) env.DISK_TRACE = trace;
  if (fault !== undefined) env.DISK_FAULT = fault;
  return env;
}

export type DiskError = "EIO" | "ENOSPC";

/** Makes the disk fail, or wait, and lets it work again. */
export class DiskFault {
  readonly path: string;
  readonly #file: number;

  constructor(path: string) {
    this.path = path;
    writeFileSync(path, Buffer.alloc(FAULT_BYTES));
    this.#file = openSync(path, "r+");
  }

  /** What writes and syncs fail with; and whether syncs do not end until this is set anew. */
  set({ write, sync, holdsSync = false }: { write?: DiskError; sync?: DiskError; holdsSync?: boolean }): void {
    const bytes = Buffer.alloc(FAULT_BYTES);
    const codes = [write, sync].map((name) => (name === undefined ? 0 : constants.errno[name]));
    [...codes, holdsSync ? 1 : 0].forEach((code, i) => {
      if (endianness() === "LE") bytes.writeInt32LE(code, i * 4);
      else bytes.writeInt32BE(code, i * 4);
    });
    writeSync(this.#file, bytes, 0, FAULT_BYTES, 0);
  }

  close(): void {
    closeSync(this.#file);
  }
}
