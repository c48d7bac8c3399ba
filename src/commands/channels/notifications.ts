/**
 * Keyspace notifications: what happens to keys, told as messages on channels. Which event a change is depends on the command, so the
 * commands tell of it; the keyspace tells of the keys that it makes and of those that expire. All of it costs a look at `isOn` while
 * nobody has asked for events (`notify-keyspace-events`).
 */
import { formatEventClasses } from "../../event-classes.js";
import type { Keyspace, KeyspaceListener } from "../../keyspace/keyspace.js";
import type { Client } from "../client.js";
import type { PubSub } from "./pubsub.js";

/** Of Redis' event classes those that strings have: generic, string, expired, key miss, new key. Redis' others are never sent. */
export type EventClass = "g" | "$" | "x" | "m" | "n";

export class Notifications implements KeyspaceListener {
  /** Whether any event is sent. */
  isOn = false;
  readonly #pubsub: PubSub;
  readonly #keyspace: Keyspace;
  #letters: ReadonlySet<string> = new Set();

  constructor(pubsub: PubSub, keyspace: Keyspace) {
    this.#pubsub = pubsub;
    this.#keyspace = keyspace;
  }

  /** `notify-keyspace-events`. */
  get events(): string {
    return formatEventClasses(this.#letters);
  }

  /** Asks for events: of the letters (event-classes.ts) K and E say on which channels they are sent, the others which are. */
  ask(letters: ReadonlySet<string>): void {
    this.#letters = letters;
    const channels = ["K", "E"].filter((letter) => letters.has(letter)).length;
    this.isOn = channels > 0 && letters.size > channels;
    this.#keyspace.listener = this.isOn ? this : undefined;
  }

  /** Tells of an event, if it is of a class that was asked for, and if anybody listens to anything. */
  send(database: number, eventClass: EventClass, event: string, key: string): void {
    if (this.#pubsub.isEmpty || !this.#letters.has(eventClass)) return;
    if (this.#letters.has("K")) this.#pubsub.publish(`__keyspace@${database}__:${key}`, event);
    if (this.#letters.has("E")) this.#pubsub.publish(`__keyevent@${database}__:${event}`, key);
  }

  keyCreated(database: number, key: string): void {
    this.send(database, "n", "new", key);
  }

  keyExpired(database: number, key: string): void {
    this.send(database, "x", "expired", key);
  }
}

/** Tells of what a command has done to a key of its client's database, or of another. */
export function notify(client: Client, eventClass: EventClass, event: string, key: string, to = client.database): void {
  const { notifications } = client.server;
  if (notifications.isOn) notifications.send(to.number, eventClass, event, key);
}
