/** The file of users (`aclfile`): lines as ACL LIST shows them. It is read whole or not at all, and written whole or not at all. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { CommandError } from "../../errors.js";
import { UNKNOWN_COMMAND } from "./permissions.js";
import type { User } from "./user.js";
import { RuleError, type Users } from "./users.js";
import { hasSpace } from "./words.js";

/** Hashes of passwords are for the server's own eyes. */
const NEW_FILE_MODE = 0o600;

/** The end of C's texts for what goes wrong with a file. */
const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  ENOENT: "No such file or directory",
  EACCES: "Permission denied",
  EISDIR: "Is a directory",
};

/**
 * The users in the file, made with `users` but not among them yet. Throws a CommandError, without a code, that tells of every line in
 * which something is wrong, in Redis' words.
 */
export function readUsers(file: string, users: Users): User[] {
  let text: string;
  try {
    text = readFileSync(file, "latin1");
  } catch (cause) {
    const { code = "", message } = cause as NodeJS.ErrnoException;
    throw new CommandError(`Error loading ACLs, opening file '${file}': ${SYSTEM_REASONS[code] ?? message}`, { cause });
  }
  const found = new Map<string, User>();
  const errors: string[] = [];
  for (const [i, untrimmed] of text.split("\n").entries()) {
    const line = trim(untrimmed);
    if (line === "") continue;
    const [keyword, name, ...rules] = line.split(" ").map(trim);
    if (keyword !== "user" || name === undefined) {
      errors.push(`${file}:${i + 1} should start with user keyword followed by the username. `);
    } else if (found.has(name)) {
      errors.push(`WARNING: Duplicate user '${name}' found on line ${i + 1}. `);
    } else if (hasSpace(name)) {
      errors.push(`'${file}:${i + 1}: username '${name}' contains invalid characters. `);
    } else {
      const user = users.make(name);
      errors.push(...applyAll(users, user, rules).map((reason) => `${file}:${i + 1}: ${reason}. `));
      found.set(name, user);
    }
  }
  if (errors.length === 0) return [...found.values()];
  throw new CommandError(
    `${errors.join("")}WARNING: ACL errors detected, no change to the previously active ACL rules was performed`,
  );
}

/** What is wrong with the rules: unknown commands, each with its rule, and the first other mistake, which may have led to others. */
function applyAll(users: Users, user: User, rules: readonly string[]): string[] {
  const reasons: string[] = [];
  let isFirst = true;
  for (const rule of rules) {
    try {
      users.apply(user, rule);
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      if (error.cause === UNKNOWN_COMMAND) reasons.push(`Error in applying operation '${rule}': ${error.message}`);
      else if (isFirst) {
        reasons.push(error.message);
        isFirst = false;
      }
    }
  }
  return reasons;
}

function trim(text: string): string {
  return text.replace(/^[ \t\r]+|[ \t\r]+$/g, "");
}

/** Writes the users to the file: to one beside it first, which takes its place when it is on the disk. Throws what the system says. */
export function writeUsers(file: string, users: Users): void {
  const text = users.all.map((user) => `${user.describe()}\n`).join("");
  const temporary = `${file}.tmp-${process.pid}`;
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? NEW_FILE_MODE;
  try {
    writeFileSync(temporary, text, { encoding: "latin1", mode: mode & 0o777, flush: true });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  const folder = openSync(dirname(file), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
