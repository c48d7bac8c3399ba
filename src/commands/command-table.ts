/** Finds the row of a request. Which rows there are is table.ts' business. */
import { StartError } from "../errors.js";
import type { Renaming } from "../options/kinds.js";
import type { Argv } from "../resp/argv.js";
import type { Command } from "./command.js";

/** The commands that bit-run reads by itself. */
const BIT_RUN_NAMES = ["getbit", "setbit", "multi", "exec"];

/** Numbers that `Argv.spelling` gives. */
const SPELLINGS = 256;

export class CommandTable {
  /** The commands in the order of their names, subcommands inside them. */
  readonly rows: readonly Command[];
  /** Whether a command that bit-run knows by its bytes is called by another name, or by none. */
  areBitsRenamed = false;
  /** The same with their subcommands. */
  readonly all: readonly Command[];
  /** By name in lower and in upper case, which is how clients write them; other spellings take a slower way. */
  readonly #byName = new Map<string, Command>();
  /** By the name that the row itself tells, in lower case, also of commands that `rename-command` has taken away. */
  #byOwnName = new Map<string, Command>();
  /** Names as requests spelled them last and their rows, by `Argv.spelling`: a third of the time that a string and its look-up take. */
  readonly #spelled: ({ name: Uint8Array; command: Command } | undefined)[] = new Array(SPELLINGS).fill(undefined);
  /** Rows that requests find and nobody is told of. */
  readonly #hidden: ReadonlyMap<string, Command>;

  constructor(rows: readonly Command[], hidden: readonly Command[] = []) {
    this.rows = [...rows].sort((a, b) => (a.name < b.name ? -1 : 1));
    this.#hidden = new Map(hidden.map((row) => [row.name, row]));
    this.all = this.rows.flatMap((command) => [command, ...(command.subcommands ?? [])]);
    for (const row of this.all) {
      this.#byName.set(row.name, row);
      this.#byName.set(row.name.toUpperCase(), row);
      this.#byOwnName.set(row.name, row);
    }
  }

  /**
   * This table under other names (`rename-command`), one after the other. As in Redis, a row tells its own name and not the one that it is
   * called by. Throws StartError where there is no such command, or already one.
   */
  renamed(renamings: readonly Renaming[]): CommandTable {
    if (renamings.length === 0) return this;
    const gone = new Set<Command>();
    const names = new Map<string, Command>();
    for (const row of this.rows) names.set(row.name, row);
    for (const { from, to } of renamings) {
      const [old, name] = [from.toLowerCase(), to.toLowerCase()];
      const row = names.get(old);
      if (row === undefined) throw new StartError(`rename-command ${from}: No such command in rename-command`);
      names.delete(old);
      if (name === "") gone.add(row);
      else if (names.has(name))
        throw new StartError(`rename-command ${from} ${to}: Target command name already exists`);
      else names.set(name, row);
    }
    const table = new CommandTable(
      this.rows.filter((row) => !gone.has(row)),
      [...this.#hidden.values()],
    );
    for (const row of table.rows) {
      table.#byName.delete(row.name);
      table.#byName.delete(row.name.toUpperCase());
    }
    for (const [name, row] of names) table.#byName.set(name, row).set(name.toUpperCase(), row);
    table.#byOwnName = this.#byOwnName;
    table.areBitsRenamed = BIT_RUN_NAMES.some((name) => table.named(name)?.name !== name);
    return table;
  }

  /** The row that is called by this name, in any case; a subcommand's name is like `client|id`. */
  named(name: string): Command | undefined {
    return this.#byName.get(name) ?? this.#byName.get(name.toLowerCase());
  }

  /** The row whose own name this is, in any case, whatever `rename-command` has made of it: rules of ACL name commands so (Redis). */
  ownNamed(name: string): Command | undefined {
    return this.#byOwnName.get(name.toLowerCase());
  }

  /** All that `ownNamed` finds. */
  get ownNamedAll(): Command[] {
    return [...this.#byOwnName.values()];
  }

  /** The row of a request: its subcommand's, where the command has any and the request names one. */
  find(argv: Argv): Command | undefined {
    const slot = argv.spelling(0);
    const known = this.#spelled[slot];
    if (known !== undefined && argv.equals(0, known.name)) return known.command;
    const name = argv.string(0);
    const command = this.named(name) ?? this.#hidden.get(name.toLowerCase());
    if (command?.subcommands === undefined) {
      if (command === undefined || command.name.includes("|")) return undefined;
      this.#spelled[slot] = { name: Uint8Array.from(argv.bytes(0)), command };
      return command;
    }
    return argv.length === 1 ? command : this.named(`${command.name}|${argv.string(1)}`);
  }

  /** The command with subcommands that a request begins with, whether or not it has the one that is asked for. */
  container(argv: Argv): Command | undefined {
    const command = this.named(argv.string(0));
    return command?.subcommands === undefined ? undefined : command;
  }
}
