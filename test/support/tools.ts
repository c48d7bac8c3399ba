/**
 * Programs that the tests use where they are installed. One that is missing is said, once, and its tests are skipped; with
 * REQUIRE_REDIS=1 in the environment that is a failure instead.
 */
import { execFileSync } from "node:child_process";

/** Redis' own tools, or any other program, by a call that succeeds where it, or what it is to load, is installed. */
export function findTool(
  name: string,
  args: readonly string[] = ["--version"],
  otherwise = `${name} is not in PATH`,
): string | undefined {
  return answers(name, args) ? name : missing(otherwise);
}

/** A Python 3 that has redis-py: Debian's package python3-redis is for /usr/bin/python3 only. */
export function findPythonWithRedis(): string | undefined {
  const found = ["/usr/bin/python3", "python3"].find((python) => answers(python, ["-c", "import redis"]));
  return found ?? missing("there is no python3 that can import redis (Debian: python3-redis)");
}

/** Whether the call succeeds. */
export function answers(program: string, args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function missing(reason: string): undefined {
  if (process.env.REQUIRE_REDIS === "1") throw new Error(`REQUIRE_REDIS=1, but ${reason}`);
  console.log(`SKIPPED: ${reason}`);
  return undefined;
}
