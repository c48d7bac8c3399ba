/**
 * Who has subscribed to what, and the sending of messages to them. A message is encoded once for each protocol, whatever the number
 * of its receivers, and costs two look-ups where there are none.
 */
import { compileGlob } from "../../keyspace/glob.js";
import { Reply } from "../../resp/reply.js";
import type { Client } from "../client.js";

/**
 * What can be subscribed to, by the letter before Redis' words for it: channels, patterns of channels (`psubscribe`, `pmessage`) and
 * shard channels (`ssubscribe`, `smessage`), which without a cluster are channels of another namespace.
 */
export type Kind = "" | "p" | "s";

/** What one client has subscribed to, in the order in which it did. */
export class Subscriptions {
  readonly "" = new Set<string>();
  readonly p = new Set<string>();
  readonly s = new Set<string>();

  /** The number that Redis tells a client that changes its subscriptions of a kind: channels and patterns count together. */
  count(kind: Kind): number {
    return kind === "s" ? this.s.size : this[""].size + this.p.size;
  }

  get isEmpty(): boolean {
    return this[""].size + this.p.size + this.s.size === 0;
  }
}

interface Subscribed {
  readonly clients: Set<Client>;
  /** Whether a channel is meant: by the name itself, or by the pattern that the name is. */
  readonly matches: (channel: string) => boolean;
}

export class PubSub {
  readonly #subscribed: Record<Kind, Map<string, Subscribed>> = { "": new Map(), p: new Map(), s: new Map() };
  readonly #encoder = new Reply();

  /** How many channels, patterns or shard channels have a subscriber. */
  size(kind: Kind): number {
    return this.#subscribed[kind].size;
  }

  /** Whether a message to any channel that is not a shard's would have no receiver. */
  get isEmpty(): boolean {
    return this.#subscribed[""].size + this.#subscribed.p.size === 0;
  }

  names(kind: Kind): Iterable<string> {
    return this.#subscribed[kind].keys();
  }

  subscribers(kind: Kind, name: string): number {
    return this.#subscribed[kind].get(name)?.clients.size ?? 0;
  }

  /** Subscribes a client, and tells it. */
  subscribe(kind: Kind, client: Client, name: string): void {
    client.subscriptions ??= new Subscriptions();
    client.subscriptions[kind].add(name);
    const subscribed = this.#subscribed[kind];
    const known = subscribed.get(name);
    if (known !== undefined) {
      known.clients.add(client);
    } else {
      const matches = kind === "p" ? compileGlob(name) : (channel: string) => channel === name;
      subscribed.set(name, { clients: new Set([client]), matches });
    }
    this.#confirm(client, `${kind}subscribe`, name, client.subscriptions.count(kind));
  }

  /** Ends a subscription, and tells the client, also where there was none. */
  unsubscribe(kind: Kind, client: Client, name: string): void {
    this.#end(kind, client, name);
    this.#confirm(client, `${kind}unsubscribe`, name, client.subscriptions?.count(kind) ?? 0);
  }

  /** Ends all subscriptions of a kind, and tells the client of each. */
  unsubscribeAll(kind: Kind, client: Client): void {
    const names = [...(client.subscriptions?.[kind] ?? [])];
    for (const name of names) this.unsubscribe(kind, client, name);
    if (names.length === 0) {
      this.#confirm(client, `${kind}unsubscribe`, undefined, client.subscriptions?.count(kind) ?? 0);
    }
  }

  /** Forgets a client: it is gone, or as it was when it was new. It is not told. */
  leave(client: Client): void {
    const { subscriptions } = client;
    if (subscriptions === undefined) return;
    for (const kind of ["", "p", "s"] as const) for (const name of subscriptions[kind]) this.#end(kind, client, name);
  }

  #end(kind: Kind, client: Client, name: string): void {
    if (client.subscriptions?.[kind].delete(name) !== true) return;
    if (client.subscriptions.isEmpty) client.subscriptions = undefined;
    const subscribed = this.#subscribed[kind];
    const { clients } = subscribed.get(name) as Subscribed;
    clients.delete(client);
    if (clients.size === 0) subscribed.delete(name);
  }

  #confirm(client: Client, event: string, name: string | undefined, count: number): void {
    const encoder = this.#encoder;
    encoder.protocol = client.protocol;
    encoder.push(3);
    encoder.bulk(event);
    if (name === undefined) encoder.nil();
    else encoder.bulk(name);
    encoder.integer(count);
    client.push(this.#encoded());
  }

  /** PUBLISH: sends a message to who has subscribed to the channel, then to who has to a pattern of it. Returns how many it was sent. */
  publish(channel: string, message: string | Uint8Array): number {
    const { "": channels, p: patterns } = this.#subscribed;
    let receivers = this.#send(channels.get(channel), ["message", channel, message]);
    if (patterns.size === 0) return receivers;
    for (const [pattern, subscribed] of patterns) {
      if (subscribed.matches(channel)) receivers += this.#send(subscribed, ["pmessage", pattern, channel, message]);
    }
    return receivers;
  }

  /** SPUBLISH */
  publishToShard(channel: string, message: string | Uint8Array): number {
    return this.#send(this.#subscribed.s.get(channel), ["smessage", channel, message]);
  }

  #send(to: Subscribed | undefined, parts: (string | Uint8Array)[]): number {
    if (to === undefined) return 0;
    const encoded: { 2?: Uint8Array; 3?: Uint8Array } = {};
    const { size } = to.clients;
    for (const client of to.clients) {
      encoded[client.protocol] ??= this.#encode(client.protocol, parts);
      client.push(encoded[client.protocol] as Uint8Array);
    }
    return size;
  }

  #encode(protocol: 2 | 3, parts: readonly (string | Uint8Array)[]): Uint8Array {
    this.#encoder.protocol = protocol;
    this.#encoder.push(parts.length);
    for (const part of parts) this.#encoder.bulk(part);
    return this.#encoded();
  }

  #encoded(): Uint8Array {
    return this.#encoder.take()[0] as Uint8Array;
  }
}
