/** Forces a file, or a folder's list of files, to the disk. By a descriptor of its own: the system syncs the file, not the descriptor. */
import { closeSync, fsyncSync, openSync } from "node:fs";

export function sync(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
