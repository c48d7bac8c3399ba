/** Checks of values that look beyond the text. They throw OptionError. */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { OptionError } from "./kinds.js";

/** What relative names in configuration files count from, also when `dir` has changed the folder since. */
export const START_FOLDER = process.cwd();

/** That there is such a folder, in the words of the system, as Redis. */
export function checkFolder(path: string): void {
  const stats = statSync(resolve(START_FOLDER, path), { throwIfNoEntry: false });
  if (stats === undefined) throw new OptionError("No such file or directory");
  if (!stats.isDirectory()) throw new OptionError("Not a directory");
}

/** That it is a version of TLS, and none that has been broken. */
export function checkTlsProtocol(version: string): void {
  if (/^tlsv1\.[23]$/i.test(version)) return;
  throw new OptionError("argument must be TLSv1.2, TLSv1.3 or both");
}
