/** A file that a move makes: it appears under its name whole or not at all, and nothing is left of it when a signal ends the process. */
import { statSync } from "node:fs";
import { StartError } from "../errors.js";
import type { MadeFile } from "../migrate/rdb-target.js";
import { beforeSignalsEnd } from "./signals.js";

/** Throws StartError when `target` must not be replaced. */
export async function madeFile(target: string): Promise<MadeFile> {
  const { checkTarget, publish, removeLeftovers, removeTemporary, temporaryName } = await import(
    "../storage/whole-file.js"
  );
  if (statSync(target, { throwIfNoEntry: false })?.isDirectory()) throw new StartError(`${target} is a folder`);
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
