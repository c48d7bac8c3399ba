/**
 * The users there are. One is always there, `default`: connections begin as it, and `requirepass` is its password. Whoever changes a user
 * changes what its connections may do from the next command on; a user that is deleted takes its connections with it.
 */
import type { PubsubDefault } from "../../config.js";
import { CommandError } from "../../errors.js";
import type { Client } from "../client.js";
import type { CommandTable } from "../command-table.js";
import { CommandPermissions } from "./permissions.js";
import { User } from "./user.js";
import { hasSpace } from "./words.js";

export const DEFAULT_USER = "default";

/** What `default` may do as long as nobody says otherwise. */
const DEFAULT_RULES = ["on", "nopass", "allkeys", "allchannels", "allcommands"];

const BAD_NAME = new CommandError("ERR Usernames can't contain spaces or null characters");
const DEFAULT_STAYS = new CommandError("ERR The 'default' user cannot be removed");

/** A rule that can't be applied, and what is wrong with it. */
export class RuleError extends Error {
  readonly rule: string;

  constructor(rule: string, cause: CommandError) {
    super(cause.message, { cause });
    this.rule = rule;
  }
}

export class Users {
  /** `acl-pubsub-default` */
  pubsubDefault: PubsubDefault = "resetchannels";
  readonly default: User;
  readonly #table: CommandTable;
  readonly #clients: ReadonlyMap<number, Client>;
  readonly #byName = new Map<string, User>();
  /** Names that configuration files have defined. */
  readonly #defined = new Set<string>();
  #requirepass = "";

  constructor(table: CommandTable, clients: ReadonlyMap<number, Client>) {
    this.#table = table;
    this.#clients = clients;
    this.default = this.#newDefault();
    this.#byName.set(DEFAULT_USER, this.default);
  }

  /** All users, in the order of their names. */
  get all(): User[] {
    return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  get(name: string): User | undefined {
    return this.#byName.get(name);
  }

  /** Whether connections need not log in: who does not is `default`. */
  get isOpen(): boolean {
    return this.default.isOn && this.default.nopass;
  }

  /** `requirepass` as it was set last, its bytes as latin1; rules that change the default user later do not change it (Redis). */
  get requirepass(): string {
    return this.#requirepass;
  }

  /** Makes this the one password of the default user; the empty string means that it needs none. */
  set requirepass(password: string) {
    this.#requirepass = password;
    this.set(DEFAULT_USER, ["resetpass", password === "" ? "nopass" : `>${password}`]);
  }

  /** ACL SETUSER: makes or changes a user, with all rules or, when one of them can't be applied, with none. Throws RuleError. */
  set(name: string, rules: readonly string[]): void {
    if (hasSpace(name)) throw BAD_NAME;
    const known = this.#byName.get(name);
    const changed = known?.clone() ?? this.make(name);
    for (const rule of rules) this.apply(changed, rule);
    if (known === undefined) this.#byName.set(name, changed);
    else known.become(changed);
    this.#changed();
  }

  /**
   * A `user` directive of a configuration file, given without its first word: `name [rule ...]`. Each user may be defined once, and
   * nothing stays of what `default` was. Throws a CommandError, without a code, in Redis' words; they tell no rule, which may hold a
   * password.
   */
  define(name: string, rules: readonly string[]): void {
    const fail = (reason: string) => new CommandError(`Error in user declaration '${name}': ${reason}`);
    if (hasSpace(name)) throw fail("Spaces not allowed in ACL usernames");
    if (this.#defined.has(name)) {
      throw fail("Duplicate user found. A user can only be defined once in config files");
    }
    try {
      this.set(name, name === DEFAULT_USER ? ["reset", ...rules] : rules);
    } catch (error) {
      throw error instanceof RuleError ? fail(error.message) : error;
    }
    this.#defined.add(name);
  }

  /** A user that is not one of these yet: off, and it may do nothing. */
  make(name: string): User {
    const user = new User(name, new CommandPermissions(this.#table));
    user.apply(this.pubsubDefault, this.pubsubDefault);
    return user;
  }

  apply(user: User, rule: string): void {
    try {
      user.apply(rule, this.pubsubDefault);
    } catch (error) {
      throw error instanceof CommandError ? new RuleError(rule, error) : error;
    }
  }

  /** ACL DELUSER: how many of these there were. `self` asks for it, and its connection ends after the reply. */
  delete(names: readonly string[], self: Client): number {
    if (names.includes(DEFAULT_USER)) throw DEFAULT_STAYS;
    const deleted = names.filter((name) => {
      const user = this.#byName.get(name);
      if (user !== undefined) this.#end(user, self);
      return this.#byName.delete(name);
    });
    return deleted.length;
  }

  /** ACL LOAD: these are the users now. Connections of all but `default` end, as in Redis, for theirs may be others of the same name. */
  replace(users: readonly User[], self?: Client): void {
    for (const user of this.#byName.values()) if (user !== this.default) this.#end(user, self);
    this.#byName.clear();
    for (const user of users) this.#byName.set(user.name, user);
    this.default.become(this.#byName.get(DEFAULT_USER) ?? this.#newDefault());
    this.#byName.set(DEFAULT_USER, this.default);
    this.#changed();
  }

  #newDefault(): User {
    const user = this.make(DEFAULT_USER);
    for (const rule of DEFAULT_RULES) user.apply(rule, this.pubsubDefault);
    return user;
  }

  /** Ends the connections of a user. Until they are gone they are what a connection is at first. */
  #end(user: User, self: Client | undefined): void {
    for (const client of this.#clients.values()) {
      if (client.user !== user) continue;
      client.logout();
      if (client === self) client.closing = true;
      else client.peer.destroy();
    }
  }

  #changed(): void {
    for (const client of this.#clients.values()) {
      client.refreshAccess();
      // Redis ends a subscriber from whom one of its channels is taken.
      if (!maySubscribe(client)) client.peer.destroy();
    }
  }
}

/** Whether a client may have the subscriptions that it has. */
function maySubscribe({ subscriptions, user }: Client): boolean {
  if (subscriptions === undefined) return true;
  const names = [...subscriptions[""], ...subscriptions.s];
  return (
    names.every((name) => user.mayUseChannel(name, false)) &&
    [...subscriptions.p].every((name) => user.mayUseChannel(name, true))
  );
}
