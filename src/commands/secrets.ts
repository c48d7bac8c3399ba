/** Which arguments of a request are passwords, so that no log and no listing shows them. */
import type { Argv } from "../resp/argv.js";

/** What is shown in place of one (Redis' word). */
export const REDACTED = "(redacted)";

const NONE: ReadonlySet<number> = new Set();

/** CONFIG parameters whose value is a secret. */
const SECRET_PARAMETERS = new Set(["requirepass", "tls-key-file-pass"]);

/** Positions of the arguments of `command` that must not be shown; a user's name counts as one, as in Redis. */
export function secretArguments(command: string, argv: Argv): ReadonlySet<number> {
  switch (command) {
    case "auth":
      return positions(argv, (i) => i > 0);
    case "hello": {
      let secret = Number.NaN;
      for (let i = 2; i < argv.length; i++) if (argv.is(i, "AUTH")) secret = i;
      return positions(argv, (i) => i === secret + 1 || i === secret + 2);
    }
    case "config|set":
      return positions(argv, (i) => i > 2 && i % 2 === 1 && SECRET_PARAMETERS.has(argv.string(i - 1).toLowerCase()));
    case "acl|setuser":
      return positions(argv, (i) => i > 1);
    default:
      return NONE;
  }
}

function positions(argv: Argv, isSecret: (i: number) => boolean): ReadonlySet<number> {
  const found = new Set<number>();
  for (let i = 0; i < argv.length; i++) if (isSecret(i)) found.add(i);
  return found;
}
