/**
 * Which file a name means. SQLite follows links, and puts its log beside the file that they lead to: whoever asks for the log, or
 * for what else stands beside a database, must do the same, for a file that is yet to be made too.
 */
import { existsSync, lstatSync, readlinkSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

/** Links to links that are followed, as Linux does. */
const LINKS_MAX = 40;

/** The path of the file that `path` leads to, whether it is there or not. */
export function realFile(path: string): string {
  let file = resolve(path);
  for (let links = 0; links < LINKS_MAX && isLink(file); links++) file = resolve(dirname(file), readlinkSync(file));
  const folder = dirname(file);
  return existsSync(folder) ? join(realpathSync(folder), basename(file)) : file;
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}
