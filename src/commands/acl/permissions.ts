/**
 * Which commands a user may run: the rules `+get`, `-config|set`, `+@read`, `+select|0`, and what they come to in the command table,
 * so that a check is one look-up. The rules are kept as they were given, as since Redis 7.2: a category stays a category. They name
 * commands by their own names, also those that `rename-command` has given another or taken away.
 */
import { CommandError } from "../../errors.js";
import type { Argv } from "../../resp/argv.js";
import { CATEGORIES, type Command, categoriesOf } from "../command.js";
import type { CommandTable } from "../command-table.js";
import { REDIS_COMMAND_NAMES } from "../redis-commands.js";
import { hasSpace } from "./words.js";

export const UNKNOWN_COMMAND = new CommandError("Unknown command or category name in ACL");
const FIRST_ARG_OF_SUBCOMMAND = new CommandError("Allowing first-arg of a subcommand is not supported");
const SPACE_IN_FIRST_ARG = new CommandError("Syntax error");
const EMPTY_SUBCOMMAND = new CommandError("Syntax error");

const ALL = "@all";

export class CommandPermissions {
  readonly #table: CommandTable;
  #allowed = new Set<Command>();
  /** First arguments with which a command may be run that is not allowed otherwise, in lower case (`+select|0`). */
  #firstArguments = new Map<Command, Set<string>>();
  #rules = [`-${ALL}`];

  constructor(table: CommandTable) {
    this.#table = table;
  }

  /** Whether there is no command that is not allowed. */
  get allowsAll(): boolean {
    return this.#table.all.every((command) => this.#allowed.has(command));
  }

  /** The rules as ACL LIST shows them: they begin with `+@all` or `-@all`, and none is without effect. */
  get rules(): string {
    return this.#rules.join(" ");
  }

  allows(command: Command, argv: Argv): boolean {
    if (this.#allowed.has(command) || command.flags.includes("no_auth")) return true;
    return argv.length > 1 && (this.#firstArguments.get(command)?.has(argv.string(1).toLowerCase()) ?? false);
  }

  clone(): CommandPermissions {
    const clone = new CommandPermissions(this.#table);
    clone.#allowed = new Set(this.#allowed);
    clone.#firstArguments = new Map([...this.#firstArguments].map(([command, words]) => [command, new Set(words)]));
    clone.#rules = [...this.#rules];
    return clone;
  }

  /** Applies a rule that begins with `+` or `-`. Throws what is wrong with it, and then nothing has changed. */
  apply(rule: string): void {
    const allowed = rule.startsWith("+");
    const subject = rule.slice(1);
    if (subject.startsWith("@")) this.#setCategory(subject.toLowerCase(), allowed);
    else if (allowed && subject.includes("|")) this.#allowPart(subject);
    else this.#setCommand(subject, allowed);
  }

  #setCategory(subject: string, allowed: boolean): void {
    const category = CATEGORIES.find((name) => subject === `@${name}`);
    if (subject === ALL) {
      this.#allowed = new Set(allowed ? this.#table.all : []);
      this.#firstArguments.clear();
      this.#rules = [`${allowed ? "+" : "-"}${ALL}`];
      return;
    }
    if (category === undefined) throw UNKNOWN_COMMAND;
    for (const command of this.#table.all) {
      if (categoriesOf(command).includes(category)) this.#set(command, allowed);
    }
    this.#note(subject, allowed);
  }

  #setCommand(subject: string, allowed: boolean): void {
    const name = subject.toLowerCase();
    const command = this.#table.ownNamed(name);
    if (command !== undefined) this.#set(command, allowed);
    else if (!REDIS_COMMAND_NAMES.has(name)) throw UNKNOWN_COMMAND;
    this.#note(name, allowed);
  }

  /** `+container|subcommand`, or `+command|first-argument` where the command has no subcommands. */
  #allowPart(subject: string): void {
    const bar = subject.lastIndexOf("|");
    const command = this.#table.ownNamed(subject.slice(0, bar));
    const part = subject.slice(bar + 1);
    if (command === undefined) return this.#setCommand(subject, true);
    if (command.name.includes("|")) throw FIRST_ARG_OF_SUBCOMMAND;
    if (part === "") throw EMPTY_SUBCOMMAND;
    if (command.subcommands !== undefined) return this.#setCommand(subject, true);
    // Redis takes it, and then its files have a line, or a word, that nobody has given as a rule.
    if (hasSpace(part)) throw SPACE_IN_FIRST_ARG;
    const words = this.#firstArguments.get(command) ?? new Set<string>();
    if (words.has(part.toLowerCase())) return;
    this.#firstArguments.set(command, words.add(part.toLowerCase()));
    this.#note(`${command.name}|${part}`, true);
  }

  /** A container takes its subcommands with it. */
  #set(command: Command, allowed: boolean): void {
    for (const each of [command, ...(command.subcommands ?? [])]) {
      if (allowed) this.#allowed.add(each);
      else this.#allowed.delete(each);
      this.#firstArguments.delete(each);
    }
  }

  /** Puts the rule behind the others. Earlier ones of the same subject, or of a part of it, have no effect any more. */
  #note(subject: string, allowed: boolean): void {
    const overruled = (rule: string) => rule.slice(1) === subject || rule.startsWith(`${subject}|`, 1);
    this.#rules = this.#rules.filter((rule) => !overruled(rule));
    this.#rules.push(`${allowed ? "+" : "-"}${subject}`);
  }
}
