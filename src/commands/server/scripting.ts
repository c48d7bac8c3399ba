/** Scripts and functions are not here. Their commands are in no listing; whoever sends one is told so, in one way. */
const SCRIPTING = new Set(["eval", "evalsha", "evalsha_ro", "eval_ro", "fcall", "fcall_ro", "function", "script"]);

export function isScripting(name: string): boolean {
  return SCRIPTING.has(name.toLowerCase());
}

/** What stands behind Redis' `unknown command 'name'`, which clients may look for. */
export const NO_SCRIPTING = "scripts and functions are not supported here";
