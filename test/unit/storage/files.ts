/** What the tests of files share: a folder for those of one test, and ears that hear nothing. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { StorageEvents } from "../../../src/storage/durable-storage.js";

export const NO_EVENTS: StorageEvents = {
  onSettled: () => {},
  onWriteFailed: () => {},
  onWritten: () => {},
  onWarning: () => {},
  onDied: () => {},
};

/** Makes an empty folder that is removed when the test is done, and gives the paths of files in it. */
export function temporaryFolder(): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), "bitmapist-storage-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return (name) => join(folder, name);
}
