/** A file that a move makes: it appears under its name whole or not at all, and nothing is left of it when a signal ends the process. */
import { statSync } from "node:fs";
import type { MadeFile } from "../migrate/made-file.js";
import { beforeSignalsEnd } from "./signals.js";

/** Why nothing may be made in the place of `target`, in words: a device or a pipe would become a file. undefined where it may. */
export function whyNoFile(target: string): string | undefined {
  const there = statSync(target, { throwIfNoEntry: false });
  if (there === undefined || there.isFile()) return undefined;
  return there.isDirectory()
    ? `${target} is a folder`
    : `${target} is no file; what is to go there can be written to stdout`;
}

/** Throws StartError when the database `target` must not be replaced. */
export async function madeFile(target: string): Promise<MadeFile> {
  const { checkTarget, publish, removeLeftovers, removeTemporary, temporaryName } = await import(
    "../storage/whole-file.js"
  );
  checkTarget(target);
  for (const name of removeLeftovers(target)) {
    process.stderr.write(`removed ${name}, which an export that was killed left\n`);
  }
  const takeBack = beforeSignalsEnd(() => removeTemporary(target));
  return {
    name: target,
    path: temporaryName(target),
    publish: () => {
      publish(target);
      takeBack();
    },
    discard: () => {
      removeTemporary(target);
      takeBack();
    },
  };
}
