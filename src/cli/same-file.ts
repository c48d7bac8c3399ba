/** Whether two paths lead to one file: what is read must not be written over. */
import { statSync } from "node:fs";

/** Under whatever names. */
export function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false }));
  return a !== undefined && a.ino === b?.ino && a.dev === b.dev;
}
