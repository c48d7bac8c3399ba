/** One server per file, until its process ends, however it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { StartError } from "../../../src/errors.js";
import { lockFile } from "../../../src/storage/lock.js";
import { openStorage } from "../../../src/storage/open.js";
import { connect, createSchema } from "../../../src/storage/schema.js";
import { temporaryFolder } from "../../support/temporary-folder.js";
import { NO_EVENTS } from "./files.js";

const LOCK = new URL("../../../src/storage/lock.ts", import.meta.url);
const LOADER = new URL("../../support/typescript-loader.mjs", import.meta.url);

/** A process that takes the lock and keeps it; resolves with what it said: `locked`, or why not. */
async function other(path: string): Promise<{ child: ChildProcess; said: string }> {
  const program = `
    import { lockFile } from ${JSON.stringify(LOCK.href)};
    try {
      globalThis.lock = lockFile(process.argv[1]);
      console.log("locked");
      setInterval(() => {}, 1000);
    } catch (error) {
      console.log(error.constructor.name + ": " + error.message);
    }`;
  const child = spawn(process.execPath, ["--import", LOADER.href, "--input-type=module", "-e", program, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  for await (const chunk of child.stdout) {
    said += chunk;
    if (said.endsWith("\n")) break;
  }
  return { child, said: said.trim() };
}

function killed(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill(signal);
  });
}

describe("the lock", () => {
  test("is refused while this process has it, and free again when it is closed", () => {
    const path = temporaryFolder()("data.db");
    const lock = lockFile(path);
    expect(() => lockFile(path)).toThrow(StartError);
    expect(() => lockFile(path)).toThrow(`${path} is in use by another bitmapist-server`);
    lock.close();
    lockFile(path).close();
  });

  test("of one file is not that of another", () => {
    const file = temporaryFolder();
    const a = lockFile(file("a.db"));
    const b = lockFile(file("b.db"));
    a.close();
    b.close();
  });

  test("does not touch the file itself, nor hinder its readers", () => {
    const path = temporaryFolder()("data.db");
    const connection = connect(path, 100);
    createSchema(connection);
    const lock = lockFile(path);
    expect(connection.prepare("SELECT count(*) FROM databases").pluck().get()).toBe(16);
    connection.close();
    lock.close();
  });

  test("leaves nothing beside the file but itself", () => {
    const path = temporaryFolder()("data.db");
    const lock = lockFile(path);
    expect(readdirSync(dirname(path)).filter((name) => name !== "data.db-lock")).toEqual([]);
    lock.close();
  });

  test("in a folder that is not there is no lock that somebody else has", () => {
    const path = temporaryFolder()("missing/data.db");
    expect(() => lockFile(path)).toThrow();
    expect(() => lockFile(path)).not.toThrow(StartError);
  });

  test("holds for a link to the file too: it is the same data", () => {
    const file = temporaryFolder();
    const connection = connect(file("data.db"), 100);
    createSchema(connection);
    connection.close();
    symlinkSync(file("data.db"), file("link.db"));
    const lock = lockFile(file("data.db"));
    expect(() => openStorage(file("link.db"), "no", NO_EVENTS)).toThrow("in use");
    lock.close();
  });
});

describe("between processes", () => {
  test("a second process is refused", async () => {
    const path = temporaryFolder()("data.db");
    const lock = lockFile(path);
    expect((await other(path)).said).toBe(`StartError: ${path} is in use by another bitmapist-server`);
    lock.close();
    expect((await other(path)).said).toBe("locked");
  });

  test.each(["SIGKILL", "SIGTERM"] as const)("the lock of a process that ends by %s is free", async (signal) => {
    const path = temporaryFolder()("data.db");
    const { child, said } = await other(path);
    expect(said).toBe("locked");
    expect(() => lockFile(path)).toThrow(StartError);
    await killed(child, signal);
    lockFile(path).close();
  });

  test("a file that is in use is not opened, and a stranger's lock file is not taken for a lock", async () => {
    const file = temporaryFolder();
    const { said } = await other(file("data.db"));
    expect(said).toBe("locked");
    expect(() => openStorage(file("data.db"), "no", NO_EVENTS)).toThrow("in use by another");
    expect(existsSync(file("data.db"))).toBe(false);
    writeFileSync(file("other.db-lock"), "not SQLite at all".repeat(100));
    expect(() => openStorage(file("other.db"), "no", NO_EVENTS)).toThrow(StartError);
    expect(() => openStorage(file("other.db"), "no", NO_EVENTS)).not.toThrow("in use");
  });
});
